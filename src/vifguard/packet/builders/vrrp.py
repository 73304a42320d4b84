"""VRRP and CARP advertisements: the payload of ipv4(..., ttl=255) and ipv6(..., hop_limit=255)."""

from __future__ import annotations

from vifguard.packet.builders.layer import (
    AddressLike,
    Layer,
    Pending,
    as_ip4,
    as_ip6,
    internet_checksum,
)

VRRP = 112
_CARP_AUTHENTICATION = 7


def vrrp(
    router_id: int,
    *addresses: AddressLike,
    priority: int = 100,
    kind: int = 0x31,
    count: int | None = None,
    rest: bytes = b"",
) -> Layer:
    """A VRRPv3 advertisement (RFC 9568, 5.1); `kind` is its first octet."""
    body = b"".join(_packed(address) for address in addresses) + rest
    stated = len(addresses) if count is None else count
    head = bytes((kind, router_id, priority, stated, 0, 100, 0, 0))
    return Layer(head + body, VRRP, Pending(0, 6, VRRP))


def vrrp2(
    router_id: int, *addresses: AddressLike, priority: int = 100, password: bytes = b""
) -> Layer:
    """A VRRPv2 advertisement (RFC 3768, 5.1) with authentication data, as RFC 2338 has it."""
    head = bytes((0x21, router_id, priority, len(addresses), bool(password), 1, 0, 0))
    body = b"".join(as_ip4(address).packed for address in addresses) + password.ljust(8, b"\0")
    value = internet_checksum(head + body)
    return Layer(head[:6] + value.to_bytes(2, "big") + body, VRRP)


def carp(router_id: int, *, skew: int = 0, kind: int = 0x21, count: int = 7) -> Layer:
    """A CARP advertisement: a counter and a digest over the addresses that it does not name."""
    head = bytes((kind, router_id, skew, count, 0, 1, 0, 0))
    body = bytes(range(28))
    value = internet_checksum(head + body)
    return Layer(head[:6] + value.to_bytes(2, "big") + body, VRRP)


def _packed(address: AddressLike) -> bytes:
    is_ipv6 = ":" in address if isinstance(address, str) else address.version == 6
    return as_ip6(address).packed if is_ipv6 else as_ip4(address).packed
