"""The pieces of wide address pairs as rows, rebuilt when owners change.

The pieces that `resolve.wide_pair_pieces` gives of a network are kept, and rebuilt around each
prefix with another owner than before, once at the end of a change: an address within a wide pair
concerns the one piece that it is in, whatever else is on the network.

A network is **closed** where its broken pairs have more pieces than `MOST_PIECES`. No row is kept
of these pairs, so no member has anything of them. A change of a closed network rebuilds the whole
pairs alone. An owner that goes opens the network again, if few enough pieces are left.
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
    update,
)

from vifguard.model.address import IPNetwork, is_wide
from vifguard.resolve.wide_pair_pieces import MOST_PIECES, Prefix, TooManyPiecesError, divide
from vifguard.store.addressing.wide_pair_owners import (
    BITS,
    EVERYTHING,
    address_key,
    address_number,
    owned_prefixes,
    whole_pairs,
)
from vifguard.store.database.statements import Statement
from vifguard.store.schema.mapping import Record, Values
from vifguard.store.schema.tables import address_pairs, networks, pair_pieces
from vifguard.store.transaction import Snapshot, WriteTransaction

_P = pair_pieces.c
_ONE_BY_ONE: Final = 64
"""The most prefixes of a change that are rebuilt one by one; beyond, one pass is cheaper."""
_ON = bindparam("network_id", type_=String)
_FIRST, _LAST = (bindparam(name, type_=LargeBinary) for name in ("lowest", "highest"))
_FIRSTS: BindParameter[Any] = bindparam("firsts", expanding=True)

_BROKEN = Statement(select(networks.c.pieces).where(networks.c.id == _ON))
_COUNT = Statement(
    update(networks).where(networks.c.id == bindparam("this")).values(pieces=bindparam("many"))
)
_HOLDING = Statement(
    select(pair_pieces)
    .where(_P.network_id == _ON, _P.first <= _LAST)
    .order_by(_P.first.desc())
    .limit(1)
)
_WITHIN = Statement(
    select(pair_pieces).where(_P.network_id == _ON, _P.first.between(_FIRST, _LAST))
)
_AT = select(pair_pieces).where(_P.network_id == _ON, _P.first.in_(_FIRSTS))
_ON_NETWORK = Statement(select(pair_pieces).where(_P.network_id == _ON))
_BROKEN_ON_NETWORK = Statement(
    select(pair_pieces).where(_P.network_id == _ON, _P.length != _P.pair_length)
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
        _P.network_id == bindparam("this_network"), _P.length != _P.pair_length
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
    """The delta of a network's pieces, and the number of broken ones before.

    `rebuilt` are the prefixes, with their family, within which the pieces are rebuilt already. A
    closed network has no broken ones: its number is one more than `MOST_PIECES`.
    """

    network_id: str
    before: int
    gone: set[Piece] = field(default_factory=set)
    come: set[Piece] = field(default_factory=set)
    rebuilt: list[tuple[int, Prefix]] = field(default_factory=list)
    is_closed: bool = False

    @property
    def was_closed(self) -> bool:
        """Whether the network was closed before."""
        return self.before > MOST_PIECES

    @property
    def after(self) -> int:
        """The number of broken pieces after the change."""
        if self.is_closed:
            return MOST_PIECES + 1
        counted = 0 if self.was_closed else self.before
        return counted + _broken(self.come) - _broken(self.gone)

    @property
    def is_turned(self) -> bool:
        """Whether the network was open and is closed, or the other way round."""
        return self.was_closed != self.is_closed

    def replace(self, removed: set[Piece], added: set[Piece]) -> None:
        """Note pieces that were removed, and those that were added then."""
        self.gone |= removed - self.come
        self.come -= removed
        self.come |= added


def moved(change: WriteTransaction) -> list[Moved]:
    """Rebuild the pieces where a change has moved owners; return the deltas, by network."""
    found = []
    for network_id, prefixes in change.owned.items():
        if prefixes and (any(map(is_wide, prefixes)) or change.paired[network_id]()):
            found.append(_rebuild_all(change, network_id, prefixes))
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


def _rebuild_all(change: WriteTransaction, network_id: str, prefixes: Iterable[IPNetwork]) -> Moved:
    so_far = Moved(network_id, change.rows(_BROKEN, {"network_id": network_id})[0].pieces)
    moved = {*map(pair_of, prefixes)}
    if not _is_rebuilt(change, so_far, moved):
        _close(change, so_far, moved)
    if so_far.after != so_far.before:
        change.write(_COUNT, {"this": network_id, "many": so_far.after})
    return so_far


def _is_rebuilt(change: WriteTransaction, so_far: Moved, moved: set[tuple[int, Prefix]]) -> bool:
    """Rebuild the pieces; False where they are too many, or were and no owner went."""
    if not so_far.was_closed and len(moved) <= _ONE_BY_ONE:
        # What is too many halfway may be few at the end.
        with suppress(TooManyPiecesError):
            _rebuild_around(change, so_far, moved)
            return True
    if not so_far.was_closed or so_far.network_id in change.freed:
        with suppress(TooManyPiecesError):
            _rebuild_network(change, so_far)
            return True
    return False


def _rebuild_around(
    change: WriteTransaction, so_far: Moved, moved: Iterable[tuple[int, Prefix]]
) -> None:
    for version, prefix in sorted(moved, key=lambda each: each[1].length):
        bits = BITS[version]
        if not any(v == version and each.holds(prefix, bits) for v, each in so_far.rebuilt):
            _rebuild(change, so_far, version, prefix)


def _rebuild_network(change: WriteTransaction, so_far: Moved) -> None:
    """Rebuild all pieces of a network.

    Raises TooManyPiecesError, having written nothing and read little more than shows it.
    """
    here = so_far.network_id
    made: set[Piece] = set()
    for version in (6, 4):  # most often it is IPv6 that has too many
        most = MOST_PIECES - _broken(made)
        owned = owned_prefixes(change, here, version, EVERYTHING)
        made |= {Piece(version, *each) for each in divide(owned, BITS[version], most=most).items()}
    was = {*map(_piece, change.rows(_ON_NETWORK, {"network_id": here}))}
    _replace(change, so_far, was, made)


def _close(change: WriteTransaction, so_far: Moved, moved: Collection[tuple[int, Prefix]]) -> None:
    """Remove the broken pairs of a network that has too many, and rebuild its whole pairs."""
    here = so_far.network_id
    if not so_far.was_closed:
        broken = {*map(_piece, change.rows(_BROKEN_ON_NETWORK, {"network_id": here}))}
        change.write(_DELETE_BROKEN, {"this_network": here})
        so_far.replace(broken, set())
    so_far.is_closed = True
    if len(moved) > _ONE_BY_ONE:
        firsts = None
        rows = change.rows(_ON_NETWORK, {"network_id": here})
    else:
        firsts = {
            address_key(version, each)
            for version, prefix in moved
            for each in _cuts(version, prefix)
        }
        values = {"network_id": here, "firsts": sorted(firsts)}
        rows = list(change.connection.execute(_AT, values))
    whole = {Piece(version, pair, pair) for version, pair in whole_pairs(change, here, firsts)}
    _replace(change, so_far, {*map(_piece, rows)}, whole)


def _rebuild(change: WriteTransaction, so_far: Moved, version: int, moved: Prefix) -> None:
    """Rebuild the pieces in the piece that a prefix is in, or within the prefix itself."""
    region = _region(change, so_far.network_id, version, moved)
    so_far.rebuilt.append((version, region))
    around = _around(change, so_far.network_id, version, region)
    was = {*map(_piece, change.rows(_WITHIN, _range(so_far.network_id, version, region)))}
    owned = owned_prefixes(change, so_far.network_id, version, region)
    most = MOST_PIECES - so_far.after + _broken(was)
    made = divide(owned, BITS[version], around, region, most)
    if around is not None and made == {region: around}:
        whole, beside = _joined(change, so_far.network_id, Piece(version, region, around))
        made, was = {whole: around}, was | beside
    _replace(change, so_far, was, {Piece(version, *each) for each in made.items()})


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


def _joined(change: WriteTransaction, network_id: str, piece: Piece) -> tuple[Prefix, set[Piece]]:
    """The widest piece that this one makes with pieces beside it of the same pair, and these."""
    bits = BITS[piece.version]
    lengths = range(piece.prefix.length, piece.pair.length, -1)
    beside = [_sibling(piece.prefix.first, length, bits) for length in lengths]
    firsts = [address_key(piece.version, each.first) for each in beside]
    rows = change.connection.execute(_AT, {"network_id": network_id, "firsts": firsts})
    there = {*map(_piece, rows)}
    whole, joined = piece.prefix, set()
    for each in beside:
        other = Piece(piece.version, each, piece.pair)
        if other not in there:
            break
        joined.add(other)
        whole = Prefix(_cut(whole.first, each.length - 1, bits), each.length - 1)
    return whole, joined


def _replace(change: WriteTransaction, so_far: Moved, was: set[Piece], made: set[Piece]) -> None:
    removed, added = was - made, made - was
    here = so_far.network_id
    if removed:
        keys = [address_key(each.version, each.prefix.first) for each in sorted(removed)]
        change.write(_DELETE, [{"this_network": here, "this_first": each} for each in keys])
    if added:
        change.write(_INSERT, [_row(here, each) for each in sorted(added)])
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


def _row(network_id: str, piece: Piece) -> Values:
    pair = {
        "pair_first": address_key(piece.version, piece.pair.first),
        "pair_length": piece.pair.length,
    }
    return {"network_id": network_id, **in_row(piece), **pair}


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
