"""What goes up to the server: gathered here, sent by a thread of its own.

A server that is slow or gone must never hold up a guard, so nobody waits here but the
sender; what piles up meanwhile is only the latest of each port and address.
"""

from __future__ import annotations

import itertools
import logging
import threading
from collections import deque
from collections.abc import Iterable
from dataclasses import replace
from typing import TypeVar

from vifguard.feed.messages import (
    Claim,
    DropCount,
    DropRecord,
    Feed,
    FeedError,
    HostReport,
    PortReport,
    Report,
    Sighting,
)

log = logging.getLogger("vifguard")

PORTS_AT_ONCE = 1000
RECORDS_KEPT = 2000
CLAIMS_KEPT = 10_000
SECOND = 1.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 10.0

K = TypeVar("K")
V = TypeVar("V")


class Outbox:
    """Facts on their way to the server; safe for threads."""

    def __init__(self, host: str) -> None:
        self._host = host
        self._filled = threading.Condition()
        self._urgent = False
        self._closed = False
        self._about: HostReport | None = None
        self._ports: dict[str, PortReport] = {}
        self._claims: deque[Claim] = deque(maxlen=CLAIMS_KEPT)
        self._sightings: dict[tuple[str, str], Sighting] = {}
        self._drops: deque[DropRecord] = deque(maxlen=RECORDS_KEPT)
        self._counts: dict[tuple[str, str, str], DropCount] = {}
        self._reached = 0

    def say(self, about: HostReport) -> None:
        """What this host is; told at once."""
        with self._filled:
            self._about = about
            self._wake(urgent=True)

    def put_ports(self, reports: Iterable[PortReport], reached: int = 0) -> None:
        """What the kernel holds of ports; told at once, the latest of each.

        `reached`: with that, everything up to this revision was taken in.
        """
        with self._filled:
            self._ports.update((report.port_id, report) for report in reports)
            self._reached = max(self._reached, reached)
            if self._ports or self._reached:
                self._wake(urgent=True)

    def put_claims(self, claims: Iterable[Claim], sightings: Iterable[Sighting]) -> None:
        """Claims, and the sightings just before them; claims are told at once."""
        with self._filled:
            before = len(self._claims)
            self._claims.extend(claims)
            self._sightings.update(((s.port_id, str(s.address)), s) for s in sightings)
            if len(self._claims) > before:
                self._wake(urgent=True)
            elif self._sightings:
                self._wake(urgent=False)

    def put_drops(self, drops: Iterable[DropRecord], counts: Iterable[DropCount]) -> None:
        """Dropped frames; told within a second."""
        with self._filled:
            self._drops.extend(drops)
            self._counts.update(((c.port_id, c.direction, c.guard or ""), c) for c in counts)
            if self._drops or self._counts:
                self._wake(urgent=False)

    def close(self) -> None:
        """Let `take` give up waiting."""
        with self._filled:
            self._closed = True
            self._wake(urgent=True)

    def take(self) -> Report | None:
        """The next report: at once when something is urgent, else a second after the first fact.

        None when the outbox is closed and empty.
        """
        with self._filled:
            while self._is_empty() and not self._closed:
                self._filled.wait()
            if not self._urgent:
                self._filled.wait_for(lambda: self._urgent, SECOND)
            self._urgent = False
            if self._is_empty():
                return None
            ports = tuple(_pop(self._ports, PORTS_AT_ONCE))
            report = Report(
                self._host,
                self._about,
                ports,
                tuple(self._claims),
                tuple(_pop(self._sightings, CLAIMS_KEPT)),
                tuple(self._drops),
                tuple(_pop(self._counts, CLAIMS_KEPT)),
                0 if self._ports else self._reached,
            )
            if report.reached:
                self._reached = 0
            self._about = None
            self._claims.clear()
            self._drops.clear()
            self._urgent = self._closed or bool(self._ports)
            return report

    def _is_empty(self) -> bool:
        return not (
            self._about
            or self._ports
            or self._claims
            or self._sightings
            or self._drops
            or self._counts
            or self._reached
        )

    def _wake(self, *, urgent: bool) -> None:
        self._urgent = self._urgent or urgent
        self._filled.notify_all()


class Reporter(threading.Thread):
    """Sends what is in the outbox, in order, until the server has it."""

    def __init__(self, outbox: Outbox, feed: Feed, stop: threading.Event) -> None:
        super().__init__(name="reporter", daemon=True)
        self._outbox = outbox
        self._feed = feed
        self._stop_event = stop
        self._about: HostReport | None = None

    def run(self) -> None:
        """Send until stopped; what the server did not take by then is lost, and told anew."""
        while (report := self._outbox.take()) is not None:
            self._about = report.about or self._about
            self._deliver(report)

    def _deliver(self, report: Report) -> None:
        for pause in pauses():
            try:
                self._feed.report(report)
            except FeedError as error:
                log.warning("the server takes no report: %s", error)
            except Exception:
                log.exception("a report could not be sent")
            else:
                return
            # Whoever answers next may never have heard of this host.
            report = replace(report, about=report.about or self._about)
            if self._stop_event.wait(pause):
                return


def pauses() -> Iterable[float]:
    """How long to wait after each failure in a row, seconds."""
    return (min(_FIRST_PAUSE * 2**n, _LONGEST_PAUSE) for n in itertools.count())


def _pop(things: dict[K, V], most: int) -> list[V]:
    keys = list(itertools.islice(things, most))
    return [things.pop(key) for key in keys]
