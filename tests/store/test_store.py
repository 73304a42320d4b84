"""Opening, migrating, hosts, drops, and what cascades."""

import shutil
import stat
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import MetaData, insert, select
from tests.databases import Databases
from tests.store.world import World

import vifguard.store as store_room
from vifguard.feed.messages import DropCount, DropRecord, HostReport, Report
from vifguard.model.guard import Guard
from vifguard.model.verdict import Direction, Reason
from vifguard.store.database import sqlite
from vifguard.store.database.open import open_database
from vifguard.store.errors import (
    BusyError,
    ConflictError,
    DatabaseError,
    InUseError,
    MacTakenError,
    ReplacedError,
)
from vifguard.store.nouns import hosts, ip_groups, networks, ports, subnets
from vifguard.store.readiness import WriteProbe, why_not_ready
from vifguard.store.reports import drops
from vifguard.store.schema import migrations
from vifguard.store.schema.tables import metadata
from vifguard.store.schema.tables import networks as network_table
from vifguard.store.store import Store

ABOUT = HostReport("6.1", "ebpf", frozenset({"tcx"}), (), ("netdev",), isolation=True)


def test_a_change_that_waits_too_long_for_another_is_refused(world: World) -> None:
    world.store.patience = 0.01
    refused: list[BaseException] = []

    def write() -> None:
        try:
            world.network(name="second")
        except BusyError as error:
            refused.append(error)

    with world.store.change() as change:
        change.allocate_revision()
        thread = threading.Thread(target=write)
        thread.start()
        thread.join()
    assert "0.01 s" in str(refused[0])
    world.network(name="third")
    with world.store.read() as snapshot:
        names = snapshot.connection.scalars(select(network_table.c.name)).all()
    assert names == ["third"]


def test_migrations_make_the_tables_that_the_code_speaks_of(world: World) -> None:
    with world.store.read() as snapshot:
        context = MigrationContext.configure(snapshot.connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []


def test_opening_again_finds_everything(world: World) -> None:
    network = world.network()
    world.subnet(network, "10.0.0.0/24")
    port = world.port(network)
    before = world.complete()
    world.store.close()
    again = World(Store.open(world.where))
    assert again.now(port) == port
    assert again.complete().ports == before.ports
    again.store.close()


@pytest.mark.parametrize("lost", [-1, 0, 1, 100, 5000])
def test_after_a_start_every_agent_is_told_everything(world: World, lost: int) -> None:
    """Also one that saw changes which a power cut took: their revisions are not used again."""
    network = world.network()
    world.subnet(network, "10.0.0.0/24")
    seen = world.complete().revision + lost
    world.store.close()
    again = World(Store.open(world.where))
    for _ in range(3):
        again.port(network)
    update = again.store.update_after("h1", seen)
    assert update is not None
    assert update.complete
    assert update.revision > seen
    assert again.store.update_after("h1", update.revision) is None
    again.store.close()


def test_the_database_is_its_owners_alone(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "x.db")
    World(store).network()
    modes = {each.name: stat.S_IMODE(each.stat().st_mode) for each in tmp_path.iterdir()}
    store.close()
    assert modes == dict.fromkeys(("x.db", "x.db-shm", "x.db-wal"), 0o600)


@pytest.mark.parametrize("put_there", [None, "a copy"])
def test_a_file_that_is_not_the_one_that_was_opened_is_not_used(
    tmp_path: Path, put_there: str | None
) -> None:
    """What was changed went into a file without a name, and was gone with the server."""
    path, aside = tmp_path / "vifguard.db", tmp_path / "aside.db"
    store = Store.open(path)
    world = World(store)
    world.network()
    path.rename(aside)
    if put_there:
        shutil.copyfile(aside, path)
    for use in (store.read, store.change):
        with pytest.raises(ReplacedError, match=r"vifguard\.db was removed or replaced"), use():
            pass
    assert "removed or replaced" in why_not_ready(store, WriteProbe())
    aside.rename(path)
    world.network(physical="other")
    assert why_not_ready(store, WriteProbe()) == ""
    store.close()


def test_a_database_of_a_later_release_is_left_alone(world: World) -> None:
    with world.store.change() as change:
        change.connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    world.store.close()
    with pytest.raises(DatabaseError, match="'9999'"):
        Store.open(world.where)


def test_another_database_is_refused_by_name() -> None:
    with pytest.raises(DatabaseError, match="mysql"):
        Store.open("mysql://somewhere")


def test_a_sqlite_that_is_too_old_is_told_of(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sqlite, "OLDEST", (99, 0))
    with pytest.raises(DatabaseError, match=r"99\.0 or newer is needed"):
        Store.open(tmp_path / "new.db")
    assert list(tmp_path.iterdir()) == []


def test_the_first_host_takes_the_ports_without_one(world: World) -> None:
    network = world.network()
    world.subnet(network, "10.0.0.0/24")
    early = world.port(network, host="")
    world.store.record_report(Report("h1", about=ABOUT))
    assert world.now(early).host == "h1"
    assert world.port(network, host="").host == "h1"
    world.store.record_report(Report("h2", about=ABOUT))
    assert world.port(network, host="").host == ""
    assert {p.policy.port_id for p in world.complete("h1").ports} >= {early.id}


def test_isolation_is_offered_when_a_host_can_hold_it(world: World) -> None:
    def why() -> str:
        with world.store.read() as snapshot:
            return hosts.isolation_unsupported(snapshot, named=True)

    assert "no host" in why()
    world.store.record_report(Report("h1", about=ABOUT))
    assert why() == ""
    unable = HostReport("6.1", "x", frozenset(), (), (), isolation=False)
    world.store.record_report(Report("h2", about=unable))
    assert why() == ""
    world.store.record_report(Report("h1", about=unable))
    assert "h1, h2" in why()


def test_security_groups_are_offered_when_a_host_can_hold_them(world: World) -> None:
    def why() -> str:
        with world.store.read() as snapshot:
            return hosts.security_groups_unsupported(snapshot, named=True)

    assert "no host" in why()
    world.store.record_report(Report("h1", about=replace(ABOUT, features=frozenset({"groups"}))))
    assert why() == ""
    world.store.record_report(Report("h2", about=ABOUT))
    assert why() == ""
    world.store.record_report(Report("h1", about=ABOUT))
    assert "h1, h2" in why()


def test_the_ports_of_the_first_release_stay_as_they_were(databases: Databases) -> None:
    with databases.unmigrated() as where:
        database = open_database(where)
        migrations.upgrade(database, "0001")
        with database.writing.begin() as connection:
            first = MetaData()
            first.reflect(connection)
            connection.execute(insert(first.tables["networks"]), _A_NETWORK)
            connection.execute(insert(first.tables["ports"]), _A_PORT)
        database.close()
        world = World(Store.open(where))
        update = world.complete()
        assert [port.policy.port_id for port in update.ports] == ["port"]
        assert Guard.SECURITY_GROUPS not in update.ports[0].policy.guards
        assert update.ports[0].policy.guards
        world.store.close()


_STAMP = {"revision_number": 1, "created_at": 1, "updated_at": 1}
_A_NETWORK = _STAMP | {
    "id": "net",
    "project_id": "p1",
    "name": "",
    "shared": True,
    "public": False,
    "physical": "",
    "mtu": 1500,
    "admin_state_up": True,
    "port_security_enabled": True,
    "link_local": "eui64",
    "storm_rate": 1,
    "storm_burst": 1,
    "description": "",
}
_A_PORT = _STAMP | {
    "id": "port",
    "network_id": "net",
    "project_id": "p1",
    "mac": b"\x02\0\0\0\0\1",
    "name": "",
    "admin_state_up": True,
    "port_security_enabled": True,
    "host": "h1",
    "interface": "",
    "device_id": "",
    "device_owner": "",
    "vnic_type": "normal",
    "description": "",
    "policy_revision": 1,
}


def test_an_isolated_network_is_on_one_host(world: World) -> None:
    network = world.network(shared=False)
    world.subnet(network, "10.0.0.0/24")
    world.port(network, host="h1")
    with pytest.raises(ConflictError, match="'h1'"):
        world.port(network, host="h2")
    loose = world.port(network, host="")
    with pytest.raises(ConflictError, match="one host"):
        world.set_port(loose, host="h2")


def test_a_shared_network_in_use_by_others_stays_shared(world: World) -> None:
    network = world.network()
    world.subnet(network, "10.0.0.0/24")
    port = world.port(network, project_id="p2")
    with pytest.raises(ConflictError, match="Multiple tenants"):
        world.set_network(network, shared=False)
    world.delete_port(port)
    world.port(network, host="h1")
    other = world.port(network, host="h2")
    with pytest.raises(ConflictError, match="one host"):
        world.set_network(network, shared=False)
    world.delete_port(other)
    assert not world.set_network(network, shared=False).shared


def test_one_uplink_is_one_network(world: World) -> None:
    world.network(physical="physnet1")
    with pytest.raises(ConflictError, match="physnet1"):
        world.network(physical="physnet1")


def test_what_is_in_use_stays(world: World) -> None:
    network = world.network()
    subnet = world.subnet(network, "10.0.0.0/24")
    port = world.port(network)
    group = world.group(network, port)
    with pytest.raises(InUseError), world.store.change() as change:
        networks.delete_network(change, network)
    world.delete_port(port)
    with pytest.raises(InUseError, match="IP group"), world.store.change() as change:
        networks.delete_network(change, network)
    with pytest.raises(InUseError), world.store.change() as change:
        subnets.delete_subnet(change, network, subnet)
    with world.store.change() as change:
        ip_groups.delete_group(change, ip_groups.get(change, group.id))
        networks.delete_network(change, network)
    with world.store.read() as snapshot:
        for table in metadata.sorted_tables:
            if table.name not in {"revision", "journal", "default_rules", "identity"}:
                assert not snapshot.connection.execute(table.select()).all(), table.name


def test_a_vrrp_mac_is_the_groups_alone(world: World) -> None:
    network = world.network()
    world.subnet(network, "10.0.0.0/24")
    port = world.port(network)
    world.group(network, port, vrid4=7)
    with pytest.raises(ConflictError, match="vrid4 7 is in use on network"):
        world.group(network, port, vrid4=7)
    with pytest.raises(MacTakenError):
        world.port(network, mac="00:00:5e:00:01:07")
    world.port(network, mac="00:00:5e:00:02:09")
    with pytest.raises(MacTakenError):
        world.group(network, port, vrid6=9)


def test_an_id_of_one_family_is_no_other_projects_in_the_other(world: World) -> None:
    network, elsewhere = world.network(), world.network()
    for each in (network, elsewhere):
        world.subnet(each, "10.0.0.0/24")
    mine = world.group(network, vrid4=7)
    for ids in ({"vrid6": 7}, {"vrid4": 7, "vrid6": 8}):
        with pytest.raises(ConflictError) as refused:
            world.group(network, project_id="p2", **ids)
        assert "7" in str(refused.value)
        assert mine.id not in str(refused.value)
        assert "group" not in str(refused.value)
    world.group(network, vrid6=7)
    world.group(network, project_id="p2", vrid6=8)
    world.group(elsewhere, project_id="p2", vrid6=7)
    # CARP has the MACs of IPv4 in IPv6 too.
    with pytest.raises(MacTakenError):
        world.port(network, mac="00:00:5e:00:01:08")


def test_a_router_id_reaches_every_port_of_its_network(world: World) -> None:
    network = world.network()
    world.subnet(network, "10.0.0.0/24")
    member, other = (world.port(network, host="h1") for _ in range(2))

    def foreign(port) -> tuple[frozenset[int], frozenset[int]]:
        policies = {each.policy.port_id: each.policy for each in world.complete().ports}
        return policies[port.id].foreign_vrids4, policies[port.id].foreign_vrids6

    before = world.revision_of(other)
    group = world.group(network, member, vrid4=7, vrid6=9)
    assert world.revision_of(other) > before
    assert foreign(other) == ({7}, {9})
    assert foreign(member) == (set(), set())
    before = world.revision_of(other)
    world.set_group(group, name="www")
    assert world.revision_of(other) == before
    world.set_group(group, vrid4=None)
    assert world.revision_of(other) > before
    assert foreign(other) == (set(), {9})


def test_a_groups_address_is_nobody_elses(world: World) -> None:
    network = world.network()
    world.subnet(network, "10.0.0.0/24")
    group = world.group(network)
    assert str(group.addresses[0]) == "10.0.0.1"
    assert str(world.port(network).fixed_ips[0].address) == "10.0.0.2"
    with world.store.change() as change:
        ip_groups.delete_group(change, ip_groups.get(change, group.id))
    assert str(world.port(network).fixed_ips[0].address) == "10.0.0.1"


def test_drops_are_kept_within_bounds(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drops, "PORTS", 3)
    network = world.network()
    world.subnet(network, "10.0.0.0/24")
    made = [world.port(network) for _ in range(4)]

    def drop(port_id: str, at: float) -> DropRecord:
        return DropRecord(
            port_id, at, Direction.FROM_GUEST, Guard.MAC, Reason.SOURCE_MAC, 60, b"\x01"
        )

    for port in made:
        frames = tuple(drop(port.id, at) for at in range(250))
        count = DropCount(port.id, Direction.FROM_GUEST, Guard.MAC, 250)
        world.store.record_report(Report("h1", drops=frames, counts=(count,)))
    foreign = world.port(network, host="h2")
    world.store.record_report(Report("h1", drops=(drop(foreign.id, 1),)))
    found = remembered(world)
    records, counts = found.records, found.counts
    assert {record.port_id for record in records} == {port.id for port in made[1:]}
    assert len(records) == 3 * drops.RECORDS
    assert max(record.at for record in records) == 249
    assert [count.frames for count in counts] == [250] * 3
    with world.store.read() as snapshot:
        assert len(ports.read(snapshot, ports.ports.c.host == "h1")) == 4


def test_a_flood_washes_away_no_drop_of_another_direction(world: World) -> None:
    network = world.network()
    world.subnet(network, "10.0.0.0/24")
    port = world.port(network)

    def drop(at: int, way: Direction, guard: Guard, reason: Reason) -> DropRecord:
        return DropRecord(port.id, at, way, guard, reason, 60, b"\x01")

    attack = [drop(at, Direction.FROM_GUEST, Guard.MAC, Reason.SOURCE_MAC) for at in range(20)]
    unasked = (Direction.TO_GUEST, Guard.SECURITY_GROUPS, Reason.NOT_ALLOWED)
    flood = [drop(at, *unasked) for at in range(20, 1000)]
    world.store.record_report(Report("h1", drops=(*attack, *flood)))
    found = remembered(world)
    assert [one for one in found.records if one.guard is Guard.MAC] == attack
    assert len(found.records) <= 2 * drops.RECORDS
    assert {(one.guard, one.records, one.first, one.last) for one in found.kinds} == {
        (Guard.MAC, 20, 0, 19),
        (Guard.SECURITY_GROUPS, 980, 20, 999),
    }


def remembered(world: World) -> drops.Drops:
    """All that the store remembers of drops."""
    log = world.store.drops
    return log.of(log.ports(), drops.DropFilter(), 10**6)


def test_only_one_file_knows_each_database() -> None:
    room = Path(store_room.__file__).parent
    for word, file in (("pragma", "sqlite.py"), ("advisory", "postgresql.py")):
        knowing = {path.name for path in room.rglob("*.py") if word in path.read_text().lower()}
        assert knowing == {file}
    assert not [path for path in room.rglob("*.py") if "sqlalchemy.dialects" in path.read_text()]
