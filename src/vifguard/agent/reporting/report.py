"""Reports to the server: gathered here, sent by a thread of its own.

A server that is slow or gone must never delay a guard, so only the sender waits here;
only the latest report of each port and address is kept meanwhile.
"""

from __future__ import annotations

import itertools
import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Protocol, TypeVar

from vifguard.agent.kernel_events.drop_ring import DropRing
from vifguard.agent.reporting.health import Health
from vifguard.feed.cut import cut
from vifguard.feed.messages import (
    ADDRESS_CLAIMS_AT_ONCE,
    CLAIMS_AT_ONCE,
    DROPS_AT_ONCE,
    NO_INSTANCE,
    PORTS_AT_ONCE,
    AddressClaim,
    Claim,
    Detection,
    DropCount,
    DropRecord,
    Feed,
    FeedError,
    HostReport,
    Instance,
    PortReport,
    RefusedClaim,
    Report,
    ReportAnswer,
    SecondAgentError,
    Sighting,
    WiringReport,
)

log = logging.getLogger("vifguard")

FACTS_KEPT = 10_000
"""Address claims, and results of detections, that are kept while the server takes none."""

SECOND = 1.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 2.0
"""Seconds; a server that is back gets each host's report before it takes the host for silent."""


K = TypeVar("K")
V = TypeVar("V")


class LastSeen(Protocol):
    """A callback that notes the agent's health on the host itself."""

    def __call__(
        self, degraded: tuple[str, ...], lost: Mapping[str, int], *, read_back: bool
    ) -> None:
        """Note the fields of a HostReport; `read_back`: all guards were read back just now."""


def _nobody(degraded: tuple[str, ...], lost: Mapping[str, int], *, read_back: bool) -> None:
    """Do nothing."""


class Outbox:
    """Facts on their way to the server; safe for threads."""

    def __init__(
        self,
        host: str,
        instance: Instance = NO_INSTANCE,
        seen: LastSeen = _nobody,
    ) -> None:
        """`seen` gets the agent's health on this host, also while the server is gone."""
        self._host = host
        self._seen = seen
        self._degraded: tuple[str, ...] = ()
        self._lost: Mapping[str, int] = {}
        self._instance = instance
        self._filled = threading.Condition()
        self._urgent = False
        self._closed = False
        self._about: HostReport | None = None
        self._has_unsent = False
        self._ports: dict[str, PortReport] = {}
        self._claims: deque[Claim] = deque(maxlen=CLAIMS_AT_ONCE)
        self._address_claims: dict[tuple[str, str], AddressClaim] = {}
        self._detections: dict[tuple[str, str], Detection] = {}
        self._refused: list[RefusedClaim] = []
        self._sightings: dict[tuple[str, str], Sighting] = {}
        self._drops = DropRing(DROPS_AT_ONCE)
        self._counts: dict[tuple[str, str, str], DropCount] = {}
        self._reached = 0
        self._read_back = False
        self._wiring: WiringReport | None = None

    def put_host_report(self, about: HostReport) -> None:
        """Put the report of this host; sent at once."""
        with self._filled:
            self._about = cut(replace(about, degraded=self._degraded, lost=self._lost))
            self._has_unsent = True
            self._notify_sender(urgent=True)

    def put_health(self, degraded: tuple[str, ...], lost: Mapping[str, int]) -> None:
        """Put the agent's troubles and losses; sent at once."""
        with self._filled:
            self._degraded, self._lost = degraded, lost
            self._seen(degraded, lost, read_back=False)
            if self._about is not None:
                self._about = cut(replace(self._about, degraded=degraded, lost=lost))
                self._has_unsent = True
                self._notify_sender(urgent=True)

    def put_read_back(self) -> None:
        """Put that every guard was read back and losses were reported before; sent at once.

        It is the heartbeat of the host.
        """
        with self._filled:
            self._seen(self._degraded, self._lost, read_back=True)
            self._read_back = True
            self._notify_sender(urgent=True)

    def put_wiring(self, wiring: WiringReport) -> None:
        """Put the report of the host's wiring that is no port's; sent within a second."""
        with self._filled:
            self._wiring = cut(wiring)
            self._notify_sender(urgent=False)

    def put_ports(self, reports: Iterable[PortReport], reached: int = 0) -> None:
        """Put reports of ports, as read back from the kernel; sent at once, the latest of each.

        `reached`: with that, everything up to this revision was taken in.
        """
        with self._filled:
            self._ports.update((report.port_id, cut(report)) for report in reports)
            self._reached = max(self._reached, reached)
            if self._ports or self._reached:
                self._notify_sender(urgent=True)

    def put_claims(self, claims: Iterable[Claim], sightings: Iterable[Sighting]) -> None:
        """Put claims, and the sightings just before them; claims are sent at once."""
        with self._filled:
            before = len(self._claims)
            self._claims.extend(claims)
            self._sightings.update(((s.port_id, str(s.address)), s) for s in sightings)
            if len(self._claims) > before:
                self._notify_sender(urgent=True)
            elif self._sightings:
                self._notify_sender(urgent=False)

    def put_address_claim(self, claim: AddressClaim) -> None:
        """Put a guest's address claim; sent at once."""
        with self._filled:
            if len(self._address_claims) < FACTS_KEPT:
                self._address_claims[claim.port_id, str(claim.address)] = claim
            self._notify_sender(urgent=True)

    def put_detection(self, detection: Detection) -> None:
        """Put the result of a detection; sent at once."""
        with self._filled:
            if len(self._detections) < FACTS_KEPT:
                self._detections[detection.port_id, str(detection.address)] = detection
            self._notify_sender(urgent=True)

    def put_answer(self, answer: ReportAnswer) -> None:
        """Take in the server's answer to a report."""
        with self._filled:
            self._refused.extend(answer.refused)

    def refused(self) -> list[RefusedClaim]:
        """The claims that the server refused since the last call."""
        with self._filled:
            refused, self._refused = self._refused, []
            return refused

    def put_drops(self, drops: Iterable[DropRecord], counts: Iterable[DropCount]) -> None:
        """Put dropped frames and counts; sent within a second."""
        with self._filled:
            for drop in drops:
                self._drops.add((drop.port_id, drop.direction, drop.reason), drop)
            self._counts.update(((c.port_id, c.direction, c.guard or ""), c) for c in counts)
            if self._drops or self._counts:
                self._notify_sender(urgent=False)

    def close(self) -> None:
        """End the waiting of `take`."""
        with self._filled:
            self._closed = True
            self._notify_sender(urgent=True)

    def take(self) -> Report | None:
        """The next report: at once when something is urgent, else a second after the first fact.

        None once the outbox is closed and empty, and a last report has announced the agent's end.
        """
        with self._filled:
            while self._is_empty() and not self._closed:
                self._filled.wait()
            if not self._urgent:
                self._filled.wait_for(lambda: self._urgent, SECOND)
            self._urgent = False
            if self._is_empty():
                return self._last()
            ports = tuple(_pop(self._ports, PORTS_AT_ONCE))
            # The host's own report goes with every other: a server with a wrong one gets the right.
            report = Report(
                self._host,
                self._about,
                ports,
                tuple(self._claims),
                tuple(_pop(self._sightings, CLAIMS_AT_ONCE)),
                self._drops.take(),
                tuple(_pop(self._counts, CLAIMS_AT_ONCE)),
                0 if self._ports else self._reached,
                self._read_back and not self._ports,
                self._instance,
                self._wiring,
                tuple(_pop(self._address_claims, ADDRESS_CLAIMS_AT_ONCE)),
                tuple(_pop(self._detections, ADDRESS_CLAIMS_AT_ONCE)),
            )
            self._wiring = None
            if report.reached:
                self._reached = 0
            if report.read_back:
                self._read_back = False
            self._has_unsent = False
            self._claims.clear()
            self._urgent = self._closed or not self._is_empty()
            return report

    def _last(self) -> Report | None:
        """The report that the agent ends: another may begin at once."""
        if self._instance.ended or not self._instance.id:
            return None
        self._instance = replace(self._instance, ended=True)
        return Report(self._host, self._about, instance=self._instance)

    def _is_empty(self) -> bool:
        return not (
            self._has_unsent
            or self._read_back
            or self._ports
            or self._claims
            or self._sightings
            or self._drops
            or self._counts
            or self._reached
            or self._wiring is not None
            or self._address_claims
            or self._detections
        )

    def _notify_sender(self, *, urgent: bool) -> None:
        self._urgent = self._urgent or urgent
        self._filled.notify_all()


class Reporter:
    """Sends the outbox's reports, in order, each until the server has it."""

    def __init__(
        self,
        outbox: Outbox,
        feed: Feed,
        stop: threading.Event,
        health: Health,
        refuse: Callable[[SecondAgentError], None],
    ) -> None:
        """`refuse` is called where the server has another agent for this host from the start."""
        self._outbox = outbox
        self._feed = feed
        self._stop_event = stop
        self._health = health
        self._refuse = refuse
        self.is_known = threading.Event()
        """Whether the server has taken a report of this agent, and so knows it."""

    def work(self) -> None:
        """Send until stopped; reports not taken by the server by then are lost, and made anew."""
        while (report := self._outbox.take()) is not None:
            self._deliver(report)

    def _deliver(self, report: Report) -> None:
        for pause in pauses():
            try:
                self._outbox.put_answer(self._feed.report(report))
            except SecondAgentError as error:
                if not self.is_known.is_set():
                    self._refuse(error)
                    return
                self._health.degrade("server", str(error))
            except FeedError as error:
                self._health.degrade("server", f"the server refuses the report: {error}")
            except Exception as error:
                log.exception("a report could not be sent")
                self._health.degrade("server", f"a report could not be sent: {error}")
            else:
                self.is_known.set()
                self._health.recover("server")
                return
            # A report sent later is no sign of a read-back a moment ago.
            report = replace(report, read_back=False)
            if self._stop_event.wait(pause):
                return


def pauses() -> Iterable[float]:
    """The seconds to wait after each failure in a row."""
    return (min(_FIRST_PAUSE * 2**n, _LONGEST_PAUSE) for n in itertools.count())


def _pop(things: dict[K, V], most: int) -> list[V]:
    keys = list(itertools.islice(things, most))
    return [things.pop(key) for key in keys]
