"""The wiring of hosts that is no port's; above all, addresses that hosts themselves have."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from itertools import islice
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Select,
    Table,
    bindparam,
    delete,
    exists,
    func,
    insert,
    select,
    update,
)

from vifguard.feed.codec import encode
from vifguard.feed.messages import WiringReport
from vifguard.model.address import IPAddress
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
MOST_ADDRESSES: Final = 16
"""Addresses of a host itself that are believed, on each physical network."""


def _taken_in(owned: Table, owner: ColumnElement[Any]) -> Select[Any]:
    """A host's addresses that a table has as others': physical network, address, owner's id."""
    return (
        select(host_addresses.c.physical, host_addresses.c.address, owner)
        .join(networks, networks.c.physical == host_addresses.c.physical)
        .join(
            owned,
            (owned.c.network_id == networks.c.id) & (owned.c.address == host_addresses.c.address),
        )
        .where(host_addresses.c.host == bindparam("this_host"))
    )


_TAKEN = Statement(
    _taken_in(
        allocations, func.coalesce(allocations.c.port_id, allocations.c.group_id).label("owner")
    ).union(_taken_in(learned_addresses, learned_addresses.c.port_id.label("owner")))
)
_DELETE = Statement(
    delete(host_addresses).where(
        host_addresses.c.host == bindparam("this_host"),
        host_addresses.c.physical == bindparam("this_physical"),
        host_addresses.c.address == bindparam("this_address"),
    )
)


def host_with(snapshot: Snapshot, network_id: str, address: IPAddress) -> str:
    """The host that has an address on a network itself; empty where none has it."""
    here = {"network_id": network_id, "this_address": key(address)}
    return next((row.host for row in snapshot.rows(_WHO, here)), "")


def write(change: WriteTransaction, host: str, wiring: WiringReport) -> None:
    """Store a host's report of its wiring; it replaces the one before.

    Of the addresses that it has itself so many are believed, and none that is a port's or an IP
    group's: a host that somebody took must not take every address of a network with it.
    """
    values = {"wiring": encode(wiring)}
    change.connection.execute(update(hosts).where(hosts.c.name == host).values(values))
    change.connection.execute(delete(host_addresses).where(host_addresses.c.host == host))
    reported: dict[str, dict[bytes, None]] = {}
    for bridge in wiring.bridges:
        addresses = dict.fromkeys(map(key, bridge.addresses))
        reported.setdefault(bridge.physical, {}).update(addresses)
    rows = [
        {"host": host, "physical": physical, "address": address}
        for physical, addresses in sorted(reported.items())
        for address in islice(addresses, MOST_ADDRESSES)
    ]
    if rows:
        change.connection.execute(insert(host_addresses), rows)
        _drop_taken(change, host)
    for physical, addresses in sorted(reported.items()):
        if len(addresses) > MOST_ADDRESSES:
            _LOG.warning(
                "host %s itself has %d addresses on the physical network %s; %d count, not: %s",
                host,
                len(addresses),
                physical,
                MOST_ADDRESSES,
                _listed(islice(addresses, MOST_ADDRESSES, None)),
            )


def _drop_taken(change: WriteTransaction, host: str) -> None:
    """Leave addresses that have another owner to it, and log them."""
    taken = change.rows(_TAKEN, {"this_host": host})
    if taken:
        these = {(row.physical, row.address) for row in taken}
        names = ("this_host", "this_physical", "this_address")
        change.write(_DELETE, [dict(zip(names, (host, *each), strict=True)) for each in these])
        _LOG.warning(
            "host %s itself has addresses of ports and IP groups, which keep them: %s",
            host,
            ", ".join(f"{address_of(row.address)} of {row.owner}" for row in taken),
        )


def _listed(addresses: Iterable[bytes]) -> str:
    return ", ".join(str(address_of(each)) for each in addresses)
