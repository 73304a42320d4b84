"""Who waits for a port is woken by what concerns it, and one project waits only so often."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import httpx
import pytest
from tests.api.cloud import Cloud
from tests.api.serving import served
from tests.databases import Databases

from vifguard.api.app import create_app
from vifguard.api.auth.basic_auth import BasicAuth
from vifguard.api.ext import wait
from vifguard.api.http.shares import Shares
from vifguard.feed.messages import Report
from vifguard.store.store import Store

PATIENCE = 60


@pytest.fixture
def app_and_cloud(databases: Databases, identity: BasicAuth) -> Iterator[tuple[Any, Cloud]]:
    with databases.fresh() as where, closing(Store.open(where)) as store:
        app = create_app(store, identity)
        with served(app) as url, httpx.Client(base_url=url, trust_env=False, timeout=60) as http:
            yield app, Cloud(http, store)


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.001)


@contextmanager
def waiting(app: Any, cloud: Cloud, *port_ids: str) -> Iterator[list[httpx.Response]]:
    """Within, alice waits for these ports."""
    answers: list[httpx.Response] = []

    def ask(port_id: str) -> None:
        url = f"{cloud.http.base_url}/v2.0/ports/{port_id}/wait?timeout=60"
        answers.append(httpx.get(url, auth=("alice", "alice"), timeout=60, trust_env=False))

    threads = [threading.Thread(target=ask, args=(each,)) for each in port_ids]
    for each in threads:
        each.start()
    until(lambda: app.state.threads.waits.taken == len(port_ids))
    yield answers
    for each in threads:
        each.join()


def made(cloud: Cloud, *hosts: str) -> list[dict[str, Any]]:
    """A port on each of some hosts."""
    for host in hosts:
        cloud.has_host(host)
    network = cloud.admin.network("10.0.0.0/24", shared=True)
    ports = [cloud.alice.make("port", network_id=network["id"]) for _ in hosts]
    return [
        cloud.admin.change("port", port["id"], **{"binding:host_id": host})
        for port, host in zip(ports, hosts, strict=True)
    ]


def test_a_report_wakes_those_who_wait_for_its_host(
    app_and_cloud: tuple[Any, Cloud], monkeypatch: pytest.MonkeyPatch
) -> None:
    app, cloud = app_and_cloud
    here, there = made(cloud, "h1", "h2")
    looked: list[str] = []
    look = wait._look

    def note(call: Any, port_id: str) -> Any:
        looked.append(port_id)
        return look(call, port_id)

    monkeypatch.setattr(wait, "_look", note)
    with waiting(app, cloud, here["id"], there["id"]) as answers:
        until(lambda: len(looked) == 4 and len(cloud.store.reports._callbacks) == 4)
        looked.clear()
        cloud.store.record_report(Report("h1", reached=cloud.revision()))
        until(lambda: looked == [here["id"]])
        # Its policy, told of the port itself, and what is told of its host alone.
        cloud.enforces(there, "h2")
        until(lambda: len(answers) == 1)
        cloud.enforces(here, "h1")
        until(lambda: len(answers) == 2)
    assert {each.status_code for each in answers} == {200}
    assert looked.count(here["id"]) == 2
    assert looked.count(there["id"]) == 1


def test_a_port_that_moves_is_waited_for_at_its_new_host(
    app_and_cloud: tuple[Any, Cloud],
) -> None:
    app, cloud = app_and_cloud
    (port,) = made(cloud, "h1")
    cloud.has_host("h2")
    with waiting(app, cloud, port["id"]) as answers:
        until(lambda: "host:h1" in cloud.store.reports._callbacks)
        port = cloud.admin.change("port", port["id"], **{"binding:host_id": "h2"})
        until(lambda: "host:h2" in cloud.store.reports._callbacks)
        cloud.enforces(port, "h2")
    assert [each.status_code for each in answers] == [200]


def test_a_project_waits_only_so_often(app_and_cloud: tuple[Any, Cloud]) -> None:
    app, cloud = app_and_cloud
    object.__setattr__(app.state.threads, "waits", Shares("waits for ports", 1000, 2))
    first, second, third = made(cloud, "h1", "h1", "h1")
    with waiting(app, cloud, first["id"], second["id"]):
        answer = cloud.alice.call("GET", f"ports/{third['id']}/wait")
        assert answer.status_code == 429
        assert (
            "Project p1 has 2 waits for ports already" in answer.json()["NeutronError"]["message"]
        )
        assert answer.headers["Retry-After"]
        assert cloud.admin.call("GET", f"ports/{third['id']}/wait?timeout=0").status_code == 408
        for each in (first, second):
            cloud.enforces(each)
    assert cloud.alice.call("GET", f"ports/{third['id']}/wait?timeout=0").status_code == 408
