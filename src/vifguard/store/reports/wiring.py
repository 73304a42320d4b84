"""The wiring of hosts that is no port's; above all, addresses that hosts themselves have."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from sqlalchemy import ColumnElement, bindparam, delete, exists, insert, select, update

from vifguard.feed.codec import encode
from vifguard.feed.messages import WiringReport
from vifguard.model.address import IPAddress, host_prefix
from vifguard.store.addressing import learned
from vifguard.store.database.statements import Statement
from vifguard.store.schema.mapping import address_of, key
from vifguard.store.schema.tables import (
    allocations,
    host_addresses,
    hosts,
    learned_addresses,
    networks,
)
from vifguard.store.transaction import Snapshot, WriteTransaction

_LOG = logging.getLogger(__name__)

_ON_NETWORK = (
    select(host_addresses.c.host)
    .join(networks, networks.c.physical == host_addresses.c.physical)
    .where(networks.c.id == bindparam("network_id"))
)
ANY: ColumnElement[bool] = exists(_ON_NETWORK)
"""Whether hosts themselves have addresses on the network `network_id`."""

_WHO = Statement(_ON_NETWORK.where(host_addresses.c.address == bindparam("this_address")).limit(1))
_TAKEN = (
    select(allocations.c.address, allocations.c.port_id, allocations.c.group_id)
    .join(networks, networks.c.id == allocations.c.network_id)
    .join(
        host_addresses,
        (host_addresses.c.physical == networks.c.physical)
        & (host_addresses.c.address == allocations.c.address),
    )
    .where(host_addresses.c.host == bindparam("host"))
)
_LEARNED = (
    select(learned_addresses.c.network_id, learned_addresses.c.address)
    .join(networks, networks.c.id == learned_addresses.c.network_id)
    .join(
        host_addresses,
        (host_addresses.c.physical == networks.c.physical)
        & (host_addresses.c.address == learned_addresses.c.address),
    )
    .where(host_addresses.c.host == bindparam("host"))
)


def host_with(snapshot: Snapshot, network_id: str, address: IPAddress) -> str:
    """The host that has an address on a network itself; empty where none has it."""
    here = {"network_id": network_id, "this_address": key(address)}
    return next((row.host for row in snapshot.rows(_WHO, here)), "")


def write(change: WriteTransaction, host: str, wiring: WiringReport) -> None:
    """Store a host's report of its wiring; it replaces the one before.

    Learned addresses that the host itself has are released.
    """
    values = {"wiring": encode(wiring)}
    change.connection.execute(update(hosts).where(hosts.c.name == host).values(values))
    change.connection.execute(delete(host_addresses).where(host_addresses.c.host == host))
    rows = {
        (bridge.physical, key(address)) for bridge in wiring.bridges for address in bridge.addresses
    }
    if rows:
        change.connection.execute(insert(host_addresses), list(_rows(host, rows)))
        for row in change.connection.execute(_LEARNED, {"host": host}).all():
            learned.release(change, row.network_id, host_prefix(address_of(row.address)))
        _warn(change, host)


def _rows(host: str, found: Iterable[tuple[str, bytes]]) -> Iterable[dict[str, object]]:
    for physical, address in sorted(found):
        yield {"host": host, "physical": physical, "address": address}


def _warn(change: WriteTransaction, host: str) -> None:
    """Log the addresses that were allocated before the host reported them as its own."""
    for row in change.connection.execute(_TAKEN, {"host": host}):
        whose = f"port {row.port_id}" if row.port_id else f"IP group {row.group_id}"
        _LOG.warning(
            "host %s itself has the address %s, which %s has: give that one another",
            host,
            address_of(row.address),
            whose,
        )
