"""The wiring of hosts that is no port's; above all, addresses that hosts themselves have."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
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

_MOST_LOGGED: Final = 10

_Place = tuple[str, str]
"""A physical network, and an address there as text."""


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
_THIS_HOST: ColumnElement[Any] = bindparam("this_host")
_STORED = Statement(select(hosts.c.wiring).where(hosts.c.name == _THIS_HOST))
_COUNTED = Statement(
    select(host_addresses.c.physical, host_addresses.c.address).where(
        host_addresses.c.host == _THIS_HOST
    )
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
    group's: a host that somebody took must not take every address of a network with it. Others
    are logged where the report before did not have them.
    """
    ignored_before = _stored_addresses(change, host) - _counted(change, host)
    encoded = encode(wiring)
    change.connection.execute(update(hosts).where(hosts.c.name == host).values(wiring=encoded))
    change.connection.execute(delete(host_addresses).where(host_addresses.c.host == host))
    reported: dict[str, dict[IPAddress, None]] = {}
    for bridge in wiring.bridges:
        reported.setdefault(bridge.physical, {}).update(dict.fromkeys(bridge.addresses))
    believed = [
        {"host": host, "physical": physical, "address": key(address)}
        for physical, addresses in reported.items()
        for address in islice(addresses, MOST_ADDRESSES)
    ]
    owners: dict[_Place, str] = {}
    if believed:
        change.connection.execute(insert(host_addresses), believed)
        owners = _drop_taken(change, host)
    counted = _counted(change, host)
    every = [(physical, str(each)) for physical, found in reported.items() for each in found]
    ignored = [*owners, *(each for each in every if each not in counted and each not in owners)]
    if not ignored_before.issuperset(ignored):
        _log_ignored(host, ignored, owners)


def _stored_addresses(snapshot: Snapshot, host: str) -> set[_Place]:
    """All addresses of the stored report of a host."""
    found = snapshot.rows(_STORED, {"this_host": host})
    bridges = [bridge for row in found for bridge in (row.wiring or {}).get("bridges", ())]
    return {(bridge["physical"], each) for bridge in bridges for each in bridge["addresses"]}


def _counted(snapshot: Snapshot, host: str) -> set[_Place]:
    """The addresses that count as a host's own."""
    rows = snapshot.rows(_COUNTED, {"this_host": host})
    return {(row.physical, str(address_of(row.address))) for row in rows}


def _drop_taken(change: WriteTransaction, host: str) -> dict[_Place, str]:
    """Leave addresses that have another owner to it; returns the owners' ids."""
    taken = change.rows(_TAKEN, {"this_host": host})
    if taken:
        these = {(row.physical, row.address) for row in taken}
        names = ("this_host", "this_physical", "this_address")
        change.write(_DELETE, [dict(zip(names, (host, *each), strict=True)) for each in these])
    return {(row.physical, str(address_of(row.address))): row.owner for row in taken}


def _log_ignored(host: str, ignored: Sequence[_Place], owners: Mapping[_Place, str]) -> None:
    """Log addresses that do not count, with the ports and IP groups that keep theirs."""
    named = [
        f"{place[1]} of {owners[place]}" if place in owners else place[1]
        for place in ignored[:_MOST_LOGGED]
    ]
    more = len(ignored) - len(named)
    _LOG.warning(
        "host %s itself has %d addresses that do not count, being a port's or an IP group's or "
        "beyond %d on a physical network: %s%s",
        host,
        len(ignored),
        MOST_ADDRESSES,
        ", ".join(named),
        f" and {more} more" if more else "",
    )
