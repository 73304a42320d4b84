"""What goes to the driver as it is means what SQLAlchemy would have made of it."""

from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import bindparam, insert, select, update
from sqlalchemy.exc import IntegrityError
from tests.store.world import World

from vifguard.feed.messages import HostReport, Report
from vifguard.model.guard import Role
from vifguard.model.policy import Storm
from vifguard.store.database.statements import Statement, in_list
from vifguard.store.schema import tables
from vifguard.store.transaction import WriteTransaction

_NAMED = Statement(select(tables.networks.c.name).where(in_list(tables.networks.c.name, "names")))
_RENAME = Statement(update(tables.networks).where(tables.networks.c.name == bindparam("before")))
_TAGGED = Statement(insert(tables.subnet_pools))
_POOLS = Statement(select(tables.subnet_pools).order_by(tables.subnet_pools.c.id))


def full(world: World) -> None:
    """Rows with a value of each kind, and with none."""
    about = HostReport("6.1", "ebpf", frozenset({"tcx", "groups"}), (), ("netdev",), isolation=True)
    world.store.record_report(Report("h1", about=about))
    network = world.network(zone_hints=("here",))
    world.subnet(network, "10.0.0.0/24")
    group = world.security_group()
    roles = frozenset({Role.DHCP_SERVER})
    world.port(network, security_groups=frozenset({group.id}), roles=roles, storm=Storm(10, 20))
    world.port(network, name="'\"%s :x\\ é")


@pytest.mark.parametrize("table", tables.metadata.sorted_tables, ids=lambda table: table.name)
def test_rows_are_as_sqlalchemy_reads_them(world: World, table: Any) -> None:
    full(world)
    statement = select(table).order_by(*table.primary_key.columns)
    with world.store.read() as snapshot:
        rows = [tuple(row) for row in snapshot.connection.execute(statement)]
        found = snapshot.rows(Statement(statement), {})
        assert [tuple(row) for row in found] == rows
        assert all(row._fields == tuple(table.columns.keys()) for row in found)
        kinds = [[type(value) for value in row] for row in rows]
        assert [[type(value) for value in row] for row in found] == kinds


@pytest.mark.parametrize("tags", [None, [], ["a", "b"]], ids=str)
def test_what_is_written_is_read_again(world: World, tags: list[str] | None) -> None:
    row = {
        "id": "x",
        "project_id": "p1",
        "name": "%(name)s '; --",
        "description": "",
        "prefixes": ["10.0.0.0/8"],
        "version": 4,
        "shortest": 8,
        "longest": 32,
        "usual": 24,
        "quota": None,
        "is_default": False,
        "revision_number": 0,
        "created_at": 2**40,
        "updated_at": 2**40,
        "tags": tags,
    }
    with world.store.change() as change:
        change.write(_TAGGED, [row, row | {"id": "y", "is_default": True}])
    with world.store.read() as snapshot:
        one, other = snapshot.rows(_POOLS, {})
        assert one._asdict() == row
        assert (other.id, other.is_default) == ("y", True)


@pytest.mark.parametrize("count", [0, 1, 2, 40_000])
def test_a_column_is_among_any_number_of_texts(world: World, count: int) -> None:
    names = ["", "a'b", '"[]{},\\', "é", *(f"n{number}" for number in range(count))]
    for name in names[:5]:
        world.network(name=name)
    with world.store.read() as snapshot:
        for some in (names, names[:count], names[1:4]):
            found = {row.name for row in snapshot.rows(_NAMED, {"names": some})}
            assert found == set(some) & set(names[:5])


def test_who_asks_after_a_write_hears_of_it(world: World) -> None:
    world.network(name="one")
    with world.store.change() as change:
        with change.batch() as batch:
            before = batch.queue(_NAMED, {"names": ["one", "two"]}, _names)
            change.write(_RENAME, {"before": "one", "name": "two"})
            after = batch.queue(_NAMED, {"names": ["one", "two"]}, _names)
            with pytest.raises(RuntimeError, match="within its batch"):
                before.result()
        assert after.result() == ["two"]
        assert before.result() == ["one"]


def test_nothing_is_written_where_a_statement_fails(world: World) -> None:
    network = world.network(name="one")
    values = {"network_id": network.id, "address": b"\4\1\1\1\1", "subnet_id": "none"}
    row = values | {"project_id": "p1", "port_id": None, "group_id": None, "position": 0}

    def write() -> None:
        with world.store.change() as change:
            change.write(_RENAME, {"before": "one", "name": "two"})
            change.write(Statement(insert(tables.allocations)), [row, row])
            change.write(_RENAME, {"before": "two", "name": "three"})

    with pytest.raises(IntegrityError):
        write()
    with world.store.read() as snapshot:
        assert _names(snapshot.rows(_NAMED, {"names": ["one", "two", "three"]})) == ["one"]
    assert world.network(name="four").name == "four"  # and the store goes on


def test_a_new_port_is_two_ways_to_the_database(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    full(world)
    network = world.network()
    world.subnet(network, "10.0.0.0/24")
    world.subnet(network, "fd00::/64")
    sent: list[int] = []
    send = WriteTransaction.flush

    def counting(change: WriteTransaction, *last: Any) -> None:
        sent.append(len(change._queued))
        send(change, *last)

    monkeypatch.setattr(WriteTransaction, "flush", counting)
    world.port(network, security_groups=frozenset())
    # Three by the test itself, for the network, the subnets and the hosts.
    assert len(sent) == 3 + 2, sent


def _names(rows: Sequence[Any]) -> list[str]:
    return [row.name for row in rows]
