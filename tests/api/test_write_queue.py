"""Changes wait for their turn; whoever keeps them from it keeps nobody else."""

import asyncio
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from functools import partial

import httpx
import psycopg
import pytest
from tests.api.cloud import ABOUT, PASSWORDS, Cloud
from tests.api.serving import served
from tests.databases import Databases, PostgresqlServer

from vifguard.api.app import Application, create_app
from vifguard.api.auth.basic_auth import BasicAuth
from vifguard.api.http import worker_threads
from vifguard.api.http.worker_threads import WorkerThreads, WriteQueue
from vifguard.api.settings import Settings
from vifguard.attributes.refusal import Refusal
from vifguard.feed.codec import encode
from vifguard.feed.messages import Report
from vifguard.store.store import Store

PATIENCE = 60
_TURN = 0x7669_6667


@pytest.fixture
def app_and_cloud(
    databases: Databases, identity: BasicAuth
) -> Iterator[tuple[Application, Cloud, str]]:
    """A server of the test's own, whose users are known already, and where its database is."""
    with databases.fresh() as where, closing(Store.open(where)) as store:
        app = create_app(store, identity)
        with served(app) as url, httpx.Client(base_url=url, trust_env=False, timeout=60) as http:
            for name in PASSWORDS:
                http.get("/v2.0/networks", auth=(name, name))
            yield app, Cloud(http, store), where


@contextmanager
def kept(where: str) -> Iterator[None]:
    """Within, somebody else keeps the database from every change."""
    if "://" in where:
        with psycopg.connect(where) as connection:
            connection.execute(f"SELECT pg_advisory_xact_lock({_TURN})")
            yield
        return
    with closing(sqlite3.connect(where, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.001)


class Writers:
    """Many that each create a network, at once."""

    def __init__(self, cloud: Cloud, many: int, name: str = "admin") -> None:
        self.answers: list[httpx.Response] = []
        self._url = f"{cloud.http.base_url}/v2.0/networks"
        self._name = name
        self._threads = [threading.Thread(target=self._write, args=(n,)) for n in range(many)]
        for each in self._threads:
            each.start()

    def _write(self, number: int) -> None:
        body = {"network": {"name": f"w{number}"}}
        auth = (self._name, self._name)
        self.answers.append(
            httpx.post(self._url, json=body, auth=auth, timeout=PATIENCE, trust_env=False)
        )

    def end(self) -> list[httpx.Response]:
        for each in self._threads:
            each.join()
        return self.answers


def test_who_reads_is_answered_while_44_changes_wait(
    app_and_cloud: tuple[Application, Cloud, str],
) -> None:
    app, cloud, where = app_and_cloud
    cloud.has_host(isolation=True)
    report = encode(Report("h1", about=ABOUT, read_back=True))
    cloud.agent.call("POST", "feed/h1/reports", report)
    with kept(where):
        writers = Writers(cloud, 44)
        until(lambda: app.state.threads.changes.waiting + len(writers.answers) == 44)
        for _ in range(20):
            assert cloud.http.get("/healthz").status_code == 200
            assert cloud.alice.call("GET", "networks").status_code == 200
            assert cloud.bob.call("GET", "ports").status_code == 200
            assert cloud.agent.call("GET", "feed/h1?timeout=0").status_code == 200
        # Most have not had their turn yet: nobody waited for them.
        assert len(writers.answers) < 44
    made = 0
    for answer in writers.end():
        made += answer.status_code == 201
        assert answer.status_code == 201 or "othing was changed" in answer.text
    assert len(cloud.admin.get("networks")["networks"]) == made


def test_the_queue_has_an_end_for_one_project_and_for_all(
    app_and_cloud: tuple[Application, Cloud, str],
) -> None:
    app, cloud, where = app_and_cloud
    app.state.threads = WorkerThreads(changes=WriteQueue(most=5, most_of_a_project=3))
    with kept(where):
        writers = [Writers(cloud, 3, "alice"), Writers(cloud, 2, "bob")]
        until(lambda: app.state.threads.changes.waiting == 5)
        body = {"network": {"name": "more"}}
        answer = cloud.http.post("/v2.0/networks", json=body, auth=("amy", "amy"))
        assert answer.status_code == 429
        assert (
            "Project p1 has 3 changes that wait for their turn already"
            in answer.json()["NeutronError"]["message"]
        )
        assert answer.headers["Retry-After"]
        writers.append(Writers(cloud, 1))
        until(lambda: app.state.threads.changes.waiting == 6)
        answer = cloud.http.post("/v2.0/networks", json=body, auth=("bob", "bob"))
        assert answer.status_code == 503
        assert "5 changes that wait" in answer.json()["NeutronError"]["message"]
        assert answer.headers["Retry-After"]
    for each in writers:
        each.end()
    assert app.state.threads.changes.waiting == 0


def test_who_has_waited_too_long_for_its_turn_is_told(
    app_and_cloud: tuple[Application, Cloud, str],
) -> None:
    app, cloud, where = app_and_cloud
    app.state.threads = WorkerThreads(changes=WriteQueue(patience=0.05))
    with kept(where):
        writers = Writers(cloud, 6)
        until(lambda: len(writers.answers) >= 4)
        for answer in writers.answers[:4]:
            assert answer.status_code == 503
            assert "has waited 0.05 s for its turn. Nothing was changed" in answer.text
            assert answer.headers["Retry-After"]
    writers.end()


def test_the_turns_go_round_the_projects_and_the_operator_is_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """F3: what one project asked for much, and failed late, held every other's change."""
    monkeypatch.setattr(worker_threads, "_AT_ONCE", 1)
    ran: list[str] = []

    async def ask() -> None:
        turns, begun, go = WriteQueue(), threading.Event(), threading.Event()

        def first() -> None:
            begun.set()
            go.wait(PATIENCE)

        waiting = [asyncio.create_task(turns.run("a", first))]
        for name in ("a1", "a2", "a3", "b1", "c1", "b2", "operator"):
            await asyncio.sleep(0)
            who = "" if name == "operator" else name[0]
            waiting.append(asyncio.create_task(turns.run(who, partial(ran.append, name))))
        await asyncio.sleep(0)
        assert turns.waiting == 8
        await asyncio.to_thread(begun.wait, PATIENCE)
        go.set()
        await asyncio.gather(*waiting)
        assert turns.waiting == 0

    asyncio.run(ask())
    assert ran == ["operator", "a1", "b1", "c1", "a2", "b2", "a3"]


def test_a_project_leaves_a_turn_to_others_and_one_that_gives_up_goes() -> None:
    async def ask() -> None:
        turns, go = WriteQueue(patience=0.05), threading.Event()
        bulks = [asyncio.create_task(turns.run("a", partial(go.wait, PATIENCE)))]
        bulks += [asyncio.create_task(turns.run("a", list)) for _ in range(3)]
        await asyncio.sleep(0)
        # Whatever a asks: its others give up, and b has its turn.
        assert await turns.run("b", lambda: "made") == "made"
        given_up = await asyncio.gather(*bulks[1:], return_exceptions=True)
        assert all(isinstance(each, Refusal) and each.status == 503 for each in given_up)
        assert turns.waiting == 1
        go.set()
        await bulks[0]
        assert await turns.run("a", lambda: "made") == "made"

    asyncio.run(ask())


def test_a_few_projects_cannot_take_all_places_from_another() -> None:
    """Four projects with 64 changes each kept every other out."""

    async def ask() -> list[object]:
        turns, go = WriteQueue(most=8, most_of_a_project=4), threading.Event()
        changes = [
            asyncio.create_task(turns.run(who, partial(go.wait, PATIENCE)))
            for who in ("a", "b")
            for _ in range(4)
        ]
        await asyncio.sleep(0)
        late = [asyncio.create_task(turns.run("c", lambda: "made")) for _ in range(3)]
        await asyncio.sleep(0)
        assert turns.waiting == 8
        go.set()
        made = await asyncio.gather(*changes, *late, return_exceptions=True)
        assert turns.waiting == 0
        return [each.message if isinstance(each, Refusal) else each for each in made]

    *ran, first, second, third = asyncio.run(ask())
    assert (first, second) == ("made", "made")
    assert "there are 8 changes that wait for their turn already" in str(third)
    gave_way = [each for each in ran if each is not True]
    assert len(gave_way) == 2
    assert all("those of other projects, which have fewer, wait" in str(each) for each in gave_way)


def test_whether_the_server_can_write_is_told_while_a_change_goes_on(
    app_and_cloud: tuple[Application, Cloud, str],
) -> None:
    """F3: a load balancer took the server out, because tenants kept its turn."""
    _app, cloud, _where = app_and_cloud
    until(lambda: cloud.http.get("/readyz").status_code == 200)
    cloud.store.patience = 2 * PATIENCE
    with cloud.store.change() as change:
        change.allocate_revision()
        asked_at = time.monotonic()
        # An attempt is made once a second: this one waits for the change.
        until(lambda: time.monotonic() > asked_at + 1)
        for _ in range(3):
            assert cloud.http.get("/readyz").json() == {"status": "ok"}
    until(lambda: cloud.http.get("/readyz").status_code == 200)


def test_what_a_body_lists_is_counted_before_it_waits(
    databases: Databases, identity: BasicAuth
) -> None:
    with databases.fresh() as where, closing(Store.open(where)) as store:
        app = create_app(store, identity, settings=Settings(requests_per_second=4))
        with served(app) as url, httpx.Client(base_url=url, trust_env=False, timeout=60) as http:
            cloud = Cloud(http, store)
            # Who they are is known: to find out takes longer than a share needs to grow again.
            cloud.alice.get("networks")
            cloud.amy.get("networks")
            network = cloud.admin.network("10.0.0.0/24", shared=True)["id"]
            pairs = [{"ip_address": f"10.1.0.{n}"} for n in range(50)]
            body = {"port": {"network_id": network, "allowed_address_pairs": pairs}}
            with ThreadPoolExecutor() as others, kept(where):
                waits = others.submit(cloud.alice.call, "POST", "ports", body)
                until(lambda: app.state.threads.changes.waiting == 1)
                answer = cloud.amy.call("GET", "ports")
                assert (answer.status_code, "Retry-After" in answer.headers) == (429, True)
            assert waits.result().status_code == 403


_FROZEN = """
import sys
from vifguard.store.store import Store
store = Store.open(sys.argv[1])
with store.change() as change:
    change.allocate_revision()
    change.connection.exec_driver_sql("SELECT 1")
    print("in its turn", flush=True)
    sys.stdin.readline()
"""


def test_others_go_on_when_a_server_that_froze_in_its_turn_has_lost_it(
    postgresql_server: PostgresqlServer, identity: BasicAuth
) -> None:
    loses = "options=-c%20idle_in_transaction_session_timeout%3D3s"
    waits = "options=-c%20lock_timeout%3D200ms"
    with (
        postgresql_server.fresh() as where,
        closing(Store.open(f"{where}&{waits}")) as store,
        served(create_app(store, identity)) as url,
        httpx.Client(base_url=url, trust_env=False, timeout=PATIENCE) as http,
        subprocess.Popen(
            [sys.executable, "-c", _FROZEN, f"{where}&{loses}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as frozen,
    ):
        try:
            assert frozen.stdout is not None
            assert frozen.stdout.readline() == "in its turn\n"
            frozen.send_signal(signal.SIGSTOP)
            body = {"network": {"name": "after"}}
            told = []
            while (
                answer := http.post("/v2.0/networks", json=body, auth=("admin", "admin"))
            ).status_code != 201:
                told.append(answer)
                assert http.get("/v2.0/networks", auth=("admin", "admin")).status_code == 200
                assert http.get("/healthz").status_code == 200
        finally:
            frozen.kill()
        assert told
        for each in told:
            assert each.status_code == 503
            assert "Another change holds the database. Nothing was changed" in each.text
            assert each.headers["Retry-After"]
        listed = http.get("/v2.0/networks", auth=("admin", "admin")).json()["networks"]
        assert [each["name"] for each in listed] == ["after"]


def test_who_gives_up_in_the_moment_in_which_it_is_next_leaves_the_turn_to_others() -> None:
    async def play(pauses: int) -> None:
        turns, held = WriteQueue(), threading.Event()
        holding = [asyncio.create_task(turns.run(each, held.wait)) for each in ("a", "b")]
        await asyncio.sleep(0)
        leaving = asyncio.create_task(turns.run("c", lambda: "c"))
        await asyncio.sleep(0)
        behind = asyncio.create_task(turns.run("d", lambda: "d"))
        await asyncio.sleep(0)
        held.set()
        for _ in range(pauses):
            await asyncio.sleep(0)
        leaving.cancel()
        assert await asyncio.gather(*holding, behind) == [True, True, "d"]
        await asyncio.wait([leaving])
        assert not turns.waiting

    for pauses in range(300):
        asyncio.run(play(pauses))
