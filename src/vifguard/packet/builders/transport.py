"""UDP, TCP and ICMP of both families."""

from __future__ import annotations

from vifguard.packet.builders.layer import Layer, Pending, internet_checksum

ICMP, TCP, UDP, ICMPV6 = 1, 6, 17, 58


def udp(
    sport: int,
    dport: int,
    payload: bytes = b"",
    *,
    length: int | None = None,
    checksum: int | None = None,
) -> Layer:
    """A UDP datagram (RFC 768)."""
    size = 8 + len(payload) if length is None else length
    head = sport.to_bytes(2, "big") + dport.to_bytes(2, "big") + size.to_bytes(2, "big")
    return _summed(head, payload, checksum, UDP)


def tcp(  # noqa: PLR0913  a TCP header has this many fields
    sport: int,
    dport: int,
    payload: bytes = b"",
    *,
    flags: int = 0x02,
    sequence: int = 0,
    acknowledged: int = 0,
    window: int = 65535,
    data_offset: int = 5,
    checksum: int | None = None,
) -> Layer:
    """A TCP segment (RFC 9293) without options; `flags` default to SYN."""
    head = (
        sport.to_bytes(2, "big")
        + dport.to_bytes(2, "big")
        + sequence.to_bytes(4, "big")
        + acknowledged.to_bytes(4, "big")
        + bytes((data_offset << 4, flags))
        + window.to_bytes(2, "big")
    )
    return _summed(head, bytes(2) + payload, checksum, TCP)


def icmpv4(
    kind: int, code: int = 0, body: bytes = bytes(4), *, checksum: int | None = None
) -> Layer:
    """An ICMPv4 message (RFC 792); `body` is everything after the checksum."""
    octets = bytes((kind, code, 0, 0)) + body
    value = internet_checksum(octets) if checksum is None else checksum
    return Layer(octets[:2] + value.to_bytes(2, "big") + body, ICMP)


def icmpv6(
    kind: int, code: int = 0, body: bytes = bytes(4), *, checksum: int | None = None
) -> Layer:
    """An ICMPv6 message (RFC 4443); `body` is everything after the checksum."""
    return _summed(bytes((kind, code)), body, checksum, ICMPV6)


def _summed(head: bytes, rest: bytes, checksum: int | None, protocol: int) -> Layer:
    if checksum is not None:
        return Layer(head + checksum.to_bytes(2, "big") + rest, protocol)
    return Layer(head + bytes(2) + rest, protocol, Pending(0, len(head), protocol))
