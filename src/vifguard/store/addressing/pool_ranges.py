"""Free ranges of a subnet's pools: cut where an address is taken, joined where it is free."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import and_, bindparam, delete, insert, select, union, update

from vifguard.model.address import IPAddress
from vifguard.model.network import Subnet
from vifguard.store.batch import Batch, Pending
from vifguard.store.database.statements import Statement
from vifguard.store.schema.mapping import key, next_key
from vifguard.store.schema.row_mapping import Record, Values
from vifguard.store.schema.tables import allocations, free_ranges
from vifguard.store.schema.tables import resting as resting_table
from vifguard.store.transaction import WriteTransaction

_RANGE = and_(
    free_ranges.c.subnet_id == bindparam("of_subnet"),
    free_ranges.c.first == bindparam("from_address"),
)
_REMOVE = Statement(delete(free_ranges).where(_RANGE))
_CUT = Statement(update(free_ranges).where(_RANGE))
_ADD = Statement(insert(free_ranges))
_NEIGHBOURING = Statement(
    select(free_ranges.c.first, free_ranges.c.last)
    .where(
        free_ranges.c.subnet_id == bindparam("subnet_id"),
        free_ranges.c.first <= bindparam("beyond"),
    )
    .order_by(free_ranges.c.first.desc())
    .limit(2)
)


def open_pools(change: WriteTransaction, subnet: Subnet) -> None:
    """Write the free ranges of the pools, without the taken addresses."""
    change.connection.execute(delete(free_ranges).where(free_ranges.c.subnet_id == subnet.id))
    rows = [
        {"subnet_id": subnet.id, "first": first, "last": last}
        for pool in subnet.pools
        for first, last in _without_taken(change, subnet, key(pool.start), key(pool.end))
    ]
    if rows:
        change.connection.execute(insert(free_ranges), rows)


def cut(
    change: WriteTransaction, subnet_id: str, first: bytes, last: bytes, address: bytes
) -> None:
    """Take an address out of the free range from `first` to `last`; all are keys."""
    whole = {"of_subnet": subnet_id, "from_address": first}
    if first == address == last:
        change.write(_REMOVE, whole)
    elif first == address:
        change.write(_CUT, whole | {"first": next_key(address)})
    else:
        change.write(_CUT, whole | {"last": next_key(address, -1)})
        if address < last:
            rest = {"subnet_id": subnet_id, "first": next_key(address), "last": last}
            change.write(_ADD, rest)


def is_pooled(subnet: Subnet, address: IPAddress) -> bool:
    """Whether an address is in a pool of its subnet, and so free once nobody has it."""
    return any(key(pool.start) <= key(address) <= key(pool.end) for pool in subnet.pools)


def queue_beside(batch: Batch, subnet: Subnet, address: IPAddress) -> Pending[list[Record]]:
    """Queue reading the free ranges beside an address."""
    return batch.queue(_NEIGHBOURING, _beside(subnet, address), list)


def give_back(change: WriteTransaction, subnet: Subnet, address: IPAddress) -> None:
    """Make an address free, where it is in a pool."""
    if is_pooled(subnet, address):
        join(change, subnet, address, change.rows(_NEIGHBOURING, _beside(subnet, address)))


def join(
    change: WriteTransaction, subnet: Subnet, address: IPAddress, near: Iterable[Record]
) -> None:
    """Make an address free, and one range of it and the free ranges beside it."""
    freed = key(address)
    before, after = next_key(freed, -1), next_key(freed)
    beside = [row for row in near if row.first == after or row.last == before]
    for row in beside:
        change.write(_REMOVE, {"of_subnet": subnet.id, "from_address": row.first})
    first = min([freed, *(row.first for row in beside)])
    last = max([freed, *(row.last for row in beside)])
    change.write(_ADD, {"subnet_id": subnet.id, "first": first, "last": last})


def _beside(subnet: Subnet, address: IPAddress) -> Values:
    return {"subnet_id": subnet.id, "beyond": next_key(key(address))}


def _without_taken(
    change: WriteTransaction, subnet: Subnet, first: bytes, last: bytes
) -> list[tuple[bytes, bytes]]:
    known = (
        select(each.c.address).where(
            each.c.subnet_id == subnet.id, each.c.address.between(first, last)
        )
        for each in (allocations, resting_table)
    )
    taken = sorted(change.connection.scalars(union(*known)))
    left = []
    for address in taken:
        if first < address:
            left.append((first, next_key(address, -1)))
        if address == last:
            return left
        first = next_key(address)
    return [*left, (first, last)]
