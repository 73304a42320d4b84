"""How the server behaves whatever it is asked: ids, bounds, counts, turns, and its end."""

import asyncio
import json
import logging
import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.api.cloud import Cloud, refusal
from tests.api.serving import served
from tests.databases import Databases

from vifguard.api.access.principal import Principal, UserRole
from vifguard.api.app import Application, create_app, drain
from vifguard.api.auth.basic_auth import BasicAuth
from vifguard.api.auth.rate_limit import BURST_SECONDS, RateLimiter
from vifguard.api.http import body_reader, middleware
from vifguard.api.settings import Settings
from vifguard.attributes.refusal import Refusal
from vifguard.store.errors import UnavailableError
from vifguard.store.store import Store

IDENT = re.compile(r"req-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
SENT = "req-01234567-89ab-cdef-0123-456789abcdef"


@contextmanager
def another(
    where: Path | str, identity: BasicAuth, **chosen: Any
) -> Iterator[tuple[Application, Cloud]]:
    """A server of a test's own on a database, as its operator chose."""
    store = Store.open(where)
    app = create_app(store, identity, settings=Settings(**chosen))
    with served(app) as url, httpx.Client(base_url=url, trust_env=False, timeout=60) as http:
        yield app, Cloud(http, store)
    store.close()


@contextmanager
def logged(name: str) -> Iterator[list[logging.LogRecord]]:
    """Within, what a logger is told."""
    records: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.emit = records.append  # type: ignore[method-assign]
    logger = logging.getLogger(name)
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield records
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)


def test_every_answer_has_an_id_of_its_own(cloud: Cloud) -> None:
    answers = [
        cloud.http.get("/healthz"),
        cloud.http.get("/nowhere"),
        cloud.http.get("/v2.0/networks"),
        cloud.admin.call("GET", "networks", headers={"X-Openstack-Request-Id": SENT}),
        cloud.http.get("/healthz", headers={"X": "y" * (middleware.MAX_HEADER_BYTES + 1)}),
    ]
    idents = [answer.headers["X-Openstack-Request-Id"] for answer in answers]
    assert all(IDENT.fullmatch(ident) for ident in idents)
    assert len({*idents, SENT}) == len(answers) + 1


@pytest.mark.parametrize(
    ("sent", "noted"),
    [(SENT, SENT), ("", ""), ("req-1", ""), (SENT.upper(), ""), (SENT + "\tx", ""), ("\xff", "")],
)
def test_the_id_that_a_caller_sends_goes_to_the_log_where_it_is_one(
    tmp_path: Path, identity: BasicAuth, sent: str, noted: str
) -> None:
    headers = [(b"X-Openstack-Request-Id", sent.encode("latin-1"))]
    with another(tmp_path / "another.db", identity, access_log=True) as (_, cloud):
        with logged("vifguard.access") as records:
            answer = cloud.http.get("/v2.0/networks", headers=headers, auth=("alice", "alice"))
        assert answer.status_code == 200
    (record,) = records
    assert record.__dict__["global_request_id"] == noted
    assert record.__dict__["request_id"] == answer.headers["X-Openstack-Request-Id"]
    assert (record.__dict__["user"], record.__dict__["project"]) == ("alice", "p1")
    assert record.__dict__["action"] == "list_networks"


def test_no_log_holds_what_is_secret(tmp_path: Path, identity: BasicAuth) -> None:
    with (
        another(tmp_path / "another.db", identity, access_log=True) as (_, cloud),
        logged("") as records,
    ):
        cloud.http.get("/v2.0/networks?password=hush-1", auth=("alice", "hush-2"))
        cloud.http.get("/v2.0/networks", headers={"X-Auth-Token": "hush-3"})
        cloud.http.post("/v2.0/ports", json={"port": {"name": "hush-4"}}, auth=("alice", "alice"))
        cloud.http.get("/v2.0/networks", headers={"Authorization": "Basic hush-5"})
    ours = [record.__dict__ for record in records if not record.name.startswith("http")]
    assert len(ours) >= 4
    assert "hush" not in repr(ours)


def test_what_fails_is_told_with_its_id_and_nothing_else(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("the secret inside")

    monkeypatch.setattr("vifguard.api.schema.stored_list.StoredList.answer", fail)
    with logged("vifguard") as records:
        answer = cloud.http.get("/v2.0/networks", auth=("alice", "alice"))
    assert answer.status_code == 500
    assert answer.json()["NeutronError"]["type"] == "HTTPInternalServerError"
    assert "secret" not in answer.text
    assert answer.headers["X-Openstack-Request-Id"] in records[0].getMessage()
    assert records[0].exc_info


@pytest.mark.parametrize("headers", [{"X": "y" * 17_000}, {f"X-{n}": "y" for n in range(100)}])
def test_too_many_headers_are_refused(cloud: Cloud, headers: dict[str, str]) -> None:
    answer = cloud.http.get("/v2.0/networks", headers=headers, auth=("alice", "alice"))
    assert refusal(answer)[:2] == (431, "HTTPRequestHeaderFieldsTooLarge")


def test_headers_without_end_are_cut_off(cloud: Cloud) -> None:
    with raw(cloud) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nX: ")
        with pytest.raises(OSError, match=r"reset|Broken pipe"):
            connection.sendall(b"y" * 50_000_000)


def test_a_body_that_is_too_large_is_refused_before_it_is_read(cloud: Cloud) -> None:
    with raw(cloud) as connection:
        connection.sendall(
            b"POST /v2.0/networks HTTP/1.1\r\nHost: x\r\nAuthorization: Basic YWxpY2U6YWxpY2U=\r\n"
            b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        chunk = b"100000\r\n" + b" " * 0x100000 + b"\r\n"
        connection.sendall(chunk * 2 + b"1\r\n \r\n")
        assert connection.recv(12) == b"HTTP/1.1 413"


def test_a_body_that_does_not_come_is_not_waited_for(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(body_reader, "BODY_SECONDS", 0.05)
    with raw(cloud) as connection:
        connection.sendall(
            b"POST /v2.0/networks HTTP/1.1\r\nHost: x\r\nAuthorization: Basic YWxpY2U6YWxpY2U=\r\n"
            b"Content-Type: application/json\r\nContent-Length: 10\r\n\r\n{"
        )
        assert connection.recv(12) == b"HTTP/1.1 408"


@contextmanager
def raw(cloud: Cloud) -> Iterator[socket.socket]:
    """A connection on which a test says what it likes."""
    url = cloud.http.base_url
    with socket.create_connection((url.host, url.port), timeout=30) as connection:
        yield connection


def test_ready_is_more_than_alive(cloud: Cloud) -> None:
    assert cloud.http.get("/readyz").json() == {"status": "ok"}
    with cloud.store.change() as change:
        change.connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    answer = cloud.http.get("/readyz")
    assert answer.status_code == 503
    assert "9999" in answer.json()["reason"]
    assert cloud.http.get("/healthz").json() == {"status": "ok"}


def test_a_database_that_does_not_answer_is_not_a_failure_of_the_server(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: Any) -> None:
        raise UnavailableError("no connection to db.internal:5432 as vifguard")

    monkeypatch.setattr(cloud.store, "read", away)
    answer = cloud.http.get("/v2.0/networks", auth=("alice", "alice"))
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "1"
    assert "internal" not in answer.text
    assert cloud.http.get("/readyz").status_code == 503
    assert cloud.http.get("/healthz").status_code == 200


def test_what_is_counted(databases: Databases, identity: BasicAuth) -> None:
    with databases.fresh() as where, another(where, identity) as (_, cloud):
        cloud.has_host()
        network = cloud.admin.network("10.0.0.0/24", shared=True)
        port = cloud.admin.make("port", network_id=network["id"])
        cloud.alice.make("port", network_id=network["id"], name="of-a-tenant")
        cloud.enforces(port)
        cloud.alice.call("GET", f"ports/{port['id']}")
        cloud.http.get("/nowhere/of-a-tenant")
        text = cloud.http.get("/metrics").text
    lines = text.splitlines()
    assert 'vifguard_ports{status="ACTIVE"} 1.0' in lines
    assert 'vifguard_ports{status="DOWN"} 1.0' in lines
    assert 'vifguard_agents{state="alive"} 1.0' in lines
    assert 'vifguard_requests_total{action="create_port",status="201"} 2.0' in lines
    assert 'vifguard_requests_total{action="show_port",status="404"} 1.0' in lines
    assert 'vifguard_requests_total{action="none",status="404"} 1.0' in lines
    assert 'vifguard_request_seconds_count{action="create_port"} 2.0' in lines
    assert any(line.startswith("process_resident_memory_bytes") for line in lines)
    for word in ("tenant", "p1", "alice", port["id"], network["id"]):
        assert word not in text


def ask_from(app: Application, client: str | None, **headers: str) -> int:
    """The status of GET /metrics, asked from an address."""

    async def ask() -> int:
        transport = httpx.ASGITransport(app, client=(client, 1) if client else (None, 0))  # type: ignore[arg-type]
        async with httpx.AsyncClient(transport=transport, base_url="http://x") as http:
            return (await http.get("/metrics", headers=headers)).status_code

    return asyncio.run(ask())


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_what_is_counted_is_for_this_machine_and_the_operator(
    tmp_path: Path, identity: BasicAuth
) -> None:
    store = Store.open(tmp_path / "store.db")
    app = create_app(store, identity)
    admin = {"Authorization": httpx.BasicAuth("admin", "admin")._auth_header}
    alice = {"Authorization": httpx.BasicAuth("alice", "alice")._auth_header}
    for here in ("127.0.0.1", "127.3.2.1", "::1", None):
        assert ask_from(app, here) == 200
        for proxy in ("Forwarded", "X-Forwarded-For", "Via", "X-Real-IP"):
            assert ask_from(app, here, **{proxy: "192.0.2.1"}) == 401
    for there in ("192.0.2.1", "2001:db8::1"):
        assert ask_from(app, there) == 401
        assert ask_from(app, there, **alice) == 403
        assert ask_from(app, there, **admin) == 200
    # A proxy on this machine that says of nobody whose request it is (A 1.9).
    app.state.settings = Settings(public_url="https://cloud.example")
    assert ask_from(app, "127.0.0.1") == 401
    assert ask_from(app, "127.0.0.1", **admin) == 200
    store.close()


def user(role: UserRole, project: str = "p1") -> Principal:
    return Principal("x", project, frozenset({role}))


def test_a_project_takes_turns_with_itself_alone() -> None:
    now = [0.0]
    rate = RateLimiter(2.0, lambda: now[0])
    for _ in range(int(2 * BURST_SECONDS)):
        rate.check(user(UserRole.MEMBER))
    with pytest.raises(Refusal) as refused:
        rate.check(user(UserRole.READER))
    assert refused.value.status == 429
    assert refused.value.headers == {"Retry-After": "1"}
    rate.check(user(UserRole.MEMBER, "p2"))
    for role in (UserRole.ADMIN, UserRole.SERVICE):
        rate.check(user(role))
    now[0] += 0.5
    rate.check(user(UserRole.MEMBER))
    with pytest.raises(Refusal):
        rate.check(user(UserRole.MEMBER))


def test_each_object_of_a_bulk_counts(tmp_path: Path, identity: BasicAuth) -> None:
    with another(tmp_path / "another.db", identity, requests_per_second=0.5) as (_, cloud):
        cloud.has_host()
        many = {"networks": [{"name": f"n{n}"} for n in range(10)]}
        assert cloud.alice.call("POST", "networks", many).status_code == 201
        answer = cloud.alice.call("GET", "networks")
        assert refusal(answer)[:2] == (429, "HTTPTooManyRequests")
        # Five were saved up; the other five, and the one to come, take two seconds each.
        assert 2 < int(answer.headers["Retry-After"]) <= 12


def test_the_size_of_a_body_counts(tmp_path: Path, identity: BasicAuth) -> None:
    """F13.3: two MiB of what is soon read as nothing counted as one request."""
    with another(tmp_path / "another.db", identity, requests_per_second=0.5) as (_, cloud):
        cloud.has_host()
        large = {"network": {"name": "n"}, "x": " " * 40_000}
        assert cloud.alice.call("POST", "networks", large).status_code == 400
        answer = cloud.alice.call("GET", "networks")
        assert refusal(answer)[:2] == (429, "HTTPTooManyRequests")
        assert 2 < int(answer.headers["Retry-After"]) <= 12
        assert cloud.admin.call("POST", "networks", large).status_code == 400
        assert cloud.admin.call("GET", "networks").status_code == 200


def test_none_is_no_limit_and_zero_is_one() -> None:
    for _ in range(100_000):
        RateLimiter(None).check(user(UserRole.MEMBER))
    with pytest.raises(Refusal):
        RateLimiter(0).check(user(UserRole.MEMBER))


def test_a_thousand_projects_are_not_remembered_for_ever() -> None:
    now = [0.0]
    rate = RateLimiter(1.0, lambda: now[0])
    for number in range(30_000):
        now[0] += 0.01
        rate.check(user(UserRole.MEMBER, f"p{number}"))
    assert len(rate._left) <= 10_000


def test_who_asks_too_often_is_told_when_to_come_again(tmp_path: Path, identity: BasicAuth) -> None:
    with another(tmp_path / "another.db", identity, requests_per_second=0.1) as (_, cloud):
        assert cloud.alice.call("GET", "networks").status_code == 200
        answer = cloud.alice.call("GET", "networks")
        assert refusal(answer)[:2] == (429, "HTTPTooManyRequests")
        assert 1 <= int(answer.headers["Retry-After"]) <= 10
        assert cloud.bob.call("GET", "networks").status_code == 200
        assert cloud.admin.call("GET", "networks").status_code == 200


def test_who_waits_when_the_server_ends_is_answered(
    databases: Databases, identity: BasicAuth
) -> None:
    with databases.fresh() as where, another(where, identity) as (app, cloud):
        network = cloud.admin.network("10.0.0.0/24", shared=True)
        port = cloud.admin.make("port", network_id=network["id"])
        answers: list[httpx.Response] = []

        def wait(name: str, path: str) -> None:
            where = f"{cloud.http.base_url}/v2.0/{path}"
            answers.append(httpx.get(where, auth=(name, name), timeout=60, trust_env=False))

        revision = cloud.revision()
        waiting = [
            threading.Thread(target=wait, args=("agent", f"feed/h1?after={revision}&timeout=60")),
            threading.Thread(target=wait, args=("admin", f"ports/{port['id']}/wait?timeout=60")),
        ]
        for thread in waiting:
            thread.start()
        store = cloud.store
        while not (store.changes._callbacks and store.reports._callbacks):
            time.sleep(0)
        drain(app)
        for thread in waiting:
            thread.join(10)
        assert [answer.status_code for answer in answers] == [503, 503]
        assert all(answer.headers["Retry-After"] == "1" for answer in answers)
        assert cloud.http.get("/readyz").status_code == 503
        assert json.loads(cloud.http.get("/healthz").text) == {"status": "ok"}
