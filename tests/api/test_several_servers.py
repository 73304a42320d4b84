"""Several servers on one PostgreSQL, as clients of one and of the other see them."""

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import Any

import httpx
import pytest
from tests.api.cloud import ABOUT, Cloud
from tests.api.serving import served
from tests.databases import PostgresqlServer

from vifguard.api.app import create_app
from vifguard.api.auth.basic_auth import BasicAuth
from vifguard.feed.codec import encode
from vifguard.feed.messages import DropCount, DropRecord, Report
from vifguard.model.guard import Guard
from vifguard.model.verdict import Direction, Reason
from vifguard.store.store import Store

EMPTY: dict[str, Any] = {"drops": [], "kinds": [], "counts": []}


@contextmanager
def server(where: str, identity: BasicAuth) -> Iterator[Cloud]:
    """One more server on a database."""
    with (
        closing(Store.open(where)) as store,
        served(create_app(store, identity)) as url,
        httpx.Client(base_url=url, trust_env=False, timeout=60) as http,
    ):
        yield Cloud(http, store)


@pytest.fixture
def where(postgresql_server: PostgresqlServer) -> Iterator[str]:
    with postgresql_server.fresh() as where:
        yield where


def report(cloud: Cloud, host: str, port: dict[str, Any], frames: int) -> None:
    """A host's agent tells this server of a dropped frame, and of how many there were."""
    drop = DropRecord(
        port["id"], float(frames), Direction.FROM_GUEST, Guard.MAC, Reason.SOURCE_MAC, 60, b"x"
    )
    count = DropCount(port["id"], Direction.FROM_GUEST, Guard.MAC, frames)
    told = encode(Report(host, about=ABOUT, drops=(drop,), counts=(count,)))
    assert cloud.admin.call("POST", f"feed/{host}/reports", told).status_code == 200


def frames(answer: dict[str, Any]) -> dict[str, tuple[list[float], int]]:
    """Of each port, when its remembered frames were dropped, and how many were."""
    return {
        count["port_id"]: (
            [drop["at"] for drop in answer["drops"] if drop["port_id"] == count["port_id"]],
            count["frames"],
        )
        for count in answer["counts"]
    }


def dropped(cloud: Cloud) -> list[str]:
    text = cloud.http.get("/metrics").text
    return [line for line in text.splitlines() if line.startswith("vifguard_dropped_frames{")]


def test_dropped_frames_are_shown_by_the_server_that_was_told_of_them(
    where: str, identity: BasicAuth
) -> None:
    """As docs/databases.md says: ask each server."""
    with ExitStack() as life, server(where, identity) as other:
        one = life.enter_context(server(where, identity))
        network = one.admin.network("10.0.0.0/24", shared=True)
        a, b = (one.alice.make("port", network_id=network["id"]) for _ in range(2))
        for port, host in ((a, "h1"), (b, "h2")):
            one.admin.change("port", port["id"], **{"binding:host_id": host})
        report(one, "h1", a, 3)
        report(other, "h2", b, 5)
        for user in (one.admin, one.alice):
            assert frames(user.get(f"ports/{a['id']}/drops")) == {a["id"]: ([3.0], 3)}
            assert user.get(f"ports/{b['id']}/drops") == EMPTY
        for user in (other.admin, other.alice):
            assert frames(user.get(f"ports/{b['id']}/drops")) == {b["id"]: ([5.0], 5)}
            assert user.get(f"ports/{a['id']}/drops") == EMPTY
        assert frames(one.admin.get("drops")) == {a["id"]: ([3.0], 3)}
        assert frames(other.admin.get("drops")) == {b["id"]: ([5.0], 5)}
        assert [line.rpartition(" ")[2] for line in dropped(one) + dropped(other)] == ["3.0", "5.0"]

        # The agent goes to the other server, as behind a balancer: it says how many there were in
        # all; the frame itself is known to the one that was told of it.
        report(other, "h1", a, 7)
        assert frames(one.admin.get("drops")) == {a["id"]: ([3.0], 3)}
        assert frames(other.admin.get("drops")) == {a["id"]: ([7.0], 7), b["id"]: ([5.0], 5)}

        # In memory, and so no longer than the server lives.
        life.close()
        with server(where, identity) as again:
            assert again.admin.get("drops") == EMPTY
        assert frames(other.admin.get("drops")) == {a["id"]: ([7.0], 7), b["id"]: ([5.0], 5)}
