"""Opening, migrating, hosts, drops, and what cascades."""

import sqlite3
import stat
from dataclasses import replace
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.schema import CreateTable
from tests.store.world import World

import vifguard.store as store_room
from vifguard.feed.messages import DropCount, DropRecord, HostReport, Report
from vifguard.model.guard import Guard
from vifguard.model.verdict import Direction, Reason
from vifguard.store import drops, hosts, ip_groups, migrations, networks, ports, subnets
from vifguard.store.errors import ConflictError, DatabaseError, InUseError, MacTakenError
from vifguard.store.sqlite import engine_of
from vifguard.store.store import Store
from vifguard.store.tables import metadata

ABOUT = HostReport("6.1", "ebpf", frozenset({"tcx"}), (), ("netdev",), isolation=True)


def test_migrations_make_the_tables_that_the_code_speaks_of(world: World) -> None:
    with world.store.read() as snapshot:
        context = MigrationContext.configure(snapshot.connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []


def test_opening_again_finds_everything(tmp_path: Path) -> None:
    store = Store.open(f"sqlite:///{tmp_path / 'x.db'}")
    world = World(store)
    network = world.network()
    world.subnet(network, "10.0.0.0/24")
    port = world.port(network)
    before = world.complete()
    store.close()
    again = World(Store.open(tmp_path / "x.db"))
    assert again.now(port) == port
    assert again.complete().ports == before.ports
    again.store.close()


@pytest.mark.parametrize("lost", [-1, 0, 1, 100, 5000])
def test_after_a_start_every_agent_is_told_everything(tmp_path: Path, lost: int) -> None:
    """Also one that saw changes which a power cut took: their revisions are not used again."""
    store = Store.open(tmp_path / "x.db")
    world = World(store)
    network = world.network()
    world.subnet(network, "10.0.0.0/24")
    seen = world.complete().revision + lost
    store.close()
    again = World(Store.open(tmp_path / "x.db"))
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


def test_a_database_of_a_later_release_is_left_alone(world: World) -> None:
    path = world.store._engine.url.database or ""
    world.store.close()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    with pytest.raises(DatabaseError, match="'9999'"):
        Store.open(path)


def test_another_database_is_refused_by_name() -> None:
    with pytest.raises(DatabaseError, match="postgresql"):
        Store.open("postgresql://somewhere")


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


def test_isolation_is_offered_when_every_host_can_hold_it(world: World) -> None:
    def why() -> str:
        with world.store.read() as snapshot:
            return hosts.why_no_isolation(snapshot)

    assert "no host" in why()
    world.store.record_report(Report("h1", about=ABOUT))
    assert why() == ""
    unable = HostReport("6.1", "x", frozenset(), (), (), isolation=False)
    world.store.record_report(Report("h2", about=unable))
    assert "h2" in why()


def test_security_groups_are_offered_when_every_host_can_hold_them(world: World) -> None:
    def why() -> str:
        with world.store.read() as snapshot:
            return hosts.why_no_groups(snapshot)

    assert "no host" in why()
    world.store.record_report(Report("h1", about=replace(ABOUT, features=frozenset({"groups"}))))
    assert why() == ""
    world.store.record_report(Report("h2", about=ABOUT))
    assert "h2" in why()


def test_the_ports_of_the_first_release_stay_as_they_were(tmp_path: Path) -> None:
    engine = engine_of(tmp_path / "x.db")
    migrations.upgrade(engine, "0001")
    with engine.begin() as connection:
        connection.exec_driver_sql(_A_NETWORK)
        connection.exec_driver_sql(_A_PORT)
    engine.dispose()
    world = World(Store.open(tmp_path / "x.db"))
    update = world.complete()
    assert [port.policy.port_id for port in update.ports] == ["port"]
    assert Guard.GROUPS not in update.ports[0].policy.guards
    assert update.ports[0].policy.guards
    world.store.close()


_A_NETWORK = """
INSERT INTO networks (id, project_id, name, shared, public, physical, mtu, admin_state_up,
 port_security_enabled, link_local, storm_rate, storm_burst, description, revision_number,
 created_at, updated_at)
VALUES ('net', 'p1', '', 1, 0, '', 1500, 1, 1, 'eui64', 1, 1, '', 1, 1, 1)
"""
_A_PORT = """
INSERT INTO ports (id, network_id, project_id, mac, name, admin_state_up, port_security_enabled,
 host, interface, device_id, device_owner, vnic_type, description, policy_revision,
 revision_number, created_at, updated_at)
VALUES ('port', 'net', 'p1', x'020000000001', '', 1, 1, 'h1', '', '', '', 'normal', '', 1, 1, 1, 1)
"""


def test_a_host_is_alive_while_it_speaks(world: World) -> None:
    world.store.record_report(Report("h1", about=ABOUT))
    with world.store.read() as snapshot:
        host = hosts.get(snapshot, "h1")
    assert world.store.is_alive(host)
    world.clock.now += 1000
    assert not world.store.is_alive(host)
    world.store.heard("h1")
    assert world.store.is_alive(host)


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
            if table.name not in {"revision", "journal", "default_rules"}:
                assert not snapshot.connection.execute(table.select()).all(), table.name


def test_a_vrrp_mac_is_the_groups_alone(world: World) -> None:
    network = world.network()
    world.subnet(network, "10.0.0.0/24")
    port = world.port(network)
    world.group(network, port, vrid4=7)
    with pytest.raises(ConflictError, match="vrid4=7"):
        world.group(network, port, vrid4=7)
    with pytest.raises(MacTakenError):
        world.port(network, mac="00:00:5e:00:01:07")
    world.port(network, mac="00:00:5e:00:02:09")
    with pytest.raises(MacTakenError):
        world.group(network, port, vrid6=9)


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
    records, counts = world.store.drops.of(None)
    assert {record.port_id for record in records} == {port.id for port in made[1:]}
    assert len(records) == 3 * drops.RECORDS
    assert max(record.at for record in records) == 249
    assert [count.frames for count in counts] == [250] * 3
    with world.store.read() as snapshot:
        assert len(ports.read(snapshot, ports.ports.c.host == "h1")) == 4


def test_only_one_file_knows_which_database_this_is() -> None:
    """PostgreSQL comes later; nothing but the opening may have to change."""
    room = Path(store_room.__file__).parent
    knowing = {path.name for path in room.rglob("*.py") if "pragma" in path.read_text().lower()} | {
        path.name for path in room.rglob("*.py") if "sqlalchemy.dialects" in path.read_text()
    }
    assert knowing == {"sqlite.py"}
    for table in metadata.sorted_tables:
        for dialect in (postgresql.dialect(), sqlite.dialect()):
            assert str(CreateTable(table).compile(dialect=dialect))
