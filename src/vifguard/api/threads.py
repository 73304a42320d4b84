"""The threads that serve: each kind of work has its own, and waits for no other's.

Changes come one after the other, and whoever keeps the database from them (another process, a
server that froze) keeps them all. They wait for their turn in the event loop, so many and so
long: reads, the feed, reports and the probes go on meanwhile.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, TypeVar

from anyio import CapacityLimiter
from anyio.to_thread import run_sync

from vifguard.api.errors import Refusal

T = TypeVar("T")

# Together, and with the one change, no more than a server has connections to its database.
_READS: Final = 8
_FEEDS: Final = 3
_REPORTS: Final = 3
_PROBES: Final = 1

_AT_ONCE: Final = 2
"""Changes that have a thread: one has the database, the other reads its document meanwhile."""

MOST_WAITING: Final = 256
MOST_OF_A_PROJECT: Final = 64
PATIENCE: Final = 15.0
"""Seconds that a change waits: longer than a server that froze keeps its turn."""


class Turns:
    """The queue of changes, first come, first served. One event loop uses one."""

    def __init__(
        self,
        most: int = MOST_WAITING,
        most_of_a_project: int = MOST_OF_A_PROJECT,
        patience: float = PATIENCE,
    ) -> None:
        self._most = most
        self._most_of_a_project = most_of_a_project
        self._patience = patience
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._threads = CapacityLimiter(_AT_ONCE)
        self._waiting: Counter[str] = Counter()

    @property
    def waiting(self) -> int:
        """How many wait for their turn, or have it."""
        return self._waiting.total()

    async def run(self, project_id: str, change: Callable[[], T]) -> T:
        """What a change gives, once it had its turn; `project_id` is empty for who is not counted.

        Raises what the change raises, and Refusal (429, 503) where it does not get its turn.
        """
        with self._place(project_id):
            try:
                async with asyncio.timeout(self._patience):
                    await self._turns.acquire()
            except TimeoutError:
                raise _busy(f"this one has waited {self._patience:g} s for its turn") from None
            try:
                return await run_sync(change, limiter=self._threads)
            finally:
                self._turns.release()

    @contextmanager
    def _place(self, project_id: str) -> Iterator[None]:
        """A place in the queue; raises Refusal where there is none."""
        if project_id and self._waiting[project_id] >= self._most_of_a_project:
            raise Refusal(
                429,
                "HTTPTooManyRequests",
                f"{self._most_of_a_project} changes of project {project_id} wait for their turn "
                "already; nothing was changed, wait for their answers.",
                {"Retry-After": "1"},
            )
        if self.waiting >= self._most:
            raise _busy(f"{self._most} changes wait for their turn already")
        self._waiting[project_id] += 1
        try:
            yield
        finally:
            self._waiting[project_id] -= 1
            if not self._waiting[project_id]:
                del self._waiting[project_id]


@dataclass(frozen=True)
class Threads:
    """The threads of one application, by what they do."""

    reads: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(_READS))
    feeds: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(_FEEDS))
    reports: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(_REPORTS))
    probes: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(_PROBES))
    changes: Turns = field(default_factory=Turns)


def _busy(why: str) -> Refusal:
    message = f"The database is busy with other changes: {why}. Nothing was changed, try again."
    return Refusal(503, "HTTPServiceUnavailable", message, {"Retry-After": "1"})
