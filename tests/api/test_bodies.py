"""Bodies of requests that are not answered yet: so many bytes of a project, and of all."""

import socket
import threading
from base64 import b64encode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import httpx
import pytest
from tests.api.cloud import Cloud, refusal
from tests.api.serving import served
from tests.databases import Databases
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from vifguard.api.access.principal import Principal, UserRole
from vifguard.api.app import Application, create_app
from vifguard.api.auth.basic_auth import BasicAuth
from vifguard.api.http.bodies import MAX_BODIES_OF_A_HOST, Bodies
from vifguard.attributes.refusal import Refusal
from vifguard.cli.service.http_timeouts import MAX_CHUNKS
from vifguard.store.store import Store

PATIENCE = 60
BODY = b'{"networks": [' + b"{}," * 300 + b"{}]}"


@pytest.fixture
def app_and_cloud(databases: Databases, identity: BasicAuth) -> Iterator[tuple[Application, Cloud]]:
    with databases.fresh() as where, closing(Store.open(where)) as store:
        app = create_app(store, identity)
        with served(app) as url, httpx.Client(base_url=url, trust_env=False, timeout=60) as http:
            yield app, Cloud(http, store)


def post(cloud: Cloud, name: str, content: Any) -> httpx.Response:
    """The answer to a POST of a network by a connection of its own."""
    return httpx.post(
        f"{cloud.http.base_url}/v2.0/networks",
        content=content,
        auth=(name, name),
        headers={"Content-Type": "application/json"},
        timeout=PATIENCE,
        trust_env=False,
    )


@pytest.mark.parametrize(
    ("most", "most_of_a_project", "code"), [(10_000, 1500, 429), (1500, 1500, 503)]
)
def test_bodies_of_a_project_are_bounded_before_they_are_parsed(
    app_and_cloud: tuple[Application, Cloud], most: int, most_of_a_project: int, code: int
) -> None:
    """F13.3: large ones of one project waited in the line of everybody's."""
    app, cloud = app_and_cloud
    bodies = Bodies(most, most_of_a_project)
    object.__setattr__(app.state.threads, "bodies", bodies)
    begun, go = threading.Event(), threading.Event()

    def slowly() -> Iterator[bytes]:
        yield BODY[:-1]
        begun.set()
        go.wait(PATIENCE)
        yield BODY[-1:]

    def send(name: str, content: Any) -> httpx.Response:
        return post(cloud, name, content)

    with ThreadPoolExecutor() as others:
        try:
            first = others.submit(send, "alice", slowly())
            assert begun.wait(PATIENCE)
            while bodies.taken < len(BODY) - 1:
                assert not first.done()
            second = send("alice" if code == 429 else "bob", BODY)
            assert second.status_code == code
            assert second.headers["Retry-After"] == "1"
            assert "1500 bytes of bodies" in second.text
            if code == 429:
                assert send("bob", BODY).status_code not in (429, 503)
            assert send("admin", BODY).status_code not in (429, 503)
        finally:
            go.set()
        assert first.result(PATIENCE).status_code not in (429, 503)
    assert bodies.taken == 0
    assert send("alice", BODY).status_code not in (429, 503)
    assert refusal(send("alice", b"[" * 100))[0] == 400


@contextmanager
def unfinished(cloud: Cloud, name: str, method: str, path: str, sent: bytes) -> Iterator[Any]:
    """A connection on which all of a request is sent but the last byte of its body."""
    url = cloud.http.base_url
    login = b64encode(f"{name}:{name}".encode()).decode()
    head = (
        f"{method} /v2.0/{path} HTTP/1.1\r\nHost: x\r\nAuthorization: Basic {login}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(sent) + 1}\r\n\r\n"
    )
    with socket.create_connection((url.host, url.port), timeout=PATIENCE) as connection:
        connection.sendall(head.encode() + sent)
        yield connection


@pytest.mark.parametrize(
    ("name", "method", "path"),
    [
        ("agent", "GET", "feed/h1?instance=x"),
        ("alice", "GET", "networks"),
        ("alice", "HEAD", "networks"),
        ("alice", "DELETE", "networks/x"),
    ],
)
def test_a_body_where_there_is_none_is_refused_unread(
    app_and_cloud: tuple[Application, Cloud], name: str, method: str, path: str
) -> None:
    app, cloud = app_and_cloud
    with unfinished(cloud, name, method, path, b" " * 1000) as connection:
        assert connection.recv(12) == b"HTTP/1.1 400"
    chunked = cloud.http.request(method, f"/v2.0/{path}", content=iter([b"{}"]), auth=(name, name))
    assert chunked.status_code == 400
    assert method == "HEAD" or "has no body" in chunked.text
    assert app.state.threads.bodies.taken == 0


@pytest.mark.parametrize("content", [b"", iter([b""])])
@pytest.mark.parametrize(
    ("method", "path", "code"), [("GET", "networks", 200), ("DELETE", "networks/x", 404)]
)
def test_an_empty_body_is_none(
    app_and_cloud: tuple[Application, Cloud], method: str, path: str, code: int, content: Any
) -> None:
    _, cloud = app_and_cloud
    headers = {"Content-Length": "0"} if content == b"" else {}
    answer = cloud.http.request(
        method, f"/v2.0/{path}", content=content, headers=headers, auth=("alice", "alice")
    )
    assert answer.status_code == code


def test_a_service_cannot_take_the_bytes_of_the_operator(
    app_and_cloud: tuple[Application, Cloud],
) -> None:
    app, cloud = app_and_cloud
    bodies = Bodies(most=1000, most_of_a_project=1000)
    object.__setattr__(app.state.threads, "bodies", bodies)
    with unfinished(cloud, "nova", "PUT", "ports/x", b" " * 1000):
        while bodies.taken < 1000:
            pass
        assert post(cloud, "admin", b'{"network": {}}').status_code == 201
        assert (
            cloud.nova.http.put(
                "/v2.0/ports/x", json={"port": {}}, auth=("nova", "nova")
            ).status_code
            == 503
        )


def test_a_project_that_has_fewer_gets_the_bytes_of_one_that_sends_slowly(
    app_and_cloud: tuple[Application, Cloud],
) -> None:
    app, cloud = app_and_cloud
    cloud.has_host()
    bodies = Bodies(most=1000, most_of_a_project=1000)
    object.__setattr__(app.state.threads, "bodies", bodies)
    with (
        unfinished(cloud, "bob", "PUT", "ports/x", b" " * 400) as slow,
        unfinished(cloud, "nova", "PUT", "ports/x", b" " * 400) as of_a_service,
    ):
        while bodies.taken < 800:
            pass
        with unfinished(cloud, "bob", "PUT", "ports/x", b" " * 600) as later:
            while bodies.taken < 1400:
                pass
            assert post(cloud, "alice", b'{"network": {}}').status_code == 201
            answer = slow.recv(65536)
            assert answer.startswith(b"HTTP/1.1 503")
            assert b"retry-after: 1" in answer.lower()
            for other in (later, of_a_service):
                other.sendall(b" ")
                assert other.recv(12) == b"HTTP/1.1 400"
    while bodies.taken:
        pass


def test_an_agent_is_counted_by_its_host() -> None:
    """A user of other roles beside may change objects, and has no more for that."""
    bodies = Bodies()
    agent = Principal("agent", "agents", frozenset({UserRole.AGENT, UserRole.MEMBER}), "h1")
    with bodies.share(agent) as share:
        share.take(MAX_BODIES_OF_A_HOST)
        others = bodies.share(replace(agent, name="other"))
        with others as other, pytest.raises(Refusal, match="Host h1 has") as refused:
            other.take(1)
        assert refused.value.status == 429
        with bodies.share(replace(agent, host="h2")) as of_another:
            of_another.take(1)
    assert bodies.taken == 0


CHUNKED = (
    b"POST /v2.0/networks HTTP/1.1\r\nHost: x\r\nAuthorization: Basic YWxpY2U6YWxpY2U=\r\n"
    b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
)


def chunks(body: bytes) -> bytes:
    """A body in chunks of one byte, without the last one that ends it."""
    return b"".join(b"1\r\n%c\r\n" % byte for byte in body)


def answered(cloud: Cloud, sent: bytes) -> bytes:
    """All that comes back on a connection which the server closes."""
    url = cloud.http.base_url
    with socket.create_connection((url.host, url.port), timeout=PATIENCE) as connection:
        connection.sendall(sent)
        return b"".join(iter(partial(connection.recv, 65536), b""))


@pytest.mark.parametrize("more", [chunks(b" ") + b"0\r\n\r\n", b"0\r\n" + b"X: y\r\n" + b"\r\n"])
def test_a_body_of_many_chunks_ends_the_connection(
    app_and_cloud: tuple[Application, Cloud], more: bytes
) -> None:
    app, cloud = app_and_cloud
    answer = answered(cloud, CHUNKED + chunks(b" " * MAX_CHUNKS) + more)
    assert answer.startswith(b"HTTP/1.1 400")
    assert b"more than 4096 chunks" in answer
    while app.state.threads.bodies.taken:
        pass


def test_small_chunks_are_joined_before_they_are_passed_on(
    app_and_cloud: tuple[Application, Cloud], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is passed on is copied with all that was there before."""
    _, cloud = app_and_cloud
    cloud.has_host()
    passed: list[int] = []
    on_body = HttpToolsProtocol.on_body
    monkeypatch.setattr(
        HttpToolsProtocol,
        "on_body",
        lambda protocol, body: (passed.append(len(body)), on_body(protocol, body)),
    )
    network = b'{"network": {"name": "small"}}'
    body = network + b" " * (MAX_CHUNKS - len(network) - 1)
    sent = chunks(body) + b"0\r\n\r\n"
    last = CHUNKED.replace(b"Host: x", b"Host: x\r\nConnection: close")
    answer = answered(cloud, CHUNKED + sent + last + sent)
    assert answer.count(b"HTTP/1.1 201") == 2
    assert sum(passed) == 2 * len(body)
    assert len(passed) < len(body) / 10
