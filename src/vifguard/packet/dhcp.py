"""DHCPv4 (RFC 2131) and DHCPv6 (RFC 8415)."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from vifguard.model.address import Mac
from vifguard.packet.undecoded import Unreadable

MAGIC = bytes.fromhex("63825363")
BOOTP = 240
"""Octets of a BOOTP message and the magic cookie; the options follow."""

PAD, END = 0, 255
REQUESTED_ADDRESS, OVERLOAD, MESSAGE_TYPE, CLIENT_ID, RELAY_AGENT = 50, 52, 53, 61, 82
IA_NA, IA_TA, IA_ADDRESS, IA_PD, IA_PREFIX = 3, 4, 5, 25, 26
RELAY_FORWARD, RELAY_REPLY = 12, 13

STEPS_AT_MOST = 64
"""Steps through the options: a pad, an option, and finding their end are one each."""


@dataclass(frozen=True, slots=True)
class DhcpOption:
    """One option, without its code and length."""

    code: int
    value: bytes


@dataclass(frozen=True, slots=True)
class Dhcp4:
    """A message; `options` without pads and end, `broken` the reason if not all could be read."""

    op: int
    htype: int
    hlen: int
    xid: int
    ciaddr: IPv4Address
    yiaddr: IPv4Address
    giaddr: IPv4Address
    chaddr: Mac
    options: tuple[DhcpOption, ...]
    broken: str = ""

    @property
    def kind(self) -> int | None:
        """The DHCP message type (option 53), where there is one."""
        for option in self.options:
            if option.code == MESSAGE_TYPE and option.value:
                return option.value[0]
        return None


@dataclass(frozen=True, slots=True)
class Dhcp6:
    """A message; `link` and `peer` are a relay's.

    `broken` is the reason if not all options were read. `addresses` are those of every IA Address
    and IA Prefix option, as they stand in the message or in an identity association;
    `addresses_broken` is the reason why they were read no further.
    """

    kind: int
    transaction: int
    link: IPv6Address | None
    peer: IPv6Address | None
    options: tuple[DhcpOption, ...]
    broken: str = ""
    addresses: tuple[IPv6Address, ...] = ()
    addresses_broken: str = ""


def read_dhcp4(octets: bytes) -> Dhcp4 | Unreadable:
    """A BOOTP message with the DHCP cookie; without one it is unreadable."""
    if len(octets) < BOOTP:
        return Unreadable(f"DHCP is shorter than {BOOTP} octets", octets)
    if octets[236:BOOTP] != MAGIC:
        return Unreadable("BOOTP without the DHCP cookie", octets, BOOTP)
    options, broken = _read_options4(octets, BOOTP)
    return Dhcp4(
        octets[0],
        octets[1],
        octets[2],
        int.from_bytes(octets[4:8], "big"),
        IPv4Address(octets[12:16]),
        IPv4Address(octets[16:20]),
        IPv4Address(octets[24:28]),
        Mac(octets[28:34]),
        options,
        broken,
    )


def _read_options4(octets: bytes, at: int) -> tuple[tuple[DhcpOption, ...], str]:
    options: list[DhcpOption] = []
    for _ in range(STEPS_AT_MOST):
        if at == len(octets) or octets[at] == END:
            return tuple(options), ""
        if octets[at] == PAD:
            at += 1
            continue
        if at + 2 > len(octets) or at + 2 + octets[at + 1] > len(octets):
            return tuple(options), "an option is cut short"
        end = at + 2 + octets[at + 1]
        options.append(DhcpOption(octets[at], octets[at + 2 : end]))
        at = end
    return tuple(options), f"no end after {STEPS_AT_MOST} steps"


def read_dhcp6(octets: bytes) -> Dhcp6 | Unreadable:
    """A client's, server's or relay's message."""
    if len(octets) < 4:
        return Unreadable("DHCPv6 is shorter than 4 octets", octets)
    kind = octets[0]
    if kind not in (RELAY_FORWARD, RELAY_REPLY):
        transaction = int.from_bytes(octets[1:4], "big")
        said = _read_options6(octets, 4)
        return Dhcp6(kind, transaction, None, None, *said, *_read_addresses6(octets))
    if len(octets) < 34:
        return Dhcp6(kind, 0, None, None, (), "a relay's message shorter than 34 octets")
    options, broken = _read_options6(octets, 34)
    link, peer = IPv6Address(octets[2:18]), IPv6Address(octets[18:34])
    return Dhcp6(kind, 0, link, peer, options, broken)


def _read_options6(octets: bytes, at: int) -> tuple[tuple[DhcpOption, ...], str]:
    options: list[DhcpOption] = []
    while at < len(octets) and len(options) < STEPS_AT_MOST:
        code = int.from_bytes(octets[at : at + 2], "big")
        end = at + 4 + int.from_bytes(octets[at + 2 : at + 4], "big")
        if at + 4 > len(octets) or end > len(octets):
            return tuple(options), "an option is cut short"
        options.append(DhcpOption(code, octets[at + 4 : end]))
        at = end
    return tuple(options), "" if at == len(octets) else f"more than {STEPS_AT_MOST} options"


OPTIONS_AT_MOST = 32
"""Options of DHCPv6 through which addresses are looked for."""

_ASSOCIATIONS = {IA_NA: 12, IA_TA: 4, IA_PD: 12}
"""Octets before the options of an identity association (RFC 8415, 21.4, 21.5, 21.21)."""

_ADDRESSES = {IA_ADDRESS: (0, 24), IA_PREFIX: (9, 25)}
"""The offset of the address in the option, and the least octets of the option."""


def _read_addresses6(octets: bytes) -> tuple[tuple[IPv6Address, ...], str]:
    """The addresses of leases, through the options and, one deep, those of associations."""
    found: list[IPv6Address] = []
    at, inside = 4, 0
    for _ in range(OPTIONS_AT_MOST):
        if at == len(octets):
            return tuple(found), ""
        code = int.from_bytes(octets[at : at + 2], "big")
        value = at + 4
        end = value + int.from_bytes(octets[at + 2 : value], "big")
        limit = inside or len(octets)
        if value > limit or end > limit:
            return tuple(found), "an option is cut short"
        head = 0 if inside else _ASSOCIATIONS.get(code, 0)
        place, least = _ADDRESSES.get(code, (0, 0))
        if end - value < max(head, least):
            return tuple(found), f"option {code} of {end - value} octets"
        if least:
            found.append(IPv6Address(octets[value + place : value + place + 16]))
        at = value + head if head else end
        inside = end if head else inside
        inside = 0 if at == inside else inside
    return tuple(found), "" if at == len(octets) else f"more than {OPTIONS_AT_MOST} options"
