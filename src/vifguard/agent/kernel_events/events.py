"""Events of the guards: drops, claims and sightings.

Also answers rejected packets, where a port's security groups reject.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Protocol

from vifguard.agent.kernel_events.address_detection import AddressDetector, Claiming
from vifguard.agent.kernel_events.port_events import PortEvents
from vifguard.agent.kernel_events.reject import reject_packet, wants_reject
from vifguard.agent.placement import Placement
from vifguard.agent.reporting.report import Outbox
from vifguard.enforce.driver.events import Claimed, ClaimKind, Dropped
from vifguard.feed.messages import Claim, DropCount, DropRecord, Sighting
from vifguard.kernel.clock import monotonic_to_epoch

log = logging.getLogger("vifguard")

_POLL_INTERVAL = 0.25
"""Seconds between two reads: the events of a flood meanwhile cost one read, not many."""

_POLL_INTERVAL_WHEN_ANSWERING = 0.02
"""The same where a peer or guest may be waiting for an answer."""

_COUNTS_EVERY = 1.0
"""Seconds between two reads of counts and sightings."""


class PortIndex(Claiming, Protocol):
    """The ports behind guarded interfaces; `watched` are those that have watched addresses."""

    @property
    def port_by_ifindex(self) -> Mapping[int, str]:
        """The port ids of the guarded interfaces."""

    @property
    def watched(self) -> Mapping[int, str]:
        """The ports whose use of addresses matters."""

    @property
    def rejecting(self) -> Mapping[int, Placement]:
        """The ports whose security groups reject."""


class EventReader:
    """Puts the kernel's events about ports into the outbox."""

    def __init__(
        self,
        events: PortEvents,
        outbox: Outbox,
        stop: threading.Event,
        guarded: PortIndex,
    ) -> None:
        self._events = events
        self._outbox = outbox
        self._stop_event = stop
        self._guarded = guarded
        self._detector = AddressDetector(events, outbox, guarded)
        self._seen: dict[tuple[str, str], int] = {}
        self._counted: dict[tuple[str, str, str], int] = {}

    def work(self) -> None:
        """Read events until stopped."""
        dropped, due = False, 0.0
        while not self._stop_event.wait(self._poll_interval):
            now = time.monotonic()
            if self._events.wait(
                _POLL_INTERVAL_WHEN_ANSWERING if self._detector.is_busy else _POLL_INTERVAL
            ):
                dropped = self._look() or dropped
            # A defence of an address before `now` has been read: this thread may be late.
            self._detector.step(now)
            if time.monotonic() >= due:
                due = time.monotonic() + _COUNTS_EVERY
                self._outbox.put_claims((), self._sightings())
                if dropped:
                    self._outbox.put_drops((), self._counts())
                dropped = False

    @property
    def _poll_interval(self) -> float:
        answered = self._guarded.rejecting or self._guarded.claiming
        return _POLL_INTERVAL_WHEN_ANSWERING if answered else _POLL_INTERVAL

    def _look(self) -> bool:
        """Take the events of the rings; return whether frames were dropped."""
        claims = []
        for index, claimed in self._events.claims():
            if claimed.kind is ClaimKind.HOLDS:
                claims.append(claimed)
            else:
                self._detector.take(index, claimed)
        if claims:
            # The time of its last sighting elsewhere shows how long nobody had the address.
            self._outbox.put_claims(map(_claim, claims), self._sightings())
        drops = list(self._events.drops())
        for index, dropped in drops:
            if wants_reject(dropped):
                self._reject(index, dropped)
        self._outbox.put_drops((_drop(d) for _, d in drops if d.port_id), ())
        return bool(drops)

    def _reject(self, index: int, dropped: Dropped) -> None:
        """Answer a rejected packet, if its port rejects; on the way back to the sender."""
        place = self._guarded.rejecting.get(index)
        if place is None or place.port.policy.port_id != dropped.port_id:
            return
        frame = reject_packet(dropped)
        if frame is None:
            return
        way = dropped.direction.opposite
        try:
            self._events.inject(index, way, frame, reversed_hooks=place.reversed_hooks)
        except OSError as error:
            log.debug(
                "the answer to a rejected packet at port %s could not be sent: %s",
                dropped.port_id,
                error,
            )

    def _sightings(self) -> Iterator[Sighting]:
        """The watched addresses that were used since the last read."""
        before, self._seen = self._seen, {}
        for ifindex, port_id in self._guarded.watched.items():
            for address, at in self._events.sightings(ifindex).items():
                key = port_id, str(address)
                self._seen[key] = at
                if at and before.get(key) != at:
                    yield Sighting(port_id, address, monotonic_to_epoch(at))

    def _counts(self) -> Iterator[DropCount]:
        """The counts that rose since the last read."""
        before, self._counted = self._counted, {}
        for index, count in self._events.counts():
            port_id = self._guarded.port_by_ifindex.get(index)
            if port_id is None:
                continue
            key = port_id, count.direction.value, count.guard or ""
            self._counted[key] = count.frames
            if before.get(key) != count.frames:
                yield DropCount(port_id, count.direction, count.guard, count.frames)


def _claim(claimed: Claimed) -> Claim:
    return Claim(claimed.port_id, claimed.address, claimed.mac, monotonic_to_epoch(claimed.at))


def _drop(dropped: Dropped) -> DropRecord:
    return DropRecord(
        dropped.port_id,
        monotonic_to_epoch(dropped.at),
        dropped.direction,
        dropped.guard,
        dropped.reason,
        dropped.length,
        dropped.head,
    )
