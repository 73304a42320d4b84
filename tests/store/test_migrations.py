"""What the first release wrote in every table is there in this one, on both databases."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from sqlalchemy import MetaData, column, func, insert, select, table, text, true, update
from tests.databases import Databases
from tests.store.world import Clock, World

from vifguard.feed.messages import HostReport
from vifguard.model.address import Mac
from vifguard.model.address_request import AddressRequest
from vifguard.model.guard import Guard, LinkLocal, Profile, Role
from vifguard.model.ip_group import IpGroup
from vifguard.model.learned import LearnedLimits
from vifguard.model.network import HostRoute, Network, Pool, Subnet
from vifguard.model.policy import Storm
from vifguard.model.port import AddressPair, FixedIp, Port, PortState
from vifguard.model.rbac_policy import Sharable
from vifguard.store.database.open import open_database
from vifguard.store.errors import AddressTakenError
from vifguard.store.nouns import hosts, ip_groups, networks, ports, rbac_policies, subnets
from vifguard.store.reports import holders
from vifguard.store.reports.holders import Event, Holder
from vifguard.store.schema import migrations, tables
from vifguard.store.schema.mapping import key
from vifguard.store.store import Store
from vifguard.store.stored_nouns import Enforcement, Stamp

STAMP = Stamp(3, 1_000, 2_000)
STAMPED = {"revision_number": 3, "created_at": 1_000, "updated_at": 2_000}

V4 = [ip_address(f"192.0.2.{last}") for last in range(256)]
V6 = ip_address("2001:db8::5")
_PLAIN = {"name": "", "description": "", "admin_state_up": True, "port_security_enabled": True}

WRITTEN: dict[str, list[dict[str, Any]]] = {
    "hosts": [
        {
            "name": "h1",
            "kernel": "6.1.0",
            "driver": "ebpf",
            "features": ["tcx"],
            "missing": ["a: why"],
            "floor": ["netdev-br0"],
            "isolation": True,
            "seen_at": 999_999.5,
        }
    ],
    "networks": [
        STAMPED
        | _PLAIN
        | {
            "id": "front",
            "project_id": "p0",
            "name": "the front",
            "shared": True,
            "public": True,
            "physical": "physnet1",
            "mtu": 1400,
            "profile": "strict",
            "link_local": "eui64",
            "storm_rate": 7,
            "storm_burst": 8,
        },
        STAMPED
        | _PLAIN
        | {
            "id": "own",
            "project_id": "p1",
            "shared": False,
            "public": False,
            "physical": "",
            "mtu": 1500,
            "admin_state_up": False,
            "guards": ["arp", "mac"],
            "port_security_enabled": False,
            "link_local": "any",
            "storm_rate": 1,
            "storm_burst": 2,
            "description": "of p1",
        },
    ],
    "subnets": [
        STAMPED
        | {
            "id": "front-4",
            "network_id": "front",
            "project_id": "p0",
            "cidr": "192.0.2.0/24",
            "name": "four",
            "gateway": "192.0.2.1",
            "pools": [["192.0.2.10", "192.0.2.12"], ["192.0.2.20", "192.0.2.21"]],
            "enable_dhcp": False,
            "nameservers": ["192.0.2.2", "192.0.2.3"],
            "host_routes": [["198.51.100.0/24", "192.0.2.4"]],
            "description": "v4",
        },
        STAMPED
        | {
            "id": "front-6",
            "network_id": "front",
            "project_id": "p0",
            "cidr": "2001:db8::/64",
            "name": "",
            "pools": [["2001:db8::5", "2001:db8::6"]],
            "enable_dhcp": True,
            "nameservers": [],
            "host_routes": [],
            "ipv6_address_mode": "dhcpv6-stateful",
            "ipv6_ra_mode": "dhcpv6-stateful",
            "description": "",
        },
    ],
    "ports": [
        STAMPED
        | _PLAIN
        | {
            "id": "a",
            "network_id": "front",
            "project_id": "p1",
            "mac": b"\x02\0\0\0\0\x0a",
            "name": "web",
            "profile": "router",
            "guards": ["ethertype", "mac"],
            "roles": ["router-advertiser"],
            "ethertypes": [0x88B5],
            "storm_rate": 3,
            "storm_burst": 4,
            "host": "h1",
            "interface": "tap0",
            "device_id": "vm",
            "device_owner": "compute:nova",
            "vnic_type": "direct",
            "binding_profile": {"x": {"y": 1}},
            "description": "a port",
            "policy_revision": 1,
        },
        STAMPED
        | _PLAIN
        | {
            "id": "b",
            "network_id": "front",
            "project_id": "p1",
            "mac": b"\x02\0\0\0\0\x0b",
            "admin_state_up": False,
            "port_security_enabled": False,
            "roles": [],
            "ethertypes": [],
            "host": "h1",
            "interface": "",
            "device_id": "",
            "device_owner": "",
            "vnic_type": "normal",
            "binding_profile": {},
            "policy_revision": 1,
        },
    ],
    "ip_groups": [
        STAMPED
        | {
            "id": "group",
            "network_id": "front",
            "project_id": "p1",
            "name": "vip",
            "description": "of two",
            "vrid4": 7,
            "vrid6": None,
            "pinned": None,
            "max_moves": 2,
            "held_by": "b",
            "held_until": 2_000_000.0,
        }
    ],
    "ip_group_members": [{"group_id": "group", "port_id": each} for each in "ab"],
    "allocations": [
        {
            "network_id": "front",
            "address": key(address),
            "subnet_id": subnet,
            "project_id": "p1",
            "port_id": port,
            "group_id": None if port else "group",
            "position": position,
        }
        for address, subnet, port, position in (
            (V6, "front-6", "a", 0),
            (V4[11], "front-4", "a", 1),
            (V4[99], "front-4", "b", 0),
            (V4[20], "front-4", None, 0),
        )
    ],
    "free_ranges": [
        {"subnet_id": subnet, "first": key(first), "last": key(last)}
        for subnet, first, last in (
            ("front-4", V4[10], V4[10]),
            ("front-4", V4[12], V4[12]),
            ("front-4", V4[21], V4[21]),
            ("front-6", V6 + 1, V6 + 1),
        )
    ],
    "address_pairs": [
        {
            "port_id": "a",
            "position": position,
            "network_id": "front",
            "project_id": "p1",
            "first": key(first),
            "length": length,
            "mac": mac,
        }
        for position, first, length, mac in (
            (0, V4[128], 25, None),
            (1, V6 + 0x100 - 5, 120, b"\x02\0\0\0\0\x0c"),
        )
    ],
    "enforcements": [
        {
            "port_id": "a",
            "host": "h1",
            "revision": 1,
            "state": "held-closed",
            "interface": "tap0",
            "reason": "no driver",
        }
    ],
    "holders": [
        {
            "group_id": "group",
            "address": key(V4[20]),
            "port_id": "b",
            "since": 10.0,
            "seen": 20.0,
            "claimed": 20.0,
            "previous_port_id": "a",
        }
    ],
    "events": [
        {
            "group_id": "group",
            "at": 10.0,
            "kind": "move",
            "address": key(V4[20]),
            "from_port_id": "a",
            "to_port_id": "b",
            "gap": 0.5,
        }
    ],
    "journal": [{"revision": 1, "host": "h1", "port_id": "a"}],
}
"""Rows as the first release wrote them, frozen here as its tables are in their migration."""


@contextmanager
def opened(databases: Databases) -> Iterator[World]:
    """A database of the first release with rows in every table, opened by this one."""
    with databases.unmigrated() as where:
        write_as_the_first_release(where)
        clock = Clock()
        with closing(Store.open(where, clock)) as store:
            yield World(store, clock, where)


@pytest.fixture(scope="module")
def old(databases: Databases) -> Iterator[World]:
    """One for all who only look."""
    with opened(databases) as world:
        yield world


def write_as_the_first_release(where: str) -> None:
    database = open_database(where)
    migrations.upgrade(database, "0001")
    first = MetaData()
    with database.writing.begin() as connection:
        first.reflect(connection)
        for name, rows in WRITTEN.items():
            columns = first.tables[name].columns.keys()
            connection.execute(
                insert(first.tables[name]),
                [
                    {column: row.get(column) for column in columns if column != "id" or "id" in row}
                    for row in rows
                ],
            )
        for table in first.tables.values():
            found = connection.scalar(select(func.count()).select_from(table))
            assert found, f"{table.name} has no row: nobody would see its migration lose one"
    database.close()


def test_networks_and_who_may_use_them(old: World) -> None:
    with old.store.read() as snapshot:
        found = {each.network.id: each for each in networks.read(snapshot, true())}
        shared = rbac_policies.read(snapshot, true())
    assert [each.stamp for each in found.values()] == [STAMP, STAMP]
    assert found["front"].network == Network(
        id="front",
        project_id="p0",
        name="the front",
        shared=True,
        public=True,
        physical="physnet1",
        mtu=1400,
        profile=Profile.STRICT,
        link_local=LinkLocal.EUI64,
        learned_limits=LearnedLimits(0, 0),
        storm=Storm(7, 8),
    )
    assert found["own"].network == Network(
        id="own",
        project_id="p1",
        admin_state_up=False,
        guards=frozenset({Guard.ARP, Guard.MAC}),
        port_security_enabled=False,
        link_local=LinkLocal.ANY,
        learned_limits=LearnedLimits(0, 0),
        storm=Storm(1, 2),
        description="of p1",
    )
    # What `shared` said, a policy of the network's project says now: with everybody.
    (policy,) = shared
    assert len(policy.id) == 36
    assert (policy.project_id, policy.kind, policy.object_id, policy.target) == (
        "p0",
        Sharable.NETWORK,
        "front",
        "*",
    )


def test_subnets(old: World) -> None:
    with old.store.read() as snapshot:
        found = [subnets.get(snapshot, each) for each in ("front-4", "front-6")]
    assert [each.stamp for each in found] == [STAMP, STAMP]
    assert found[0].subnet == Subnet(
        id="front-4",
        network_id="front",
        project_id="p0",
        cidr=ip_network("192.0.2.0/24"),
        name="four",
        gateway=V4[1],
        pools=(Pool(V4[10], V4[12]), Pool(V4[20], V4[21])),
        enable_dhcp=False,
        nameservers=(V4[2], V4[3]),
        host_routes=(HostRoute(ip_network("198.51.100.0/24"), V4[4]),),
        description="v4",
    )
    assert found[1].subnet == Subnet(
        id="front-6",
        network_id="front",
        project_id="p0",
        cidr=ip_network("2001:db8::/64"),
        pools=(Pool(V6, V6 + 1),),
        ipv6_address_mode="dhcpv6-stateful",
        ipv6_ra_mode="dhcpv6-stateful",
    )


def test_ports_with_their_addresses_and_pairs(old: World) -> None:
    with old.store.read() as snapshot:
        a, b = (ports.get(snapshot, each) for each in "ab")
    assert a.stamp == b.stamp == STAMP
    assert a.port == Port(
        id="a",
        network_id="front",
        project_id="p1",
        mac=Mac.parse("02:00:00:00:00:0a"),
        name="web",
        fixed_ips=(FixedIp("front-6", V6), FixedIp("front-4", V4[11])),
        address_pairs=(
            AddressPair(ip_network("192.0.2.128/25")),
            AddressPair(ip_network("2001:db8::100/120"), Mac.parse("02:00:00:00:00:0c")),
        ),
        profile=Profile.ROUTER,
        guards=frozenset({Guard.ETHERTYPE, Guard.MAC}),
        roles=frozenset({Role.ROUTER_ADVERTISER}),
        ethertypes=frozenset({0x88B5}),
        storm=Storm(3, 4),
        host="h1",
        interface="tap0",
        device_id="vm",
        device_owner="compute:nova",
        vnic_type="direct",
        binding_profile={"x": {"y": 1}},
        description="a port",
    )
    assert a.enforcement == Enforcement("h1", 1, PortState.HELD_CLOSED, "tap0", "no driver", "", "")
    assert b.port == Port(
        id="b",
        network_id="front",
        project_id="p1",
        mac=Mac.parse("02:00:00:00:00:0b"),
        fixed_ips=(FixedIp("front-4", V4[99]),),
        admin_state_up=False,
        port_security_enabled=False,
        host="h1",
    )


def test_ip_groups_their_holders_and_events(old: World) -> None:
    with old.store.read() as snapshot:
        found = ip_groups.get(snapshot, "group")
        held = holders.of_groups(snapshot, ["group"])
        history = holders.history(snapshot, "group")
        previous = snapshot.connection.scalars(select(tables.holders.c.previous_port_id)).all()
    assert found.group == IpGroup(
        id="group",
        project_id="p1",
        network_id="front",
        name="vip",
        addresses=(V4[20],),
        members=frozenset("ab"),
        vrid4=7,
        pinned="b",
        max_moves=2,
        description="of two",
    )
    assert (found.pinned, found.held_until, found.stamp) == (None, 2_000_000.0, STAMP)
    assert found.subnet_of == {V4[20]: "front-4"}
    assert held == {"group": [Holder(V4[20], "b", 10.0, 20.0)]}
    assert previous == ["a"]
    assert history == [Event(10.0, "move", V4[20], "a", "b", 0.5)]


def test_hosts(old: World) -> None:
    with old.store.read() as snapshot:
        (found,) = hosts.read_stored(snapshot)
    about = HostReport(
        "6.1.0", "ebpf", frozenset({"tcx"}), ("a: why",), ("netdev-br0",), isolation=True
    )
    assert (found.name, found.about, found.seen_at) == ("h1", about, 999_999.5)


def test_a_loss_of_the_quarantine_is_counted_by_its_name(databases: Databases) -> None:
    with databases.unmigrated() as where:
        write_as_the_first_release(where)
        database = open_database(where)
        migrations.upgrade(database, "0025")
        lost = update(tables.hosts).values(lost={"floor": 2, "bridge": 1})
        with database.writing.begin() as connection:
            connection.execute(lost)
        database.close()
        with closing(Store.open(where, Clock())) as store, store.read() as snapshot:
            (found,) = hosts.read_stored(snapshot)
    assert found.about.lost == {"quarantine": 2, "bridge": 1}


def test_hosts_are_told_all_of_it(old: World) -> None:
    told = {port.policy.port_id: port.policy for port in old.complete().ports}
    assert told.keys() == {"a", "b"}
    assert Guard.SECURITY_GROUPS not in told["a"].guards | told["b"].guards
    for prefix in ("192.0.2.11/32", "2001:db8::5/128", "192.0.2.128/25"):
        assert ip_network(prefix) in told["a"].prefixes


def test_what_was_taken_stays_taken_and_what_was_free_is_given(databases: Databases) -> None:
    with opened(databases) as world:
        with world.store.read() as snapshot:
            network = networks.get(snapshot, "front").network
        for taken in (V4[11], V4[99], V4[20], V4[130]):
            with pytest.raises(AddressTakenError):
                world.port(network, AddressRequest("front-4", taken), project_id="p2")
        made = [world.port(network, AddressRequest("front-4"), project_id="p2") for _ in range(3)]
        assert [port.fixed_ips[0].address for port in made] == [V4[10], V4[12], V4[21]]
        assert world.port(network, AddressRequest("front-6")).fixed_ips[0].address == V6 + 1


def test_a_network_with_too_many_pieces_keeps_those_of_whole_pairs(databases: Databases) -> None:
    """An earlier release kept them all, and counted them."""
    broken, whole = (key(ip_address(each)) for each in ("fd00::1", "fd01::"))
    pair = key(ip_address("fd00::"))
    columns = ("first", "length", "pair_first", "pair_length")
    rows = [(broken, 128, pair, 64), (whole, 64, whole, 64)]
    with databases.unmigrated() as where:
        write_as_the_first_release(where)
        database = open_database(where)
        migrations.upgrade(database, "0024")
        with database.writing.begin() as connection:
            for network, many in (("front", 62_287), ("own", 1)):
                given = [dict(zip(columns, row, strict=True), network_id=network) for row in rows]
                pieces = table("pair_pieces", *map(column, ("network_id", *columns)))
                connection.execute(insert(pieces), given)
                raise_to = "UPDATE networks SET pieces = :many WHERE id = :this"
                connection.execute(text(raise_to), {"many": many, "this": network})
        migrations.upgrade(database)
        with database.writing.begin() as connection:
            found = connection.execute(
                select(tables.pair_pieces.c.network_id, tables.pair_pieces.c.first)
            ).all()
            shares = connection.execute(select(tables.pair_shares)).all()
            closed = {each.network_id for each in shares if each.pieces > 1024}
            assert closed <= {"front"}
            assert ("own", "", 1) in [tuple(each) for each in shares]
        database.close()
    left = {(each.network_id, each.first) for each in found if each.first in (broken, whole)}
    assert left == {("front", whole), ("own", broken), ("own", whole)}
