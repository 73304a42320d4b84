"""Bad input at every route, and input that comes all at once: never a 5xx, nothing half done."""

import json
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import httpx
import pytest
from tests.api.cloud import Cloud, path_of, refusal

from vifguard.api.access.policy import action_policy
from vifguard.api.app import RESOURCES
from vifguard.api.http.body import MAX_BODY
from vifguard.docs_pages.policy_page import actions

NOBODY = "11111111-1111-1111-1111-111111111111"
WRITES = [each for each in actions() if each[0] in {"POST", "PUT"}]
READS = [each for each in actions() if each[0] == "GET" and not action_policy(each[2]).is_open]

BODIES = {
    "empty": b"",
    "no JSON": b"{",
    "a list": b"[]",
    "null": b"null",
    "a number": b"1",
    "NaN": b'{"port": NaN}',
    "two documents": b"{} {}",
    "a key twice": b'{"port": {}, "port": {}}',
    "a key twice, deep": b'{"port": {"name": "a", "name": "b"}}',
    "not UTF-8": b'{"port": {"name": "\xff"}}',
    "a byte order mark": b"\xef\xbb\xbf{}",
    "UTF-16": '{"port": {}}'.encode("utf-16"),
    "NUL": b'{"port": {"name": "a\x00b"}}',
    "deep": b'{"a":' * 5000 + b"1" + b"}" * 5000,
    "deep lists": b'{"a":' + b"[" * 50_000,
    "a number without end": b'{"port": ' + b"9" * 10_000 + b"}",
    "wide": b'{"port": {' + b",".join(b'"k%d":0' % n for n in range(50_000)) + b"}}",
    "wide, a key twice": b"{" + b",".join(b'"%d":0' % n for n in range(100_000)) + b',"99999":0}',
    "nobody's keys": b'{"unheard_of": {}}',
}


def place(path: str) -> str:
    """A path with ids of nobody."""
    return re.sub(r"\{\w+\}", NOBODY, path)


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_a_body_that_is_none_is_refused_everywhere(cloud: Cloud, body: bytes) -> None:
    before = cloud.rows()
    for method, path, action in WRITES:
        answer = cloud.http.request(
            method,
            place(path),
            content=body,
            auth=("admin", "admin"),
            headers={"Content-Type": "application/json"},
        )
        assert 400 <= answer.status_code < 500, (action, answer.text)
        assert answer.json().keys() == {"NeutronError"}
    assert cloud.rows() == before


WORTHLESS = [None, True, 0, -1, 2**70, 1.5, "", "x", "a\x00b", "\ud800", [], [None], {"a": 1}]


@pytest.mark.parametrize(("method", "path", "action"), WRITES, ids=[each[2] for each in WRITES])
def test_an_object_that_is_none_is_refused(
    cloud: Cloud, method: str, path: str, action: str
) -> None:
    one = action.partition("_")[2]
    for value in WORTHLESS:
        for body in ({one: value}, {one + "s": value}, {one: {"name": value, "unheard_of": 1}}):
            answer = cloud.http.request(
                method,
                place(path),
                content=json.dumps(body),
                auth=("admin", "admin"),
                headers={"Content-Type": "application/json"},
            )
            assert 400 <= answer.status_code < 500, (body, answer.text)


@pytest.mark.parametrize(("_method", "path", "action"), READS, ids=[each[2] for each in READS])
def test_a_query_that_is_none_is_answered(
    cloud: Cloud, _method: str, path: str, action: str
) -> None:
    for query in (
        "limit=-1", "limit=x", "limit=99999999999999999999", "marker=%00", "fields=%00",
        "sort_key=%ff", "sort_dir=up", "name=%00", "unheard_of=1", "fixed_ips=%00", "&&&=&=",
        "id=" + "x" * 8000, "page_reverse=%", "&".join(f"id={n}" for n in range(199)),
        "timeout=0&after=-1", "timeout=0&after=x", "%f0%9f%92%a9=1",
    ):  # fmt: skip
        answer = cloud.http.get(f"{place(path)}?timeout=0&{query}", auth=("admin", "admin"))
        assert answer.status_code < 500, (action, query, answer.text)


@pytest.mark.parametrize(
    "ident", ["%00", "..", "%2e%2e%2f", "%ff", "x" * 5000, "a%0d%0ab", "%F0%9F%92%A9", "'--"]
)
def test_an_id_that_is_none_names_nothing(cloud: Cloud, ident: str) -> None:
    for method, path, action in actions():
        if "{" in path:
            answer = cloud.http.request(
                method,
                re.sub(r"\{\w+\}", lambda _: ident, path),
                json={} if method in {"POST", "PUT"} else None,
                params={"timeout": "0"},
                auth=("admin", "admin"),
            )
            assert answer.status_code < 500, (action, answer.text)


def test_a_body_beyond_the_limit_is_refused(cloud: Cloud) -> None:
    body = b'{"port": {"name": "' + b"x" * MAX_BODY + b'"}}'
    for method, path, action in WRITES:
        if action != "deliver_report":
            answer = cloud.http.request(
                method,
                place(path),
                content=body,
                auth=("admin", "admin"),
                headers={"Content-Type": "application/json"},
            )
            assert refusal(answer)[0] == 413


@contextmanager
def raw(cloud: Cloud) -> Iterator[socket.socket]:
    url = cloud.http.base_url
    with socket.create_connection((url.host, url.port), timeout=30) as connection:
        yield connection


@pytest.mark.parametrize(
    "said",
    [
        b"\x00\x01\x02\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/9.9\r\nHost: x\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n Folded: y\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nName : y\r\n\r\n",
        b"POST /v2.0/ports HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST /v2.0/ports HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"POST /v2.0/ports HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"GET  / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\nHost: x\n\n",
        b"G" * 70_000,
    ],
)
def test_what_is_no_request_ends_its_connection_and_nothing_else(cloud: Cloud, said: bytes) -> None:
    with raw(cloud) as connection:
        try:
            connection.sendall(said)
            connection.shutdown(socket.SHUT_WR)
            answer = connection.recv(65536)
        except ConnectionError:
            answer = b""
    assert not re.match(rb"HTTP/1.1 5", answer)
    assert cloud.http.get("/healthz").status_code == 200


def test_two_lengths_are_never_two_requests(cloud: Cloud) -> None:
    """Request smuggling: what a proxy takes for a body must not be a second request here."""
    hidden = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    with raw(cloud) as connection:
        connection.sendall(
            b"POST /v2.0/ports HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
            b"Content-Length: %d\r\n\r\n0\r\n\r\n%s" % (5 + len(hidden), hidden)
        )
        connection.shutdown(socket.SHUT_WR)
        said = b""
        while part := connection.recv(65536):
            said += part
    assert b"HTTP/1.1 200" not in said


def at_once(*calls: Callable[[], httpx.Response]) -> list[int]:
    """The statuses of calls that are made at the same time."""
    found: list[int] = []
    gate = threading.Barrier(len(calls))

    def run(call: Callable[[], httpx.Response]) -> None:
        gate.wait()
        found.append(call().status_code)

    threads = [threading.Thread(target=run, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(found)


def test_deleting_and_changing_at_once_leaves_nothing_half_done(cloud: Cloud) -> None:
    network = cloud.admin.network("10.0.0.0/24", shared=True)
    for turn in range(8):
        port = cloud.admin.make("port", network_id=network["id"])
        where = f"ports/{port['id']}"
        body = {"port": {"name": f"turn {turn}", "allowed_address_pairs": []}}
        call = cloud.admin.call
        found = at_once(
            *[partial(call, "PUT", where, body)] * 3,
            *[partial(call, "DELETE", where)] * 2,
            *[partial(call, "GET", where)] * 2,
        )
        assert set(found) <= {200, 204, 404}
        assert found.count(204) == 1
        assert refusal(cloud.admin.call("GET", where))[0] == 404
    assert leftovers(cloud) == set()


def test_a_network_and_its_ports_go_at_once(cloud: Cloud) -> None:
    for _ in range(6):
        network = cloud.admin.network("10.0.0.0/24", shared=True)
        body: dict[str, Any] = {"port": {"network_id": network["id"]}}
        subnet = {"subnet": {"network_id": network["id"], "cidr": "10.1.0.0/24", "ip_version": 4}}
        call = cloud.admin.call
        found = at_once(
            *[partial(call, "POST", "ports", body)] * 3,
            partial(call, "POST", "subnets", subnet),
            *[partial(call, "DELETE", f"networks/{network['id']}")] * 2,
        )
        assert set(found) <= {201, 204, 404, 409}
        for port in cloud.admin.get("ports", network_id=network["id"])["ports"]:
            assert cloud.admin.call("DELETE", f"ports/{port['id']}").status_code == 204
        assert cloud.admin.call("DELETE", f"networks/{network['id']}").status_code in {204, 404}
    assert leftovers(cloud) == set()


def leftovers(cloud: Cloud) -> set[str]:
    """The tables that hold rows of ports, though there is no port."""
    rows = cloud.rows()
    assert rows["ports"] == []
    return {
        name
        for name in ("allocations", "address_pairs", "enforcements", "port_security_groups")
        if rows[name]
    }


JUNK: dict[str, Any] = {
    "a long text": "x" * 50_000,
    "long texts": ["y" * 100 + str(n) for n in range(500)],
    "long keys": {"z" * 100 + str(n): n for n in range(500)},
    "a list of long keys": [{"z" * 100 + str(n): n for n in range(500)}],
    "a list of a long text": ["x" * 50_000],
    "a long number": 10**4_000,
}


@pytest.mark.parametrize("one", sorted({each.one for each in RESOURCES.values()}))
def test_a_refusal_is_short_however_long_what_it_refuses(cloud: Cloud, one: str) -> None:
    resource = RESOURCES[one]
    # What a body must have, so that it is the junk that is refused.
    sound = {
        name: value
        for name, value in {
            "network_id": cloud.admin.make("network", shared=True)["id"],
            "cidr": "10.0.0.0/24",
            "ip_version": 4,
            "members": [],
            "addresses": [],
            "prefixes": ["10.0.0.0/8"],
        }.items()
        if name in resource.by_name
    }
    bodies: list[Any] = [
        {one: sound | {name: junk}} for junk in JUNK.values() for name in resource.by_name
    ]
    bodies += [{one: sound | {"x" * 50_000: 1}}, {one: sound | JUNK["long keys"]}]
    bodies += [{name: junk} for junk in JUNK.values() for name in (one, resource.many)]
    bodies += [{"x" * 50_000: 1}]
    for body in bodies:
        answer = cloud.admin.call("POST", path_of(one), body)
        assert 400 <= answer.status_code < 500
        assert len(answer.content) < 4_000, answer.text[:1_000]


def test_of_many_keys_that_there_are_not_ten_are_named(cloud: Cloud) -> None:
    network = cloud.admin.network("10.0.0.0/24", shared=True)["id"]
    pair = {"ip_address": "10.0.0.9", **{f"key-{n:02}": n for n in range(30)}}
    _, kind, message = cloud.admin.refused("port", network_id=network, allowed_address_pairs=[pair])
    assert kind == "HTTPBadRequest"
    named = ", ".join(f"'key-{n:02}'" for n in range(10))
    assert f"unexpected keys {named} in {{'ip_address': '10.0.0.9', 'key-00'" in message
    assert len(message) < 500
