"""The pieces of wide address pairs as rows, rebuilt when owners change.

The pieces that `resolve.wide_pair_pieces` gives of a network are kept, and rebuilt around each
prefix with another owner than before, once at the end of a change: an address within a wide pair
concerns the one piece that it is in, whatever else is on the network.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import (
    BindParameter,
    LargeBinary,
    String,
    and_,
    bindparam,
    case,
    delete,
    exists,
    insert,
    null,
    or_,
    select,
    union,
    update,
)

from vifguard.model.address import IPNetwork
from vifguard.resolve.wide_pair_pieces import MOST_PIECES, Prefix, divide
from vifguard.store.database.statements import Statement
from vifguard.store.schema.mapping import Record, Values
from vifguard.store.schema.tables import address_pairs, allocations, networks, pair_pieces, ports
from vifguard.store.transaction import Snapshot, WriteTransaction

_P = pair_pieces.c
_BITS: Final = {4: 32, 6: 128}
_EVERYTHING: Final = Prefix(0, 0)
_ONE_BY_ONE: Final = 64
"""The most prefixes of a change that are rebuilt one by one; beyond, one pass is cheaper."""
_ON = bindparam("network_id", type_=String)
_FIRST, _LAST = (bindparam(name, type_=LargeBinary) for name in ("lowest", "highest"))
_FIRSTS: BindParameter[Any] = bindparam("firsts", expanding=True)

COUNTS = or_(networks.c.pieces <= MOST_PIECES, _P.length == _P.pair_length)
"""Whether a piece counts in security groups: with too many on a network, only whole pairs do."""

_LISTED = address_pairs.c.network_id == _ON
_IPV6 = bytes((6,))
# Each is one look-up in an index; a pair of every address but one may have no piece at all.
_IS_WIDE = or_(
    address_pairs.c.length < 32,
    address_pairs.c.length.between(33, 127),
    and_(address_pairs.c.length == 32, address_pairs.c.first >= _IPV6),
)
TOO_MANY = case(
    (networks.c.pieces <= MOST_PIECES, 0),
    (exists().where(address_pairs.c.port_id == ports.c.id, _IS_WIDE), networks.c.pieces),
    else_=0,
).label("too_many")
"""The pieces of its network's pairs, for a port with a wide pair, if they are too many; else 0."""

_HAS_PAIRS = Statement(
    select(
        or_(
            exists().where(_LISTED, address_pairs.c.length < 32),
            exists().where(_LISTED, address_pairs.c.length.between(33, 127)),
            exists().where(_LISTED, address_pairs.c.length == 32, address_pairs.c.first >= _IPV6),
        ).label("has_pairs")
    )
)
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
_OF_PAIRS = select(pair_pieces).where(_P.network_id == _ON, _P.pair_first.in_(_FIRSTS))
_OWNED = Statement(
    union(
        select(allocations.c.address.label("first"), null().label("length")).where(
            allocations.c.network_id == _ON, allocations.c.address.between(_FIRST, _LAST)
        ),
        select(address_pairs.c.first, address_pairs.c.length).where(
            address_pairs.c.network_id == _ON, address_pairs.c.first.between(_FIRST, _LAST)
        ),
    )
)
_ENCLOSING = select(address_pairs.c.first, address_pairs.c.length).where(
    address_pairs.c.network_id == _ON, address_pairs.c.first.in_(_FIRSTS)
)
_INSERT = Statement(insert(pair_pieces))
_DELETE = Statement(
    delete(pair_pieces).where(
        _P.network_id == bindparam("this_network"), _P.first == bindparam("this_first")
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

    `rebuilt` are the prefixes, with their family, within which the pieces are rebuilt already.
    """

    network_id: str
    before: int
    gone: set[Piece] = field(default_factory=set)
    come: set[Piece] = field(default_factory=set)
    rebuilt: list[tuple[int, Prefix]] = field(default_factory=list)

    @property
    def after(self) -> int:
        """The number of broken pieces after the change."""
        removed, added = (
            sum(not each.is_whole for each in some) for some in (self.gone, self.come)
        )
        return self.before + added - removed

    @property
    def is_turned(self) -> bool:
        """Whether the network has too many where it had not, or the other way round."""
        return (self.before > MOST_PIECES) != (self.after > MOST_PIECES)


def is_wide(prefix: IPNetwork) -> bool:
    """Whether a prefix holds more than one address."""
    return prefix.prefixlen < prefix.max_prefixlen


def expect(change: WriteTransaction, network_id: str) -> None:
    """Queue the query whether an owner on a network could be within a wide pair."""
    if network_id not in change.owned:
        change.owned[network_id] = set()
        change.paired[network_id] = change.queue(
            _HAS_PAIRS, {"network_id": network_id}, lambda rows: bool(rows[0].has_pairs)
        )


def own(change: WriteTransaction, network_id: str, prefixes: Iterable[IPNetwork]) -> None:
    """Note that prefixes of a network have an owner more, or one less."""
    expect(change, network_id)
    change.owned[network_id] |= {*prefixes}


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
        "firsts": [_key(version, pair.first) for version, pair in wanted],
    }
    rows = snapshot.connection.execute(_OF_PAIRS, here)
    return [each for each in map(_piece, rows) if (each.version, each.pair) in wanted]


def broken_pairs(snapshot: Snapshot, network_id: str) -> set[tuple[int, Prefix]]:
    """The pairs of a network that others' prefixes break."""
    which = and_(_P.network_id == network_id, _P.length != _P.pair_length)
    rows = snapshot.connection.execute(select(pair_pieces).where(which))
    return {(each.version, each.pair) for each in map(_piece, rows)}


def _rebuild_all(change: WriteTransaction, network_id: str, prefixes: Iterable[IPNetwork]) -> Moved:
    before = change.rows(_BROKEN, {"network_id": network_id})[0].pieces
    so_far = Moved(network_id, before)
    numbers = {*map(pair_of, prefixes)}
    if len(numbers) > _ONE_BY_ONE:
        numbers = {(version, _EVERYTHING) for version, _ in numbers}
    for version, prefix in sorted(numbers, key=lambda each: each[1].length):
        bits = _BITS[version]
        if not any(v == version and each.holds(prefix, bits) for v, each in so_far.rebuilt):
            _rebuild(change, so_far, version, prefix)
    if so_far.after != before:
        change.write(_COUNT, {"this": network_id, "many": so_far.after})
    return so_far


def _rebuild(change: WriteTransaction, so_far: Moved, version: int, moved: Prefix) -> None:
    """Rebuild the pieces in the piece that a prefix is in, or within the prefix itself."""
    region = _region(change, so_far.network_id, version, moved)
    so_far.rebuilt.append((version, region))
    bits = _BITS[version]
    around = _around(change, so_far.network_id, version, region)
    here = _range(so_far.network_id, version, region)
    owned = [
        Prefix(_number(row.first), bits if row.length is None else row.length)
        for row in change.rows(_OWNED, here)
    ]
    inner = (each for each in owned if each.length >= region.length)
    was = {*map(_piece, change.rows(_WITHIN, here))}
    made = divide(inner, bits, around, region)
    if around is not None and made == {region: around}:
        whole, beside = _joined(change, so_far.network_id, Piece(version, region, around))
        made, was = {whole: around}, was | beside
    _replace(change, so_far, was, {Piece(version, *each) for each in made.items()})


def _region(change: WriteTransaction, network_id: str, version: int, moved: Prefix) -> Prefix:
    """The piece that holds all of a prefix; the prefix where none does."""
    values = {"network_id": network_id, "highest": _key(version, moved.first)}
    for row in change.rows(_HOLDING, values):
        piece = _piece(row)
        if piece.version == version and piece.prefix.holds(moved, _BITS[version]):
            return piece.prefix
    return moved


def _around(
    change: WriteTransaction, network_id: str, version: int, region: Prefix
) -> Prefix | None:
    """The narrowest pair that encloses more than a region."""
    bits = _BITS[version]
    firsts = {_cut(region.first, length, bits) for length in range(region.length)}
    here = {"network_id": network_id, "firsts": [_key(version, each) for each in firsts]}
    found = (
        Prefix(_number(row.first), row.length)
        for row in (change.connection.execute(_ENCLOSING, here) if firsts else ())
    )
    enclosing = (e for e in found if e.length < region.length and e.holds(region, bits))
    return max(enclosing, key=lambda each: each.length, default=None)


def _joined(change: WriteTransaction, network_id: str, piece: Piece) -> tuple[Prefix, set[Piece]]:
    """The widest piece that this one makes with pieces beside it of the same pair, and these."""
    bits = _BITS[piece.version]
    lengths = range(piece.prefix.length, piece.pair.length, -1)
    beside = [_sibling(piece.prefix.first, length, bits) for length in lengths]
    firsts = [_key(piece.version, each.first) for each in beside]
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
        keys = [_key(each.version, each.prefix.first) for each in sorted(removed)]
        change.write(_DELETE, [{"this_network": here, "this_first": each} for each in keys])
    if added:
        change.write(_INSERT, [_row(here, each) for each in sorted(added)])
    so_far.gone |= removed - so_far.come
    so_far.come -= removed
    so_far.come |= added


def pair_of(prefix: IPNetwork) -> tuple[int, Prefix]:
    """A pair's prefix, in numbers, and its family."""
    return prefix.version, Prefix(int(prefix.network_address), prefix.prefixlen)


def pair_in(row: Record) -> tuple[int, Prefix]:
    """The prefix that a row has, in numbers, and its family."""
    return row.first[0], Prefix(_number(row.first), row.length)


def key_of(version: int, prefix: Prefix) -> bytes:
    """The key of a prefix's first address."""
    return _key(version, prefix.first)


def in_row(piece: Piece) -> Values:
    """The columns that a journal has of a piece."""
    return {"first": _key(piece.version, piece.prefix.first), "length": piece.prefix.length}


def by_pair(pieces: Iterable[Piece]) -> Mapping[tuple[int, Prefix], set[Piece]]:
    """Index pieces by their pair."""
    found: dict[tuple[int, Prefix], set[Piece]] = defaultdict(set)
    for each in pieces:
        found[each.version, each.pair].add(each)
    return found


def _row(network_id: str, piece: Piece) -> Values:
    pair = {"pair_first": _key(piece.version, piece.pair.first), "pair_length": piece.pair.length}
    return {"network_id": network_id, **in_row(piece), **pair}


def _piece(row: Record) -> Piece:
    prefix, pair = ((row.first, row.length), (row.pair_first, row.pair_length))
    return Piece(
        row.first[0], *(Prefix(_number(first), length) for first, length in (prefix, pair))
    )


def _range(network_id: str, version: int, prefix: Prefix) -> Values:
    ends = (prefix.first, prefix.last(_BITS[version]))
    lowest, highest = (_key(version, each) for each in ends)
    return {"network_id": network_id, "lowest": lowest, "highest": highest}


def _cut(first: int, length: int, bits: int) -> int:
    return first >> bits - length << bits - length


def _sibling(first: int, length: int, bits: int) -> Prefix:
    return Prefix(_cut(first, length, bits) ^ (1 << bits - length), length)


def _key(version: int, address: int) -> bytes:
    return bytes((version,)) + address.to_bytes(_BITS[version] // 8, "big")


def _number(stored: bytes) -> int:
    return int.from_bytes(stored[1:], "big")
