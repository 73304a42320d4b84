"""Address sets: the prefixes that ports and address groups contribute to each.

A host gets a set whole when it begins to follow it (`subscriptions`), then by change: the journal
lists the prefixes that changed; whether one was added or removed is read from the current rows.
Of a wide address pair a set holds the pieces (`stored_pieces`), which `wide_pairs` journals.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, Final

from sqlalchemy import Select, and_, bindparam, delete, exists, insert, or_, select, union, update

from vifguard.model.address import IPNetwork, host_prefix, is_wide
from vifguard.model.learned import LearnedAddress
from vifguard.model.port import Port
from vifguard.model.security_group import SetChange
from vifguard.resolve.policy import effective_security_groups
from vifguard.store.batch import Batch, Pending
from vifguard.store.database.statements import Statement, in_list
from vifguard.store.schema.mapping import address_of, key, prefix_of
from vifguard.store.schema.row_mapping import Record, Values
from vifguard.store.schema.tables import (
    allocations,
    host_sets,
    ip_group_members,
    pair_pieces,
    port_security_groups,
    ports,
    set_journal,
    set_prefixes,
)
from vifguard.store.transaction import BEFORE_ALL, Snapshot, WriteTransaction

Contribution = frozenset[tuple[str, IPNetwork]]
"""Sets, and the prefixes that one port, IP group or address group contributes to them."""

Subscribers = list[tuple[str, str]]
"""Sets, and the hosts that follow them."""

MOST_JOURNALED: Final = 4096
"""The most rows of the journal that one change writes of sets."""

_OWN = ""
"""The contributor of an address group's own prefixes: no port."""

_SHARED_BY = (
    select(port_security_groups.c.group_id)
    .join(ip_group_members, ip_group_members.c.port_id == port_security_groups.c.port_id)
    .join(ports, ports.c.id == port_security_groups.c.port_id)
    .where(
        ip_group_members.c.group_id == bindparam("ip_group"),
        ip_group_members.c.port_id != bindparam("left_out"),
        ports.c.port_security_enabled,
    )
    .distinct()
)
_SHARED = select(allocations.c.address).where(allocations.c.group_id == bindparam("ip_group"))
_INSERT = Statement(insert(set_prefixes))
_DELETE = Statement(
    delete(set_prefixes).where(
        set_prefixes.c.set_id == bindparam("this_set_id"),
        set_prefixes.c.first == bindparam("this_first"),
        set_prefixes.c.length == bindparam("this_length"),
        set_prefixes.c.port_id == bindparam("this_port_id"),
    )
)
_SUBSCRIBERS = Statement(
    select(host_sets.c.set_id, host_sets.c.host).where(in_list(host_sets.c.set_id, "sets"))
)
_JOURNAL = Statement(insert(set_journal).inline())
_RESTART = Statement(
    update(host_sets)
    .where(host_sets.c.set_id == bindparam("restarted"))
    .values(since=bindparam("from_now"))
)
_IPV6 = bytes((6,))
_IS_EXACT = or_(
    set_prefixes.c.port_id == _OWN,
    set_prefixes.c.length == 128,
    and_(set_prefixes.c.length == 32, set_prefixes.c.first < _IPV6),
)
_IN_PAIR = and_(
    pair_pieces.c.network_id == ports.c.network_id,
    pair_pieces.c.pair_first == set_prefixes.c.first,
    pair_pieces.c.pair_length == set_prefixes.c.length,
)


def _with_pieces(some: Select[Any]) -> Select[Any]:
    """A selection from the pieces of sets' wide pairs."""
    return (
        some.select_from(set_prefixes)
        .join(ports, ports.c.id == set_prefixes.c.port_id)
        .join(pair_pieces, _IN_PAIR)
    )


_THESE = in_list(set_prefixes.c.set_id, "sets")
_CONTENT = Statement(
    union(
        select(set_prefixes.c.set_id, set_prefixes.c.first, set_prefixes.c.length).where(
            _THESE, _IS_EXACT
        ),
        _with_pieces(
            select(set_prefixes.c.set_id, pair_pieces.c.first, pair_pieces.c.length)
        ).where(_THESE),
    )
)
_NEWLY_SUBSCRIBED = select(host_sets.c.set_id).where(
    host_sets.c.host == bindparam("host"), host_sets.c.since > bindparam("after")
)
_IS_THERE = or_(
    exists().where(
        set_prefixes.c.set_id == set_journal.c.set_id,
        set_prefixes.c.first == set_journal.c.first,
        set_prefixes.c.length == set_journal.c.length,
        _IS_EXACT,
    ),
    exists(
        _with_pieces(select(pair_pieces.c.first))
        .where(
            pair_pieces.c.first == set_journal.c.first,
            pair_pieces.c.length == set_journal.c.length,
            set_prefixes.c.set_id == set_journal.c.set_id,
        )
        .correlate(set_journal)
    ),
)
_CHANGED = (
    select(
        set_journal.c.set_id,
        set_journal.c.first,
        set_journal.c.length,
        _IS_THERE.label("is_there"),
    )
    .join(
        host_sets,
        and_(
            host_sets.c.set_id == set_journal.c.set_id,
            host_sets.c.host == bindparam("host"),
            host_sets.c.since <= bindparam("after"),
        ),
    )
    .where(set_journal.c.revision > bindparam("after"))
    .distinct()
)


def contribution_of_port(port: Port | None) -> Contribution:
    """The prefixes of a port (addresses, learned ones too, and pairs), for each of its groups."""
    if port is None:
        return frozenset()
    prefixes = {host_prefix(fixed.address) for fixed in port.fixed_ips}
    prefixes |= {pair.prefix for pair in port.address_pairs}
    prefixes |= {host_prefix(each.address) for each in port.learned if is_contributed(each)}
    return frozenset(
        (group, prefix) for group in effective_security_groups(port) for prefix in prefixes
    )


def is_contributed(learned: LearnedAddress) -> bool:
    """Whether a learned address counts for the members of a group: no link-local one does."""
    return learned.proven and not learned.address.is_link_local


def contribution_of_ip_group(
    snapshot: Snapshot, ip_group: str, *, left_out: str = "", plus: Iterable[str] = ()
) -> Contribution:
    """The contribution of an IP group: its addresses, to the sets of all members' security groups.

    Whichever member holds an address, it is a source of packets to the others of its security
    groups. `left_out` is a member that does not count, and `plus` names sets in its stead.
    """
    this = {"ip_group": ip_group, "left_out": left_out}
    sets = {*plus, *snapshot.connection.scalars(_SHARED_BY, this)}
    addresses = [address_of(each) for each in snapshot.connection.scalars(_SHARED, this)]
    return frozenset((each, host_prefix(address)) for each in sets for address in addresses)


def queue_subscribers(batch: Batch, set_ids: Iterable[str]) -> Pending[Subscribers]:
    """Queue reading the hosts that subscribe to these sets."""
    return batch.queue(_SUBSCRIBERS, {"sets": sorted(set_ids)}, _subscribers_of)


def subscribers(snapshot: Snapshot, set_ids: Iterable[str]) -> Subscribers:
    """The hosts that subscribe to these sets."""
    return _subscribers_of(snapshot.rows(_SUBSCRIBERS, {"sets": sorted(set_ids)}))


def _subscribers_of(rows: Iterable[Record]) -> Subscribers:
    return [(row.set_id, row.host) for row in rows]


def update_contribution(
    change: WriteTransaction,
    port_id: str,
    before: Contribution,
    after: Contribution,
    following: Subscribers | None = None,
    network_id: str = "",
) -> None:
    """Replace the contribution of a port, an IP group or an address group.

    `following` are the hosts that follow those sets; None asks for them. `network_id` is that of a
    port that may contribute wide address pairs.
    """
    if removed := before - after:
        change.write(_DELETE, [_this(port_id, *each) for each in _sorted(removed)])
    if added := after - before:
        change.write(_INSERT, [_row(port_id, *each) for each in _sorted(added)])
    if network_id:
        wide = {each for each in removed | added if is_wide(each[1])}
        change.listed.setdefault(network_id, set()).update(wide)
        removed, added = removed - wide, added - wide
    if moved := removed | added:
        sets = {set_id for set_id, _ in moved}
        hosts = subscribers(change, sets) if following is None else following
        journal_changes(change, _prefixes(moved), hosts)


def set_members(
    change: WriteTransaction, set_id: str, before: Iterable[IPNetwork], after: Iterable[IPNetwork]
) -> None:
    """Replace the prefixes of an address group."""
    old, new = (frozenset((set_id, prefix) for prefix in each) for each in (before, after))
    update_contribution(change, _OWN, old, new)


def content(snapshot: Snapshot, set_ids: Iterable[str]) -> dict[str, frozenset[IPNetwork]]:
    """The prefixes of these sets; an empty set is left out."""
    found: dict[str, set[IPNetwork]] = defaultdict(set)
    for row in snapshot.rows(_CONTENT, {"sets": sorted(set_ids)}):
        found[row.set_id].add(prefix_of(row))
    return {set_id: frozenset(prefixes) for set_id, prefixes in found.items()}


def changes(snapshot: Snapshot, host: str, after: int) -> dict[str, SetChange]:
    """The changes of the sets that a host follows; all of them, whole, after BEFORE_ALL."""
    here = {"host": host, "after": after}
    begun = snapshot.connection.scalars(_NEWLY_SUBSCRIBED, here).all()
    held = content(snapshot, begun) if begun else {}
    whole = {each: SetChange(complete=True, added=held.get(each, frozenset())) for each in begun}
    return whole | (_changed_since(snapshot, here) if after > BEFORE_ALL else {})


def _changed_since(snapshot: Snapshot, here: Mapping[str, object]) -> dict[str, SetChange]:
    added: dict[str, set[IPNetwork]] = defaultdict(set)
    removed: dict[str, set[IPNetwork]] = defaultdict(set)
    for row in snapshot.connection.execute(_CHANGED, here):
        (added if row.is_there else removed)[row.set_id].add(prefix_of(row))
    none: frozenset[IPNetwork] = frozenset()
    return {
        set_id: SetChange(
            complete=False,
            added=frozenset(added.get(set_id, none)),
            removed=frozenset(removed.get(set_id, none)),
        )
        for set_id in added.keys() | removed.keys()
    }


def journal_changes(
    change: WriteTransaction, moved: Iterable[tuple[str, Values]], following: Subscribers
) -> None:
    """Journal the prefixes that moved in followed sets, and notify the hosts that follow them.

    Of more than MOST_JOURNALED the hosts get the sets whole.
    """
    followed = {set_id for set_id, _ in following}
    rows = [
        {"revision": change.revision, "set_id": set_id, **prefix}
        for set_id, prefix in moved
        if set_id in followed
    ]
    if len(rows) > MOST_JOURNALED:
        restart(change, followed, following)
    elif rows:
        change.write(_JOURNAL, rows)
        change.hosts_to_notify |= {host for _, host in following}


def restart(change: WriteTransaction, set_ids: Iterable[str], following: Subscribers) -> None:
    """Make the hosts that follow sets get them whole, and notify these hosts."""
    followed = {set_id for set_id, _ in following} & {*set_ids}
    if followed:
        now = change.revision
        change.write(_RESTART, [{"restarted": each, "from_now": now} for each in sorted(followed)])
        change.hosts_to_notify |= {host for set_id, host in following if set_id in followed}


def _prefixes(moved: Contribution) -> list[tuple[str, Values]]:
    return [(set_id, _prefix(prefix)) for set_id, prefix in _sorted(moved)]


def _sorted(contribution: Contribution) -> list[tuple[str, IPNetwork]]:
    return sorted(contribution, key=lambda each: (each[0], each[1].version, each[1]))


def _row(port_id: str, set_id: str, prefix: IPNetwork) -> dict[str, object]:
    return {"set_id": set_id, **_prefix(prefix), "port_id": port_id}


def _this(port_id: str, set_id: str, prefix: IPNetwork) -> dict[str, object]:
    return {f"this_{name}": each for name, each in _row(port_id, set_id, prefix).items()}


def _prefix(prefix: IPNetwork) -> Values:
    return {"first": key(prefix.network_address), "length": prefix.prefixlen}
