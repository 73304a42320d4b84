"""Holders of the addresses of IP groups: learnt from claims, kept with the history of moves.

A claim is a gratuitous ARP, ARP reply or unsolicited NA that passed the guards of a member.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from sqlalchemy import delete, func, insert, select, update

from vifguard.feed.messages import Claim, Sighting
from vifguard.model.address import IPAddress
from vifguard.resolve.affected import ThesePorts
from vifguard.store.schema.mapping import Record, address_of, key
from vifguard.store.schema.tables import (
    allocations,
    events,
    holders,
    ip_group_members,
    ip_groups,
    ports,
)
from vifguard.store.transaction import Snapshot, WriteTransaction

CONTEST = 5.0
"""Seconds within which the earlier holder's claim contests another's."""

FREEZE_SECONDS = 60.0
"""Seconds that a group is frozen after too many moves, and in which its moves are counted."""

EVENTS_KEPT = 1000
"""Events remembered for each group."""

MOVE = "move"
TWO_CLAIMANTS = "two-claimants"


@dataclass(frozen=True, slots=True)
class Holder:
    """The member that holds an address, the start of that, and the last sighting."""

    address: IPAddress
    port_id: str
    since: float
    seen: float


@dataclass(frozen=True, slots=True)
class Event:
    """A move or a contest; `gap` is the time without a sighting before it (seconds)."""

    at: float
    kind: str
    address: IPAddress
    from_port_id: str | None
    to_port_id: str
    gap: float | None


def of_groups(snapshot: Snapshot, ids: Iterable[str]) -> dict[str, list[Holder]]:
    """The holders of each group's addresses."""
    rows = snapshot.connection.execute(
        select(holders).where(holders.c.group_id.in_(sorted(ids))).order_by(holders.c.address)
    )
    found: dict[str, list[Holder]] = {}
    for row in rows:
        holder = Holder(address_of(row.address), row.port_id, row.since, row.seen)
        found.setdefault(row.group_id, []).append(holder)
    return found


def history(snapshot: Snapshot, group_id: str) -> list[Event]:
    """The events of a group, oldest first."""
    rows = snapshot.connection.execute(
        select(events).where(events.c.group_id == group_id).order_by(events.c.id)
    )
    return [
        Event(row.at, row.kind, address_of(row.address), row.from_port_id, row.to_port_id, row.gap)
        for row in rows
    ]


def record(
    change: WriteTransaction,
    host: str,
    claims: Iterable[Claim],
    sightings: Iterable[Sighting],
    now: float,
) -> None:
    """Record the claims and sightings of a host; they count for its own ports only."""
    observed: list[Claim | Sighting] = sorted([*claims, *sightings], key=lambda each: each.at)
    for each in observed:
        group = _group_of(change, host, each.port_id, each.address)
        if group is not None:
            # A host with a clock that runs ahead must not make the next move look instant.
            _observe(change, group, replace(each, at=min(each.at, now)))


def release_expired(change: WriteTransaction, now: float) -> None:
    """End the freezes whose time has come: any member may take the addresses again."""
    expired = change.connection.scalars(
        select(ip_groups.c.id).where(ip_groups.c.held_until <= now)
    ).all()
    for group_id in expired:
        _freeze(change, group_id, None, None)


def next_release(snapshot: Snapshot) -> float | None:
    """The time at which the next freeze ends; None for none."""
    ends: float | None = snapshot.connection.scalar(select(func.min(ip_groups.c.held_until)))
    return ends


def _group_of(
    change: WriteTransaction, host: str, port_id: str, address: IPAddress
) -> Record | None:
    """The group that has the address, where the port is a member that may hold it."""
    row = change.connection.execute(
        select(ip_groups)
        .join(allocations, allocations.c.group_id == ip_groups.c.id)
        .join(ip_group_members, ip_group_members.c.group_id == ip_groups.c.id)
        .join(ports, ports.c.id == ip_group_members.c.port_id)
        .where(
            allocations.c.address == key(address),
            allocations.c.network_id == ports.c.network_id,
            ports.c.id == port_id,
            ports.c.host == host,
        )
    ).first()
    if row is None or (row.held_by or row.pinned) not in (None, port_id):
        return None
    return row


def _observe(change: WriteTransaction, group: Record, seen: Claim | Sighting) -> None:
    mine = (holders.c.group_id == group.id) & (holders.c.address == key(seen.address))
    holder = change.connection.execute(select(holders).where(mine)).first()
    if holder is None:
        _hold_first(change, group.id, seen)
    elif holder.port_id == seen.port_id:
        latest = {"seen": max(seen.at, holder.seen)}
        if isinstance(seen, Claim):
            latest["claimed"] = max(seen.at, holder.claimed)
        change.connection.execute(update(holders).where(mine).values(latest))
    elif isinstance(seen, Claim) and seen.at >= holder.since:
        _move(change, group, holder, seen.port_id, seen.at)


def _hold_first(change: WriteTransaction, group_id: str, seen: Claim | Sighting) -> None:
    change.connection.execute(
        insert(holders).values(
            group_id=group_id,
            address=key(seen.address),
            port_id=seen.port_id,
            since=seen.at,
            seen=seen.at,
            claimed=seen.at,
        )
    )
    _record_event(change, group_id, Event(seen.at, MOVE, seen.address, None, seen.port_id, None))


def _move(change: WriteTransaction, group: Record, holder: Record, port_id: str, at: float) -> None:
    address = address_of(holder.address)
    if port_id == holder.previous_port_id and at - holder.claimed <= CONTEST:
        contest = Event(at, TWO_CLAIMANTS, address, holder.port_id, port_id, None)
        _record_event(change, group.id, contest)
    gap = max(0.0, at - holder.seen)
    _record_event(change, group.id, Event(at, MOVE, address, holder.port_id, port_id, gap))
    change.connection.execute(
        update(holders)
        .where(holders.c.group_id == group.id, holders.c.address == holder.address)
        .values(port_id=port_id, since=at, seen=at, claimed=at, previous_port_id=holder.port_id)
    )
    if (
        group.max_moves is not None
        and _moves(change, group.id, holder.address, at) > group.max_moves
    ):
        _freeze(change, group.id, port_id, at + FREEZE_SECONDS)


def _moves(change: WriteTransaction, group_id: str, address: bytes, at: float) -> int:
    return change.connection.execute(
        select(func.count())
        .select_from(events)
        .where(
            events.c.group_id == group_id,
            events.c.address == address,
            events.c.kind == MOVE,
            events.c.from_port_id.is_not(None),
            events.c.at > at - FREEZE_SECONDS,
        )
    ).scalar_one()


def _freeze(
    change: WriteTransaction, group_id: str, port_id: str | None, until: float | None
) -> None:
    change.connection.execute(
        update(ip_groups)
        .where(ip_groups.c.id == group_id)
        .values(held_by=port_id, held_until=until)
    )
    members = change.connection.scalars(
        select(ip_group_members.c.port_id).where(ip_group_members.c.group_id == group_id)
    )
    change.allocate_revision()
    change.journal_affected(ThesePorts(frozenset(members)))


def _record_event(change: WriteTransaction, group_id: str, event: Event) -> None:
    change.connection.execute(
        insert(events).values(
            group_id=group_id,
            at=event.at,
            kind=event.kind,
            address=key(event.address),
            from_port_id=event.from_port_id,
            to_port_id=event.to_port_id,
            gap=event.gap,
        )
    )
    _trim(change, group_id)


def _trim(change: WriteTransaction, group_id: str) -> None:
    oldest = change.connection.scalar(
        select(events.c.id)
        .where(events.c.group_id == group_id)
        .order_by(events.c.id.desc())
        .offset(EVENTS_KEPT)
        .limit(1)
    )
    if oldest is not None:
        change.connection.execute(
            delete(events).where(events.c.group_id == group_id, events.c.id <= oldest)
        )
