"""Lists of ports in pages: the walk through them, its marker, and queries that will not do."""

import socket
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from tests.api.cloud import Cloud, User, refusal
from tests.databases import Databases

from vifguard.api.app import Application
from vifguard.cli.service.http_timeouts import MAX_HEAD
from vifguard.store.store import Store

MANY, LIMIT = 25, 7
NOBODYS = "11111111-1111-1111-1111-111111111111"


@dataclass(frozen=True)
class Ports:
    """Ports of two projects on two networks; `ids` are those that every walk here is to find."""

    cloud: Cloud
    network: str
    ids: list[str]
    names: dict[str, str]
    elsewhere: str
    of_bob: str


@pytest.fixture(scope="module")
def ports(server: tuple[Application, httpx.Client], databases: Databases) -> Iterator[Ports]:
    """Nobody here writes, so one database of each kind is enough."""
    app, http = server
    before = app.state.store
    with databases.fresh() as where, closing(Store.open(where)) as store:
        app.state.store = store
        yield populate(Cloud(http, store))
        app.state.store = before


def populate(cloud: Cloud) -> Ports:
    """The wanted ports, and others made between them."""
    front, back = (cloud.admin.network(f"10.{n}.0.0/24", shared=True)["id"] for n in (0, 1))
    mine: list[dict[str, Any]] = []
    for n in range(MANY):
        # The order of the names is neither that of making nor the other way round.
        name = f"{n * 7 % MANY:02}"
        mine.append(cloud.alice.make("port", network_id=front, name=name, tags=["web", name]))
        if n % 5 == 0:
            elsewhere = cloud.alice.make("port", network_id=back, name=name)
            of_bob = cloud.bob.make("port", network_id=front, name=name)
    names = {port["id"]: port["name"] for port in mine}
    return Ports(cloud, front, list(names), names, elsewhere["id"], of_bob["id"])


def walk(user: User, page: dict[str, Any], rel: str) -> Iterator[list[str]]:
    """The ids of each page, along its links."""
    while True:
        yield [port["id"] for port in page["ports"]]
        links = {link["rel"]: link["href"] for link in page.get("ports_links", ())}
        if rel not in links:
            return
        answer = user.http.get(links[rel], auth=(user.name, user.name))
        assert answer.status_code == 200, answer.text
        page = answer.json()


BY_NAME = {"sort_key": "name", "sort_dir": "desc"}


@pytest.mark.parametrize("sort", [{}, BY_NAME], ids=["as-made", "by-name"])
@pytest.mark.parametrize(
    ("user", "given"),
    [
        ("alice", {"network_id": True}),
        ("alice", {"tags": "web"}),
        ("admin", {"network_id": True, "project_id": "p1"}),
        ("admin", {"project_id": "p1", "tags": "web"}),
        ("admin", {"tags-any": "web,none", "fields": ["id", "name"]}),
    ],
)
def test_a_walk_meets_every_port_once_and_leads_back(
    ports: Ports, user: str, given: dict[str, Any], sort: dict[str, str]
) -> None:
    asks: User = getattr(ports.cloud, user)
    query = {k: ports.network if v is True else v for k, v in given.items()} | sort
    wanted = sorted(ports.ids, key=ports.names.__getitem__, reverse=True) if sort else ports.ids
    pages = [wanted[at : at + LIMIT] for at in range(0, MANY, LIMIT)]

    assert list(walk(asks, asks.get("ports", **query, limit=LIMIT), "next")) == pages
    last = asks.get("ports", **query, limit=LIMIT, marker=pages[-2][-1])
    assert list(walk(asks, last, "previous")) == pages[::-1]

    # From the end on, where the first page is what is left over.
    end = asks.get("ports", **query, limit=LIMIT, page_reverse="True")
    backwards = [wanted[max(0, at - LIMIT) : at] for at in range(MANY, 0, -LIMIT)]
    assert list(walk(asks, end, "previous")) == backwards
    start = asks.get("ports", **query, limit=LIMIT, marker=backwards[-1][-1], page_reverse="True")
    assert [port["id"] for port in start["ports"]] == wanted[: MANY % LIMIT - 1]


@pytest.mark.parametrize("project", ["p1", "p2"])
def test_a_project_alone_is_walked(ports: Ports, project: str) -> None:
    admin = ports.cloud.admin
    whole = [each["id"] for each in admin.get("ports")["ports"] if each["project_id"] == project]
    assert len(whole) == {"p1": MANY + 5, "p2": 5}[project]
    walked = list(walk(admin, admin.get("ports", project_id=project, limit=LIMIT), "next"))
    assert [one for page in walked for one in page] == whole
    assert {len(page) for page in walked[:-1]} <= {LIMIT}


def test_no_limit_is_the_whole_list_without_links(ports: Ports) -> None:
    for limit in ({"limit": 0}, {"limit": ""}, {}):
        found = ports.cloud.alice.get("ports", network_id=ports.network, **limit)
        assert [port["id"] for port in found["ports"]] == ports.ids
        assert found.keys() == {"ports"}


@pytest.mark.parametrize("limit", ["-1", "1.0", "x", "1" * 20])
def test_what_is_no_limit_is_refused(ports: Ports, limit: str) -> None:
    answer = ports.cloud.alice.call("GET", "ports", params={"limit": limit})
    assert refusal(answer)[:2] == (400, "BadRequest")


@pytest.mark.parametrize("more", [{}, BY_NAME, {"page_reverse": "True"}, {"tags": "web"}])
def test_a_marker_of_another_project_is_one_that_there_is_not(
    ports: Ports, more: dict[str, str]
) -> None:
    alice = ports.cloud.alice
    answers = {
        marker: alice.call("GET", "ports", params={"marker": marker, "limit": 2} | more)
        for marker in (ports.of_bob, NOBODYS)
    }
    for marker, answer in answers.items():
        assert refusal(answer)[:2] == (404, "MarkerNotFound")
        assert marker in answer.text
    theirs, nobodys = (answer.text.replace(marker, "?") for marker, answer in answers.items())
    assert theirs == nobodys


@pytest.mark.parametrize("more", [{}, BY_NAME, {"page_reverse": "True"}, {"tags": "web"}])
def test_a_marker_that_the_filter_leaves_out_is_refused(ports: Ports, more: dict[str, str]) -> None:
    query = {"network_id": ports.network, "limit": 2, "marker": ports.elsewhere} | more
    answer = ports.cloud.alice.call("GET", "ports", params=query)
    assert refusal(answer)[:2] == (404, "MarkerNotFound")


def test_fields_that_there_are_not_are_left_out(ports: Ports) -> None:
    """As in Neutron, which refuses an unknown filter and not an unknown field."""
    alice = ports.cloud.alice
    for fields, seen in ((["colour", "id"], {"id"}), (["colour"], set()), ([""], None)):
        page = alice.get("ports", fields=fields, limit=2)["ports"]
        one = alice.get(f"ports/{ports.ids[0]}", fields=fields)["port"]
        assert len(page) == 2
        for each in (*page, one):
            assert set(each) == seen if seen is not None else len(each) > 20


@pytest.mark.parametrize("length", [8_193, 60_000])
def test_a_query_that_is_too_long_is_refused(ports: Ports, length: int) -> None:
    answer = ports.cloud.alice.call("GET", "ports", params={"name": "x" * (length - len("name="))})
    assert refusal(answer)[:2] == (400, "HTTPBadRequest")
    assert len(answer.text) < 1_000
    just_fits = {"name": "x" * (8_192 - len("name="))}
    assert ports.cloud.alice.get("ports", **just_fits) == {"ports": []}


def test_a_query_that_the_parser_refuses_is_answered_in_plain_text(ports: Ports) -> None:
    url = ports.cloud.http.base_url
    with socket.create_connection((url.host, url.port), timeout=30) as connection:
        connection.sendall(b"GET /v2.0/ports?name=" + b"x" * MAX_HEAD)
        head, _, body = connection.makefile("rb").read().partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert b"content-type: text/plain" in head.lower()
    assert body == b"The head of the request is too large."
