"""Whose addresses within a wide prefix are: the most specific owner's.

A port that lists a prefix (an allowed address pair) brings it to its security groups. What
another port of the network owns within, by an address or a narrower prefix of its own, is that
port's: it is no member by the wider one (as in routing, where the longest prefix decides).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv6Address, summarize_address_range

from vifguard.model.address import IPNetwork


def without(prefix: IPNetwork, owned: Iterable[IPNetwork]) -> frozenset[IPNetwork]:
    """What remains of a prefix without narrower ones that others own.

    The cost grows with what is owned within, sorted once, and not with the prefix.
    """
    within = sorted(_ends(each) for each in owned if _is_within(each, prefix))
    first, last = _ends(prefix)
    remaining: list[IPNetwork] = []
    for start, end in within:
        remaining += _range(prefix.version, first, start - 1)
        first = max(first, end + 1)
    return frozenset([*remaining, *_range(prefix.version, first, last)])


def _is_within(narrow: IPNetwork, wide: IPNetwork) -> bool:
    if narrow.version != wide.version or narrow.prefixlen <= wide.prefixlen:
        return False
    return narrow.network_address in wide


def _ends(prefix: IPNetwork) -> tuple[int, int]:
    return int(prefix[0]), int(prefix[-1])


def _range(version: int, first: int, last: int) -> Iterator[IPNetwork]:
    """The prefixes that hold all addresses from the first to the last; none where it is empty."""
    if first > last:
        return
    if version == 4:
        yield from summarize_address_range(IPv4Address(first), IPv4Address(last))
    else:
        yield from summarize_address_range(IPv6Address(first), IPv6Address(last))
