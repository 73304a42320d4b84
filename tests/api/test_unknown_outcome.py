"""What is said of a change whose connection to the database ends is what became of it."""

import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import httpx
import psycopg
import pytest
from sqlalchemy import event
from tests.api.cloud import Cloud
from tests.api.serving import served
from tests.cutting import Cut, Proxy, failing
from tests.databases import Databases, PostgresqlServer, SqliteFiles

from vifguard.api.app import create_app
from vifguard.api.auth.basic_auth import BasicAuth
from vifguard.store.readiness import WriteProbe, why_not_ready
from vifguard.store.store import Store


@contextmanager
def clouded(store: Store, identity: BasicAuth) -> Iterator[Cloud]:
    with (
        served(create_app(store, identity)) as url,
        httpx.Client(base_url=url, trust_env=False, timeout=60) as http,
    ):
        yield Cloud(http, store)


def said(answer: httpx.Response) -> str:
    """What an answer says of a change: made, not made, or unknown."""
    if answer.status_code == 201:
        return "made"
    error = answer.json()["NeutronError"]
    assert answer.status_code in {503, 507}, answer.text
    if error["type"] == "OutcomeUnknown":
        assert "may or may not have been made" in error["message"]
        assert "Look" in error["message"]
        assert "Retry-After" not in answer.headers
        return "unknown"
    assert "othing was changed" in error["message"]
    assert "Retry-After" in answer.headers
    return "not made"


def cut_everywhere(cloud: Cloud, cut: Cut, is_there: Any) -> list[tuple[str, bool]]:
    """Of a POST cut at each place in turn: what was said, and whether the port is there."""
    cloud.has_host()
    network = cloud.admin.network("10.0.0.0/16", shared=True)
    cloud.admin.make("port", network_id=network["id"])
    found: list[tuple[str, bool]] = []
    woken = threading.Event()
    with cloud.store.changes.subscribe("h1", woken.set):
        for at in range(1, 500):
            woken.clear()
            body = {"port": {"network_id": network["id"], "name": f"cut-{at}"}}
            cut.plan(at)
            answer = cloud.http.post("/v2.0/ports", json=body, auth=("alice", "alice"))
            if not cut.disarm():
                assert answer.status_code == 201
                return found
            there = is_there(f"cut-{at}")
            assert woken.is_set() or not there
            found.append((said(answer), there))
    raise AssertionError("a POST has no end")


@pytest.mark.parametrize("comes_back", [True, False])
def test_what_is_said_of_a_cut_change_is_true_on_postgresql(
    postgresql_server: PostgresqlServer, identity: BasicAuth, *, comes_back: bool
) -> None:
    with (
        postgresql_server.fresh() as where,
        Proxy(where).serving() as proxy,
        closing(Store.open(proxy.url)) as store,
        clouded(store, identity) as cloud,
        psycopg.connect(where, autocommit=True) as looking,
    ):
        proxy.closes = not comes_back

        def is_there(name: str) -> bool:
            # Who has the turn knows that what was cut off has ended.
            with looking.transaction():
                looking.execute(f"SELECT pg_advisory_xact_lock({0x7669_6667})")
                return bool(
                    looking.execute("SELECT 1 FROM ports WHERE name = %s", (name,)).fetchall()
                )

        found = cut_everywhere(cloud, proxy.cut, is_there)
    assert ("not made", False) in found
    assert ("not made", True) not in found
    assert ("made", False) not in found
    if comes_back:
        assert ("made", True) in found
        assert "unknown" not in {each for each, _ in found}
    else:
        assert ("unknown", True) in found


def test_what_is_said_of_a_cut_change_is_true_on_sqlite(
    sqlite_files: SqliteFiles, identity: BasicAuth
) -> None:
    with (
        sqlite_files.fresh() as where,
        closing(Store.open(where)) as store,
        clouded(store, identity) as cloud,
        closing(Store.open(where)) as looking,
    ):

        def is_there(name: str) -> bool:
            with looking.autocommit() as snapshot:
                asked = "SELECT 1 FROM ports WHERE name = ?"
                return bool(snapshot.connection.exec_driver_sql(asked, (name,)).all())

        found = cut_everywhere(cloud, failing(store), is_there)
    assert set(found) == {("not made", False), ("made", True)}
    assert len(found) > 10


@contextmanager
def unwritable(store: Store, kind: str) -> Iterator[None]:
    """A database that takes nothing, as it says so itself: `full`, or `read-only`."""
    engine = store._database.reading
    if engine.dialect.name == "sqlite":
        pragma = {"full": "PRAGMA max_page_count=1", "read-only": "PRAGMA query_only=ON"}[kind]
        event.listen(engine, "begin", lambda connection: connection.exec_driver_sql(pragma))
        yield
        return
    state = {"full": "53100", "read-only": "25006"}[kind]
    refuse = f"""
        CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
        $$BEGIN RAISE EXCEPTION 'takes nothing' USING ERRCODE = '{state}'; END$$"""
    with store._database.writing.begin() as connection:
        connection.exec_driver_sql(refuse)
        for table in ("revision", "networks"):
            connection.exec_driver_sql(
                f"CREATE TRIGGER refuse BEFORE INSERT OR UPDATE ON {table} "
                "EXECUTE FUNCTION refuse()"
            )
    try:
        yield
    finally:
        with store._database.writing.begin() as connection:
            connection.exec_driver_sql("DROP FUNCTION refuse CASCADE")


@pytest.mark.parametrize(
    ("kind", "status", "remedy"),
    [("full", 507, "make room"), ("read-only", 503, "make it writable")],
)
def test_a_database_that_takes_nothing_says_why_and_what_to_do(
    databases: Databases, identity: BasicAuth, kind: str, status: int, remedy: str
) -> None:
    with (
        databases.fresh() as where,
        closing(Store.open(where)) as store,
        clouded(store, identity) as cloud,
    ):
        assert cloud.http.get("/readyz").status_code == 200
        with unwritable(store, kind):
            for at in range(1000):
                body = {"network": {"name": f"n{at}", "description": "x" * 255, "shared": True}}
                answer = cloud.http.post("/v2.0/networks", json=body, auth=("admin", "admin"))
                if answer.status_code != 201:
                    break
            assert answer.status_code == status
            message = answer.json()["NeutronError"]["message"]
            assert kind in message
            assert remedy in message
            assert said(answer) == "not made"
            listed = cloud.admin.get("networks")["networks"]
            assert len(listed) == at
            if kind == "read-only" or databases.kind == "postgresql":
                # What a full SQLite file has already it takes anew: its disk would not.
                why = when_it_says(cloud.http, 503)["reason"]
                assert "cannot be written" in why
                assert kind in why
        if databases.kind == "postgresql":
            assert when_it_says(cloud.http, 200) == {"status": "ok"}


def when_it_says(http: httpx.Client, status: int) -> Any:
    """What /readyz answers once it answers so; it tries a write once a second."""
    deadline = time.monotonic() + 60
    while (answer := http.get("/readyz")).status_code != status:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return answer.json()


def test_probes_try_a_write_now_and_then(databases: Databases) -> None:
    now = [0.0]
    with databases.fresh() as where, closing(Store.open(where)) as store:
        trial = WriteProbe(lambda: now[0])
        assert why_not_ready(store, trial) == ""
        with unwritable(store, "read-only"):
            assert why_not_ready(store, trial) == ""
            now[0] += 1
            assert "read-only" in why_not_ready(store, trial)
