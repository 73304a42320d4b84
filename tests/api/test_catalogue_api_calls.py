"""Group I of the attack catalogue: values that must be refused, with nothing stored.

A row names the field and the value; the refusal must name the field, and quote the value or
say what is wrong with it.
"""

import json
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from tests.api.cloud import Cloud, refusal
from tests.databases import Databases

from vifguard.api.app import Application
from vifguard.store.store import Store

OTHER = "11111111-1111-1111-1111-111111111111"

BAD_TEXT = [
    "a\nb",
    "a\n",
    "\ra",
    "a\x00b",
    "a\u2028b",
    "a\u2029b",
    "a\x1b[31mb",
    "a\u202eb",
    "a\x85b",
    "\ud800",
    "x" * 256,
    None,
    5,
    True,
    ["a"],
    {"a": "b"},
]

BAD_PROSE = [bad for bad in BAD_TEXT if bad not in ("a\nb", "a\n", "\ra")]

BAD_ADDRESS = [
    "fe80::1%eth0",
    "fe80::1%x\nflush ruleset",
    "10.0.0.9\n",
    " 10.0.0.9",
    "10.0.0.9 ",
    "10.0.0.9/33",
    "10.0.0.9/24",
    "10.0.0.9/255.255.255.0",
    "10.0.0.0/0.0.0.255",
    "::ffff:10.0.0.9",
    "::ffff:0a00:9",
    "010.0.0.9",
    "10.0.0.09",
    "10.9",
    "10.0.9",
    "0x0a000009",
    "167772169",
    "\uff11\uff10.0.0.9",
    "10.0.0.٣",
    "10.0.0.9;drop",
    "$(id)",
    "10.0.0.9,10.0.0.10",
    "dhcp",
    "auto",
    "",
    "yes",
    "any",
    167772169,
    1,
    True,
    None,
    10.5,
    ["10.0.0.9"],
    {"ip": "10.0.0.9"},
    "0.0.0.0",
    "0.1.2.3",
    "127.0.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "ff02::1",
    "10.0.0.256",
    "2001:db8::g",
    "2001:db8:::1",
    "2001:db8::1::2",
]

BAD_PREFIX = [
    *[bad for bad in BAD_ADDRESS if bad != "10.0.0.9/24" and bad is not None],
    "0.0.0.0/0",
    "::/0",
    "0.0.0.0/1",
    "128.0.0.0/1",
    "192.0.0.0/2",
    "224.0.0.0/4",
    "127.0.0.0/8",
    "ff00::/8",
    "::/3",
    "8000::/1",
    "192.168.1.1/33",
    "10.0.0.0/024",
    "10.0.0.0/+24",
    "10.0.0.0/ 24",
    "10.0.0.0/24\n",
    "10.0.0.0/٢٤",
    "10.0.0.0/",
    "/24",
    "::ffff:10.0.0.0/120",
    "::ffff:10.0.0.5/32",
]

BAD_MAC = [
    "ff:ff:ff:ff:ff:ff",
    "01:00:5e:00:00:01",
    "33:33:00:00:00:01",
    "00:00:00:00:00:00",
    "03:00:00:00:00:01",
    "02:00:00:00:00:01\n",
    "\n02:00:00:00:00:01",
    " 02:00:00:00:00:01",
    "02-00:00-00-00-01",
    "0200.0000.0001",
    "020000000001",
    "2:0:0:0:0:1",
    "02:00:00:00:00",
    "02:00:00:00:00:01:02",
    "02:00:00:00:00:0g",
    "02:00:00:00:00:01;reboot",
    "02:00:00:00:00:\uff101",
    "",
    "random",
    2,
    True,
    None,
    ["02:00:00:00:00:01"],
]

BAD_NUMBER = ["", " 22 ", "1_0", "٣", "0x10", "1e3", "1.0", 1.5, True, None, [], {}, "-", "١٢"]

BAD_BOOLEAN = ["", " true", "true\n", "ja", "2", 2, -1, 1.0, [], {}, "unknown", "junk", None]

BAD_UUID = ["", "x", OTHER + "\n", OTHER.upper().replace("1", "G"), "../ports", 1, None, True, []]

BAD_CIDR = [
    *BAD_PREFIX,
    "10.1.0.0",
    "fe80::/64",
    "fe80::/10",
    None,
]

PORT_ROWS: list[tuple[str, Any]] = [
    *[(field, bad) for field in ("name", "device_id") for bad in BAD_TEXT],
    *[("description", bad) for bad in BAD_PROSE],
    *[("device_owner", bad) for bad in BAD_TEXT],
    *[("fixed_ips", [{"ip_address": bad}]) for bad in BAD_ADDRESS],
    *[("fixed_ips", bad) for bad in ("10.0.0.9", 1, True, {}, [None], [[]], [{}], ["10.0.0.9"])],
    ("fixed_ips", [{"ip_address": "10.0.0.9", "subnet": "x"}]),
    ("fixed_ips", [{"ip_address": "10.0.0.9"}, {"ip_address": "10.0.0.9"}]),
    ("fixed_ips", [{"ip_address": "2001:db8::9"}, {"ip_address": "2001:0db8:0::0009"}]),
    *[("fixed_ips", [{"subnet_id": bad}]) for bad in BAD_UUID],
    *[("fixed_ips", [{"ip_address": f"10.0.0.{n}"}]) for n in (0, 255)],
    ("fixed_ips", [{"ip_address": "10.9.9.9"}]),
    ("fixed_ips", [{"ip_address": "2001:db8::"}]),
    *[("mac_address", bad) for bad in BAD_MAC if bad is not None],
    *[("allowed_address_pairs", [{"ip_address": bad}]) for bad in BAD_PREFIX],
    *[
        ("allowed_address_pairs", [{"ip_address": "10.0.0.9", "mac_address": bad}])
        for bad in BAD_MAC
        if bad is not None
    ],
    *[("allowed_address_pairs", bad) for bad in ({}, "10.0.0.9", [1], [{}])],
    ("allowed_address_pairs", [{"mac_address": "02:00:00:00:00:01"}]),
    ("allowed_address_pairs", [{"ip_address": "10.0.0.9", "any": True}]),
    ("allowed_address_pairs", [{"ip_address": "10.0.0.0"}]),
    ("allowed_address_pairs", [{"ip_address": "10.0.0.255/32"}]),
    (
        "allowed_address_pairs",
        [{"ip_address": "2001:db8::9"}, {"ip_address": "2001:0DB8::0:9/128"}],
    ),
    (
        "allowed_address_pairs",
        [{"ip_address": f"10.1.{n // 250}.{n % 250 + 1}"} for n in range(65)],
    ),
    *[("admin_state_up", bad) for bad in BAD_BOOLEAN],
    *[("port_security_enabled", bad) for bad in [*BAD_BOOLEAN[:-1], ["unknown"], [""]]],
    *[
        ("guard_profile", bad)
        for bad in ("Strict", "none", "", "any", 1, True, ["strict"], "off\n")
    ],
    *[("guards", bad) for bad in ("mac", ["MAC"], ["any"], ["mac", "mac"], [None], {}, ["host"])],
    *[("roles", bad) for bad in ("dhcp-server", ["router"], ["DHCP-SERVER"], [""], None, {}, [1])],
    *[
        ("ethertypes", [bad])
        for bad in (0, 1500, 0x5FF, 0x10000, -1, "0x88b5", True, None, 34997.0)
    ],
    ("ethertypes", list(range(0x9100, 0x9200))),
    *[("storm", bad) for bad in (1, {}, {"rate": 1}, {"rate": -1, "burst": 1}, [], "off")],
    *[("storm", {"rate": bad, "burst": 1}) for bad in BAD_NUMBER],
    ("storm", {"rate": 1, "burst": 1, "colour": 1}),
    *[("security_groups", bad) for bad in ([OTHER, OTHER], "default", {}, ["default"])],
    *[
        ("binding:host_id", bad)
        for bad in ("h 1", "h\n", "-rf", "../h", "h;id", "h$(id)", "hé", 1, True, [], "x" * 256)
    ],
    *[
        ("binding:profile", {"interface": bad})
        for bad in (
            "",
            "eth0\n",
            "a b",
            "a/b",
            "..",
            "-x",
            "x" * 16,
            "tap0;id",
            "$(id)",
            "täp0",
            "%d",
            1,
            None,
            True,
            [],
        )
    ],
    *[("binding:profile", bad) for bad in ("tap0", 1, True, ["tap0"], {"x": "\n"}, {"\x00": 1})],
    ("binding:profile", {"x": "y" * 5000}),
    *[("binding:vnic_type", bad) for bad in ("direct", "Normal", "", None, 1, "normal\n")],
    *[("network_id", bad) for bad in BAD_UUID],
    *[("project_id", bad) for bad in ("", "a b", "p\n", "../p", None, 1, True, "x" * 65)],
    *[
        (name, value)
        for name, value in (
            ("id", OTHER),
            ("status", "ACTIVE"),
            ("policy_revision", 5),
            ("enforced_revision", 10**9),
            ("revision_number", 7),
            ("created_at", "2020-01-01T00:00:00Z"),
            ("effective_guards", []),
            ("binding:vif_type", "ovs"),
        )
    ],
    ("trusted", True),
    ("qos_policy_id", OTHER),
    ("extra_dhcp_opts", {}),
    ("nonsense\n", 1),
    ("__class__", 1),
]

NETWORK_ROWS: list[tuple[str, Any]] = [
    *[("name", bad) for bad in BAD_TEXT],
    *[("description", bad) for bad in BAD_PROSE],
    *[(f, bad) for f in ("shared", "public", "admin_state_up") for bad in BAD_BOOLEAN],
    *[("mtu", bad) for bad in (*BAD_NUMBER, 0, -1, 67, 65536, 10**30)],
    *[("link_local", bad) for bad in ("no", "EUI64", "", None, 1, True)],
    *[("guard_profile", bad) for bad in ("Strict", "", 1, True, [])],
    *[("provider:physical_network", bad) for bad in ("", "a b", "p\n", "-x", 1, True, "é")],
    *[("provider:segmentation_id", bad) for bad in (0, 100, "100", True)],
    *[("router:external", bad) for bad in BAD_BOOLEAN],
    ("subnets", []),
    ("segments", []),
    ("qos_policy_id", OTHER),
]

SUBNET_ROWS: list[tuple[str, Any]] = [
    *[("cidr", bad) for bad in BAD_CIDR],
    *[("gateway_ip", bad) for bad in BAD_ADDRESS if bad is not None],
    *[("ip_version", bad) for bad in (*BAD_NUMBER, 5, 0, "IPv4")],
    *[("dns_nameservers", [bad]) for bad in BAD_ADDRESS],
    ("dns_nameservers", ["10.1.0.1", "10.1.0.1"]),
    ("dns_nameservers", [f"10.1.0.{n}" for n in range(1, 9)]),
    *[("allocation_pools", [{"start": bad, "end": "10.1.0.9"}]) for bad in BAD_ADDRESS],
    *[("allocation_pools", bad) for bad in ({}, "10.1.0.2-10.1.0.9", [{}], [1])],
    *[
        ("host_routes", [{"destination": bad, "nexthop": "10.1.0.9"}])
        for bad in ("10.0.0.1/24", "x", "10.0.0.0/0.0.0.255", "::ffff:10.0.0.0/120", 1, None)
    ],
    *[("enable_dhcp", bad) for bad in BAD_BOOLEAN],
    *[("ipv6_ra_mode", bad) for bad in ("SLAAC", "any", "", 1, True)],
    ("subnetpool_id", OTHER),
    ("prefixlen", 24),
    *[("network_id", bad) for bad in BAD_UUID],
    ("name", "a\nb"),
]

GROUP_ROWS: list[tuple[str, Any]] = [
    *[("addresses", [{"ip_address": bad}]) for bad in BAD_ADDRESS],
    *[("addresses", [{"ip_address": f"10.0.0.{n}"}]) for n in (0, 1, 255)],
    *[("vrid4", bad) for bad in (*[b for b in BAD_NUMBER if b is not None], 0, 256, -1)],
    *[("max_moves_per_minute", bad) for bad in (*[b for b in BAD_NUMBER if b is not None], -1)],
    *[("members", [bad]) for bad in BAD_UUID],
    ("members", [OTHER]),
    ("members", [OTHER, OTHER]),
    ("pinned_port_id", OTHER),
    ("holders", []),
    ("name", "a\u2028b"),
]


def idents(row: Any) -> str:
    return ascii(row)[:60]


@pytest.fixture
def shared(cloud: Cloud) -> dict[str, Any]:
    return cloud.admin.network("10.0.0.0/24", "2001:db8::/64", shared=True)


@dataclass(frozen=True)
class Still:
    """A server on which nothing may ever be stored: one for all rows, which saves minutes."""

    cloud: Cloud
    network: dict[str, Any]
    revision: int


@pytest.fixture(scope="module")
def kept(server: tuple[Application, httpx.Client], databases: Databases) -> Iterator[Still]:
    app, http = server
    with databases.fresh() as where, closing(Store.open(where)) as store:
        app.state.store = store
        cloud = Cloud(http, store)
        network = cloud.admin.network("10.0.0.0/24", "2001:db8::/64", shared=True)
        before = cloud.rows()
        yield Still(cloud, network, cloud.revision())
        assert cloud.rows() == before


@pytest.fixture
def still(server: tuple[Application, httpx.Client], kept: Still) -> Still:
    server[0].state.store = kept.cloud.store
    return kept


def assert_refused(still: Still, one: str, fields: dict[str, Any], name: str) -> None:
    """The POST is refused by a 4xx that names the field, and nothing is stored."""
    cloud = still.cloud
    text = json.dumps({one: fields})  # ASCII: a lone surrogate travels as an escape
    headers = {"content-type": "application/json"}
    answer = cloud.admin.call("POST", path(one), content=text, headers=headers)
    status, _, message = refusal(answer)
    assert status in {400, 404, 409}
    # Where the store objects it is to a value, and the message holds that.
    assert name in message or ascii(name)[1:-1] in message or names_a_value(message, fields[name])
    assert message.isprintable()
    assert cloud.revision() == still.revision  # and at the end, every row is as it was


def names_a_value(message: str, value: Any) -> bool:
    inner = value
    while isinstance(inner, list | dict) and inner:
        inner = next(iter(inner.values())) if isinstance(inner, dict) else inner[0]
    return str(inner).split("/", maxsplit=1)[0] in message


def path(one: str) -> str:
    return one.replace("_", "-") + "s"


@pytest.mark.parametrize(("name", "value"), PORT_ROWS, ids=idents)
def test_a_port(still: Still, name: str, value: Any) -> None:
    assert_refused(still, "port", {"network_id": still.network["id"]} | {name: value}, name)


@pytest.mark.parametrize(("name", "value"), NETWORK_ROWS, ids=idents)
def test_a_network(still: Still, name: str, value: Any) -> None:
    assert_refused(still, "network", {name: value}, name)


@pytest.mark.parametrize(("name", "value"), SUBNET_ROWS, ids=idents)
def test_a_subnet(still: Still, name: str, value: Any) -> None:
    usual = {"network_id": still.network["id"], "cidr": "10.1.0.0/24", "ip_version": 4}
    assert_refused(still, "subnet", usual | {name: value}, name)


@pytest.mark.parametrize(("name", "value"), GROUP_ROWS, ids=idents)
def test_an_ip_group(still: Still, name: str, value: Any) -> None:
    assert_refused(still, "ip_group", {"network_id": still.network["id"]} | {name: value}, name)


def test_what_a_row_spells_rightly_is_taken(cloud: Cloud, shared: dict[str, Any]) -> None:
    """The positive twin: every field with a value of its kind, all at once."""
    port = cloud.admin.make(
        "port",
        network_id=shared["id"],
        name="wéb-1 (a)",
        description="x" * 255,
        device_id="vm/1",
        device_owner="compute:nova",
        mac_address="02:00:00:0A:00:00",
        fixed_ips=[{"ip_address": "10.0.0.9"}, {"ip_address": "2001:DB8::9"}],
        allowed_address_pairs=[{"ip_address": "10.1.0.0/24"}, {"ip_address": "2001:db8:1::/48"}],
        guards=["mac", "arp"],
        roles=["dhcp-server"],
        ethertypes=[0x88B5],
        storm={"rate": 0, "burst": 0},
        security_groups=[],
        **{
            "binding:host_id": "node-1.example",
            "binding:profile": {"interface": "tap0.5", "numa": 1},
            "binding:vnic_type": "macvtap",
        },
    )
    assert port["mac_address"] == "02:00:00:0a:00:00"
    assert [fixed["ip_address"] for fixed in port["fixed_ips"]] == ["10.0.0.9", "2001:db8::9"]
    assert cloud.admin.make(
        "ip_group",
        network_id=shared["id"],
        addresses=[{"ip_address": "10.0.0.20"}],
        members=[port["id"]],
        vrid4=255,
        vrid6=1,
        pinned_port_id=port["id"],
        max_moves_per_minute=0,
    )


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"mac_address": "02:00:00:00:00:AA"}, "MacAddressInUse"),
        ({"fixed_ips": [{"ip_address": "10.0.0.9"}]}, "IpAddressAlreadyAllocated"),
        ({"fixed_ips": [{"ip_address": "2001:0db8:0:0::0009"}]}, "IpAddressAlreadyAllocated"),
        ({"fixed_ips": [{"ip_address": "10.0.0.1"}]}, "IpAddressAlreadyAllocated"),
        ({"fixed_ips": [{"ip_address": "10.0.0.30"}]}, "IpAddressAlreadyAllocated"),
        ({"fixed_ips": [{"ip_address": "10.0.0.65"}]}, "IpAddressAlreadyAllocated"),
        ({"allowed_address_pairs": [{"ip_address": "10.0.0.9"}]}, "IpAddressAlreadyAllocated"),
        ({"allowed_address_pairs": [{"ip_address": "10.0.0.0/26"}]}, "IpAddressAlreadyAllocated"),
        ({"allowed_address_pairs": [{"ip_address": "10.0.0.30"}]}, "IpAddressAlreadyAllocated"),
        (
            {
                "allowed_address_pairs": [
                    {"ip_address": "10.5.0.1", "mac_address": "02:00:00:00:00:aa"}
                ]
            },
            "MacAddressInUse",
        ),
        ({"mac_address": "02:00:00:00:00:bb"}, "MacAddressInUse"),
        ({"mac_address": "00:00:5e:00:01:07"}, "MacAddressInUse"),
    ],
)
def test_what_another_has_is_not_had_twice(
    cloud: Cloud, shared: dict[str, Any], fields: dict[str, Any], kind: str
) -> None:
    pair = {"ip_address": "10.0.0.64/30", "mac_address": "02:00:00:00:00:bb"}
    victim = cloud.admin.make(
        "port",
        network_id=shared["id"],
        project_id="p1",
        mac_address="02:00:00:00:00:aa",
        fixed_ips=[{"ip_address": "10.0.0.9"}, {"ip_address": "2001:db8::9"}],
        allowed_address_pairs=[pair],
    )
    cloud.admin.make(
        "ip_group",
        network_id=shared["id"],
        project_id="p1",
        members=[victim["id"]],
        addresses=[{"ip_address": "10.0.0.30"}],
        vrid4=7,
    )
    mine = cloud.admin.make("port", network_id=shared["id"], project_id="p2")
    before = cloud.rows()
    for key in (None, mine["id"]):
        body = fields if key else {"network_id": shared["id"], "project_id": "p2"} | fields
        status, found, message = cloud.admin.refused("port", key, **body)
        assert (status, found) == (409, kind)
        assert message
    assert cloud.rows() == before


@pytest.mark.parametrize(
    "fields",
    [{"mac_address": "02:00:00:00:00:01"}, {"fixed_ips": [{"ip_address": "2001:db8::77"}]}],
)
def test_of_many_at_once_one_gets_it(
    cloud: Cloud, shared: dict[str, Any], fields: dict[str, Any]
) -> None:
    statuses: list[int] = []
    together = threading.Barrier(8)

    def create() -> None:
        together.wait()
        body = {"port": {"network_id": shared["id"]} | fields}
        statuses.append(cloud.admin.call("POST", "ports", body).status_code)

    threads = [threading.Thread(target=create) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [201] + [409] * 7


DEEP = "[" * 100_000 + "]" * 100_000


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"nonsense", 400),
        (b"null", 400),
        (b"[]", 400),
        (b'"port"', 400),
        (b"{}", 400),
        (b'{"port": null}', 400),
        (b'{"port": []}', 400),
        (b'{"port": "x"}', 400),
        (b'{"ports": {}}', 400),
        (b'{"ports": []}', 400),
        (b'{"ports": [null]}', 400),
        (b'{"network": {}}', 400),
        (b'{"port": {}, "network": {}}', 400),
        (b'{"port": {"name": "a", "name": "b"}}', 400),
        (b'{"port": {}, "port": {}}', 400),
        (b'{"port": {"name": NaN}}', 400),
        (b'{"port": {"name": Infinity}}', 400),
        (b'{"port": {"name": 1e999}}', 400),
        (b'{"port": {"name": ' + b"9" * 5000 + b"}}", 400),
        (b'{"port": {"name": "\xff"}}', 400),
        (b"\xef\xbb\xbf{}", 400),
        (b'{"port": {"name": "\\ud800"}}', 400),
        (DEEP.encode(), 400),
        (('{"port":' * 50_000 + "1" + "}" * 50_000).encode(), 400),
        (('{"port": {"binding:profile": ' + '{"a":' * 40 + "1" + "}" * 42).encode(), 400),
        (b'{"port": {"name": "' + b"x" * 3_000_000 + b'"}}', 413),
        (b'{"ports": [' + b",".join([b"{}"] * 1001) + b"]}", 400),
    ],
    ids=lambda value: ascii(value)[:40],
)
def test_a_body_that_is_none(cloud: Cloud, body: bytes, status: int) -> None:
    before = cloud.rows()
    for method, where in (("POST", "ports"), ("PUT", f"ports/{OTHER}")):
        answer = cloud.admin.call(
            method, where, content=body, headers={"content-type": "application/json"}
        )
        assert refusal(answer)[0] == status
    assert cloud.rows() == before


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_what_a_web_page_can_send_unasked_is_refused(cloud: Cloud, kind: str) -> None:
    answer = cloud.admin.call(
        "POST", "networks", content=b'{"network": {}}', headers={"content-type": kind}
    )
    assert refusal(answer)[:2] == (415, "HTTPUnsupportedMediaType")
    assert cloud.admin.get("networks") == {"networks": []}


@pytest.mark.parametrize(
    "where",
    [
        "ports/%00",
        "ports/%0a",
        "ports/" + "x" * 5000,
        "ports/%ff%fe",
        "ports/%E2%80%A8",
        "ports/1%20OR%201=1",
        "nothing",
        "hosts/%0a",
        "feed/%0a",
        "feed/h1?after=-1",
        "feed/h1?after=x",
        "feed/h1?timeout=1e9",
        "feed/h1?timeout=-1",
    ],
)
def test_a_path_that_is_none(cloud: Cloud, where: str) -> None:
    assert refusal(cloud.admin.call("GET", where))[0] in {400, 404}


def test_unknown_routes_and_methods_cost_no_memory_and_no_500(cloud: Cloud) -> None:
    for n in range(200):
        assert cloud.admin.call("GET", f"unknown-{n}").status_code == 404
    assert cloud.admin.call("PATCH", "ports").status_code == 405
    assert refusal(cloud.admin.call("DELETE", "ports"))[1] == "HTTPMethodNotAllowed"
    assert cloud.http.get("/healthz").status_code == 200


def test_lists_while_ports_come_and_go(cloud: Cloud, shared: dict[str, Any]) -> None:
    stop = threading.Event()
    failures: list[int] = []

    def read() -> None:
        while not stop.is_set():
            answer = cloud.admin.call("GET", "ports")
            if answer.status_code != 200:
                failures.append(answer.status_code)

    reading = threading.Thread(target=read)
    reading.start()
    for _ in range(20):
        port = cloud.admin.make("port", network_id=shared["id"])
        cloud.admin.call("DELETE", f"ports/{port['id']}")
    stop.set()
    reading.join()
    assert not failures


@pytest.mark.parametrize(
    ("mac", "instead"),
    [
        ("03:bf:0a:00:00:64", "unicast mode, and list 02:bf:0a:00:00:64 at the port of each node"),
        ("01:00:5e:7f:00:64", "list a unicast address at the port of each node"),
    ],
)
def test_a_group_address_in_a_pair_is_refused_with_what_works_instead(
    cloud: Cloud, mac: str, instead: str
) -> None:
    network = cloud.admin.network("10.0.0.0/24", shared=True)
    pair = {"ip_address": "10.0.0.100", "mac_address": mac}
    status, _, message = cloud.admin.refused(
        "port", network_id=network["id"], allowed_address_pairs=[pair]
    )
    assert status == 400
    assert instead in message


def test_two_ports_of_a_project_list_one_mac(cloud: Cloud) -> None:
    network = cloud.admin.network("10.0.0.0/24", shared=True)
    pair = {"ip_address": "10.0.0.100", "mac_address": "02:bf:0a:00:00:64"}
    for _ in range(2):
        made = cloud.admin.make("port", network_id=network["id"], allowed_address_pairs=[pair])
        assert made["allowed_address_pairs"] == [pair]


def test_the_link_local_address_of_a_group_is_asked_for_and_shown_without_a_subnet(
    cloud: Cloud, shared: dict[str, Any]
) -> None:
    asked = [{"ip_address": "fe80::1"}]
    fields: dict[str, Any] = {"network_id": shared["id"], "project_id": "p1", "addresses": asked}
    made = cloud.admin.make("ip_group", **fields)
    assert made["addresses"] == asked
    assert cloud.alice.change("ip_group", made["id"], addresses=asked)["addresses"] == asked
    status, _, message = cloud.alice.refused(
        "ip_group", network_id=shared["id"], addresses=[{"ip_address": "fe80::2"}]
    )
    assert status == 403
    assert "only the operator may choose fe80::2" in message
