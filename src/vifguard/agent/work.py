"""The worker: takes events into the state, settles what they touched, says what became of it."""

from __future__ import annotations

import logging
import queue
import time
from collections.abc import Callable, Iterable
from typing import Protocol

from vifguard.agent.place import place
from vifguard.agent.reconcile import Settled
from vifguard.agent.report import Outbox
from vifguard.agent.state import NOTHING, AllLinks, State, Touched
from vifguard.agent.watch import FloorLost, Notice, Stop
from vifguard.feed.messages import HostPort, PortReport, Update
from vifguard.kernel.link import FilterGone, Link, NoticesLost
from vifguard.model.port import PortState

log = logging.getLogger("vifguard")

RETRY = 5.0
"""Seconds after which what failed is tried again."""

SPACING = 1.0
"""Seconds between two comparisons of everything, however often somebody asks for one."""


AT_ONCE = 500
"""Ports that are settled in one go."""


class Hands(Protocol):
    """What acts for the worker."""

    def settle(self, touched: Touched) -> Settled:
        """Bring these ports to where they belong."""

    def sweep(self) -> None:
        """Take away what belongs to no port."""


class Worker:
    """The one that acts; its deeds are in the kernel and its words in the outbox.

    `look` reads the host anew: all links, and what the floor holds.
    """

    def __init__(
        self,
        state: State,
        hands: Hands,
        outbox: Outbox,
        look: Callable[[], Iterable[Link]],
        compare_every: float,
    ) -> None:
        self.events: queue.SimpleQueue[Notice] = queue.SimpleQueue()
        self._state = state
        self._hands = hands
        self._outbox = outbox
        self._look = look
        self._every = compare_every
        self._told: dict[str, PortReport] = {}
        self._failing: frozenset[str] = frozenset()
        self._retry_at = 0.0
        self._reached = 0
        self._compared = 0.0
        self._compare_at = 0.0

    def run(self) -> None:
        """Work until a Stop comes."""
        self._compare()
        while True:
            notices = self._next()
            if any(isinstance(notice, Stop) for notice in notices):
                return
            touched = [self._take(notice) for notice in notices]
            self.settle(Touched.by_all([*touched, self._due()]))

    def settle(self, touched: Touched) -> None:
        """Settle what was touched; of everything, what is left over goes last."""
        if not touched or not self._state.complete:
            return
        ports = list(self._state.ports if touched.everything else touched.ports)
        links, well = touched.links, True
        for start in range(0, max(len(ports), 1), AT_ONCE):
            part = Touched(frozenset(ports[start : start + AT_ONCE]), links, book=touched.book)
            is_last = start + AT_ONCE >= len(ports)
            well &= self._settle(part, self._state.revision if well and is_last else 0)
            links = frozenset()
        if touched.everything:
            self._sweep()

    def _settle(self, touched: Touched, revision: int = 0) -> bool:
        """Settle some ports; whether that went well. They are the last ones of `revision`."""
        try:
            settled = self._hands.settle(touched)
        except Exception:
            log.exception("%d ports could not be settled", len(touched.ports))
            self._settle_apart(touched)
            return False
        self._tell(settled, touched, revision)
        return True

    def _settle_apart(self, touched: Touched) -> None:
        """Find out whose fault it was: nobody else's port is left as it is."""
        if len(touched.ports) <= 1:
            self._try_again(touched.ports)
            return
        for port_id in touched.ports:
            self._settle(Touched(frozenset({port_id}), touched.links))

    def _sweep(self) -> None:
        try:
            self._hands.sweep()
        except Exception:
            log.exception("what belongs to no port could not be swept up")

    def _next(self) -> list[Notice]:
        """All notices that are there; waits for one until something is due."""
        due = min(self._compare_at, self._retry_at if self._failing else self._compare_at)
        notices: list[Notice] = []
        try:
            notices.append(self.events.get(timeout=max(0.0, due - time.monotonic())))
            while True:
                notices.append(self.events.get_nowait())
        except queue.Empty:
            return notices

    def _take(self, notice: Notice) -> Touched:
        if isinstance(notice, NoticesLost | FloorLost):
            self._compare_at = min(self._compare_at, self._compared + SPACING)
            return NOTHING
        if isinstance(notice, FilterGone):
            # Its port with it: a guard at a link that is no port's would go for good.
            return self._state.touched_by(notice.index)
        if isinstance(notice, Stop):
            return NOTHING
        if isinstance(notice, Update) and notice.complete:
            self._told.clear()
            self._reached = 0
        return self._state.take(notice)

    def _due(self) -> Touched:
        """What is to be looked at again by now."""
        now = time.monotonic()
        if now >= self._compare_at:
            return self._compare()
        if self._failing and now >= self._retry_at:
            failing, self._failing = self._failing, frozenset()
            return Touched(failing)
        return NOTHING

    def _compare(self) -> Touched:
        touched = self._state.take(AllLinks(tuple(self._look())))
        self._compared = time.monotonic()
        self._compare_at = self._compared + self._every
        return touched

    def _try_again(self, ports: frozenset[str]) -> None:
        if ports:
            self._failing |= ports
            self._retry_at = time.monotonic() + RETRY

    def _tell(self, settled: Settled, touched: Touched, revision: int) -> None:
        self._failing -= touched.ports
        self._try_again(settled.failing)
        for port_id in touched.ports:
            if port_id not in self._state.ports:
                self._told.pop(port_id, None)
        news = [r for r in settled.reports if self._told.get(r.port_id) != r]
        self._told.update((report.port_id, report) for report in news)
        reached = revision if self._state.book.is_told and revision > self._reached else 0
        self._reached = max(self._reached, reached)
        self._outbox.put_ports(news, reached)


class Unable:
    """How a host without a driver settles: it touches nothing and says why."""

    def __init__(self, state: State, why: str) -> None:
        self._state = state
        self._why = why

    def settle(self, touched: Touched) -> Settled:
        """Nothing but words."""
        ports = (self._state.ports.get(port_id) for port_id in touched.ports)
        return Settled(tuple(self._refuse(port) for port in ports if port))

    def sweep(self) -> None:
        """Nothing."""

    def _refuse(self, port: HostPort) -> PortReport:
        link = place(self._state, port).link
        name = link.name if link else ""
        held = PortState.HELD_CLOSED
        return PortReport(port.policy.port_id, port.revision, held, name, self._why)
