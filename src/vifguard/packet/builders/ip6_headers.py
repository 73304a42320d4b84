"""IPv6 extension headers: each goes around the piece that follows it."""

from __future__ import annotations

from vifguard.packet.builders.layer import Layer, Payload, as_piece

HOP_BY_HOP, ROUTING, FRAGMENT, AUTHENTICATION, DESTINATION = 0, 43, 44, 51, 60
NO_NEXT_HEADER = 59


def extension(
    kind: int,
    payload: Payload,
    data: bytes = bytes(6),
    *,
    next_header: int | None = None,
    length: int | None = None,
) -> Layer:
    """A header of the common form (RFC 6564): next, length in 8-octet units less one, data.

    The data is padded with zeros to whole units. Mobility (135), HIP (139) and Shim6 (140)
    have this form too.
    """
    piece = as_piece(payload, NO_NEXT_HEADER)
    padded = data + bytes(-(len(data) + 2) % 8)
    units = (len(padded) + 2) // 8 - 1 if length is None else length
    number = piece.number if next_header is None else next_header
    return piece.behind(bytes((number, units)) + padded, kind)


def ip6_option(kind: int, value: bytes = b"", *, length: int | None = None) -> bytes:
    """One option of a hop-by-hop or destination options header (RFC 8200, 4.2)."""
    return bytes((kind, len(value) if length is None else length)) + value


def router_alert6(value: int = 0) -> bytes:
    """Router Alert and PadN: the six octets of data in an MLD report's hop-by-hop header."""
    return ip6_option(5, value.to_bytes(2, "big")) + ip6_option(1)


def hop_by_hop(
    payload: Payload,
    options: bytes = b"",
    *,
    next_header: int | None = None,
    length: int | None = None,
) -> Layer:
    """Hop-by-hop options; none given is one PadN of six octets."""
    data = options or ip6_option(1, bytes(4))
    return extension(HOP_BY_HOP, payload, data, next_header=next_header, length=length)


def destination_options(
    payload: Payload,
    options: bytes = b"",
    *,
    next_header: int | None = None,
    length: int | None = None,
) -> Layer:
    """Destination options; none given is one PadN of six octets."""
    data = options or ip6_option(1, bytes(4))
    return extension(DESTINATION, payload, data, next_header=next_header, length=length)


def routing(
    payload: Payload,
    *,
    kind: int = 0,
    segments_left: int = 0,
    data: bytes = bytes(4),
    next_header: int | None = None,
) -> Layer:
    """A routing header; `kind` 0 is source routing, 2 mobile, 4 segment routing."""
    fields = bytes((kind, segments_left)) + data
    return extension(ROUTING, payload, fields, next_header=next_header)


def fragment(
    payload: Payload,
    offset: int = 0,
    *,
    more: bool = False,
    ident: int = 1,
    next_header: int | None = None,
) -> Layer:
    """A fragment header; `offset` counts 8-octet units. Offset 0 and no more: atomic."""
    piece = as_piece(payload, NO_NEXT_HEADER)
    number = piece.number if next_header is None else next_header
    place = (offset << 3 | more).to_bytes(2, "big")
    return piece.behind(bytes((number, 0)) + place + ident.to_bytes(4, "big"), FRAGMENT)


def authentication(
    payload: Payload,
    data: bytes = bytes(22),
    *,
    next_header: int | None = None,
    length: int | None = None,
) -> Layer:
    """An authentication header (RFC 4302): its length counts 4-octet units less two."""
    piece = as_piece(payload, NO_NEXT_HEADER)
    units = (len(data) + 2) // 4 - 2 if length is None else length
    number = piece.number if next_header is None else next_header
    return piece.behind(bytes((number, units)) + data, AUTHENTICATION)
