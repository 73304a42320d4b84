"""DHCPv4 and DHCPv6 messages: the payload of udp(68, 67, ...) and udp(546, 547, ...)."""

from __future__ import annotations

from vifguard.packet.builders.layer import AddressLike, MacLike, as_ip4, as_ip6, as_mac

DISCOVER, OFFER, REQUEST, DECLINE, ACK, NAK, RELEASE, INFORM = range(1, 9)
MAGIC = bytes.fromhex("63825363")


def dhcp_option(code: int, value: bytes = b"", *, length: int | None = None) -> bytes:
    """One DHCPv4 option (RFC 2132)."""
    return bytes((code, len(value) if length is None else length)) + value


def dhcpv4(  # noqa: PLR0913  a BOOTP message has this many fields
    chaddr: MacLike,
    message: int = DISCOVER,
    *options: bytes,
    op: int = 1,
    htype: int = 1,
    hlen: int = 6,
    hops: int = 0,
    xid: int = 0x12345678,
    flags: int = 0,
    ciaddr: AddressLike = "0.0.0.0",  # noqa: S104  a BOOTP field, nothing is bound
    yiaddr: AddressLike = "0.0.0.0",  # noqa: S104  a BOOTP field, nothing is bound
    siaddr: AddressLike = "0.0.0.0",  # noqa: S104  a BOOTP field, nothing is bound
    giaddr: AddressLike = "0.0.0.0",  # noqa: S104  a BOOTP field, nothing is bound
    magic: bytes = MAGIC,
    tail: bytes | None = None,
) -> bytes:
    """A DHCPv4 message (RFC 2131): `message` is option 53, `op` 1 a request, 2 a reply.

    `tail` replaces all options, the end option included.
    """
    addresses = b"".join(as_ip4(a).packed for a in (ciaddr, yiaddr, siaddr, giaddr))
    head = (
        bytes((op, htype, hlen, hops))
        + xid.to_bytes(4, "big")
        + bytes(2)
        + flags.to_bytes(2, "big")
        + addresses
        + as_mac(chaddr).octets
        + bytes(10 + 64 + 128)
    )
    said = dhcp_option(53, bytes((message,))) + b"".join(options) + b"\xff"
    return head + magic + (said if tail is None else tail)


def dhcpv6_option(code: int, value: bytes = b"", *, length: int | None = None) -> bytes:
    """One DHCPv6 option (RFC 8415, 21.1)."""
    size = len(value) if length is None else length
    return code.to_bytes(2, "big") + size.to_bytes(2, "big") + value


def dhcpv6(message: int = 1, *options: bytes, transaction: int = 0x123456) -> bytes:
    """A DHCPv6 client or server message (RFC 8415, 8): 1 SOLICIT, 2 ADVERTISE, 7 REPLY."""
    return bytes((message,)) + transaction.to_bytes(3, "big") + b"".join(options)


def dhcpv6_relay(
    link: AddressLike, peer: AddressLike, inner: bytes, *, message: int = 12, hops: int = 0
) -> bytes:
    """A relay's message (RFC 8415, 9) around another: 12 forwards, 13 replies."""
    head = bytes((message, hops)) + as_ip6(link).packed + as_ip6(peer).packed
    return head + dhcpv6_option(9, inner)
