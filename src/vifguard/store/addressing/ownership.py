"""Ownership of MACs and prefixes: none is two projects' on the same network.

Within one project two ports may list the same prefix or MAC (a virtual address that moves
between them); across projects no port lists a prefix or MAC that another has.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable

from sqlalchemy import LargeBinary, String, bindparam, exists, or_, select

from vifguard.model.address import BASE_MAC, IPNetwork, Mac
from vifguard.model.ip_group import IpGroup
from vifguard.model.port import Port
from vifguard.store.addressing import addresses
from vifguard.store.batch import Batch, Pending
from vifguard.store.database.statements import Statement
from vifguard.store.errors import AddressTakenError, ConflictError, MacTakenError
from vifguard.store.schema.mapping import address_of, key
from vifguard.store.schema.row_mapping import Record, Values
from vifguard.store.schema.tables import address_pairs, allocations, ip_groups, ports
from vifguard.store.transaction import Snapshot, WriteTransaction

_HAS_VRID4, _HAS_VRID6 = (
    column == bindparam("vrid") for column in (ip_groups.c.vrid4, ip_groups.c.vrid6)
)
_VRRP = {
    bytes.fromhex(octets): Statement(
        select(ip_groups.c.id).where(ip_groups.c.network_id == bindparam("network_id"), has_mac)
    )
    for octets, has_mac in (
        ("00005e0001", or_(_HAS_VRID4, _HAS_VRID6)),
        ("00005e0002", _HAS_VRID6),
    )
}

_HAS = (ports.c.network_id == bindparam("network_id")) & (ports.c.mac == bindparam("mac"))
_LISTS = (address_pairs.c.network_id == bindparam("network_id")) & (
    address_pairs.c.mac == bindparam("mac")
)
_KNOWN = Statement(
    select(
        or_(
            exists(select(ports.c.id).where(_HAS)),
            exists(select(address_pairs.c.mac).where(_LISTS)),
        ).label("known")
    )
)
_PROJECT = bindparam("project_id", type_=String)
_WHO_HAS_MAC = Statement(
    select(
        exists(select(ports.c.id).where(_HAS, ports.c.id != bindparam("port_id"))).label("one"),
        exists(select(ports.c.id).where(_HAS, ports.c.project_id != _PROJECT)).label("stranger"),
        exists(
            select(address_pairs.c.port_id).where(_LISTS, address_pairs.c.project_id != _PROJECT)
        ).label("listed"),
    )
)
_WITHIN = (
    bindparam("lowest", type_=LargeBinary),
    bindparam("highest", type_=LargeBinary),
)
_WHO_HAS_PREFIX = Statement(
    select(
        select(allocations.c.address)
        .where(
            allocations.c.network_id == bindparam("network_id"),
            allocations.c.address.between(*_WITHIN),
            allocations.c.project_id != _PROJECT,
        )
        .limit(1)
        .scalar_subquery()
        .label("taken"),
        select(address_pairs.c.port_id)
        .where(
            address_pairs.c.network_id == bindparam("network_id"),
            address_pairs.c.first.between(*_WITHIN),
            address_pairs.c.project_id != _PROJECT,
        )
        .limit(1)
        .scalar_subquery()
        .label("within"),
        addresses.ANY_FOREIGN_PAIR.label("foreign"),
    )
)


def generate(change: WriteTransaction) -> Mac:
    """A MAC for a port whose owner names none."""
    return Mac(change.base_mac + secrets.token_bytes(6 - len(change.base_mac)))


def free(change: WriteTransaction, network_id: str) -> Mac:
    """A MAC such as `generate` chooses, which no port of a network has or lists."""
    while True:
        mac = generate(change)
        if not is_known(change, network_id, mac):
            return mac


def is_generated(change: WriteTransaction, mac: Mac) -> bool:
    """Whether a MAC is such as `generate` chooses, or chose before an operator said otherwise."""
    return mac.octets.startswith((change.base_mac, BASE_MAC))


def check_mac(batch: Batch, port: Port) -> Pending[None]:
    """Ask whether another has or lists the port's own MAC: the result raises MacTakenError."""
    return _check_mac(batch, port, port.mac, lambda has: has.one or has.listed)


def check_pairs(batch: Batch, port: Port) -> list[Pending[None]]:
    """Ask whether a pair holds another's: results raise MacTakenError, AddressTakenError."""
    asked = [_check_prefix(batch, port, pair.prefix) for pair in port.address_pairs]
    macs = [pair.mac for pair in port.address_pairs if pair.mac not in (None, port.mac)]
    return asked + [
        _check_mac(batch, port, mac, lambda has: has.stranger or has.listed)
        for mac in macs
        if mac is not None
    ]


def require_vrids_free(change: WriteTransaction, group: IpGroup) -> None:
    """Raise ConflictError where a group of another project has one of the ids, in any family.

    The virtual MAC of an id is that of IPv4 in CARP, whichever family: two groups of one id
    would share it.
    """
    ids = [vrid for vrid in (group.vrid4, group.vrid6) if vrid is not None]
    others = select(ip_groups.c.id).where(
        ip_groups.c.network_id == group.network_id,
        ip_groups.c.project_id != group.project_id,
        or_(ip_groups.c.vrid4.in_(ids), ip_groups.c.vrid6.in_(ids)),
    )
    if ids and change.connection.execute(others).first() is not None:
        raise vrid_taken(group)


def vrid_taken(group: IpGroup) -> ConflictError:
    """The error for a router id in use; it does not name the owner."""
    wanted = (("vrid4", group.vrid4), ("vrid6", group.vrid6))
    ids = " or ".join(f"{name} {vrid}" for name, vrid in wanted if vrid is not None)
    return ConflictError(
        f"{ids} is in use on network {group.network_id}; choose another id from 1 to 255."
    )


def require_virtual_free(change: WriteTransaction, group: IpGroup) -> None:
    """Raise MacTakenError where a port has, or lists, a virtual MAC of the group."""
    for mac in group.virtual_macs:
        if is_known(change, group.network_id, mac):
            raise mac_taken(mac, group.network_id)


def queue_known(batch: Batch, network_id: str, mac: Mac) -> Pending[bool]:
    """Ask whether any port of the network has the MAC or lists it."""
    return batch.queue(_KNOWN, _mac_on(network_id, mac), lambda rows: bool(rows[0].known))


def is_known(snapshot: Snapshot, network_id: str, mac: Mac) -> bool:
    """Whether any port of the network has the MAC or lists it."""
    return bool(snapshot.rows(_KNOWN, _mac_on(network_id, mac))[0].known)


def _mac_on(network_id: str, mac: Mac) -> Values:
    return {"network_id": network_id, "mac": mac.octets}


def mac_taken(mac: Mac, network_id: str) -> MacTakenError:
    """The error for a MAC that is in use."""
    return MacTakenError(
        f"Unable to complete operation for network {network_id}. The mac address {mac} is in use."
    )


def _check_mac(
    batch: Batch, port: Port, mac: Mac, is_refused: Callable[[Record], bool]
) -> Pending[None]:
    virtual = _VRRP.get(mac.octets[:5])
    vrid = {"network_id": port.network_id, "vrid": mac.octets[5]}
    groups = batch.queue(virtual, vrid, list) if virtual else None
    owner = {"project_id": port.project_id, "port_id": port.id}
    has = batch.queue(_WHO_HAS_MAC, _mac_on(port.network_id, mac) | owner, lambda rows: rows[0])

    def decide(row: Record) -> None:
        # The virtual MAC of an IP group is no port's own.
        if (groups and groups.result()) or is_refused(row):
            raise mac_taken(mac, port.network_id)

    return has.then(decide)


def _check_prefix(batch: Batch, port: Port, prefix: IPNetwork) -> Pending[None]:
    owner = {"network_id": port.network_id, "project_id": port.project_id}
    bounds = {"lowest": key(prefix[0]), "highest": key(prefix[-1])}

    def decide(row: Record) -> None:
        covering = row.foreign and addresses.covering_pair(
            batch.snapshot, port.network_id, port.project_id, prefix
        )
        others = (
            (row.taken and address_of(row.taken)) or covering or (row.within and "an address pair")
        )
        if others:
            raise AddressTakenError(
                f"Address pair {prefix} overlaps {others}, which is another project's on network "
                f"{port.network_id}."
            )

    return batch.queue(_WHO_HAS_PREFIX, owner | bounds, lambda rows: rows[0]).then(decide)
