"""Dropped frames, in memory only: the last of each port, and how many in all.

A flood must not fill a disk: each port has a ring, and only so many ports have one.
"""

from __future__ import annotations

import threading
from collections import OrderedDict, defaultdict, deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from vifguard.feed.messages import DropCount, DropRecord
from vifguard.model.guard import Guard
from vifguard.model.verdict import Direction

RECORDS = 100
"""Dropped frames remembered for each port."""

PORTS = 2000
"""Ports whose dropped frames are remembered: those that dropped last."""


@dataclass(slots=True)
class _Ring:
    records: deque[DropRecord] = field(default_factory=lambda: deque(maxlen=RECORDS))
    counts: dict[tuple[Direction, Guard | None], int] = field(default_factory=dict)


class DropLog:
    """The dropped frames of every port; safe for threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rings: OrderedDict[str, _Ring] = OrderedDict()

    def add(self, records: Iterable[DropRecord], counts: Iterable[DropCount]) -> None:
        """Remember what a host reports of its ports; a count replaces the one before."""
        with self._lock:
            for record in records:
                self._ring(record.port_id).records.append(record)
            for count in counts:
                ring = self._ring(count.port_id)
                ring.counts[count.direction, count.guard] = count.frames

    def of(self, port_ids: Iterable[str] | None) -> tuple[list[DropRecord], list[DropCount]]:
        """The records, oldest first, and counts of these ports; None: of every port."""
        with self._lock:
            chosen = list(self._rings) if port_ids is None else list(port_ids)
            rings = [(p, self._rings[p]) for p in chosen if p in self._rings]
            records = [record for _, ring in rings for record in ring.records]
            counts = [
                DropCount(port_id, direction, guard, frames)
                for port_id, ring in rings
                for (direction, guard), frames in ring.counts.items()
            ]
        return sorted(records, key=lambda record: record.at), counts

    def totals(self) -> dict[tuple[str, str], int]:
        """Frames dropped at all ports that are remembered, by direction and guard."""
        found: dict[tuple[str, str], int] = defaultdict(int)
        with self._lock:
            for ring in self._rings.values():
                for (direction, guard), frames in ring.counts.items():
                    found[str(direction), str(guard or "")] += frames
        return dict(found)

    def _ring(self, port_id: str) -> _Ring:
        ring = self._rings.setdefault(port_id, _Ring())
        self._rings.move_to_end(port_id)
        if len(self._rings) > PORTS:
            self._rings.popitem(last=False)
        return ring
