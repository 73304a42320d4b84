"""Ten thousand ports: a change to one reads a few rows, by index, and means the same."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address, ip_network
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Connection, Engine, event, insert, select, true, update
from tests.databases import Databases
from tests.store.conftest import opened
from tests.store.world import World, held

from vifguard.model.guard import Profile
from vifguard.model.network import Network
from vifguard.model.port import Port
from vifguard.model.security_group import Rule, SetChange
from vifguard.model.verdict import Direction
from vifguard.resolve.affected import AllPorts
from vifguard.store.database.sqlite import SqliteDatabase
from vifguard.store.feed import StoreFeed
from vifguard.store.nouns import networks, ports
from vifguard.store.queries import list_pages, port_pages
from vifguard.store.queries.list_pages import Page
from vifguard.store.schema import tables
from vifguard.store.schema.mapping import key, next_key
from vifguard.store.store import Store
from vifguard.store.updates import intent

MANY = 10_000
BIG = {"ports", "allocations", "address_pairs", "free_ranges", "journal", "enforcements"}
BIG |= {"port_security_groups", "set_prefixes", "set_journal", "host_groups", "host_sets"}


@pytest.fixture(scope="module")
def crowd(databases: Databases) -> Iterator[World]:
    """A network with ten thousand ports on one host, one group, one public network."""
    with opened(databases, first_use=True) as world:
        populate(world)
        yield world


@pytest.fixture
def world(databases: Databases) -> Iterator[World]:
    with opened(databases, first_use=True) as world:
        yield world


def populate(world: World) -> None:
    network = world.network()
    world.subnet(network, "10.0.0.0/16")
    one = world.port(network)
    multiply(world.store, one)
    made = [one, *(world.port(network) for _ in range(2))]
    public = world.network(public=True)
    world.subnet(public, "198.51.100.0/24")
    world.group(network, *made[:3])


def multiply(store: Store, port: Port) -> None:
    """Copies of a port's rows, until there are ten thousand less two."""
    with store.change() as change:
        execute = change.connection.execute
        row = dict(execute(select(tables.ports)).one()._mapping)
        taken = dict(execute(select(tables.allocations)).one()._mapping)
        ids = [str(uuid4()) for _ in range(MANY - 3)]
        macs = (bytes((2, 0, 0, *divmod(n, 250), 1)) for n in range(MANY))
        execute(
            insert(tables.ports),
            [row | {"id": each, "mac": mac} for each, mac in zip(ids, macs, strict=False)],
        )
        first = taken["address"]
        addresses = [next_key(first, n + 1) for n in range(len(ids))]
        execute(
            insert(tables.allocations),
            [
                taken | {"port_id": each, "address": address}
                for each, address in zip(ids, addresses, strict=True)
            ],
        )
        execute(update(tables.free_ranges).values(first=next_key(addresses[-1])))
        change.journal_affected(AllPorts())
    assert port.fixed_ips


@contextmanager
def statements() -> Iterator[list[tuple[str, object]]]:
    """The statements that run within, with their parameters."""
    seen: list[tuple[str, object]] = []

    def note(_c: object, _cur: object, text: str, values: object, *_rest: object) -> None:
        seen.append((text, values))

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(Engine, "before_cursor_execute", note)


def scans(world: World, seen: list[tuple[str, object]]) -> list[str]:
    """What of the big tables the statements would read from end to end."""
    scanned = (
        sqlite_scans if isinstance(world.store._database, SqliteDatabase) else postgresql_scans
    )
    found = []
    with world.store.read() as snapshot:
        for text, values in seen:
            if text.startswith(("SELECT", "UPDATE", "DELETE")):
                first = values[0] if isinstance(values, list) else values
                tables = scanned(snapshot.connection, text, first) & BIG
                found += [f"{table}: {text}" for table in tables]
    return found


def sqlite_scans(connection: Connection, text: str, values: Any) -> set[str]:
    plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", values)
    steps = [row.detail.split() for row in plan]
    return {words[1] for words in steps if words[0] == "SCAN"}


def postgresql_scans(connection: Connection, text: str, values: Any) -> set[str]:
    # Few rows are read from end to end whatever indexes there are: asked is whether it must be.
    connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
    plan = connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {text}", values).scalar_one()
    return set(read_whole(plan[0]["Plan"]))


def read_whole(node: dict[str, Any]) -> Iterator[str]:
    by_index = "Index Cond" in node or "Recheck Cond" in node
    if "Relation Name" in node and node["Node Type"].endswith("Scan") and not by_index:
        yield node["Relation Name"]
    for each in node.get("Plans", ()):
        yield from read_whole(each)


def test_a_scan_would_be_seen(crowd: World) -> None:
    assert scans(crowd, [("SELECT id FROM ports WHERE description = 'x'", ())])
    assert not scans(crowd, [("SELECT id FROM ports WHERE id = 'x'", ())])


def test_the_delta_of_one_port_is_the_complete_cut_restricted_to_it(crowd: World) -> None:
    complete = crowd.complete()
    assert len(complete.ports) == MANY
    one = complete.ports[MANY // 2]
    with crowd.store.change() as change:
        before = ports.get(change, one.policy.port_id)
        ports.update_port(change, before, {"profile": Profile.MAC})
    with statements() as seen:
        delta = crowd.store.update_after("h1", complete.revision)
    assert delta is not None
    assert not delta.complete
    assert held(delta) == {one.policy.port_id: held(crowd.complete())[one.policy.port_id]}
    assert len(seen) < 15
    assert not scans(crowd, seen)


def test_a_member_of_a_group_is_cut_with_its_group(crowd: World) -> None:
    everything = held(crowd.complete())
    member = next(port_id for port_id, port in everything.items() if port.policy.watched)
    with crowd.store.read() as snapshot:
        narrow, revisions = intent.of_ports(snapshot, [member])
    assert narrow.ports.keys() == revisions.keys() == {member}
    assert narrow.ip_groups_of[member]
    assert narrow.ranges.public == {ip_network("198.51.100.0/24")}


def test_a_change_to_a_crowded_network_is_one_line_of_the_journal(crowd: World) -> None:
    with crowd.store.read() as snapshot:
        nouns, _ = intent.of_host(snapshot, "h1")
    before = crowd.complete().revision
    network = crowd.set_network(next(n for n in nouns.networks.values()), mtu=1400)
    with crowd.store.read() as snapshot:
        rows = snapshot.connection.execute(
            select(tables.journal).where(tables.journal.c.revision > before)
        ).all()
    assert [(row.host, row.port_id) for row in rows] == [("h1", None)]
    update = crowd.store.update_after("h1", before)
    assert update is not None
    assert update.complete
    assert {port.segment.mtu for port in update.ports} == {network.mtu}


def test_creating_changing_and_deleting_a_port_reads_by_index(crowd: World) -> None:
    with crowd.store.read() as snapshot:
        any_port = intent.of_host(snapshot, "h1")[0].ports
    network_id = next(iter(any_port.values())).network_id
    with crowd.store.read() as snapshot:
        network = networks.get(snapshot, network_id).network
    with statements() as seen:
        port = crowd.port(network)
    assert len(seen) < 20
    with statements() as more:
        crowd.set_port(port, profile=Profile.OFF)
        crowd.delete_port(port)
    assert not scans(crowd, [*seen, *more])


def test_a_page_in_the_middle_of_many_reads_by_index(crowd: World) -> None:
    mine = tables.ports.c.project_id == "p1"
    with crowd.store.read() as snapshot:
        whole = [each.id for each in port_pages.read(snapshot, true())]
        at = whole[MANY // 2]
        for which in (true(), mine, mine & (tables.ports.c.device_id == "")):
            with statements() as seen:
                pages = [
                    list_pages.page(
                        snapshot, tables.ports, which, Page(101, at, backwards=backwards)
                    )
                    for backwards in (False, True)
                ]
                behind, ahead = (
                    [each.id for each in port_pages.read(snapshot, page)]
                    for page in pages
                    if page is not None
                )
            assert behind == whole[MANY // 2 + 1 : MANY // 2 + 102]
            assert ahead == whole[MANY // 2 - 101 : MANY // 2]
            assert not scans(crowd, seen)
        for which in (tables.ports.c.project_id == "nobody", tables.ports.c.device_id == "none"):
            assert list_pages.page(snapshot, tables.ports, which, Page(101, at)) is None


def test_the_lowest_free_address_among_ten_thousand(crowd: World) -> None:
    with crowd.store.read() as snapshot:
        everyone = intent.of_host(snapshot, "h1")[0].ports.values()
        victim = next(p for p in everyone if p.fixed_ips[0].address == IPv4Address("10.0.10.10"))
        network = networks.get(snapshot, victim.network_id).network
    crowd.delete_port(victim)
    with statements() as seen:
        port = crowd.port(network)
    assert port.fixed_ips == victim.fixed_ips
    assert not scans(crowd, seen)


def test_a_member_more_of_a_hundred_thousand_is_one_prefix_read_by_index(world: World) -> None:
    network = world.network()
    world.subnet(network, "10.0.0.0/16")
    group = world.security_group()
    world.rule(group, Rule(Direction.TO_GUEST, 4, remote=group.id))
    groups = frozenset({group.id})
    ports = [world.port(network, security_groups=groups) for _ in range(3)]
    with world.store.change() as change:
        members = (IPv4Address("172.16.0.0") + n for n in range(100_000))
        rows = [
            {"set_id": group.id, "first": key(each), "length": 32, "port_id": f"elsewhere-{n}"}
            for n, each in enumerate(members)
        ]
        change.connection.execute(insert(tables.set_prefixes), rows)
    before = world.complete()
    assert len(before.sets[group.id].added) == 100_003
    with statements() as seen:
        member = world.port(network, host="h2", security_groups=groups)
        update = world.store.update_after("h1", before.revision)
    assert not scans(world, seen)
    assert update is not None
    assert not update.ports
    assert not update.groups
    address = ip_network(str(member.fixed_ips[0].address))
    assert update.sets == {group.id: SetChange(complete=False, added=frozenset({address}))}
    with statements() as seen:
        world.delete_port(member)
        world.delete_port(ports[0])
        world.store.update_after("h1", update.revision)
    assert not scans(world, seen)


def test_eight_threads_never_get_the_same_address_mac_or_revision(world: World) -> None:
    network = world.network()
    world.subnet(network, "10.0.0.0/20")
    world.subnet(network, "2001:db8::/64")
    feed = StoreFeed(world.store, "h1")
    made: list[Port] = []
    failures: list[BaseException] = []

    def create() -> None:
        try:
            made.extend(world.port(network) for _ in range(25))
        except BaseException as error:  # noqa: BLE001 - told by the test's own thread
            failures.append(error)

    threads = [threading.Thread(target=create) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert len(made) == 200
    assert len({fixed.address for port in made for fixed in port.fixed_ips}) == 400
    assert len({port.mac for port in made}) == 200
    assert len({world.revision_of(port) for port in made}) == 200
    update = feed.next("", 0, 0)
    assert update is not None
    assert held(update).keys() == {port.id for port in made}


_WRITER = """
import sys
from uuid import uuid4
sys.path.insert(0, sys.argv[2])
from tests.store.world import World
from vifguard.store.database.sqlite import SqliteDatabase
from vifguard.store.store import Store
world = World(Store.open(sys.argv[1]))
network = world.network()
world.subnet(network, "10.0.0.0/16")
while True:
    port = world.port(network)
    print(port.id, flush=True)
    if port.id[0] in "012345":
        world.delete_port(port)
"""


def test_a_store_killed_while_it_writes_is_whole(databases: Databases) -> None:
    with databases.fresh() as where:
        arguments = [sys.executable, "-c", _WRITER, where, str(Path(__file__).parents[2])]
        with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout is not None
            told = [writer.stdout.readline().strip() for _ in range(60)]
            os.kill(writer.pid, signal.SIGKILL)
        world = World(Store.open(where))
        kept = world.complete().ports
        known = {port.policy.port_id for port in kept}
        assert {each for each in told[:-1] if each[0] not in "012345"} <= known
        assert all(len(port.policy.prefixes) == 1 for port in kept)
        assert len({port.policy.prefixes for port in kept}) == len(kept)
        assert_whole(world)
        world.store.close()


def assert_whole(world: World) -> None:
    """No address is lost and none is twice; the file, if it is one, is sound."""
    with world.store.read() as snapshot:
        execute = snapshot.connection.execute
        taken = execute(select(tables.allocations.c.address)).all()
        ranges = execute(select(tables.free_ranges.c.first, tables.free_ranges.c.last)).all()
        if snapshot.connection.dialect.name == "sqlite":
            check = snapshot.connection.exec_driver_sql
            assert check("PRAGMA integrity_check").scalars().all() == ["ok"]
            assert not check("PRAGMA foreign_key_check").all()
    free = sum(int.from_bytes(b[1:]) - int.from_bytes(a[1:]) + 1 for a, b in ranges)
    assert len(taken) + free == 2**16 - 2


def test_a_network_of_its_own_is_unknown_to_another(world: World) -> None:
    made = [world.network(shared=False), world.network(shared=False)]
    for network in made:
        world.subnet(network, "10.0.0.0/24")
    found = [world.port(network) for network in made]
    assert isinstance(made[0], Network)
    segments = {port.segment.network_id for port in world.complete().ports}
    assert segments == {port.network_id for port in found}
