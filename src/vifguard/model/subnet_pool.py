"""Subnet pools: prefixes that subnets get theirs from, so that no two have the same."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import collapse_addresses, ip_network
from typing import Final

from vifguard.model.address import IPNetwork

QUOTA_UNIT: Final = {4: 32, 6: 64}
"""The length of the prefixes in which the quota of a pool counts, by IP version."""

USUAL_SHORTEST: Final = {4: 8, 6: 64}
"""The shortest length of prefixes from a pool that names no other, by IP version."""


@dataclass(frozen=True, slots=True)
class SubnetPool:
    """Prefixes of one IP version, and the lengths that prefixes of subnets from them may have.

    `quota` is the number of smallest units (an address, or an IPv6 /64) that each project may
    have of it; None is any number. Of each IP version one pool may be the default.
    """

    id: str
    project_id: str
    prefixes: tuple[IPNetwork, ...]
    shortest: int
    longest: int
    usual: int
    name: str = ""
    description: str = ""
    quota: int | None = None
    is_default: bool = False

    @property
    def version(self) -> int:
        """The IP version of all its prefixes."""
        return self.prefixes[0].version


def compact(prefixes: Iterable[IPNetwork]) -> tuple[IPNetwork, ...]:
    """The same addresses in as few prefixes as there can be, in order."""
    return tuple(collapse_addresses(prefixes))  # type: ignore[type-var]


def holds(prefixes: Iterable[IPNetwork], prefix: IPNetwork) -> bool:
    """Whether one of the prefixes holds the whole of another."""
    return any(_within(prefix, each) for each in prefixes)


def left(prefixes: Iterable[IPNetwork], taken: Iterable[IPNetwork]) -> list[IPNetwork]:
    """The free pieces of prefixes, without the taken ones; the smallest first."""
    pieces = list(prefixes)
    for each in taken:
        pieces = [rest for piece in pieces for rest in _without(piece, each)]
    whole = compact(pieces)
    return sorted(whole, key=lambda piece: (-piece.prefixlen, int(piece.network_address)))


def first_free(
    prefixes: Iterable[IPNetwork], taken: Iterable[IPNetwork], length: int
) -> IPNetwork | None:
    """The first prefix of a length that is free, from the smallest piece that has one."""
    for piece in left(prefixes, taken):
        if piece.prefixlen <= length:
            return ip_network((piece.network_address.packed, length))
    return None


def units(prefix: IPNetwork) -> float:
    """The number of quota units of a pool that a prefix counts for."""
    return float(2.0 ** (QUOTA_UNIT[prefix.version] - prefix.prefixlen))


def _without(piece: IPNetwork, taken: IPNetwork) -> list[IPNetwork]:
    if piece.version != taken.version or not piece.overlaps(taken):
        return [piece]
    if _within(piece, taken):
        return []
    return list(piece.address_exclude(taken))  # type: ignore[arg-type]


def _within(inner: IPNetwork, outer: IPNetwork) -> bool:
    return inner.version == outer.version and inner.subnet_of(outer)  # type: ignore[arg-type]
