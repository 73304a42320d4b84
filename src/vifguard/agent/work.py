"""The worker: takes events into the state, settles what they touched, says what became of it."""

from __future__ import annotations

import logging
import queue
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Protocol

from vifguard.agent.health import Health
from vifguard.agent.reconcile import Settled
from vifguard.agent.report import Outbox, pauses
from vifguard.agent.state import NOTHING, AllLinks, State, Touched
from vifguard.agent.verify import Checked
from vifguard.agent.watch import Notice, QuarantineLost, Stop
from vifguard.enforce.state import Loss
from vifguard.feed.messages import PortReport, Update
from vifguard.kernel.link import FilterRemoved, Link, NotificationsLost
from vifguard.model.port import PortState

log = logging.getLogger("vifguard")

RETRY = 5.0
"""Seconds after which what failed is tried again."""

SPACING = 1.0
"""Seconds between two comparisons of everything, however often somebody asks for one."""

NOTED = 300.0
"""Seconds for which a port says that its guard or wiring was lost and put back."""

AT_ONCE = 500
"""Ports that are settled in one go."""


class Hands(Protocol):
    """What acts for the worker."""

    def settle(self, touched: Touched) -> Settled:
        """Bring these ports to where they belong."""

    def sweep(self) -> frozenset[int]:
        """Take away what belongs to no port; the interfaces that their bridges do not let go."""


class Reading(Protocol):
    """What reads the guards back for the worker; `due` is when it wants to (monotonic s)."""

    due: float

    def step(self, now: float) -> Checked:
        """Read some back."""


class Owning(Protocol):
    """What says whose updates are taken in."""

    def why_not(self, update: Update) -> str:
        """Why an update is refused; empty where it is not."""

    def accept(self, update: Update) -> None:
        """The update is taken in."""


@dataclass(frozen=True, slots=True)
class Acting:
    """What a worker acts by. `look` reads the host anew: all links, and what the floor holds."""

    hands: Hands
    reading: Reading
    owner: Owning
    look: Callable[[], Iterable[Link]]


@dataclass(frozen=True, slots=True)
class Intake:
    """Where a worker's notices come from.

    `again` lets the feed be asked for everything; `accepted` is called once a complete update is
    taken in.
    """

    events: queue.SimpleQueue[Notice] = field(default_factory=queue.SimpleQueue)
    again: Callable[[], None] = lambda: None
    accepted: Callable[[], None] = lambda: None


class Worker:
    """The one that acts; its deeds are in the kernel and its words in the outbox."""

    def __init__(
        self,
        state: State,
        acting: Acting,
        intake: Intake,
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
        self._told: dict[str, PortReport] = {}
        self._retries: dict[str | int, float] = {}
        self._backlog: dict[str, None] = {}
        self._is_sweeping = False
        self._is_well = True
        self._notes: dict[str, tuple[str, float]] = {}
        self._reached = 0
        self._compared = 0.0
        self._compare_at = 0.0

    def run(self) -> None:
        """Work until a Stop comes, whatever goes wrong on the way."""
        following = iter(pauses())
        while True:
            try:
                if self._work():
                    return
            except Exception as error:
                log.exception("the worker failed; it looks at everything anew")
                self._health.degrade("worker", f"it failed: {error or type(error).__name__}")
                # What it had taken from the queue is lost: read the host and ask the server anew.
                self._compare_at = time.monotonic() + next(following)
                self._intake.again()
            else:
                following = iter(pauses())
                self._health.recover("worker")

    def _work(self) -> bool:
        """Take what is there and settle what it touched; whether to stop."""
        notices = self._next()
        if any(isinstance(notice, Stop) for notice in notices):
            return True
        touched = [self._take(notice) for notice in notices]
        self.settle(Touched.by_all([*touched, self._due()]))
        self._read_back()
        return False

    @property
    def _is_begun(self) -> bool:
        """Whether all ports and all links are known: before, everything would seem to be gone."""
        return self._state.complete and self._compared > 0

    def settle(self, touched: Touched) -> None:
        """Settle what was touched; where that is everything, a part at a time.

        Between two parts the guards are read back, and events that came meanwhile go first. Of
        everything, what is left over goes last.
        """
        if not self._is_begun:
            return
        if touched.everything:
            self._backlog = dict.fromkeys(self._state.ports)
            self._is_sweeping = True
        # With the last of everything, all up to the revision is said to be in the kernel.
        self._settle_now(touched)
        while self._backlog or self._is_sweeping:
            part = [port_id for port_id, _ in zip(self._backlog, range(AT_ONCE), strict=False)]
            for port_id in part:
                del self._backlog[port_id]
            self._settle(Touched(frozenset(part)), is_last=not self._backlog)
            if not self._backlog and self._is_sweeping:
                self._is_sweeping = False
                self._sweep()
            if not self._events.empty():
                return
            self._read_back()

    def _settle_now(self, touched: Touched) -> None:
        ports, links = sorted(touched.ports), touched.links
        if not (ports or links or touched.book):
            return
        for start in range(0, max(len(ports), 1), AT_ONCE):
            part = Touched(frozenset(ports[start : start + AT_ONCE]), links, book=touched.book)
            is_last = start + AT_ONCE >= len(ports)
            self._settle(part, is_last=is_last and not self._backlog)
            links = frozenset()

    def _settle(self, touched: Touched, *, is_last: bool = False) -> None:
        """Settle some ports. With the last ones, all that was to be settled is."""
        revision = self._state.revision
        try:
            settled = self._acting.hands.settle(touched)
        except Exception:
            log.exception("%d ports could not be settled", len(touched.ports))
            self._is_well = False
            self._settle_apart(touched)
            settled = Settled()
            touched = NOTHING
        self._tell(settled, touched, revision if is_last and self._is_well else 0)
        if is_last:
            self._is_well = True

    def _settle_apart(self, touched: Touched) -> None:
        """Find out whose fault it was: nobody else's port is left as it is."""
        if len(touched.ports) <= 1:
            self._try_again([*touched.ports, *touched.links])
            return
        for port_id in touched.ports:
            self._settle(Touched(frozenset({port_id}), touched.links))

    def _sweep(self) -> None:
        try:
            self._try_again(self._acting.hands.sweep())
        except Exception:
            log.exception("what belongs to no port could not be swept up")

    def _next(self) -> list[Notice]:
        """All notices that are there; waits for one until something is due."""
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

    def _take(self, notice: Notice) -> Touched:
        if isinstance(notice, NotificationsLost | QuarantineLost):
            self._compare_at = min(self._compare_at, self._compared + SPACING)
            return NOTHING
        if isinstance(notice, FilterRemoved):
            # Its port with it: a guard at a link that is no port's would go for good.
            return self._state.touched_by(notice.index)
        if isinstance(notice, Stop):
            return NOTHING
        if isinstance(notice, Update):
            return self._update(notice)
        return self._state.take(notice)

    def _update(self, update: Update) -> Touched:
        """Take in an update, unless it would replace what another store wants held."""
        if why := self._acting.owner.why_not(update):
            self._is_refusing = True
            self._health.degrade("store", why)
            self._intake.again()
        if why or (self._is_refusing and not update.complete):
            return NOTHING
        if update.complete:
            self._told.clear()
            self._reached = 0
            self._is_refusing = False
            self._health.recover("store")
        touched = self._state.take(update)
        self._acting.owner.accept(update)
        if update.complete:
            self._intake.accepted()
        return touched

    def _due(self) -> Touched:
        """What is to be looked at again by now."""
        now = time.monotonic()
        if now >= self._compare_at:
            return self._compare()
        due = [each for each, at in self._retries.items() if now >= at]
        for each in due:
            del self._retries[each]
        return Touched(
            frozenset(each for each in due if isinstance(each, str)),
            frozenset(each for each in due if isinstance(each, int)),
        )

    def _compare(self) -> Touched:
        """Read the host anew; nothing is touched where that cannot be."""
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
        """Have some guards read back, and put back at once what is lost of them."""
        now = time.monotonic()
        if not self._is_begun or now < self._acting.reading.due:
            return
        checked = self._acting.reading.step(now)
        self._lose(checked)
        if checked.touched:
            self._settle_now(checked.touched)
        if checked.is_round and not self._is_refusing:
            self._outbox.put_read_back()

    def _lose(self, checked: Checked) -> None:
        """Say which ports have lost their guard, before it is put back."""
        known = ((self._told.get(port_id), why) for port_id, why in checked.lost.items())
        reports = [
            replace(told, state=PortState.HELD_CLOSED, reason=f"its guard was lost: {why}")
            for told, why in known
            if told is not None
        ]
        self._told.update((report.port_id, report) for report in reports)
        if reports:
            self._outbox.put_ports(reports)

    def _try_again(self, those: Iterable[str | int]) -> None:
        """Settle ports or interfaces again in a while, each in its own time."""
        due = time.monotonic() + RETRY
        self._retries.update(dict.fromkeys(those, due))

    def _tell(self, settled: Settled, touched: Touched, revision: int) -> None:
        done: list[str | int] = [*touched.ports, *touched.links]
        for each in done:
            self._retries.pop(each, None)
        self._try_again([*settled.failing, *settled.stuck])
        for port_id in touched.ports:
            if port_id not in self._state.ports:
                self._told.pop(port_id, None)
        reports = self._noted(settled)
        news = [r for r in reports if self._told.get(r.port_id) != r]
        self._told.update((report.port_id, report) for report in news)
        reached = revision if self._state.book.is_told and revision > self._reached else 0
        self._reached = max(self._reached, reached)
        self._outbox.put_ports(news, reached)

    def _noted(self, settled: Settled) -> list[PortReport]:
        """The reports; a port that had lost something and has it again says so for a while."""
        now = time.monotonic()
        self._health.lost(cause for cause, _ in settled.lost.values())
        for port_id, (cause, why) in settled.lost.items():
            what = "guard" if isinstance(cause, Loss) else "wiring"
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
