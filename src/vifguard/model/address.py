"""MAC and IP addresses: the only place where text becomes an address.

The parsers accept exactly one spelling family and refuse text that merely *can* be understood:
`ipaddress` itself takes scope ids with newlines in them, host masks as prefix lengths and
integers as addresses (CVE-2021-29921, CVE-2021-40085 are of this kind).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import Final

IPAddress = IPv4Address | IPv6Address
IPNetwork = IPv4Network | IPv6Network
IPInterface = IPv4Interface | IPv6Interface

_MAC = re.compile(r"[0-9A-Fa-f]{2}([:-])[0-9A-Fa-f]{2}(\1[0-9A-Fa-f]{2}){4}", re.ASCII)
_BASE_MAC = re.compile(r"[0-9A-Fa-f]{2}([:-])[0-9A-Fa-f]{2}(\1[0-9A-Fa-f]{2}){1,2}", re.ASCII)
_VIRTUAL_ROUTERS = bytes((0x00, 0x00, 0x5E))
_ADDRESS = re.compile(r"[0-9A-Fa-f:.]{2,45}", re.ASCII)
_PREFIX = re.compile(r"([0-9A-Fa-f:.]{2,45})/(0|[1-9][0-9]{0,2})", re.ASCII)

LINK_LOCAL_64 = IPv6Network("fe80::/64")
UNSPECIFIED_4 = IPv4Address(0)
UNSPECIFIED_6 = IPv6Address(0)


class AddressError(ValueError):
    """Text that is not the address that it should be; the message quotes it."""


@dataclass(frozen=True, slots=True, order=True)
class Mac:
    """A 48-bit Ethernet address, `octets` in transmission order."""

    octets: bytes

    def __post_init__(self) -> None:
        if len(self.octets) != 6:
            raise AddressError(f"a MAC address has 6 octets, not {len(self.octets)}")

    @classmethod
    def parse(cls, text: str) -> Mac:
        """`02:00:00:0a:00:01` or `02-00-00-0A-00-01`, either case; nothing else (no newline)."""
        if not isinstance(text, str) or not _MAC.fullmatch(text):
            raise AddressError(f"{quoted(text)} is not a MAC address like 02:00:00:0a:00:01")
        return cls(bytes.fromhex(text.replace(text[2], "")))

    def __str__(self) -> str:
        return self.octets.hex(":")

    @property
    def is_group(self) -> bool:
        """True for multicast and broadcast (IEEE 802-2014, 8.2.2: the I/G bit)."""
        return bool(self.octets[0] & 1)

    @property
    def is_zero(self) -> bool:
        """True for 00:00:00:00:00:00, which no station may use as a source."""
        return not any(self.octets)

    @property
    def link_local(self) -> IPv6Address:
        """The EUI-64 link-local address (RFC 4291, appendix A)."""
        o = self.octets
        identifier = bytes((o[0] ^ 2, o[1], o[2], 0xFF, 0xFE, o[3], o[4], o[5]))
        return IPv6Address(b"\xfe\x80" + bytes(6) + identifier)


BASE_MAC: Final = bytes((0xFA, 0x16, 0x3E))
"""The first octets of the MACs that the server makes: locally administered, and known to tools."""


def parse_base_mac(text: str) -> bytes:
    """The first three or four octets of MACs: `fa:16:3e` or `fa:16:3e:4f`, either case.

    Raises AddressError for another text, for multicast, for zeros, and for the block of virtual
    routers.
    """
    if not _BASE_MAC.fullmatch(text):
        raise AddressError(f"{quoted(text)} is not the first three or four octets of MAC addresses")
    octets = bytes.fromhex(text.replace(text[2], ""))
    if octets[0] & 1:
        raise AddressError(f"{quoted(text)} is multicast: the first octet must be even")
    if not any(octets):
        raise AddressError(f"{quoted(text)} is zero: one of its MACs is that of no station")
    if octets[:3] == _VIRTUAL_ROUTERS:
        raise AddressError(f"{quoted(text)} is the block of virtual routers (RFC 5798, 7.3)")
    return octets


def parse_address(text: str) -> IPAddress:
    """One IPv4 or IPv6 address in text; no prefix, no scope id, no IPv4-mapped form."""
    if not isinstance(text, str) or not _ADDRESS.fullmatch(text):
        raise AddressError(f"{quoted(text)} is not an IP address")
    try:
        address = ip_address(text)
    except ValueError:
        raise AddressError(f"{text!r} is not an IP address") from None
    return _unmapped(address, text)


def parse_network(text: str) -> IPNetwork:
    """`10.0.0.0/24` or `fd00::/64`: host bits zero, prefix length in decimal."""
    match = _PREFIX.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise AddressError(f"{quoted(text)} is not a network like 10.0.0.0/24")
    _unmapped(parse_address(match[1]), text)
    try:
        return ip_network(text)
    except ValueError as error:
        raise AddressError(f"{text!r} is not a network: {error}") from None


def parse_prefix(text: str) -> IPNetwork:
    """The prefix of an allowed address pair: an address (its /32 or /128) or a network."""
    if isinstance(text, str) and "/" in text:
        return parse_network(text)
    return host_prefix(parse_address(text))


def parse_interface(text: str) -> IPInterface:
    """`10.0.0.5/24`, or an address alone as with /32 or /128: `network` is without host bits."""
    match = _PREFIX.fullmatch(text) if isinstance(text, str) else None
    address = parse_address(text if match is None else match[1])
    length = address.max_prefixlen if match is None else int(match[2])
    if length > address.max_prefixlen:
        raise AddressError(f"{text!r} has a longer prefix than {address.max_prefixlen} bits")
    kind = IPv4Interface if address.version == 4 else IPv6Interface
    return kind((int(address), length))


def host_prefix(address: IPAddress) -> IPNetwork:
    """The prefix that holds this one address."""
    # By number: ip_network(address) goes by text, at five times the cost for 10,000 ports.
    if isinstance(address, IPv4Address):
        return IPv4Network((int(address), 32))
    return IPv6Network((int(address), 128))


def quoted(value: object) -> str:
    """A value for an error message: unmistakable, on one line, short (its sender chose it)."""
    text = repr(value)
    return text if len(text) <= 120 else text[:117] + "..."


def _unmapped(address: IPAddress, text: str) -> IPAddress:
    # ::ffff:10.0.0.5 means an IPv6 address to one parser and an IPv4 address to the next.
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        raise AddressError(f"{text!r} is IPv4-mapped; write the IPv4 address itself")
    return address


def is_wide(prefix: IPNetwork) -> bool:
    """Whether a prefix holds more than one address."""
    return prefix.prefixlen < prefix.max_prefixlen
