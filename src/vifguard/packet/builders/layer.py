"""A piece: one layer with all that is inside it, and the facts that the layer around it needs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple

from vifguard.model.address import IPAddress, Mac, parse_address

MacLike = Mac | str
"""A MAC address, or its text."""

AddressLike = IPAddress | str
"""An IP address, or its text."""


class Pending(NamedTuple):
    """A checksum over a pseudo-header, which only the IP layer around it can fill.

    `start` is where the summed bytes begin, `field` where the sum goes, both in the piece;
    `protocol` is the number in the pseudo-header.
    """

    start: int
    field: int
    protocol: int


@dataclass(frozen=True, slots=True)
class Layer:
    """Octets in transmission order, and the number by which the layer around announces them.

    `number` is an EtherType, an 802.3 length or an IP protocol.
    """

    octets: bytes
    number: int
    pending: Pending | None = None

    def behind(self, header: bytes, number: int) -> Layer:
        """The piece with a header in front of it, itself announced by `number`."""
        pending = self.pending
        if pending is not None:
            n = len(header)
            pending = Pending(pending.start + n, pending.field + n, pending.protocol)
        return Layer(header + self.octets, number, pending)

    def sealed(self, src: IPAddress, dst: IPAddress) -> Layer:
        """The piece with its pending checksum filled for these addresses."""
        if self.pending is None:
            return self
        start, field, protocol = self.pending
        summed = self.octets[start:]
        addresses = src.packed + dst.packed
        if src.version == 4:
            pseudo = addresses + bytes((0, protocol)) + len(summed).to_bytes(2, "big")
        else:
            pseudo = addresses + len(summed).to_bytes(4, "big") + bytes((0, 0, 0, protocol))
        # A UDP checksum of zero would mean "none" (RFC 768); for the others both are the same.
        value = internet_checksum(pseudo + summed) or 0xFFFF
        octets = self.octets[:field] + value.to_bytes(2, "big") + self.octets[field + 2 :]
        return replace(self, octets=octets, pending=None)


Payload = Layer | bytes
"""The content of a layer; bytes are announced by the number that their layer chooses."""


def as_piece(payload: Payload, number: int) -> Layer:
    """The payload as a piece; bytes are announced by `number`."""
    return payload if isinstance(payload, Layer) else Layer(payload, number)


def as_mac(mac: MacLike) -> Mac:
    """The MAC itself; text is parsed."""
    return mac if isinstance(mac, Mac) else Mac.parse(mac)


def as_ip4(address: AddressLike) -> IPv4Address:
    """The IPv4 address itself; text is parsed. Raises TypeError for IPv6."""
    parsed = parse_address(address) if isinstance(address, str) else address
    if not isinstance(parsed, IPv4Address):
        raise TypeError(f"{address} is not an IPv4 address")
    return parsed


def as_ip6(address: AddressLike) -> IPv6Address:
    """The IPv6 address itself; text is read, IPv4-mapped too: attacks use them."""
    parsed = IPv6Address(address) if isinstance(address, str) else address
    if not isinstance(parsed, IPv6Address):
        raise TypeError(f"{address} is not an IPv6 address")
    return parsed


def internet_checksum(octets: bytes) -> int:
    """The one's complement sum of 16-bit words (RFC 1071)."""
    padded = octets + bytes(len(octets) % 2)
    # 2**16 is 1 modulo 0xffff, so the folded sum is the remainder of the whole number.
    total = int.from_bytes(padded, "big")
    folded = total % 0xFFFF
    return 0xFFFF - (folded if folded or not total else 0xFFFF)


def multicast_mac(address: AddressLike) -> Mac:
    """The Ethernet group of a multicast address (RFC 1112, 6.4; RFC 2464, 7)."""
    text = isinstance(address, str)
    parsed = IPv6Address(address) if text and ":" in str(address) else address
    if isinstance(parsed, IPv6Address):
        return Mac(b"\x33\x33" + parsed.packed[12:])
    low = int(as_ip4(parsed)) & 0x7FFFFF
    return Mac(b"\x01\x00\x5e" + low.to_bytes(3, "big"))


def solicited_node(address: AddressLike) -> IPv6Address:
    """The solicited-node multicast address (RFC 4291, 2.7.1)."""
    return IPv6Address(bytes.fromhex("ff0200000000000000000001ff") + as_ip6(address).packed[13:])
