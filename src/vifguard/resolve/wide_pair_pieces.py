"""The owner of each address of a network: the most specific one.

A port brings its addresses and its allowed address pairs to its security groups. An address
that another owner of the network has within a wide pair, by an address or a narrower pair, is
no member's by the wide one, as the longest prefix decides in routing (RFC 4632, 5.1). The rest
of a wide pair is its **pieces**: the fewest prefixes that hold it.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Final, NamedTuple

MOST_PIECES: Final = 1024
"""The most pieces of a project's broken pairs on a network: beyond, none of them counts.

They are not even kept then: the project is **closed** there.
"""


class TooManyPiecesError(Exception):
    """Pairs that others' prefixes break have more pieces than were allowed."""


class Prefix(NamedTuple):
    """A prefix as two integers; its family is known from where it is."""

    first: int
    length: int

    def last(self, bits: int) -> int:
        """Its last address, where an address has so many bits."""
        return self.first + (1 << bits - self.length) - 1

    def holds(self, other: Prefix, bits: int) -> bool:
        """Whether all of another prefix is in this one."""
        return self.length <= other.length and self.first <= other.first <= self.last(bits)


@dataclass(slots=True)
class _Open:
    """A prefix that encloses the next ones, and its first address that is not given yet."""

    owned: Prefix
    next: int
    last: int


def divide(
    owned: Iterable[Prefix],
    bits: int,
    around: Prefix | None = None,
    region: Prefix | None = None,
    most: int = MOST_PIECES,
    divided: Container[Prefix] | None = None,
) -> Mapping[Prefix, Prefix]:
    """Each piece of the wide prefixes among the owned ones, and the prefix that it is a piece of.

    The owned prefixes come in order (`sorted`); one may come again right after itself. `around`
    encloses all of a region, and owns the addresses there that have no other owner. `divided` are
    the wide prefixes whose pieces are returned; None stands for all. One pass, with a stack of the
    prefixes that enclose the next: the pieces of all of them together grow with their number.

    Raises TooManyPiecesError, and reads no further, where the pairs that others' prefixes break
    have more pieces than `most`.
    """
    found: dict[Prefix, Prefix] = {}
    enclosing: list[_Open] = []
    broken = 0

    def give(until: int) -> None:
        """Give the rest, up to an address, to the innermost enclosing prefix."""
        nonlocal broken
        inner = enclosing[-1]
        is_divided = divided is None or inner.owned in divided
        for piece in _cover(inner.next, until, bits) if is_divided else ():
            broken += piece != inner.owned
            if broken > most:
                raise TooManyPiecesError
            found[piece] = inner.owned
        inner.next = max(inner.next, until + 1)

    def close(until: int) -> None:
        while enclosing and enclosing[-1].last < until:
            give(enclosing[-1].last)
            enclosing.pop()

    if around is not None and region is not None:
        enclosing.append(_Open(around, region.first, region.last(bits)))
    for each, _ in groupby(owned):
        close(each.first)
        last = each.last(bits)
        if enclosing:
            give(each.first - 1)
            enclosing[-1].next = last + 1
        if each.length < bits:
            enclosing.append(_Open(each, each.first, last))
    close(1 << bits)
    return found


def _cover(first: int, last: int, bits: int) -> Iterator[Prefix]:
    """The fewest prefixes that hold all addresses from the first to the last."""
    while first <= last:
        aligned = (first & -first).bit_length() - 1 if first else bits
        free = min(aligned, (last - first + 1).bit_length() - 1)
        yield Prefix(first, bits - free)
        first += 1 << free
