"""ICMPv6 with neighbour discovery (RFC 4861) and multicast listener discovery (RFC 9777)."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv6Address

from vifguard.model.address import Mac
from vifguard.packet.undecoded import Unreadable

RS, RA, NS, NA, REDIRECT = range(133, 138)
MLD_QUERY, MLD_REPORT, MLD_DONE, MLDV2_REPORT = 130, 131, 132, 143

SOURCE_LINK_LAYER, TARGET_LINK_LAYER = 1, 2
OPTIONS_AT_MOST = 16
"""Options that are read; routers with many prefixes stay below."""

_FIXED = {RS: 8, RA: 16, NS: 24, NA: 24, REDIRECT: 40}


@dataclass(frozen=True, slots=True)
class NdOption:
    """One option; `value` are the octets behind its type and length."""

    kind: int
    value: bytes

    @property
    def mac(self) -> Mac | None:
        """The link-layer address, in the two options that have one."""
        carries = self.kind in (SOURCE_LINK_LAYER, TARGET_LINK_LAYER)
        return Mac(self.value) if carries else None


@dataclass(frozen=True, slots=True)
class Nd:
    """The content of a neighbour discovery message beyond its type and code.

    `options` are those that could be read, in order; `broken` is the reason why there are no
    more than these, empty where the message is whole. `flags` is octet 4 of the message.
    `target` and `destination` are None where the type has none, or they are cut off.
    """

    flags: int
    target: IPv6Address | None
    destination: IPv6Address | None
    options: tuple[NdOption, ...]
    broken: str = ""


@dataclass(frozen=True, slots=True)
class Mld:
    """The groups that a listener report, done or query names, as far as they are there."""

    groups: tuple[IPv6Address, ...]


@dataclass(frozen=True, slots=True)
class Icmp6:
    """A message; `body` is everything after the checksum, `message` its decoded content."""

    kind: int
    code: int
    body: bytes
    message: Nd | Mld | None = None


def read_icmp6(octets: bytes) -> Icmp6 | Unreadable:
    """An ICMPv6 message to the packet's end."""
    if len(octets) < 4:
        return Unreadable("ICMPv6 is shorter than 4 octets", octets)
    kind = octets[0]
    message: Nd | Mld | None = None
    if kind in _FIXED:
        message = _read_nd(kind, octets)
    elif kind in (MLD_QUERY, MLD_REPORT, MLD_DONE, MLDV2_REPORT):
        message = _read_mld(kind, octets)
    return Icmp6(kind, octets[1], octets[4:], message)


def _read_nd(kind: int, octets: bytes) -> Nd:
    fixed = _FIXED[kind]
    if len(octets) < fixed:
        return Nd(0, None, None, (), f"shorter than {fixed} octets")
    target = IPv6Address(octets[8:24]) if kind >= NS else None
    destination = IPv6Address(octets[24:40]) if kind == REDIRECT else None
    options, broken = _read_options(octets, fixed)
    return Nd(octets[4], target, destination, options, broken)


def _read_options(octets: bytes, at: int) -> tuple[tuple[NdOption, ...], str]:
    """The options from `at` to the end, and the reason if reading stopped before it."""
    options: list[NdOption] = []
    while at < len(octets):
        if len(options) == OPTIONS_AT_MOST:
            return tuple(options), f"more than {OPTIONS_AT_MOST} options"
        if at + 2 > len(octets):
            return tuple(options), "an option is cut short"
        kind, units = octets[at], octets[at + 1]
        end = at + units * 8
        if units == 0 or end > len(octets):
            return tuple(options), f"an option of {units * 8} octets"
        if kind in (SOURCE_LINK_LAYER, TARGET_LINK_LAYER) and units != 1:
            return tuple(options), f"a link-layer address option of {units * 8} octets"
        options.append(NdOption(kind, octets[at + 2 : end]))
        at = end
    return tuple(options), ""


def _read_mld(kind: int, octets: bytes) -> Mld:
    if kind != MLDV2_REPORT:
        return Mld((IPv6Address(octets[8:24]),) if len(octets) >= 24 else ())
    groups: list[IPv6Address] = []
    at = 8
    while at + 20 <= len(octets):
        groups.append(IPv6Address(octets[at + 4 : at + 20]))
        at += 20 + (octets[at + 2] << 8 | octets[at + 3]) * 16 + octets[at + 1] * 4
    return Mld(tuple(groups))
