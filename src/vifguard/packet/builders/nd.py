"""Neighbour discovery (RFC 4861): messages and options. Give ipv6() hop_limit=255."""

from __future__ import annotations

from vifguard.packet.builders.layer import AddressLike, Layer, MacLike, as_ip6, as_mac
from vifguard.packet.builders.transport import icmpv6

RS, RA, NS, NA, REDIRECT = range(133, 138)


def nd_option(kind: int, value: bytes = bytes(6), *, length: int | None = None) -> bytes:
    """One option, padded with zeros to whole 8-octet units; `length` counts those."""
    padded = value + bytes(-(len(value) + 2) % 8)
    return bytes((kind, (len(padded) + 2) // 8 if length is None else length)) + padded


def slla(mac: MacLike) -> bytes:
    """The source link-layer address option."""
    return nd_option(1, as_mac(mac).octets)


def tlla(mac: MacLike) -> bytes:
    """The target link-layer address option."""
    return nd_option(2, as_mac(mac).octets)


def prefix_information(
    prefix: AddressLike, length: int = 64, *, flags: int = 0xC0, lifetime: int = 86400
) -> bytes:
    """The prefix information option: on-link and for autonomous addresses by default."""
    lifetimes = lifetime.to_bytes(4, "big") * 2
    return nd_option(3, bytes((length, flags)) + lifetimes + bytes(4) + as_ip6(prefix).packed)


def nd(
    kind: int, fixed: bytes, *options: bytes, code: int = 0, checksum: int | None = None
) -> Layer:
    """Any message: `fixed` are the octets between the checksum and the options."""
    return icmpv6(kind, code, fixed + b"".join(options), checksum=checksum)


def rs(*options: bytes, code: int = 0, checksum: int | None = None) -> Layer:
    """A router solicitation."""
    return nd(RS, bytes(4), *options, code=code, checksum=checksum)


def ra(
    *options: bytes,
    hop_limit: int = 64,
    flags: int = 0,
    lifetime: int = 1800,
    code: int = 0,
    checksum: int | None = None,
) -> Layer:
    """A router advertisement; `lifetime` in seconds."""
    fixed = bytes((hop_limit, flags)) + lifetime.to_bytes(2, "big") + bytes(8)
    return nd(RA, fixed, *options, code=code, checksum=checksum)


def ns(target: AddressLike, *options: bytes, code: int = 0, checksum: int | None = None) -> Layer:
    """A neighbour solicitation."""
    return nd(NS, bytes(4) + as_ip6(target).packed, *options, code=code, checksum=checksum)


def na(
    target: AddressLike,
    *options: bytes,
    router: bool = False,
    solicited: bool = False,
    override: bool = True,
    code: int = 0,
    checksum: int | None = None,
) -> Layer:
    """A neighbour advertisement; unsolicited and overriding by default."""
    flags = bytes((router << 7 | solicited << 6 | override << 5, 0, 0, 0))
    return nd(NA, flags + as_ip6(target).packed, *options, code=code, checksum=checksum)


def redirect(
    target: AddressLike,
    destination: AddressLike,
    *options: bytes,
    code: int = 0,
    checksum: int | None = None,
) -> Layer:
    """A redirect of `destination` to the first hop `target`."""
    fixed = bytes(4) + as_ip6(target).packed + as_ip6(destination).packed
    return nd(REDIRECT, fixed, *options, code=code, checksum=checksum)
