"""IPv4: header, options, fragments (RFC 791)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from ipaddress import IPv4Address

from vifguard.packet.transport import LaterFragment, Upper, read_upper4
from vifguard.packet.undecoded import Unreadable

_HEADER = struct.Struct("!BBHHHBBH4s4s")


@dataclass(frozen=True, slots=True)
class Ip4Option:
    """One option; `octets` are those of the whole, kind and length included."""

    kind: int
    octets: bytes


@dataclass(frozen=True, slots=True)
class IPv4:
    """A packet. `offset` counts 8-octet units, `header_length` octets. No checksum is judged."""

    src: IPv4Address
    dst: IPv4Address
    protocol: int
    ttl: int
    tos: int
    ident: int
    dont_fragment: bool
    more_fragments: bool
    offset: int
    total_length: int
    options: tuple[Ip4Option, ...] | Unreadable
    upper: Upper
    header_length: int = 20

    @property
    def is_fragment(self) -> bool:
        """Whether it is less than a whole datagram."""
        return self.more_fragments or self.offset != 0

    @property
    def size(self) -> int:
        """Octets of the packet, its header included."""
        return self.total_length


def read_ip4(octets: bytes, *, is_big: bool = False) -> IPv4 | Unreadable:
    """The packet at the start of `octets`; octets behind its total length are padding.

    `is_big`: a total length of 0 stands for all octets (BIG TCP, Linux 6.3).
    """
    if len(octets) < 20:
        return Unreadable("an IPv4 header is shorter than 20 octets", octets)
    first, tos, total, ident, place, ttl, protocol, _, src, dst = _HEADER.unpack_from(octets)
    header = (first & 0xF) * 4
    if is_big and total == 0:
        total = len(octets)
    if first >> 4 != 4:
        return Unreadable(f"version {first >> 4} in an IPv4 header", octets)
    if header < 20:
        return Unreadable(f"an IPv4 header of {header} octets", octets)
    if not header <= total <= len(octets):
        return Unreadable(f"an IPv4 length of {total} in {len(octets)} octets", octets)
    offset = place & 0x1FFF
    payload = octets[header:total]
    return IPv4(
        IPv4Address(src),
        IPv4Address(dst),
        protocol,
        ttl,
        tos,
        ident,
        bool(place & 0x4000),
        bool(place & 0x2000),
        offset,
        total,
        read_options(octets[20:header]) if header > 20 else (),
        LaterFragment(protocol, payload) if offset else read_upper4(protocol, payload),
        header,
    )


def read_options(octets: bytes) -> tuple[Ip4Option, ...] | Unreadable:
    """The options up to the end option (0) or the end of the header."""
    options: list[Ip4Option] = []
    at = 0
    while at < len(octets) and octets[at] != 0:
        kind = octets[at]
        if kind == 1:
            size = 1
        elif at + 2 > len(octets):
            return Unreadable("an IPv4 option is cut short", octets)
        else:
            size = octets[at + 1]
            if size < 2 or at + size > len(octets):
                return Unreadable(f"an IPv4 option of {size} octets", octets)
        options.append(Ip4Option(kind, octets[at : at + size]))
        at += size
    return tuple(options)
