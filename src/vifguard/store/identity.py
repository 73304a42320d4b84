"""Whether a MAC or a prefix that a port wants is another project's on the same network.

Within one project two ports may list the same prefix or MAC (a virtual address that moves
between them); across projects nobody lists what another has.
"""

from __future__ import annotations

from sqlalchemy import bindparam, exists, or_, select

from vifguard.model.address import IPNetwork, Mac
from vifguard.model.ip_group import IpGroup
from vifguard.model.port import Port
from vifguard.store import addresses
from vifguard.store.errors import AddressTakenError, MacTakenError
from vifguard.store.rows import key
from vifguard.store.tables import address_pairs, ip_groups, ports
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
_STRANGER_LISTS = (
    select(address_pairs.c.port_id)
    .where(_LISTS, address_pairs.c.project_id != bindparam("project_id"))
    .limit(1)
)


def require_free(change: Change, port: Port) -> None:
    """Raise MacTakenError or AddressTakenError where the port wants what is another's."""
    _require_mac_unlisted(change, port, port.mac)
    for pair in port.address_pairs:
        _require_prefix_free(change, port, pair.prefix)
        if pair.mac is not None and pair.mac != port.mac:
            _require_mac_unlisted(change, port, pair.mac)
            _require_no_stranger(change, port.network_id, port.project_id, pair.mac)


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


def _require_mac_unlisted(change: Change, port: Port, mac: Mac) -> None:
    vrid = _VRRP.get(mac.octets[:5])
    if vrid is not None:
        groups = select(ip_groups.c.id).where(
            ip_groups.c.network_id == port.network_id, vrid == mac.octets[5]
        )
        if change.connection.scalar(select(exists(groups))):
            raise mac_taken(mac, port.network_id)
    here = {
        "network_id": port.network_id,
        "mac": mac.octets,
        "project_id": port.project_id,
    }
    if change.connection.execute(_STRANGER_LISTS, here).first():
        raise mac_taken(mac, port.network_id)


def _require_no_stranger(change: Change, network_id: str, project_id: str, mac: Mac) -> None:
    strangers = select(ports.c.id).where(
        ports.c.network_id == network_id,
        ports.c.mac == mac.octets,
        ports.c.project_id != project_id,
    )
    if change.connection.scalar(select(exists(strangers))):
        raise mac_taken(mac, network_id)


def _require_prefix_free(change: Change, port: Port, prefix: IPNetwork) -> None:
    here = (port.network_id, port.project_id, prefix)
    others = (
        addresses.taken_within(change, *here)
        or addresses.covering_pair(change, *here)
        or _pair_within(change, port, prefix)
    )
    if others:
        raise AddressTakenError(
            f"Address pair {prefix} overlaps {others}, which is another project's on network "
            f"{port.network_id}."
        )


def _pair_within(change: Change, port: Port, prefix: IPNetwork) -> str | None:
    found = change.connection.scalar(
        select(address_pairs.c.port_id)
        .where(
            address_pairs.c.network_id == port.network_id,
            address_pairs.c.first.between(key(prefix[0]), key(prefix[-1])),
            address_pairs.c.project_id != port.project_id,
        )
        .limit(1)
    )
    return None if found is None else f"a pair of port {found}"
