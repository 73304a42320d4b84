"""Contributions of wide address pairs to the sets of their ports' security groups: the pieces.

A host that follows a set gets each piece that was added or removed; if these are many, it gets
the set whole.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from sqlalchemy import bindparam, select

from vifguard.resolve.wide_pair_pieces import Prefix
from vifguard.store.addressing import stored_pieces
from vifguard.store.addressing.stored_pieces import Moved, Piece
from vifguard.store.schema.row_mapping import Values
from vifguard.store.schema.tables import address_pairs, port_security_groups, ports
from vifguard.store.transaction import WriteTransaction
from vifguard.store.updates import address_sets

_Pair = tuple[int, Prefix]
"""A wide pair and its family."""

_SETS = (
    select(address_pairs.c.first, address_pairs.c.length, port_security_groups.c.group_id)
    .join(ports, ports.c.id == address_pairs.c.port_id)
    .join(port_security_groups, port_security_groups.c.port_id == ports.c.id)
    .where(
        address_pairs.c.network_id == bindparam("network_id"),
        address_pairs.c.first.in_(bindparam("firsts", expanding=True)),
        ports.c.port_security_enabled,
    )
    .distinct()
)


def rebuild_pieces(change: WriteTransaction) -> None:
    """Rebuild pieces where owners have moved, and notify the hosts that follow their sets."""
    moved: dict[str, list[Moved]] = defaultdict(list)
    for each in stored_pieces.moved(change):
        moved[each.network_id].append(each)
    for network_id in moved.keys() | change.listed.keys():
        listed = {
            (set_id, stored_pieces.pair_of(prefix))
            for set_id, prefix in change.listed.get(network_id, ())
        }
        _notify_hosts(change, network_id, moved[network_id], listed)
    change.owned.clear()
    change.listed.clear()


def _notify_hosts(
    change: WriteTransaction,
    network_id: str,
    moved: Iterable[Moved],
    listed: Iterable[tuple[str, _Pair]],
) -> None:
    removed = stored_pieces.by_pair(piece for each in moved for piece in each.removed)
    affected = stored_pieces.by_pair(p for each in moved for p in each.removed | each.added)
    moved_of_set: dict[str, set[Piece]] = defaultdict(set)
    for set_id, pair in _sets_of(change, network_id, affected):
        moved_of_set[set_id] |= affected[pair]
    remaining = stored_pieces.by_pair(
        stored_pieces.of_pairs(change, network_id, (pair for _, pair in listed))
    )
    for set_id, pair in listed:
        moved_of_set[set_id] |= remaining.get(pair, set()) | removed.get(pair, set())
    if not moved_of_set:
        return
    following = address_sets.subscribers(change, moved_of_set.keys())
    if any(each.is_turned for each in moved):
        address_sets.restart(change, moved_of_set.keys(), following)
    else:
        address_sets.journal_changes(change, _lines(moved_of_set.items()), following)


def _sets_of(
    change: WriteTransaction, network_id: str, pairs: Iterable[_Pair]
) -> list[tuple[str, _Pair]]:
    """The sets that wide pairs of a network are in."""
    given = {*pairs}
    if not given:
        return []
    firsts = [stored_pieces.key_of(*each) for each in given]
    rows = change.connection.execute(_SETS, {"network_id": network_id, "firsts": firsts})
    found = [(row.group_id, stored_pieces.pair_in(row)) for row in rows]
    return [(set_id, pair) for set_id, pair in found if pair in given]


def _lines(moved_of_set: Iterable[tuple[str, set[Piece]]]) -> list[tuple[str, Values]]:
    return [
        (each, stored_pieces.in_row(piece))
        for each, some in sorted(moved_of_set)
        for piece in sorted(some)
    ]
