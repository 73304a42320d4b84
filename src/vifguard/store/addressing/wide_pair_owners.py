"""The owners of prefixes on a network: noted when they change, and read in order."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Any, Final

from sqlalchemy import (
    BindParameter,
    Integer,
    LargeBinary,
    Select,
    String,
    and_,
    bindparam,
    cast,
    exists,
    or_,
    select,
    union,
)

from vifguard.model.address import IPNetwork
from vifguard.resolve.wide_pair_pieces import MOST_PIECES, Prefix
from vifguard.store.database.statements import Statement
from vifguard.store.schema.row_mapping import Record
from vifguard.store.schema.tables import address_pairs, allocations, pair_shares, ports
from vifguard.store.transaction import Snapshot, WriteTransaction

BITS: Final = {4: 32, 6: 128}
EVERYTHING: Final = Prefix(0, 0)
PAGE: Final = 512
"""The prefixes that are read at once; there are fewer with the same first address."""

_IPV6: Final = bytes((6,))
# Each is one look-up in an index; a pair of every address but one may have no piece at all.
_IS_WIDE = or_(
    address_pairs.c.length < 32,
    address_pairs.c.length.between(33, 127),
    and_(address_pairs.c.length == 32, address_pairs.c.first >= _IPV6),
)

_ON = bindparam("network_id", type_=String)
_FIRST, _LAST = (bindparam(name, type_=LargeBinary) for name in ("lowest", "highest"))
_FIRSTS: BindParameter[Any] = bindparam("firsts", expanding=True)

_LISTED = address_pairs.c.network_id == _ON
TOO_MANY = and_(
    exists().where(
        pair_shares.c.network_id == ports.c.network_id,
        pair_shares.c.project_id == ports.c.project_id,
        pair_shares.c.pieces > MOST_PIECES,
    ),
    exists().where(address_pairs.c.port_id == ports.c.id, _IS_WIDE),
).label("too_many")
"""Whether a port has a wide pair, and its project is closed on its network."""

_HAS_PAIRS = Statement(
    select(
        or_(
            exists().where(_LISTED, address_pairs.c.length < 32),
            exists().where(_LISTED, address_pairs.c.length.between(33, 127)),
            exists().where(_LISTED, address_pairs.c.length == 32, address_pairs.c.first >= _IPV6),
        ).label("has_pairs")
    )
)


def _page(some: Select[Any]) -> Select[Any]:
    """The first rows of a select, as a select that can be in a union."""
    return select(some.order_by("first", "length").limit(PAGE).subquery())


_OWNED = Statement(
    union(
        _page(
            select(
                allocations.c.address.label("first"),
                cast(bindparam("bits"), Integer).label("length"),
            ).where(allocations.c.network_id == _ON, allocations.c.address.between(_FIRST, _LAST))
        ),
        _page(
            select(address_pairs.c.first, address_pairs.c.length)
            .where(address_pairs.c.network_id == _ON, address_pairs.c.first.between(_FIRST, _LAST))
            .distinct()
        ),
    )
    .order_by("first", "length")
    .limit(PAGE)
)

_inner = address_pairs.alias()
_PAIRS = (
    select(
        address_pairs.c.first,
        address_pairs.c.length,
        exists()
        .where(
            _inner.c.network_id == _ON,
            _inner.c.first == address_pairs.c.first,
            _inner.c.length > address_pairs.c.length,
        )
        .label("has_narrower"),
        select(_inner.c.first)
        .where(_inner.c.network_id == _ON, _inner.c.first > address_pairs.c.first)
        .order_by(_inner.c.first)
        .limit(1)
        .scalar_subquery()
        .label("next_pair"),
        select(allocations.c.address)
        .where(allocations.c.network_id == _ON, allocations.c.address >= address_pairs.c.first)
        .order_by(allocations.c.address)
        .limit(1)
        .scalar_subquery()
        .label("next_address"),
    )
    .where(
        address_pairs.c.network_id == _ON,
        address_pairs.c.project_id == bindparam("project_id"),
        _IS_WIDE,
    )
    .distinct()
)
_WIDE = Statement(
    select(address_pairs.c.first, address_pairs.c.length)
    .where(
        address_pairs.c.network_id == _ON,
        address_pairs.c.project_id == bindparam("project_id"),
        _IS_WIDE,
    )
    .distinct()
)
_ALL_PAIRS = Statement(_PAIRS)
_PAIRS_AT = _PAIRS.where(address_pairs.c.first.in_(_FIRSTS))


def queue_has_pairs(change: WriteTransaction, network_id: str) -> None:
    """Queue the statement that reads whether an owner could be within a wide pair of a network."""
    if network_id not in change.paired:
        change.paired[network_id] = change.enqueue(_HAS_PAIRS, {"network_id": network_id})


def has_pairs(change: WriteTransaction, network_id: str) -> bool:
    """Whether an owner on a network could be within a wide pair; `queue_has_pairs` was called."""
    return bool(change.rows_of(change.paired[network_id])[0].has_pairs)


def note_owner_added(
    change: WriteTransaction, network_id: str, project_id: str, prefixes: Iterable[IPNetwork]
) -> None:
    """Note that a project became an owner of prefixes of a network."""
    queue_has_pairs(change, network_id)
    change.owned.setdefault((network_id, project_id), set()).update(prefixes)


def note_owner_removed(
    change: WriteTransaction, network_id: str, project_id: str, prefixes: Iterable[IPNetwork]
) -> None:
    """Note that a project is an owner of prefixes of a network no more."""
    removed = {*prefixes}
    note_owner_added(change, network_id, project_id, removed)
    if removed:
        change.freed.add((network_id, project_id))


def owned_prefixes(
    snapshot: Snapshot, network_id: str, version: int, region: Prefix
) -> Iterator[Prefix]:
    """The prefixes of a region that ports and IP groups own, in order, read a page at a time."""
    bits = BITS[version]
    here = {
        "network_id": network_id,
        "bits": bits,
        "lowest": address_key(version, region.first),
        "highest": address_key(version, region.last(bits)),
    }
    while True:
        rows = snapshot.rows(_OWNED, here)
        is_last = len(rows) < PAGE
        for row in rows:
            # The page may end between prefixes of one first address: the next begins with it.
            if not is_last and row.first == rows[-1].first:
                break
            if row.length >= region.length:
                yield Prefix(address_number(row.first), row.length)
        if is_last:
            return
        here["lowest"] = rows[-1].first


def wide_pairs(snapshot: Snapshot, network_id: str, project_id: str) -> set[tuple[int, Prefix]]:
    """The wide pairs of a project on a network, by family."""
    rows = snapshot.rows(_WIDE, {"network_id": network_id, "project_id": project_id})
    return {(row.first[0], Prefix(address_number(row.first), row.length)) for row in rows}


def whole_pairs(
    snapshot: Snapshot, network_id: str, project_id: str, firsts: Collection[bytes] | None
) -> set[tuple[int, Prefix]]:
    """The wide pairs of a project on a network that nobody breaks, by family.

    `firsts` are the keys of their first addresses; None for all of them.
    """
    here = {"network_id": network_id, "project_id": project_id}
    if firsts is None:
        rows = snapshot.rows(_ALL_PAIRS, here)
    else:
        found = snapshot.connection.execute(_PAIRS_AT, here | {"firsts": sorted(firsts)})
        rows = list(found)
    pairs = ((row, row.first[0], Prefix(address_number(row.first), row.length)) for row in rows)
    return {(version, pair) for row, version, pair in pairs if _is_whole(row, version, pair)}


def _is_whole(row: Record, version: int, pair: Prefix) -> bool:
    """Whether the next owned prefix, in order, is beyond a pair."""
    last = address_key(version, pair.last(BITS[version]))
    following = (each for each in (row.next_pair, row.next_address) if each is not None)
    return not row.has_narrower and all(each > last for each in following)


def address_key(version: int, address: int) -> bytes:
    """The key of an address."""
    return bytes((version,)) + address.to_bytes(BITS[version] // 8, "big")


def address_number(stored: bytes) -> int:
    """The address of a key, as an integer."""
    return int.from_bytes(stored[1:], "big")
