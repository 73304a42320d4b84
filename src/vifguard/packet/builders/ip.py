"""IPv4 and IPv6 headers, and cutting a packet into fragments."""

from __future__ import annotations

from vifguard.model.address import IPAddress, parse_address
from vifguard.packet.builders.ip6_headers import fragment
from vifguard.packet.builders.layer import (
    AddressLike,
    Layer,
    Payload,
    as_ip4,
    as_ip6,
    as_piece,
    internet_checksum,
)

EXPERIMENTAL = 253
"""The protocol of bytes for which no other is given (RFC 3692)."""

NO_NEXT_HEADER = 59


def ipv4(  # noqa: PLR0913  an IPv4 header has this many fields
    src: AddressLike,
    dst: AddressLike,
    payload: Payload = b"",
    *,
    protocol: int | None = None,
    ttl: int = 64,
    tos: int = 0,
    ident: int = 0,
    dont_fragment: bool = False,
    more_fragments: bool = False,
    offset: int = 0,
    options: bytes = b"",
    version: int = 4,
    ihl: int | None = None,
    total_length: int | None = None,
    checksum: int | None = None,
) -> Layer:
    """An IPv4 packet (RFC 791). `offset` counts 8-octet units, `ihl` 4-octet words.

    `options` are padded with zeros to whole words.
    """
    source, destination = as_ip4(src), as_ip4(dst)
    piece = as_piece(payload, EXPERIMENTAL).sealed(source, destination)
    padded = options + bytes(-len(options) % 4)
    words = 5 + len(padded) // 4 if ihl is None else ihl
    length = 20 + len(padded) + len(piece.octets) if total_length is None else total_length
    flags = dont_fragment << 14 | more_fragments << 13 | offset
    number = piece.number if protocol is None else protocol
    header = (
        bytes(((version << 4 | words) & 0xFF, tos))
        + length.to_bytes(2, "big")
        + ident.to_bytes(2, "big")
        + flags.to_bytes(2, "big")
        + bytes((ttl, number, 0, 0))
        + source.packed
        + destination.packed
        + padded
    )
    value = internet_checksum(header) if checksum is None else checksum
    header = header[:10] + value.to_bytes(2, "big") + header[12:]
    return Layer(header + piece.octets, 0x0800)


def ipv6(  # noqa: PLR0913  an IPv6 header has this many fields
    src: AddressLike,
    dst: AddressLike,
    payload: Payload = b"",
    *,
    next_header: int | None = None,
    hop_limit: int = 64,
    traffic_class: int = 0,
    flow_label: int = 0,
    version: int = 6,
    payload_length: int | None = None,
) -> Layer:
    """An IPv6 packet (RFC 8200); extension headers are pieces of their own."""
    source, destination = as_ip6(src), as_ip6(dst)
    piece = as_piece(payload, EXPERIMENTAL if payload else NO_NEXT_HEADER)
    piece = piece.sealed(source, destination)
    length = len(piece.octets) if payload_length is None else payload_length
    number = piece.number if next_header is None else next_header
    first = version << 28 | traffic_class << 20 | flow_label
    header = (
        first.to_bytes(4, "big")
        + length.to_bytes(2, "big")
        + bytes((number, hop_limit))
        + source.packed
        + destination.packed
    )
    return Layer(header + piece.octets, 0x86DD)


def fragments(
    src: AddressLike, dst: AddressLike, payload: Layer, *, size: int = 1400, ident: int = 1
) -> tuple[Layer, ...]:
    """The packets into which a host cuts this payload, `size` octets in each (8 divides it)."""
    source, destination = _any(src), _any(dst)
    whole = payload.sealed(source, destination)
    cuts = range(0, len(whole.octets), size)
    pieces = []
    for start in cuts:
        part = Layer(whole.octets[start : start + size], whole.number)
        more = start + size < len(whole.octets)
        if source.version == 4:
            packet = ipv4(
                source, destination, part, ident=ident, more_fragments=more, offset=start // 8
            )
        else:
            packet = ipv6(source, destination, fragment(part, start // 8, more=more, ident=ident))
        pieces.append(packet)
    return tuple(pieces)


def _any(address: AddressLike) -> IPAddress:
    return parse_address(address) if isinstance(address, str) else address
