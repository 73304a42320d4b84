"""Who waits to be told who it is: guesses keep nobody else waiting."""

import threading
from collections.abc import Callable

import anyio
import pytest

from vifguard.api.access.principal import Principal, UserRole
from vifguard.api.auth.verification import MAX_QUEUED, MAX_QUEUED_PER_CLIENT, Verification
from vifguard.attributes.refusal import Refusal

ALICE = Principal("alice", "p1", frozenset({UserRole.MEMBER}))


class Slow:
    """Verifies nobody until it is let."""

    header, challenge, hint, max_concurrent = "authorization", "Basic", "a password", 1

    def __init__(self) -> None:
        self.let = threading.Event()

    def cached(self, value: str) -> Principal | None:
        return ALICE if value == "known" else None

    def verify(self, value: str) -> Principal | None:
        self.let.wait(60)
        return ALICE if value == "alice" else None


def run(story: Callable[[Verification, Slow, list[Principal | None]], object]) -> None:
    """A story of those who ask at once, with whom they were told to be."""

    async def play() -> None:
        slow = Slow()
        way = Verification(slow)
        try:
            with anyio.fail_after(60):
                await story(way, slow, [])  # type: ignore[misc]
        finally:
            slow.let.set()

    anyio.run(play)


def test_one_client_fills_its_own_places_alone() -> None:
    async def story(way: Verification, slow: Slow, told: list[Principal | None]) -> None:
        async def ask(value: str, client: str) -> None:
            told.append(await way.principal(value, client))

        async with anyio.create_task_group() as asking:
            for _ in range(MAX_QUEUED_PER_CLIENT):
                asking.start_soon(ask, "guess", "192.0.2.1")
            await anyio.wait_all_tasks_blocked()
            with pytest.raises(Refusal) as refused:
                await way.principal("guess", "192.0.2.1")
            assert (refused.value.status, refused.value.headers) == (429, {"Retry-After": "1"})
            assert await way.principal("known", "192.0.2.1") is ALICE
            asking.start_soon(ask, "alice", "192.0.2.2")
            await anyio.wait_all_tasks_blocked()
            slow.let.set()
        assert told.count(ALICE) == 1
        # Who was answered has left its place.
        assert await way.principal("alice", "192.0.2.1") is ALICE

    run(story)


def test_many_clients_fill_so_many_places_and_no_more() -> None:
    async def story(way: Verification, slow: Slow, told: list[Principal | None]) -> None:
        async def ask(client: str) -> None:
            told.append(await way.principal("guess", client))

        async with anyio.create_task_group() as asking:
            for number in range(MAX_QUEUED):
                asking.start_soon(ask, f"192.0.2.{number}")
            await anyio.wait_all_tasks_blocked()
            for client in ("198.51.100.1", ""):
                with pytest.raises(Refusal) as refused:
                    await way.principal("alice", client)
                assert (refused.value.status, refused.value.headers) == (503, {"Retry-After": "1"})
            assert await way.principal("known", "198.51.100.1") is ALICE
            slow.let.set()
        assert told == [None] * MAX_QUEUED

    run(story)
