"""Rows <-> the frozen dataclasses of `model`. Nothing here reads or writes the database."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_network
from typing import Any, Final

from vifguard.model.address import IPAddress, IPNetwork, Mac
from vifguard.model.ip_group import IpGroup
from vifguard.model.learned import LearnedAddress
from vifguard.model.network import Network, Subnet
from vifguard.model.port import AddressPair, FixedIp, Port
from vifguard.model.security_group import AddressGroup, SecurityGroup
from vifguard.model.subnet_pool import SubnetPool
from vifguard.store.schema.row_mapping import Record, RowMapping, Values
from vifguard.store.stored_nouns import Stamp


class PrefixedRow:
    """The columns of a row that were read under a prefix, by their own names."""

    def __init__(self, row: Record, prefix: str) -> None:
        self._row = row
        self._prefix = prefix

    def __getattr__(self, name: str) -> Any:
        """The value of a column."""
        return getattr(self._row, self._prefix + name)


def key(address: IPAddress) -> bytes:
    """The key under which an address is kept: family, then the packed address."""
    return bytes((address.version,)) + address.packed


def address_of(stored: bytes) -> IPAddress:
    """The address of a key."""
    return IPv4Address(stored[1:]) if stored[0] == 4 else IPv6Address(stored[1:])


def next_key(stored: bytes, step: int = 1) -> bytes:
    """The key `step` addresses on; raises OverflowError beyond the last address."""
    number = int.from_bytes(stored[1:], "big") + step
    return stored[:1] + number.to_bytes(len(stored) - 1, "big")


_SPREAD = {"storm": "storm", "learned_limits": "learned"}

NETWORK: Final = RowMapping(Network, spread=_SPREAD)
SUBNET: Final = RowMapping(Subnet)
SUBNET_POOL: Final = RowMapping(SubnetPool)
PORT: Final = RowMapping(
    Port,
    elsewhere=frozenset({"fixed_ips", "address_pairs", "security_groups", "learned"}),
    spread={"storm": "storm"},
)
IP_GROUP: Final = RowMapping(IpGroup, elsewhere=frozenset({"addresses", "members"}))
SECURITY_GROUP: Final = RowMapping(SecurityGroup, elsewhere=frozenset({"is_default"}))
ADDRESS_GROUP: Final = RowMapping(AddressGroup, elsewhere=frozenset({"addresses"}))


def port_values(port: Port) -> Values:
    """The columns of a port, without its revision and stamp."""
    return PORT.values(port) | {"grouped": port.security_groups is not None}


def port_of(row: Record, groups: Iterable[str]) -> Port:
    """The port of a row that lists the addresses which other tables keep."""
    return PORT.read(
        row,
        fixed_ips=tuple(
            FixedIp(subnet_id, address_of(bytes.fromhex(address)))
            for _, subnet_id, address in sorted(row.fixed)
        ),
        address_pairs=tuple(_pair_of(*each) for _, *each in sorted(row.pairs)),
        security_groups=frozenset(groups) if row.grouped else None,
        learned=tuple(_learned_of(*each) for each in sorted(row.learned)) if row.learned else (),
    )


def pair_values(port: Port) -> list[Values]:
    """The rows of a port's address pairs."""
    return [
        {
            "port_id": port.id,
            "position": position,
            "network_id": port.network_id,
            "project_id": port.project_id,
            "first": key(pair.prefix.network_address),
            "length": pair.prefix.prefixlen,
            "mac": None if pair.mac is None else pair.mac.octets,
            "prefix_text": pair.prefix_text,
            "mac_text": pair.mac_text,
        }
        for position, pair in enumerate(port.address_pairs)
    ]


def _pair_of(first: str, length: int, mac: str | None, *texts: str) -> AddressPair:
    # SQLite has no octets for null, and an empty text.
    return AddressPair(
        prefix_at(bytes.fromhex(first), length), Mac(bytes.fromhex(mac)) if mac else None, *texts
    )


def _learned_of(address: str, mac: str, proven: bool, since: float) -> LearnedAddress:  # noqa: FBT001
    return LearnedAddress(
        IPv6Address(bytes.fromhex(address)[1:]), Mac(bytes.fromhex(mac)), bool(proven), since
    )


def prefix_of(row: Record) -> IPNetwork:
    """The prefix of an address pair's row."""
    return prefix_at(row.first, row.length)


def prefix_at(first: bytes, length: int) -> IPNetwork:
    """The prefix of a length that begins with the address of this key."""
    return ip_network((first[1:], length))


def ip_group_of(row: Record, addresses: Sequence[IPAddress], members: Iterable[str]) -> IpGroup:
    """The IP group of a row; while it is frozen, its pin is the member that it is frozen at."""
    return IP_GROUP.read(
        row,
        addresses=tuple(addresses),
        members=frozenset(members),
        pinned=row.held_by or row.pinned,
    )


def stamp_of(row: Record) -> Stamp:
    """The stamp of any noun's row."""
    return Stamp(row.revision_number, row.created_at, row.updated_at, tuple(row.tags or ()))
