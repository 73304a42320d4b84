"""Bodies of requests that are not answered yet: so many bytes of a project, and of all."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import httpx
import pytest
from tests.api.cloud import Cloud, refusal
from tests.api.serving import served
from tests.databases import Databases

from vifguard.api.app import Application, create_app
from vifguard.api.auth.basic_auth import BasicAuth
from vifguard.api.http.shares import Shares
from vifguard.store.store import Store

PATIENCE = 60
BODY = b'{"networks": [' + b"{}," * 300 + b"{}]}"


@pytest.fixture
def app_and_cloud(databases: Databases, identity: BasicAuth) -> Iterator[tuple[Application, Cloud]]:
    with databases.fresh() as where, closing(Store.open(where)) as store:
        app = create_app(store, identity)
        with served(app) as url, httpx.Client(base_url=url, trust_env=False, timeout=60) as http:
            yield app, Cloud(http, store)


@pytest.mark.parametrize(
    ("most", "most_of_a_project", "code"), [(10_000, 1500, 429), (1500, 1500, 503)]
)
def test_bodies_of_a_project_are_bounded_before_they_are_parsed(
    app_and_cloud: tuple[Application, Cloud], most: int, most_of_a_project: int, code: int
) -> None:
    """F13.3: large ones of one project waited in the line of everybody's."""
    app, cloud = app_and_cloud
    bodies = Shares("bytes of bodies", most, most_of_a_project)
    object.__setattr__(app.state.threads, "bodies", bodies)
    begun, go = threading.Event(), threading.Event()

    def slowly() -> Iterator[bytes]:
        yield BODY[:-1]
        begun.set()
        go.wait(PATIENCE)
        yield BODY[-1:]

    def send(name: str, content: Any) -> httpx.Response:
        return httpx.post(
            f"{cloud.http.base_url}/v2.0/networks",
            content=content,
            auth=(name, name),
            headers={"Content-Type": "application/json"},
            timeout=PATIENCE,
            trust_env=False,
        )

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
