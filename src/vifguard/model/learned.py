"""IPv6 addresses that a guest chose itself, and that became its port's by a claim.

A host chooses identifiers of its own (RFC 7217, RFC 8981, RFC 8064). Such an address is a
port's from its claim on: first come, unique on the network, proven by duplicate address
detection (RFC 4862, 5.4).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv6Address

from vifguard.model.address import IPAddress, IPNetwork, Mac

_IDENTIFIER = 2**64 - 1
_CHOSEN = 2**48
_ANYCAST = 0xFDFF_FFFF_FFFF_FF80
_LAST_ANYCAST = 0xFDFF_FFFF_FFFF_FFFF
_EUI64 = 0xFFFE


@dataclass(frozen=True, slots=True)
class LearnedLimits:
    """The most learned addresses of a port: link-local ones for each of its MACs, and others."""

    link_local: int = 1
    others: int = 16


DEFAULT_LEARNED_LIMITS = LearnedLimits()


@dataclass(frozen=True, slots=True)
class LearnedAddress:
    """An address that a port claimed, from one of its MACs.

    Tentative while duplicate address detection goes on, the port's own once `proven`. `since`
    is the time of the claim (seconds since the epoch).
    """

    address: IPv6Address
    mac: Mac
    proven: bool = False
    since: float = 0.0


def may_be_claimed(address: IPAddress, prefixes: Iterable[IPNetwork]) -> bool:
    """Whether a prefix holds the address, and its identifier is one that hosts choose.

    Hosts do not choose EUI-64 (RFC 4291, appendix A: it is the MAC's), one below 2^48 (set by
    hand, as those of gateways are; the subnet-router anycast address; IPv4 addresses inside,
    RFC 5214), nor reserved anycast (RFC 2526).
    """
    if not isinstance(address, IPv6Address):
        return False
    identifier = int(address) & _IDENTIFIER
    chosen = (
        identifier >= _CHOSEN
        and identifier >> 24 & 0xFFFF != _EUI64
        and not _ANYCAST <= identifier <= _LAST_ANYCAST
    )
    return chosen and any(address in prefix for prefix in prefixes)
