"""Holders of the addresses of IP groups: learnt from claims, kept with the history of moves.

A claim is a gratuitous ARP, ARP reply or unsolicited NA that passed the guards of a member.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import func, select, update

from vifguard.model.address import IPAddress
from vifguard.resolve.affected import ThesePorts
from vifguard.store.schema.mapping import address_of
from vifguard.store.schema.tables import events, holders, ip_group_members, ip_groups
from vifguard.store.transaction import Snapshot, WriteTransaction

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


def release_expired(change: WriteTransaction, now: float) -> None:
    """End the freezes whose time has come: any member may take the addresses again."""
    expired = change.connection.scalars(
        select(ip_groups.c.id).where(ip_groups.c.held_until <= now)
    ).all()
    for group_id in expired:
        freeze(change, group_id, None, None)


def next_release(snapshot: Snapshot) -> float | None:
    """The time at which the next freeze ends; None for none."""
    ends: float | None = snapshot.connection.scalar(select(func.min(ip_groups.c.held_until)))
    return ends


def freeze(
    change: WriteTransaction, group_id: str, port_id: str | None, until: float | None
) -> None:
    """Let one member alone hold a group's addresses until a time; None ends that."""
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
