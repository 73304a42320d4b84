"""The pieces of wide address pairs as rows, rebuilt when owners change.

The pieces that `resolve.wide_pair_pieces` gives of a network are kept, and rebuilt around each
prefix with another owner than before, once at the end of a change: an address within a wide pair
concerns the one piece that it is in, whatever else is on the network.

Each project has its own share of a network's pieces, as no project has anything within another's
pairs (`ownership`). It is **closed** there where its broken pairs have more pieces than
`MOST_PIECES`. No row is kept of these pairs, so no member has anything of them. A change of a
closed project rebuilds its whole pairs alone. An owner of it that goes opens it again, if few
enough pieces are left.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import (
    BindParameter,
    LargeBinary,
    String,
    bindparam,
    delete,
    insert,
    select,
)

from vifguard.model.address import IPNetwork, is_wide
from vifguard.resolve.wide_pair_pieces import MOST_PIECES, Prefix, TooManyPiecesError, divide
from vifguard.store.addressing.wide_pair_owners import (
    BITS,
    EVERYTHING,
    address_key,
    address_number,
    has_pairs,
    owned_prefixes,
    whole_pairs,
    wide_pairs,
)
from vifguard.store.database.statements import Statement
from vifguard.store.schema.row_mapping import Record, Values
from vifguard.store.schema.tables import address_pairs, pair_pieces, pair_shares
from vifguard.store.transaction import Snapshot, WriteTransaction

_P = pair_pieces.c
_ONE_BY_ONE: Final = 64
"""The most prefixes of a change that are rebuilt one by one; beyond, one pass is cheaper."""
_ON = bindparam("network_id", type_=String)
_FIRST, _LAST = (bindparam(name, type_=LargeBinary) for name in ("lowest", "highest"))
_FIRSTS: BindParameter[Any] = bindparam("firsts", expanding=True)

_OF_PROJECT = _P.project_id == bindparam("project_id", type_=String)
_SHARE = Statement(
    select(pair_shares.c.pieces).where(
        pair_shares.c.network_id == _ON, pair_shares.c.project_id == bindparam("project_id")
    )
)
_FORGET = Statement(
    delete(pair_shares).where(
        pair_shares.c.network_id == bindparam("this_network"),
        pair_shares.c.project_id == bindparam("this_project"),
    )
)
_COUNT = Statement(insert(pair_shares))
_HOLDING = Statement(
    select(pair_pieces)
    .where(_P.network_id == _ON, _P.first <= _LAST)
    .order_by(_P.first.desc())
    .limit(1)
)
_WITHIN = Statement(
    select(pair_pieces).where(_P.network_id == _ON, _P.first.between(_FIRST, _LAST))
)
_AT = select(pair_pieces).where(_P.network_id == _ON, _OF_PROJECT, _P.first.in_(_FIRSTS))
_ALL = Statement(select(pair_pieces).where(_P.network_id == _ON, _OF_PROJECT))
_BROKEN = Statement(
    select(pair_pieces).where(_P.network_id == _ON, _OF_PROJECT, _P.length != _P.pair_length)
)
_OF_PAIRS = select(pair_pieces).where(_P.network_id == _ON, _P.pair_first.in_(_FIRSTS))
_ENCLOSING = select(address_pairs.c.first, address_pairs.c.length).where(
    address_pairs.c.network_id == _ON, address_pairs.c.first.in_(_FIRSTS)
)
_INSERT = Statement(insert(pair_pieces))
_DELETE = Statement(
    delete(pair_pieces).where(
        _P.network_id == bindparam("this_network"), _P.first == bindparam("this_first")
    )
)

_DELETE_BROKEN = Statement(
    delete(pair_pieces).where(
        _P.network_id == bindparam("this_network"),
        _P.project_id == bindparam("this_project"),
        _P.length != _P.pair_length,
    )
)


@dataclass(frozen=True, slots=True, order=True)
class Piece:
    """A piece and its pair; `version` is the family of both."""

    version: int
    prefix: Prefix
    pair: Prefix

    @property
    def is_whole(self) -> bool:
        """Whether no other owner has anything of the pair."""
        return self.prefix == self.pair


@dataclass(slots=True)
class Moved:
    """The delta of a project's pieces on a network, and the number of broken ones before.

    `rebuilt` are the prefixes, with their family, within which the pieces are rebuilt already. A
    closed project has no broken ones: its number is one more than `MOST_PIECES`.
    """

    network_id: str
    project_id: str
    before: int
    removed: set[Piece] = field(default_factory=set)
    added: set[Piece] = field(default_factory=set)
    rebuilt: list[tuple[int, Prefix]] = field(default_factory=list)
    is_closed: bool = False

    @property
    def was_closed(self) -> bool:
        """Whether the project was closed there before."""
        return self.before > MOST_PIECES

    @property
    def after(self) -> int:
        """The number of broken pieces after the change."""
        if self.is_closed:
            return MOST_PIECES + 1
        counted = 0 if self.was_closed else self.before
        return counted + _broken(self.added) - _broken(self.removed)

    @property
    def is_turned(self) -> bool:
        """Whether the project was open there and is closed, or the other way round."""
        return self.was_closed != self.is_closed

    def replace(self, removed: set[Piece], added: set[Piece]) -> None:
        """Note pieces that were removed, and those that were added then."""
        self.removed |= removed - self.added
        self.added -= removed
        self.added |= added


def moved(change: WriteTransaction) -> list[Moved]:
    """Rebuild the pieces where a change has moved owners; return the deltas."""
    found = []
    for (network_id, project_id), prefixes in change.owned.items():
        if prefixes and (any(map(is_wide, prefixes)) or has_pairs(change, network_id)):
            here = {"network_id": network_id, "project_id": project_id}
            before = sum(row.pieces for row in change.rows(_SHARE, here))
            found.append(_rebuild_all(change, Moved(network_id, project_id, before), prefixes))
    return found


def of_pairs(
    snapshot: Snapshot, network_id: str, pairs: Iterable[tuple[int, Prefix]]
) -> list[Piece]:
    """The pieces of some wide pairs of a network."""
    wanted = {*pairs}
    here = {
        "network_id": network_id,
        "firsts": [address_key(version, pair.first) for version, pair in wanted],
    }
    rows = snapshot.connection.execute(_OF_PAIRS, here)
    return [each for each in map(_piece, rows) if (each.version, each.pair) in wanted]


def _rebuild_all(change: WriteTransaction, so_far: Moved, prefixes: Iterable[IPNetwork]) -> Moved:
    moved = {*map(pair_of, prefixes)}
    if not _is_rebuilt(change, so_far, moved):
        _close(change, so_far, moved)
    if so_far.after != so_far.before:
        _count(change, so_far)
    return so_far


def _count(change: WriteTransaction, so_far: Moved) -> None:
    if so_far.before:
        change.write(_FORGET, _this_share(so_far))
    if so_far.after:
        change.write(_COUNT, _here(so_far) | {"pieces": so_far.after})


def _is_rebuilt(change: WriteTransaction, so_far: Moved, moved: set[tuple[int, Prefix]]) -> bool:
    """Rebuild the pieces; False where they are too many, or were and no owner went."""
    if not so_far.was_closed and len(moved) <= _ONE_BY_ONE:
        # What is too many halfway may be few at the end.
        with suppress(TooManyPiecesError):
            _rebuild_around(change, so_far, moved)
            return True
    if not so_far.was_closed or (so_far.network_id, so_far.project_id) in change.freed:
        with suppress(TooManyPiecesError):
            _rebuild_project(change, so_far)
            return True
    return False


def _rebuild_around(
    change: WriteTransaction, so_far: Moved, moved: Iterable[tuple[int, Prefix]]
) -> None:
    for version, prefix in sorted(moved, key=lambda each: each[1].length):
        bits = BITS[version]
        if not any(v == version and each.holds(prefix, bits) for v, each in so_far.rebuilt):
            _rebuild(change, so_far, version, prefix)


def _rebuild_project(change: WriteTransaction, so_far: Moved) -> None:
    """Rebuild all pieces of a project on a network.

    Raises TooManyPiecesError, having written nothing and read little more than shows it.
    """
    own = wide_pairs(change, so_far.network_id, so_far.project_id)
    made: set[Piece] = set()
    for version in (6, 4):  # most often it is IPv6 that has too many
        pairs = {pair for family, pair in own if family == version}
        owned = owned_prefixes(change, so_far.network_id, version, EVERYTHING) if pairs else ()
        most = MOST_PIECES - _broken(made)
        pieces = divide(owned, BITS[version], most=most, divided=pairs)
        made |= {Piece(version, *each) for each in pieces.items()}
    before = {*map(_piece, change.rows(_ALL, _here(so_far)))}
    _replace(change, so_far, before, made)


def _close(change: WriteTransaction, so_far: Moved, moved: Collection[tuple[int, Prefix]]) -> None:
    """Remove the broken pairs of a project that has too many, and rebuild its whole pairs."""
    here = _here(so_far)
    if not so_far.was_closed:
        broken = {*map(_piece, change.rows(_BROKEN, here))}
        change.write(_DELETE_BROKEN, _this_share(so_far))
        so_far.replace(broken, set())
    so_far.is_closed = True
    if len(moved) > _ONE_BY_ONE:
        firsts = None
        rows = change.rows(_ALL, here)
    else:
        firsts = {
            address_key(version, each)
            for version, prefix in moved
            for each in _cuts(version, prefix)
        }
        rows = list(change.connection.execute(_AT, here | {"firsts": sorted(firsts)}))
    pairs = whole_pairs(change, so_far.network_id, so_far.project_id, firsts)
    whole = {Piece(version, pair, pair) for version, pair in pairs}
    _replace(change, so_far, {*map(_piece, rows)}, whole)


def _rebuild(change: WriteTransaction, so_far: Moved, version: int, moved: Prefix) -> None:
    """Rebuild the pieces in the piece that a prefix is in, or within the prefix itself."""
    region = _region(change, so_far.network_id, version, moved)
    so_far.rebuilt.append((version, region))
    around = _around(change, so_far.network_id, version, region)
    before = {*map(_piece, change.rows(_WITHIN, _range(so_far.network_id, version, region)))}
    owned = owned_prefixes(change, so_far.network_id, version, region)
    most = MOST_PIECES - so_far.after + _broken(before)
    made = divide(owned, BITS[version], around, region, most)
    if around is not None and made == {region: around}:
        whole, beside = _joined(change, so_far, Piece(version, region, around))
        made, before = {whole: around}, before | beside
    _replace(change, so_far, before, {Piece(version, *each) for each in made.items()})


def _region(change: WriteTransaction, network_id: str, version: int, moved: Prefix) -> Prefix:
    """The piece that holds all of a prefix; the prefix where none does."""
    values = {"network_id": network_id, "highest": address_key(version, moved.first)}
    for row in change.rows(_HOLDING, values):
        piece = _piece(row)
        if piece.version == version and piece.prefix.holds(moved, BITS[version]):
            return piece.prefix
    return moved


def _around(
    change: WriteTransaction, network_id: str, version: int, region: Prefix
) -> Prefix | None:
    """The narrowest pair that encloses more than a region."""
    bits = BITS[version]
    firsts = {_cut(region.first, length, bits) for length in range(region.length)}
    here = {"network_id": network_id, "firsts": [address_key(version, each) for each in firsts]}
    found = (
        Prefix(address_number(row.first), row.length)
        for row in (change.connection.execute(_ENCLOSING, here) if firsts else ())
    )
    enclosing = (e for e in found if e.length < region.length and e.holds(region, bits))
    return max(enclosing, key=lambda each: each.length, default=None)


def _joined(change: WriteTransaction, so_far: Moved, piece: Piece) -> tuple[Prefix, set[Piece]]:
    """The widest piece that this one makes with pieces beside it of the same pair, and these."""
    bits = BITS[piece.version]
    lengths = range(piece.prefix.length, piece.pair.length, -1)
    beside = [_sibling(piece.prefix.first, length, bits) for length in lengths]
    firsts = [address_key(piece.version, each.first) for each in beside]
    rows = change.connection.execute(_AT, _here(so_far) | {"firsts": firsts})
    there = {*map(_piece, rows)}
    whole, joined = piece.prefix, set()
    for each in beside:
        other = Piece(piece.version, each, piece.pair)
        if other not in there:
            break
        joined.add(other)
        whole = Prefix(_cut(whole.first, each.length - 1, bits), each.length - 1)
    return whole, joined


def _replace(change: WriteTransaction, so_far: Moved, before: set[Piece], made: set[Piece]) -> None:
    removed, added = before - made, made - before
    if removed:
        keys = [address_key(each.version, each.prefix.first) for each in sorted(removed)]
        here = so_far.network_id
        change.write(_DELETE, [{"this_network": here, "this_first": each} for each in keys])
    if added:
        change.write(_INSERT, [_here(so_far) | _row(each) for each in sorted(added)])
    so_far.replace(removed, added)


def pair_of(prefix: IPNetwork) -> tuple[int, Prefix]:
    """A pair's prefix, in numbers, and its family."""
    return prefix.version, Prefix(int(prefix.network_address), prefix.prefixlen)


def pair_in(row: Record) -> tuple[int, Prefix]:
    """The prefix that a row has, in numbers, and its family."""
    return row.first[0], Prefix(address_number(row.first), row.length)


def key_of(version: int, prefix: Prefix) -> bytes:
    """The key of a prefix's first address."""
    return address_key(version, prefix.first)


def in_row(piece: Piece) -> Values:
    """The columns that a journal has of a piece."""
    return {"first": address_key(piece.version, piece.prefix.first), "length": piece.prefix.length}


def by_pair(pieces: Iterable[Piece]) -> Mapping[tuple[int, Prefix], set[Piece]]:
    """Index pieces by their pair."""
    found: dict[tuple[int, Prefix], set[Piece]] = defaultdict(set)
    for each in pieces:
        found[each.version, each.pair].add(each)
    return found


def _here(so_far: Moved) -> Values:
    return {"network_id": so_far.network_id, "project_id": so_far.project_id}


def _this_share(so_far: Moved) -> Values:
    return {"this_network": so_far.network_id, "this_project": so_far.project_id}


def _row(piece: Piece) -> Values:
    pair_first = address_key(piece.version, piece.pair.first)
    return {**in_row(piece), "pair_first": pair_first, "pair_length": piece.pair.length}


def _piece(row: Record) -> Piece:
    prefix, pair = ((row.first, row.length), (row.pair_first, row.pair_length))
    return Piece(
        row.first[0], *(Prefix(address_number(first), length) for first, length in (prefix, pair))
    )


def _range(network_id: str, version: int, prefix: Prefix) -> Values:
    ends = (prefix.first, prefix.last(BITS[version]))
    lowest, highest = (address_key(version, each) for each in ends)
    return {"network_id": network_id, "lowest": lowest, "highest": highest}


def _cut(first: int, length: int, bits: int) -> int:
    return first >> bits - length << bits - length


def _cuts(version: int, prefix: Prefix) -> Iterator[int]:
    """The first addresses of a prefix and of all that enclose it."""
    bits = BITS[version]
    return (_cut(prefix.first, length, bits) for length in range(prefix.length + 1))


def _broken(pieces: Iterable[Piece]) -> int:
    return sum(not each.is_whole for each in pieces)


def _sibling(first: int, length: int, bits: int) -> Prefix:
    return Prefix(_cut(first, length, bits) ^ (1 << bits - length), length)
