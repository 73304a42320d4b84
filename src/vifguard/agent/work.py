"""The worker: takes events into the state, settles what they touched, says what became of it."""

from __future__ import annotations

import logging
import queue
import time
from collections.abc import Callable, Iterable

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


class Worker:
    """The one that acts; its deeds are in the kernel and its words in the outbox.

    `look` reads the host anew: all links, and what the floor holds.
    """

    def __init__(
        self,
        state: State,
        settle: Callable[[Touched], Settled],
        outbox: Outbox,
        look: Callable[[], Iterable[Link]],
        compare_every: float,
    ) -> None:
        self.events: queue.SimpleQueue[Notice] = queue.SimpleQueue()
        self._state = state
        self._settle = settle
        self._outbox = outbox
        self._look = look
        self._every = compare_every
        self._told: dict[str, PortReport] = {}
        self._failing: frozenset[str] = frozenset()
        self._retry_at = 0.0
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
        """Settle what was touched; when that fails, each port on its own."""
        if not touched or not self._state.complete:
            return
        try:
            self._tell(self._settle(touched), touched)
        except Exception:
            log.exception("some ports could not be settled; trying them one by one")
            ids = self._state.ports if touched.everything else touched.ports
            for port_id in list(ids):
                self._settle_one(port_id)

    def _settle_one(self, port_id: str) -> None:
        touched = Touched(frozenset({port_id}))
        try:
            self._tell(self._settle(touched), touched)
        except Exception:
            log.exception("port %s could not be settled", port_id)
            self._try_again(frozenset({port_id}))

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
            return Touched(links=frozenset({notice.index}))
        if isinstance(notice, Stop):
            return NOTHING
        if isinstance(notice, Update) and notice.complete:
            self._told.clear()
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

    def _tell(self, settled: Settled, touched: Touched) -> None:
        self._failing -= touched.ports
        self._try_again(settled.failing)
        for port_id in touched.ports:
            if port_id not in self._state.ports:
                self._told.pop(port_id, None)
        news = [r for r in settled.reports if self._told.get(r.port_id) != r]
        self._told.update((report.port_id, report) for report in news)
        self._outbox.put_ports(news)


def unable(state: State, why: str) -> Callable[[Touched], Settled]:
    """How a host without a driver settles: it touches nothing and says why."""

    def settle(touched: Touched) -> Settled:
        ids = state.ports if touched.everything else touched.ports & state.ports.keys()
        return Settled(tuple(_refusal(state, state.ports[port_id], why) for port_id in ids))

    return settle


def _refusal(state: State, port: HostPort, why: str) -> PortReport:
    link = place(state, port).link
    name = link.name if link else ""
    return PortReport(port.policy.port_id, port.revision, PortState.HELD_CLOSED, name, why)
