"""VRRP (RFC 9568 and RFC 3768) and CARP, which shares its number."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from vifguard.model.address import IPAddress

VRRP = 112
"""The IP protocol number."""

_HEADER = 8
_ADVERTISEMENT_2, _ADVERTISEMENT_3 = 0x21, 0x31
_AUTHENTICATION = 8
"""Octets of authentication data behind the addresses of version 2."""

_CARP_LENGTH, _CARP_COUNTER_AND_DIGEST = 36, 7
"""A CARP message has 36 octets; octet 3 counts the 7 words behind its header."""


@dataclass(frozen=True, slots=True)
class Vrrp:
    """An advertisement: its router id, and the addresses that it claims; CARP names none.

    `broken` is the reason why it is no whole, legal advertisement; then it claims nothing.
    """

    router_id: int
    addresses: tuple[IPAddress, ...] = ()
    broken: str = ""


def read_vrrp(octets: bytes, version: int) -> Vrrp:
    """An advertisement to the packet's end; `version` is that of IP."""
    if len(octets) < _HEADER:
        return Vrrp(0, broken=f"shorter than {_HEADER} octets")
    kind, router_id, _, count = octets[:4]
    if _is_carp(octets):
        return Vrrp(router_id, broken="" if router_id else "id 0")
    size, behind = (4, _AUTHENTICATION) if version == 4 else (16, 0)
    if kind == _ADVERTISEMENT_3:
        behind = 0
    elif kind != _ADVERTISEMENT_2 or version == 6:
        return Vrrp(router_id, broken=f"version and type {kind:#04x} in IPv{version}")
    if not router_id or not count:
        return Vrrp(router_id, broken="id 0" if not router_id else "no address")
    if len(octets) != _HEADER + count * size + behind:
        return Vrrp(router_id, broken=f"{count} addresses in {len(octets)} octets")
    address = IPv4Address if version == 4 else IPv6Address
    places = range(_HEADER, _HEADER + count * size, size)
    return Vrrp(router_id, tuple(address(octets[at : at + size]) for at in places))


def _is_carp(octets: bytes) -> bool:
    return (
        len(octets) == _CARP_LENGTH
        and octets[0] == _ADVERTISEMENT_2
        and octets[3] == _CARP_COUNTER_AND_DIGEST
    )
