"""Dropped frames, in memory only: the last of each port, their kinds, and their number.

A flood must not fill a disk: each port has a ring for each direction, and only so many ports
have one.
"""

from __future__ import annotations

import threading
from collections import OrderedDict, defaultdict, deque
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace

from vifguard.feed.messages import DropCount, DropRecord
from vifguard.model.guard import Guard
from vifguard.model.verdict import Direction, Reason

RECORDS = 100
"""Dropped frames remembered for each port and direction."""

PORTS = 2000
"""Ports whose dropped frames are remembered: those that dropped last."""


@dataclass(frozen=True, slots=True)
class DropKind:
    """The number of records of one kind that a server got, those it keeps no more included."""

    port_id: str
    direction: Direction
    guard: Guard | None
    reason: Reason
    records: int
    first: float
    last: float


@dataclass(frozen=True, slots=True)
class DropFilter:
    """A filter of drops; None is any. `since`: in seconds since the epoch."""

    guards: AbstractSet[Guard] | None = None
    directions: AbstractSet[Direction] | None = None
    reasons: AbstractSet[Reason] | None = None
    since: float = 0.0

    def takes(self, one: DropRecord | DropKind | DropCount) -> bool:
        """Whether guard and direction match."""
        return (self.guards is None or one.guard in self.guards) and (
            self.directions is None or one.direction in self.directions
        )

    def counts(self, one: DropCount) -> bool:
        """Whether a count is asked for: none is by reason or time, since it has neither."""
        return self.takes(one) and self.reasons is None and self.since <= 0

    def has(self, one: DropRecord | DropKind) -> bool:
        """Whether guard, direction, reason and time match."""
        at = one.last if isinstance(one, DropKind) else one.at
        return (
            self.takes(one)
            and (self.reasons is None or one.reason in self.reasons)
            and at >= self.since
        )


@dataclass(frozen=True, slots=True)
class Drops:
    """Remembered drops: records by age, the oldest first; kinds; and counts."""

    records: list[DropRecord]
    kinds: list[DropKind]
    counts: list[DropCount]


@dataclass(slots=True)
class _Port:
    rings: dict[Direction, deque[DropRecord]] = field(default_factory=dict)
    kinds: dict[tuple[Direction, Guard | None, Reason], DropKind] = field(default_factory=dict)
    counts: dict[tuple[Direction, Guard | None], DropCount] = field(default_factory=dict)

    def add(self, record: DropRecord) -> None:
        self.rings.setdefault(record.direction, deque(maxlen=RECORDS)).append(record)
        key = record.direction, record.guard, record.reason
        kind = self.kinds.get(key) or DropKind(record.port_id, *key, 0, record.at, record.at)
        self.kinds[key] = replace(
            kind,
            records=kind.records + 1,
            first=min(kind.first, record.at),
            last=max(kind.last, record.at),
        )


class DropLog:
    """The dropped frames of every port; safe for threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ports: OrderedDict[str, _Port] = OrderedDict()

    def add(self, records: Iterable[DropRecord], counts: Iterable[DropCount]) -> None:
        """Remember drops that a host reports; a count replaces the one before."""
        with self._lock:
            for record in records:
                self._port(record.port_id).add(record)
            for count in counts:
                self._port(count.port_id).counts[count.direction, count.guard] = count

    def ports(self) -> list[str]:
        """The ids of the ports with remembered drops."""
        with self._lock:
            return list(self._ports)

    def of(self, port_ids: Iterable[str], which: DropFilter, limit: int) -> Drops:
        """The drops of these ports that a filter selects; of the records the latest `limit`."""
        with self._lock:
            ports = [self._ports[port_id] for port_id in port_ids if port_id in self._ports]
            records = [one for port in ports for ring in port.rings.values() for one in ring]
            kinds = [one for port in ports for one in port.kinds.values()]
            counts = [one for port in ports for one in port.counts.values()]
        latest = sorted(filter(which.has, records), key=lambda record: record.at)
        return Drops(
            latest[max(len(latest) - limit, 0) :],
            sorted(filter(which.has, kinds), key=lambda kind: kind.last),
            [*filter(which.counts, counts)],
        )

    def totals(self) -> dict[tuple[str, str], int]:
        """Frames dropped at all ports that are remembered, by direction and guard."""
        found: dict[tuple[str, str], int] = defaultdict(int)
        with self._lock:
            for port in self._ports.values():
                for (direction, guard), count in port.counts.items():
                    found[str(direction), str(guard or "")] += count.frames
        return dict(found)

    def _port(self, port_id: str) -> _Port:
        port = self._ports.setdefault(port_id, _Port())
        self._ports.move_to_end(port_id)
        if len(self._ports) > PORTS:
            self._ports.popitem(last=False)
        return port
