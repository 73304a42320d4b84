"""Claims and sightings of a host: who holds each address after them, and the moves.

A report may have thousands: everything they need is read first, and what became of it is written
in batches, so that other changes wait no longer for a report with many than for one with few.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import bindparam, delete, func, insert, select, update

from vifguard.feed.messages import Claim, Sighting
from vifguard.model.address import IPAddress
from vifguard.store.database.statements import Statement, in_list
from vifguard.store.reports import holders
from vifguard.store.reports.holders import FREEZE_SECONDS, MOVE, TWO_CLAIMANTS, Event, freeze
from vifguard.store.schema.mapping import address_of, key
from vifguard.store.schema.row_mapping import Record, Values
from vifguard.store.schema.tables import allocations, events, ip_group_members, ip_groups, ports
from vifguard.store.schema.tables import holders as holders_table
from vifguard.store.transaction import WriteTransaction

CONTEST = 5.0
"""Seconds within which the earlier holder's claim contests another's."""

_MEMBERSHIPS = Statement(
    select(ip_group_members.c.port_id, ip_group_members.c.group_id)
    .join(ports, ports.c.id == ip_group_members.c.port_id)
    .where(in_list(ports.c.id, "ids"), ports.c.host == bindparam("this_host"))
)
_GROUPS = Statement(select(ip_groups).where(in_list(ip_groups.c.id, "ids")))
_ADDRESSES = Statement(
    select(allocations.c.address, allocations.c.group_id).where(
        in_list(allocations.c.group_id, "ids")
    )
)
_HOLDERS = Statement(select(holders_table).where(in_list(holders_table.c.group_id, "ids")))
_MOVES = Statement(
    select(events.c.group_id, events.c.address, events.c.at).where(
        in_list(events.c.group_id, "ids"),
        events.c.kind == MOVE,
        events.c.from_port_id.is_not(None),
        events.c.at > bindparam("earliest"),
    )
)
_UPDATE = Statement(
    update(holders_table).where(
        holders_table.c.group_id == bindparam("this_group"),
        holders_table.c.address == bindparam("this_address"),
    )
)
_INSERT = Statement(insert(holders_table))
_RECORD = Statement(insert(events).inline())
_RANKED = (
    select(
        events.c.id,
        func.row_number()
        .over(partition_by=events.c.group_id, order_by=events.c.id.desc())
        .label("age"),
    )
    .where(in_list(events.c.group_id, "ids"))
    .subquery()
)
_TRIM = Statement(
    delete(events).where(
        events.c.id.in_(select(_RANKED.c.id).where(_RANKED.c.age > bindparam("kept")))
    )
)

_Place = tuple[str, IPAddress]
"""An address of an IP group: the id of the group, and the address."""


def record(
    change: WriteTransaction,
    host: str,
    claims: Iterable[Claim],
    sightings: Iterable[Sighting],
    now: float,
) -> None:
    """Record the claims and sightings of a host; they count for its own ports only."""
    observed: list[Claim | Sighting] = sorted([*claims, *sightings], key=lambda each: each.at)
    named = {"ids": sorted({each.port_id for each in observed}), "this_host": host}
    memberships = change.rows(_MEMBERSHIPS, named) if observed else []
    if memberships:
        recorder = _Recorder(change, memberships, observed[0].at)
        for each in observed:
            # A host with a clock that runs ahead must not make the next move look instant.
            recorder.observe(replace(each, at=min(each.at, now)))
        recorder.write()


@dataclass(slots=True)
class _Holding:
    """A row of the table of holders, as it is to be; `is_new`: it is not there yet."""

    port_id: str
    since: float
    seen: float
    claimed: float
    previous_port_id: str | None = None
    is_new: bool = False

    @property
    def values(self) -> Values:
        """The columns that change."""
        return {
            "port_id": self.port_id,
            "since": self.since,
            "seen": self.seen,
            "claimed": self.claimed,
            "previous_port_id": self.previous_port_id,
        }


class _Recorder:
    """The IP groups of a host's ports, their holders and moves, while a report is recorded."""

    def __init__(
        self, change: WriteTransaction, memberships: Sequence[Record], earliest: float
    ) -> None:
        """`earliest` is the time of the first claim or sighting."""
        self._change = change
        self._members = {(row.port_id, row.group_id) for row in memberships}
        these = {"ids": sorted({row.group_id for row in memberships})}
        self._groups = {row.id: row for row in change.rows(_GROUPS, these)}
        self._network_of = {
            row.port_id: self._groups[row.group_id].network_id for row in memberships
        }
        self._group_with = {
            (self._groups[row.group_id].network_id, address_of(row.address)): row.group_id
            for row in change.rows(_ADDRESSES, these)
        }
        self._holdings = {
            (row.group_id, address_of(row.address)): _Holding(
                row.port_id, row.since, row.seen, row.claimed, row.previous_port_id
            )
            for row in change.rows(_HOLDERS, these)
        }
        limited = [each.id for each in self._groups.values() if each.max_moves is not None]
        since = {"ids": limited, "earliest": earliest - FREEZE_SECONDS}
        self._moves: defaultdict[_Place, list[float]] = defaultdict(list)
        for row in change.rows(_MOVES, since) if limited else ():
            insort(self._moves[row.group_id, address_of(row.address)], row.at)
        self._frozen: dict[str, str] = {}
        self._changed: set[_Place] = set()
        self._events: defaultdict[str, deque[Event]] = defaultdict(_last_events)

    def observe(self, seen: Claim | Sighting) -> None:
        """Take in one claim or sighting; none is earlier than the one before."""
        group_id = self._group_of(seen)
        if group_id is None:
            return
        place = group_id, seen.address
        holding = self._holdings.get(place)
        if holding is None:
            at = seen.at
            self._holdings[place] = _Holding(seen.port_id, at, at, at, is_new=True)
            self._note(place, at, None, seen.port_id)
        elif holding.port_id == seen.port_id:
            holding.seen = max(seen.at, holding.seen)
            if isinstance(seen, Claim):
                holding.claimed = max(seen.at, holding.claimed)
        elif isinstance(seen, Claim) and seen.at >= holding.since:
            self._move(place, holding, seen)
        else:
            return
        self._changed.add(place)

    def write(self) -> None:
        """Write what became of holders, and the events."""
        rows: dict[bool, list[Values]] = {True: [], False: []}
        for group_id, address in sorted(self._changed, key=lambda place: (place[0], key(place[1]))):
            holding = self._holdings[group_id, address]
            names = ("group_id", "address") if holding.is_new else ("this_group", "this_address")
            place = dict(zip(names, (group_id, key(address)), strict=True))
            rows[holding.is_new].append(place | holding.values)
        for statement, values in ((_INSERT, rows[True]), (_UPDATE, rows[False])):
            if values:
                self._change.write(statement, values)
        if self._events:
            self._change.write(_RECORD, [*self._event_rows()])
            kept = {"ids": sorted(self._events), "kept": holders.EVENTS_KEPT}
            self._change.write(_TRIM, kept)

    def _group_of(self, seen: Claim | Sighting) -> str | None:
        """The group that has the address, where the port is a member that may hold it."""
        group_id = self._group_with.get((self._network_of.get(seen.port_id), seen.address))
        if group_id is None or (seen.port_id, group_id) not in self._members:
            return None
        group = self._groups[group_id]
        only = self._frozen.get(group_id) or group.held_by or group.pinned
        return group_id if only in (None, seen.port_id) else None

    def _move(self, place: _Place, holding: _Holding, claim: Claim) -> None:
        before, at = holding.port_id, claim.at
        if claim.port_id == holding.previous_port_id and at - holding.claimed <= CONTEST:
            contest = Event(at, TWO_CLAIMANTS, claim.address, before, claim.port_id, None)
            self._events[place[0]].append(contest)
        self._note(place, at, before, claim.port_id, max(0.0, at - holding.seen))
        holding.port_id, holding.previous_port_id = claim.port_id, before
        holding.since = holding.seen = holding.claimed = at
        most = self._groups[place[0]].max_moves
        if most is not None and self._moves_until(place, at) > most:
            self._frozen[place[0]] = claim.port_id
            freeze(self._change, place[0], claim.port_id, at + FREEZE_SECONDS)

    def _moves_until(self, place: _Place, at: float) -> int:
        """Count a move, and return how many there were of late."""
        moves = self._moves[place]
        insort(moves, at)
        return len(moves) - bisect_right(moves, at - FREEZE_SECONDS)

    def _note(
        self, place: _Place, at: float, before: str | None, after: str, gap: float | None = None
    ) -> None:
        self._events[place[0]].append(Event(at, MOVE, place[1], before, after, gap))

    def _event_rows(self) -> Iterator[Values]:
        for group_id, found in sorted(self._events.items()):
            for event in found:
                yield {
                    "group_id": group_id,
                    "at": event.at,
                    "kind": event.kind,
                    "address": key(event.address),
                    "from_port_id": event.from_port_id,
                    "to_port_id": event.to_port_id,
                    "gap": event.gap,
                }


def _last_events() -> deque[Event]:
    return deque(maxlen=holders.EVENTS_KEPT)
