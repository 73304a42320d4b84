"""Feed requests: of a host one at a time, none in the way of other hosts'."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait

import httpx
import pytest
from tests.api.cloud import Cloud

from vifguard.feed.messages import Update

PATIENCE = 50


@pytest.fixture
def ask(cloud: Cloud) -> Callable[[str, str], httpx.Response]:
    """Asks for the update of a host, on a connection of its own."""

    def get(host: str, query: str) -> httpx.Response:
        url = f"{cloud.http.base_url}/v2.0/feed/{host}?{query}"
        return httpx.get(url, auth=("admin", "admin"), timeout=PATIENCE, trust_env=False)

    return get


def test_many_feed_requests_of_a_host_keep_no_other_waiting(
    cloud: Cloud,
    ask: Callable[[str, str], httpx.Response],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """F13.2: 200 connections that asked for everything had all threads of the feed."""
    begun, go = threading.Semaphore(0), threading.Event()
    update_after = cloud.store.update_after

    def slowly(host: str, after: int) -> Update | None:
        if host == "h1":
            begun.release()
            go.wait(PATIENCE)
        return update_after(host, after)

    assert ask("h2", "after=0").status_code == 200  # the password is verified once
    monkeypatch.setattr(cloud.store, "update_after", slowly)
    with ThreadPoolExecutor(10) as agents:
        try:
            asked = {agents.submit(ask, "h1", "after=0") for _ in range(10)}
            assert begun.acquire(timeout=PATIENCE)
            answered: set[Future[httpx.Response]] = set()
            while len(answered) < 7:
                done, _ = wait(asked - answered, PATIENCE, return_when="FIRST_COMPLETED")
                assert done
                answered |= done
            refused = [each.result() for each in answered]
            assert {each.status_code for each in refused} == {503}
            assert all(each.headers["Retry-After"] for each in refused)
            assert ask("h2", "after=0").status_code == 200
            assert not begun.acquire(blocking=False)
        finally:
            go.set()
        assert sorted(each.result().status_code for each in asked - answered) == [200] * 3


def test_an_agent_that_is_started_again_ends_the_wait_of_the_one_before(
    cloud: Cloud, ask: Callable[[str, str], httpx.Response]
) -> None:
    """The server does not see that the one before is gone; nobody reads its answer."""
    after = f"after={ask('h1', 'after=0').json()['revision']}"
    with ThreadPoolExecutor() as agents:
        first = agents.submit(ask, "h1", f"{after}&timeout=60")
        while "h1" not in cloud.store.changes._callbacks:
            assert not first.done()
        assert ask("h1", f"{after}&timeout=0").status_code == 204
        assert first.result(PATIENCE).status_code == 204
