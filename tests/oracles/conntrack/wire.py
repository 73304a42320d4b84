"""How the packets of a connection look on the wire."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address
from itertools import count
from random import Random

from tests.oracles.conntrack.steps import FROM, Connection

from vifguard.model.verdict import Direction
from vifguard.packet import build

GUEST_MAC, REMOTE_MAC = "02:00:00:00:00:0a", "02:00:00:00:00:0b"
HEADER = 14
"""Octets of Ethernet, of which conntrack sees nothing."""

Dress = Callable[[Connection, Direction, build.Layer], tuple[build.Layer, ...]]
"""Makes the IP packets that carry a piece, several where it is fragmented."""

_idents = count(1)


def framed(sender: Direction, packets: tuple[build.Layer, ...]) -> tuple[bytes, ...]:
    """The packets on Ethernet."""
    macs = (GUEST_MAC, REMOTE_MAC) if sender is FROM else (REMOTE_MAC, GUEST_MAC)
    return tuple(build.ethernet(*macs, packet) for packet in packets)


def plain(connection: Connection, sender: Direction, piece: build.Layer) -> tuple[build.Layer, ...]:
    """One packet without options."""
    make = build.ipv4 if connection.version == 4 else build.ipv6
    return (make(*connection.addresses(sender), piece),)


def with_options(
    connection: Connection, sender: Direction, piece: build.Layer
) -> tuple[build.Layer, ...]:
    """IPv4 options, or IPv6 extension headers that no router must look at."""
    src, dst = connection.addresses(sender)
    if connection.version == 4:
        return (build.ipv4(src, dst, piece, options=b"\1\1\1\0"),)
    return (build.ipv6(src, dst, build.destination_options(piece)),)


def fragmented(size: int, order: Callable[[list[build.Layer]], list[build.Layer]]) -> Dress:
    """Fragments of `size` octets, in the order that `order` puts them."""

    def dress(
        connection: Connection, sender: Direction, piece: build.Layer
    ) -> tuple[build.Layer, ...]:
        ident = next(_idents) % 65535 + 1
        addresses = connection.addresses(sender)
        return tuple(order([*build.fragments(*addresses, piece, size=size, ident=ident)]))

    return dress


def overlapping(
    connection: Connection, sender: Direction, piece: build.Layer
) -> tuple[build.Layer, ...]:
    """Fragments of 128 octets, each of which repeats the last 8 octets of the one before."""
    octets = piece.sealed(*map(ip_address, connection.addresses(sender))).octets
    ident = next(_idents) % 65535 + 1
    packets = []
    for cut in range(0, len(octets), 128):
        begin, end = max(0, cut - 8), cut + 128
        part = build.Layer(octets[begin:end], piece.number)
        packets.append(_part(connection, sender, part, begin // 8, ident, more=end < len(octets)))
    return tuple(packets)


def _part(
    connection: Connection,
    sender: Direction,
    part: build.Layer,
    offset: int,
    ident: int,
    *,
    more: bool,
) -> build.Layer:
    addresses = connection.addresses(sender)
    if connection.version == 4:
        return build.ipv4(*addresses, part, ident=ident, more_fragments=more, offset=offset)
    return build.ipv6(*addresses, build.fragment(part, offset, more=more, ident=ident))


def without_last(pieces: list[build.Layer]) -> list[build.Layer]:
    """The last one is lost."""
    return pieces[:-1] or pieces


def in_order(pieces: list[build.Layer]) -> list[build.Layer]:
    """As they were cut."""
    return pieces


def any_dress(random: Random, fragments: float = 0.05) -> Dress:
    """Mostly plain; so often in fragments."""
    chance = random.random()
    if chance < fragments / 10:
        return overlapping
    if chance < fragments:
        return fragmented(random.choice((24, 128, 512)), any_order(random))
    return with_options if chance < fragments + 0.05 else plain


def any_order(random: Random) -> Callable[[list[build.Layer]], list[build.Layer]]:
    """As they were cut, in any order, or the first one twice."""

    def shuffled(pieces: list[build.Layer]) -> list[build.Layer]:
        return random.sample(pieces, len(pieces))

    def repeated(pieces: list[build.Layer]) -> list[build.Layer]:
        return [*pieces[:1], *pieces]

    if random.random() < 0.05:
        return without_last
    return random.choice((in_order, in_order, shuffled, repeated))


def headers_of(packet: bytes) -> int:
    """Octets of an IPv6 header and of its extension headers: destination options, fragment."""
    at, kind = 40, packet[6]
    while kind in (44, 60) and len(packet) >= at + 8:
        kind, size = packet[at], 8 if kind == 44 else (packet[at + 1] + 1) * 8
        at += size
    return at


def is_later(packet: bytes) -> bool:
    """Whether a packet is a fragment that is not the first."""
    if packet[0] >> 4 == 4:
        return bool(int.from_bytes(packet[6:8], "big") & 0x1FFF)
    return packet[6] == 44 and bool(int.from_bytes(packet[42:44], "big") & 0xFFF8)
