"""Whether a MAC or a prefix that a port wants is another project's on the same network.

Within one project two ports may list the same prefix or MAC (a virtual address that moves
between them); across projects nobody lists what another has.
"""

from __future__ import annotations

from sqlalchemy import LargeBinary, String, bindparam, exists, or_, select

from vifguard.model.address import IPNetwork, Mac
from vifguard.model.ip_group import IpGroup
from vifguard.model.port import Port
from vifguard.store import addresses
from vifguard.store.errors import AddressTakenError, MacTakenError
from vifguard.store.rows import Record, address_of, key
from vifguard.store.tables import address_pairs, allocations, ip_groups, ports
from vifguard.store.transaction import Change, Snapshot

_VRRP = {
    bytes.fromhex("00005e0001"): ip_groups.c.vrid4,
    bytes.fromhex("00005e0002"): ip_groups.c.vrid6,
}

_HAS = (ports.c.network_id == bindparam("network_id")) & (ports.c.mac == bindparam("mac"))
_LISTS = (address_pairs.c.network_id == bindparam("network_id")) & (
    address_pairs.c.mac == bindparam("mac")
)
_KNOWN = select(
    or_(exists(select(ports.c.id).where(_HAS)), exists(select(address_pairs.c.mac).where(_LISTS)))
)
_PROJECT = bindparam("project_id", type_=String)
_WHO_HAS_MAC = select(
    exists(select(ports.c.id).where(_HAS, ports.c.id != bindparam("port_id"))).label("one"),
    exists(select(ports.c.id).where(_HAS, ports.c.project_id != _PROJECT)).label("stranger"),
    exists(
        select(address_pairs.c.port_id).where(_LISTS, address_pairs.c.project_id != _PROJECT)
    ).label("listed"),
)
_WITHIN = (
    bindparam("lowest", type_=LargeBinary),
    bindparam("highest", type_=LargeBinary),
)
_WHO_HAS_PREFIX = select(
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


def require_mac(change: Change, port: Port) -> None:
    """Raise MacTakenError where the port's own MAC is another's, or another project lists it."""
    has = _who_has(change, port, port.mac)
    if has.one or has.listed:
        raise mac_taken(port.mac, port.network_id)


def require_pairs(change: Change, port: Port) -> None:
    """Raise MacTakenError or AddressTakenError where the port's pairs hold what is another's."""
    for pair in port.address_pairs:
        _require_prefix_free(change, port, pair.prefix)
        if pair.mac is not None and pair.mac != port.mac:
            has = _who_has(change, port, pair.mac)
            if has.stranger or has.listed:
                raise mac_taken(pair.mac, port.network_id)


def require_virtual_free(change: Change, group: IpGroup) -> None:
    """Raise MacTakenError where a port has, or lists, a virtual MAC of the group."""
    for mac in group.virtual_macs:
        if mac_known(change, group.network_id, mac):
            raise mac_taken(mac, group.network_id)


def mac_known(snapshot: Snapshot, network_id: str, mac: Mac) -> bool:
    """Whether any port of the network has the MAC or lists it."""
    here = {"network_id": network_id, "mac": mac.octets}
    return bool(snapshot.connection.scalar(_KNOWN, here))


def mac_taken(mac: Mac, network_id: str) -> MacTakenError:
    """The refusal of a MAC that is in use."""
    return MacTakenError(
        f"Unable to complete operation for network {network_id}. The mac address {mac} is in use."
    )


def _who_has(change: Change, port: Port, mac: Mac) -> Record:
    """Who has a MAC; raises MacTakenError where it is the virtual one of an IP group."""
    vrid = _VRRP.get(mac.octets[:5])
    if vrid is not None:
        groups = select(ip_groups.c.id).where(
            ip_groups.c.network_id == port.network_id, vrid == mac.octets[5]
        )
        if change.connection.scalar(select(exists(groups))):
            raise mac_taken(mac, port.network_id)
    here = {
        "network_id": port.network_id,
        "project_id": port.project_id,
        "port_id": port.id,
        "mac": mac.octets,
    }
    return change.connection.execute(_WHO_HAS_MAC, here).one()


def _require_prefix_free(change: Change, port: Port, prefix: IPNetwork) -> None:
    here = {"network_id": port.network_id, "project_id": port.project_id}
    bounds = {"lowest": key(prefix[0]), "highest": key(prefix[-1])}
    row = change.connection.execute(_WHO_HAS_PREFIX, here | bounds).one()
    covering = row.foreign and addresses.covering_pair(
        change, port.network_id, port.project_id, prefix
    )
    others = (
        (row.taken and address_of(row.taken))
        or covering
        or (row.within and f"a pair of port {row.within}")
    )
    if others:
        raise AddressTakenError(
            f"Address pair {prefix} overlaps {others}, which is another project's on network "
            f"{port.network_id}."
        )
