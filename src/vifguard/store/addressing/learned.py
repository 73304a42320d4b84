"""Addresses that guests chose themselves: the port of each on its network, and its release."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv6Address

from sqlalchemy import ColumnElement, delete, insert, select, update

from vifguard.model.address import IPAddress, IPNetwork, Mac, host_prefix
from vifguard.model.learned import LearnedAddress
from vifguard.store.schema.mapping import address_of, key
from vifguard.store.schema.row_mapping import Record
from vifguard.store.schema.tables import learned_addresses, port_security_groups, ports
from vifguard.store.transaction import Snapshot, WriteTransaction
from vifguard.store.updates import address_sets

_T = learned_addresses.c


def of_port(snapshot: Snapshot, port_id: str) -> tuple[LearnedAddress, ...]:
    """The learned addresses of a port, in their order."""
    rows = snapshot.connection.execute(
        select(learned_addresses).where(_T.port_id == port_id).order_by(_T.address)
    )
    return tuple(_learned(row) for row in rows)


def port_with(snapshot: Snapshot, network_id: str, address: IPAddress) -> str | None:
    """The id of the port of a network that claimed an address."""
    found: str | None = snapshot.connection.scalar(
        select(_T.port_id).where(_T.network_id == network_id, _T.address == key(address))
    )
    return found


def add(change: WriteTransaction, port_id: str, network_id: str, learned: LearnedAddress) -> None:
    """Give a port an address that has no owner on the network."""
    row = {
        "network_id": network_id,
        "address": key(learned.address),
        "port_id": port_id,
        "mac": learned.mac.octets,
        "proven": learned.proven,
        "since": learned.since,
    }
    change.connection.execute(insert(learned_addresses).values(row))
    _journal_ports(change, {port_id})


def prove(change: WriteTransaction, port_id: str, address: IPAddress) -> None:
    """Make a tentative address of a port its own; do nothing where it has none such."""
    which = (_T.port_id == port_id) & (_T.address == key(address)) & ~_T.proven
    found = change.connection.execute(select(learned_addresses).where(which)).all()
    if found:
        change.connection.execute(update(learned_addresses).where(which).values(proven=True))
        _update_sets(change, found, added=True)
        _journal_ports(change, {port_id})


def release(change: WriteTransaction, network_id: str, prefix: IPNetwork) -> None:
    """Release the learned addresses of a network within this prefix."""
    if prefix.version == 6:
        within = _T.address.between(key(prefix[0]), key(prefix[-1]))
        _forget(change, (_T.network_id == network_id) & within)


def _forget(change: WriteTransaction, which: ColumnElement[bool]) -> None:
    found = change.connection.execute(select(learned_addresses).where(which)).all()
    if found:
        change.connection.execute(delete(learned_addresses).where(which))
        _update_sets(change, [row for row in found if row.proven], added=False)
        _journal_ports(change, {row.port_id for row in found})


def _update_sets(change: WriteTransaction, rows: Iterable[Record], *, added: bool) -> None:
    """Add proven addresses to the sets of their ports' security groups, or remove them."""
    for row in rows:
        address = address_of(row.address)
        if address.is_link_local:
            continue
        groups = change.connection.scalars(
            select(port_security_groups.c.group_id)
            .join(ports, ports.c.id == port_security_groups.c.port_id)
            .where(ports.c.id == row.port_id, ports.c.port_security_enabled)
        )
        moved = frozenset((group, host_prefix(address)) for group in groups)
        before, after = (frozenset(), moved) if added else (moved, frozenset())
        address_sets.update_contribution(change, row.port_id, before, after)


def _journal_ports(change: WriteTransaction, port_ids: set[str]) -> None:
    """Journal the ports, without a new policy revision.

    So a port does not count as DOWN until its host has the address that its own guest chose.
    """
    these = ports.c.id.in_(sorted(port_ids))
    change.connection.execute(update(ports).where(these).values(updated_at=change.timestamp))
    for row in change.connection.execute(select(ports.c.id, ports.c.host).where(these)).all():
        change.journal_port(row.id, (row.host,))
        change.allocate_revision()


def _learned(row: Record) -> LearnedAddress:
    address = IPv6Address(row.address[1:])
    return LearnedAddress(address, Mac(row.mac), bool(row.proven), row.since)
