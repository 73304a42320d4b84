"""Sets of addresses: what the members of a security group, or an address group, bring to each.

A set is told to a host whole when the host begins to follow it (`followers`), then by change:
the journal names each prefix that came or went, and what became of it is what is there now.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from sqlalchemy import and_, bindparam, delete, exists, insert, select

from vifguard.feed.messages import SetChange
from vifguard.model.address import IPNetwork, host_prefix
from vifguard.model.learned import LearnedAddress
from vifguard.model.port import Port
from vifguard.resolve.policy import governing
from vifguard.store.prepared import Prepared, among
from vifguard.store.rows import address_of, key, prefix_of
from vifguard.store.tables import (
    allocations,
    host_sets,
    ip_group_members,
    port_security_groups,
    ports,
    set_journal,
    set_prefixes,
)
from vifguard.store.transaction import BEFORE_ALL, Answer, Change, Snapshot

Brought = frozenset[tuple[str, IPNetwork]]
"""Sets, and the prefixes that one port or address group brings to them."""

Following = list[tuple[str, str]]
"""Sets, and the hosts that follow them."""

_OWN = ""
"""Who brings what an address group holds: no port."""

_SHARED_BY = (
    select(port_security_groups.c.group_id)
    .join(ip_group_members, ip_group_members.c.port_id == port_security_groups.c.port_id)
    .join(ports, ports.c.id == port_security_groups.c.port_id)
    .where(
        ip_group_members.c.group_id == bindparam("ip_group"),
        ip_group_members.c.port_id != bindparam("but"),
        ports.c.port_security_enabled,
    )
    .distinct()
)
_SHARED = select(allocations.c.address).where(allocations.c.group_id == bindparam("ip_group"))
_INSERT = Prepared(insert(set_prefixes))
_DELETE = Prepared(
    delete(set_prefixes).where(
        set_prefixes.c.set_id == bindparam("this_set_id"),
        set_prefixes.c.first == bindparam("this_first"),
        set_prefixes.c.length == bindparam("this_length"),
        set_prefixes.c.port_id == bindparam("this_port_id"),
    )
)
_FOLLOWED = Prepared(
    select(host_sets.c.set_id, host_sets.c.host).where(among(host_sets.c.set_id, "sets"))
)
_JOURNAL = Prepared(insert(set_journal).inline())
_CONTENT = Prepared(
    select(set_prefixes.c.set_id, set_prefixes.c.first, set_prefixes.c.length)
    .where(among(set_prefixes.c.set_id, "sets"))
    .distinct()
)
_BEGUN = select(host_sets.c.set_id).where(
    host_sets.c.host == bindparam("host"), host_sets.c.since > bindparam("after")
)
_IS_THERE = exists().where(
    set_prefixes.c.set_id == set_journal.c.set_id,
    set_prefixes.c.first == set_journal.c.first,
    set_prefixes.c.length == set_journal.c.length,
)
_MOVED = (
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


def of_port(port: Port | None) -> Brought:
    """What a port brings: its addresses, learned ones too, and pairs, to each of its groups."""
    if port is None:
        return frozenset()
    prefixes = {host_prefix(fixed.address) for fixed in port.fixed_ips}
    prefixes |= {pair.prefix for pair in port.address_pairs}
    prefixes |= {host_prefix(each.address) for each in port.learned if is_brought(each)}
    return frozenset((group, prefix) for group in governing(port) for prefix in prefixes)


def is_brought(learned: LearnedAddress) -> bool:
    """Whether a learned address is one that others of the group hear from: no link-local one."""
    return learned.proven and not learned.address.is_link_local


def of_ip_group(
    snapshot: Snapshot, ip_group: str, *, but: str = "", plus: Iterable[str] = ()
) -> Brought:
    """What an IP group brings: its addresses, to the sets of all its members' security groups.

    Whichever member holds an address, it is what the others of its security groups hear from.
    `but` leaves out a member, and `plus` names sets in its stead.
    """
    this = {"ip_group": ip_group, "but": but}
    sets = {*plus, *snapshot.connection.scalars(_SHARED_BY, this)}
    addresses = [address_of(each) for each in snapshot.connection.scalars(_SHARED, this)]
    return frozenset((each, host_prefix(address)) for each in sets for address in addresses)


def ask_following(snapshot: Snapshot, set_ids: Iterable[str]) -> Answer[Following]:
    """Who follows these sets."""
    these = {"sets": sorted(set_ids)}
    return snapshot.ask(_FOLLOWED, these, lambda rows: [(row.set_id, row.host) for row in rows])


def bring(
    change: Change,
    port_id: str,
    before: Brought,
    after: Brought,
    following: Answer[Following] | None = None,
) -> None:
    """A port, or an IP group, brings other prefixes than before, or the same to other sets.

    `following` is who follows those sets, where that was asked.
    """
    if gone := before - after:
        change.write(_DELETE, [_this(port_id, *each) for each in _sorted(gone)])
    if come := after - before:
        change.write(_INSERT, [_row(port_id, *each) for each in _sorted(come)])
    if moved := gone | come:
        sets = {set_id for set_id, _ in moved}
        _tell(change, moved, (following or ask_following(change, sets))())


def hold(
    change: Change, set_id: str, before: Iterable[IPNetwork], after: Iterable[IPNetwork]
) -> None:
    """An address group holds other prefixes than before."""
    was, is_now = (frozenset((set_id, prefix) for prefix in each) for each in (before, after))
    bring(change, _OWN, was, is_now)


def content(snapshot: Snapshot, set_ids: Iterable[str]) -> dict[str, frozenset[IPNetwork]]:
    """What these sets hold; one that holds nothing is left out."""
    found: dict[str, set[IPNetwork]] = defaultdict(set)
    for row in snapshot.rows(_CONTENT, {"sets": sorted(set_ids)}):
        found[row.set_id].add(prefix_of(row))
    return {set_id: frozenset(prefixes) for set_id, prefixes in found.items()}


def changes(snapshot: Snapshot, host: str, after: int) -> dict[str, SetChange]:
    """What a host must be told of the sets it follows; of all of them, whole, after BEFORE_ALL."""
    here = {"host": host, "after": after}
    begun = snapshot.connection.scalars(_BEGUN, here).all()
    held = content(snapshot, begun) if begun else {}
    whole = {each: SetChange(complete=True, added=held.get(each, frozenset())) for each in begun}
    return whole | (_moved(snapshot, here) if after > BEFORE_ALL else {})


def _moved(snapshot: Snapshot, here: Mapping[str, object]) -> dict[str, SetChange]:
    found: dict[str, tuple[set[IPNetwork], set[IPNetwork]]] = {}
    for row in snapshot.connection.execute(_MOVED, here):
        gone_and_come = found.setdefault(row.set_id, (set(), set()))
        gone_and_come[bool(row.is_there)].add(prefix_of(row))
    return {
        set_id: SetChange(complete=False, added=frozenset(come), removed=frozenset(gone))
        for set_id, (gone, come) in found.items()
    }


def _tell(change: Change, moved: Brought, following: Following) -> None:
    """Journal what moved in sets that somebody follows, and wake who does."""
    followed = {set_id for set_id, _ in following}
    rows = [
        {"revision": change.revision, "set_id": set_id, **_prefix(prefix)}
        for set_id, prefix in _sorted(moved)
        if set_id in followed
    ]
    if rows:
        change.write(_JOURNAL, rows)
        change.woken |= {host for _, host in following}


def _sorted(brought: Brought) -> list[tuple[str, IPNetwork]]:
    return sorted(brought, key=lambda each: (each[0], each[1].version, each[1]))


def _row(port_id: str, set_id: str, prefix: IPNetwork) -> dict[str, object]:
    return {"set_id": set_id, **_prefix(prefix), "port_id": port_id}


def _this(port_id: str, set_id: str, prefix: IPNetwork) -> dict[str, object]:
    return {f"this_{name}": each for name, each in _row(port_id, set_id, prefix).items()}


def _prefix(prefix: IPNetwork) -> dict[str, object]:
    return {"first": key(prefix.network_address), "length": prefix.prefixlen}
