"""Guards, the profiles that name useful sets of them, and roles.

A guard is one check with one meaning on every backend; `semantics` defines the meaning.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from types import MappingProxyType


class Guard(StrEnum):
    """One check. The members' order numbers them in kernel records: a new one goes to the end.

    In which order a frame meets them, `semantics.verdict.CHECKS` says.
    """

    HOST = "host"
    ETHERTYPE = "ethertype"
    MAC = "mac"
    ARP = "arp"
    ND = "nd"
    IP = "ip"
    PUBLIC_IP = "public-ip"
    DHCP = "dhcp"
    RA = "ra"
    VRRP = "vrrp"
    STORM = "storm"
    SECURITY_GROUPS = "groups"


ALWAYS: frozenset[Guard] = frozenset({Guard.HOST})
"""Guards that no profile turns off: no guest reaches the host's own control protocols."""

SELECTABLE: frozenset[Guard] = frozenset(Guard) - ALWAYS - {Guard.SECURITY_GROUPS}
"""Guards that a profile may name. No profile names `groups`: a port's security groups do."""


class Profile(StrEnum):
    """A named set of guards, from the lowest to the highest."""

    OFF = "off"
    MAC = "mac"
    ROUTER = "router"
    STRICT = "strict"


_MAC = frozenset({Guard.ETHERTYPE, Guard.MAC, Guard.STORM})

GUARDS_OF: Mapping[Profile, frozenset[Guard]] = MappingProxyType(
    {
        Profile.OFF: frozenset(),
        Profile.MAC: _MAC,
        Profile.ROUTER: SELECTABLE - {Guard.IP},
        Profile.STRICT: SELECTABLE,
    }
)

# A guard that another guard would prove nothing without: an IP source check is worth nothing
# beside unchecked ARP, and a tag hides the whole packet from every check above Ethernet.
_IMPLIES: Mapping[Guard, frozenset[Guard]] = MappingProxyType(
    {
        Guard.IP: frozenset({Guard.ARP, Guard.ND, Guard.MAC, Guard.ETHERTYPE}),
        Guard.PUBLIC_IP: frozenset({Guard.ARP, Guard.ND, Guard.MAC, Guard.ETHERTYPE}),
        Guard.ARP: frozenset({Guard.MAC, Guard.ETHERTYPE}),
        Guard.ND: frozenset({Guard.MAC, Guard.ETHERTYPE}),
        Guard.DHCP: frozenset({Guard.ETHERTYPE}),
        Guard.RA: frozenset({Guard.ETHERTYPE}),
        Guard.VRRP: frozenset({Guard.ETHERTYPE}),
        Guard.SECURITY_GROUPS: frozenset({Guard.ETHERTYPE, Guard.MAC}),
    }
)


def with_implied(guards: Iterable[Guard]) -> frozenset[Guard]:
    """The guards given and those without which they would prove nothing."""
    asked = frozenset(guards)
    return asked.union(*(_IMPLIES.get(guard, frozenset()) for guard in asked))


class Role(StrEnum):
    """A permission that an operator, or the owner of an isolated network, gives a port."""

    DHCP_SERVER = "dhcp-server"
    ROUTER_ADVERTISER = "router-advertiser"


class LinkLocal(StrEnum):
    """The choice of the IPv6 link-local addresses that are a port's own."""

    NONE = "none"
    EUI64 = "eui64"
    LEARNED = "learned"
    ANY = "any"
