"""Availability: the number of addresses in the pools of subnets, and of those taken."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import ColumnElement, func, select

from vifguard.model.network import Network, Subnet
from vifguard.store.errors import MissingError
from vifguard.store.nouns import networks, subnets
from vifguard.store.schema.tables import allocations
from vifguard.store.schema.tables import networks as network_table
from vifguard.store.schema.tables import subnets as subnet_table
from vifguard.store.transaction import Snapshot

_USED = select(allocations.c.subnet_id, func.count().label("used")).group_by(
    allocations.c.subnet_id
)


@dataclass(frozen=True, slots=True)
class Availability:
    """The number of addresses of a subnet: those in its pools, and those taken."""

    subnet: Subnet
    total: int
    used: int


def get(snapshot: Snapshot, network_id: str) -> tuple[Network, list[Availability]]:
    """One network and its subnets; raises MissingError."""
    for found in read(snapshot, network_table.c.id == network_id):
        return found
    raise MissingError("network", network_id)


def read(
    snapshot: Snapshot, which: ColumnElement[bool]
) -> list[tuple[Network, list[Availability]]]:
    """The networks that a condition on their table selects, and the subnets of each.

    All in the order they were made.
    """
    on = subnet_table.c.network_id.in_(select(network_table.c.id).where(which))
    taken = allocations.c.subnet_id.in_(select(subnet_table.c.id).where(on))
    rows = snapshot.connection.execute(_USED.where(taken))
    used = {row.subnet_id: row.used for row in rows}
    found: dict[str, list[Availability]] = {}
    for stored in subnets.read(snapshot, on):
        subnet = stored.subnet
        total = sum(int(pool.end) - int(pool.start) + 1 for pool in subnet.pools)
        each = Availability(subnet, total, used.get(subnet.id, 0))
        found.setdefault(subnet.network_id, []).append(each)
    return [
        (each.network, found.get(each.network.id, [])) for each in networks.read(snapshot, which)
    ]
