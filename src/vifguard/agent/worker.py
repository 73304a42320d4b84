"""The worker: takes events into the state, reconciles dirty ports and links, and reports."""

from __future__ import annotations

import logging
import queue
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Protocol

from vifguard.agent.reconcile import ReconcileResult
from vifguard.agent.reporting.health import Health
from vifguard.agent.reporting.report import Outbox, pauses
from vifguard.agent.state import NOTHING, AgentState, AllLinks, Dirty
from vifguard.agent.verify import Checked
from vifguard.agent.watch import Notice, QuarantineLost, Stop
from vifguard.enforce.driver.protocol import Loss
from vifguard.feed.messages import PortReport, Update
from vifguard.kernel.net.link import FilterRemoved, Link, NotificationsLost
from vifguard.model.port import PortState

log = logging.getLogger("vifguard")

RETRY = 5.0
"""Seconds after which a port or interface that failed is tried again."""

MIN_INTERVAL = 1.0
"""Seconds between two comparisons of everything, however often one is requested."""

NOTED = 300.0
"""Seconds for which a port's report says that its guard or wiring was lost and put back."""

BATCH = 500
"""Ports that are reconciled in one go."""


class PortReconciler(Protocol):
    """The reconciler that acts for the worker."""

    def reconcile(self, dirty: Dirty) -> ReconcileResult:
        """Bring these ports and links to their desired state."""

    def sweep(self) -> frozenset[int]:
        """Remove leftovers of no port; return the interfaces that could not leave their bridges."""


class ReadBack(Protocol):
    """The reader that reads guards back for the worker; `due` is its next time (monotonic s)."""

    due: float

    def step(self, now: float) -> Checked:
        """Read some guards back."""


class Ownership(Protocol):
    """The check of a store's updates before they are taken in."""

    def why_not(self, update: Update) -> str:
        """Why an update is refused; empty where it is not."""

    def accept(self, update: Update) -> None:
        """Note that the update is taken in."""


@dataclass(frozen=True, slots=True)
class Actors:
    """The actors of a worker. `look` reads all links and the quarantine."""

    reconciler: PortReconciler
    reading: ReadBack
    owner: Ownership
    look: Callable[[], Iterable[Link]]


@dataclass(frozen=True, slots=True)
class Startup:
    """The source of a worker's notices.

    `again` requests everything of the feed; `accepted` is called once a complete update is
    taken in.
    """

    events: queue.SimpleQueue[Notice] = field(default_factory=queue.SimpleQueue)
    again: Callable[[], None] = lambda: None
    accepted: Callable[[], None] = lambda: None


class Worker:
    """The only thread that acts: on the kernel, and into the outbox."""

    def __init__(
        self,
        state: AgentState,
        acting: Actors,
        intake: Startup,
        outbox: Outbox,
        health: Health,
        compare_every: float,
    ) -> None:
        self._state = state
        self._acting = acting
        self._intake = intake
        self._events = intake.events
        self._outbox = outbox
        self._health = health
        self._every = compare_every
        self._is_refusing = False
        self._reported: dict[str, PortReport] = {}
        self._retries: dict[str | int, float] = {}
        self._backlog: dict[str, None] = {}
        self._is_sweeping = False
        self._is_well = True
        self._notes: dict[str, tuple[str, float]] = {}
        self._reached = 0
        self._compared = 0.0
        self._compare_at = 0.0

    def run(self) -> None:
        """Work until a Stop arrives, whatever fails on the way."""
        following = iter(pauses())
        while True:
            try:
                if self._work():
                    return
            except Exception as error:
                log.exception("the worker failed; it reads everything anew")
                self._health.degrade("worker", f"it failed: {error or type(error).__name__}")
                # The notices taken from the queue are lost: read the host and ask the server anew.
                self._compare_at = time.monotonic() + next(following)
                self._intake.again()
            else:
                following = iter(pauses())
                self._health.recover("worker")

    def _work(self) -> bool:
        """Take the queue's notices and reconcile their ports and links; return whether to stop."""
        notices = self._next()
        if any(isinstance(notice, Stop) for notice in notices):
            return True
        dirty = [self._take(notice) for notice in notices]
        self.reconcile(Dirty.by_all([*dirty, self._due()]))
        self._read_back()
        return False

    @property
    def _is_begun(self) -> bool:
        """Whether all ports and all links are known: before, everything would seem to be gone."""
        return self._state.complete and self._compared > 0

    def reconcile(self, dirty: Dirty) -> None:
        """Reconcile dirty ports and links; where that is everything, a part at a time.

        Between two parts the guards are read back, and events of the meantime go first. The rest
        of everything goes last.
        """
        if not self._is_begun:
            return
        if dirty.everything:
            self._backlog = dict.fromkeys(self._state.ports)
            self._is_sweeping = True
        # With the last part of everything, the revision is reported as applied.
        self._reconcile_now(dirty)
        while self._backlog or self._is_sweeping:
            part = [port_id for port_id, _ in zip(self._backlog, range(BATCH), strict=False)]
            for port_id in part:
                del self._backlog[port_id]
            self._reconcile(Dirty(frozenset(part)), is_last=not self._backlog)
            if not self._backlog and self._is_sweeping:
                self._is_sweeping = False
                self._sweep()
            if not self._events.empty():
                return
            self._read_back()

    def _reconcile_now(self, dirty: Dirty) -> None:
        ports, links = sorted(dirty.ports), dirty.links
        if not (ports or links or dirty.ruleset):
            return
        for start in range(0, max(len(ports), 1), BATCH):
            part = Dirty(frozenset(ports[start : start + BATCH]), links, ruleset=dirty.ruleset)
            is_last = start + BATCH >= len(ports)
            self._reconcile(part, is_last=is_last and not self._backlog)
            links = frozenset()

    def _reconcile(self, dirty: Dirty, *, is_last: bool = False) -> None:
        """Reconcile some ports. `is_last`: with these, no dirty port is left."""
        revision = self._state.revision
        try:
            settled = self._acting.reconciler.reconcile(dirty)
        except Exception:
            log.exception("%d ports could not be brought to their wanted state", len(dirty.ports))
            self._is_well = False
            self._reconcile_one_by_one(dirty)
            settled = ReconcileResult()
            dirty = NOTHING
        self._report(settled, dirty, revision if is_last and self._is_well else 0)
        if is_last:
            self._is_well = True

    def _reconcile_one_by_one(self, dirty: Dirty) -> None:
        """Reconcile ports one by one, so that a port that fails keeps no other from its state."""
        if len(dirty.ports) <= 1:
            self._try_again([*dirty.ports, *dirty.links])
            return
        for port_id in dirty.ports:
            self._reconcile(Dirty(frozenset({port_id}), dirty.links))

    def _sweep(self) -> None:
        try:
            self._try_again(self._acting.reconciler.sweep())
        except Exception:
            log.exception("leftovers that belong to no port could not be removed")

    def _next(self) -> list[Notice]:
        """All notices in the queue; waits for one until something is due."""
        due = min(self._compare_at, self._acting.reading.due, *self._retries.values())
        is_busy = self._is_begun and (self._backlog or self._is_sweeping)
        notices: list[Notice] = []
        try:
            wait = 0.0 if is_busy else max(0.0, due - time.monotonic())
            notices.append(self._events.get(timeout=wait))
            while True:
                notices.append(self._events.get_nowait())
        except queue.Empty:
            return notices

    def _take(self, notice: Notice) -> Dirty:
        if isinstance(notice, NotificationsLost | QuarantineLost):
            self._compare_at = min(self._compare_at, self._compared + MIN_INTERVAL)
            return NOTHING
        if isinstance(notice, FilterRemoved):
            # Its port with it: a guard at a link that is no port's would be lost for good.
            return self._state.dirtied_by(notice.index)
        if isinstance(notice, Stop):
            return NOTHING
        if isinstance(notice, Update):
            return self._update(notice)
        return self._state.take(notice)

    def _update(self, update: Update) -> Dirty:
        """Take in an update, unless it would replace the ports of another store."""
        if why := self._acting.owner.why_not(update):
            self._is_refusing = True
            self._health.degrade("store", why)
            self._intake.again()
        if why or (self._is_refusing and not update.complete):
            return NOTHING
        if update.complete:
            self._reported.clear()
            self._reached = 0
            self._is_refusing = False
            self._health.recover("store")
        dirty = self._state.take(update)
        self._acting.owner.accept(update)
        if update.complete:
            self._intake.accepted()
        return dirty

    def _due(self) -> Dirty:
        """The ports and links that are due for another try; all, where a comparison is due."""
        now = time.monotonic()
        if now >= self._compare_at:
            return self._compare()
        due = [each for each, at in self._retries.items() if now >= at]
        for each in due:
            del self._retries[each]
        return Dirty(
            frozenset(each for each in due if isinstance(each, str)),
            frozenset(each for each in due if isinstance(each, int)),
        )

    def _compare(self) -> Dirty:
        """Read the host anew; nothing is dirty where it cannot be read."""
        now = time.monotonic()
        try:
            links = tuple(self._acting.look())
        except OSError as error:
            self._compare_at = now + RETRY
            self._health.degrade("links", f"the host's links cannot be read: {error}")
            return NOTHING
        self._health.recover("links")
        self._compared, self._compare_at = now, now + self._every
        return self._state.take(AllLinks(links))

    def _read_back(self) -> None:
        """Have some guards read back, and lost ones put back at once."""
        now = time.monotonic()
        if not self._is_begun or now < self._acting.reading.due:
            return
        checked = self._acting.reading.step(now)
        self._mark_lost(checked)
        if checked.touched:
            self._reconcile_now(checked.touched)
        if checked.is_round and not self._is_refusing:
            self._outbox.put_read_back()

    def _mark_lost(self, checked: Checked) -> None:
        """Report the ports that have lost their guard, before it is put back."""
        known = ((self._reported.get(port_id), why) for port_id, why in checked.lost.items())
        reports = [
            replace(reported, state=PortState.HELD_CLOSED, reason=f"its guard was lost: {why}")
            for reported, why in known
            if reported is not None
        ]
        self._reported.update((report.port_id, report) for report in reports)
        if reports:
            self._outbox.put_ports(reports)

    def _try_again(self, those: Iterable[str | int]) -> None:
        """Schedule another try of ports or interfaces, each in its own time."""
        due = time.monotonic() + RETRY
        self._retries.update(dict.fromkeys(those, due))

    def _report(self, settled: ReconcileResult, dirty: Dirty, revision: int) -> None:
        done: list[str | int] = [*dirty.ports, *dirty.links]
        for each in done:
            self._retries.pop(each, None)
        self._try_again([*settled.failing, *settled.unremoved])
        for port_id in dirty.ports:
            if port_id not in self._state.ports:
                self._reported.pop(port_id, None)
        reports = self._noted(settled)
        changed = [r for r in reports if self._reported.get(r.port_id) != r]
        self._reported.update((report.port_id, report) for report in changed)
        reached = revision if self._state.ruleset.is_applied and revision > self._reached else 0
        self._reached = max(self._reached, reached)
        self._outbox.put_ports(changed, reached)

    def _noted(self, settled: ReconcileResult) -> list[PortReport]:
        """The reports; one of a port whose loss was put back names the loss for a while."""
        now = time.monotonic()
        self._health.lost(kind for kind, _ in settled.lost.values())
        for port_id, loss in settled.lost.items():
            what, why = "guard" if isinstance(loss, Loss) else "wiring", loss[1]
            log.error("port %s had lost its %s: %s", port_id, what, why)
            self._notes[port_id] = f"its {what} was lost and put back at {_moment()}: {why}", now
        for port_id in [i for i, (_, at) in self._notes.items() if now - at > NOTED]:
            del self._notes[port_id]
        return [
            replace(report, reason=self._notes[report.port_id][0])
            if report.port_id in self._notes
            and report.state is PortState.ENFORCED
            and not report.reason
            else report
            for report in settled.reports
        ]


def _moment() -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())
