"""Worker threads: each kind of work has its own, and waits for no other's.

Changes come one after the other, and anything that blocks the database (another process, a
server that froze) blocks them all. They wait for their turn in the event loop, bounded in number
and time: reads, the feed, reports and the probes go on meanwhile. Each project waits in a line of
its own, and the lines have their turn one after the other: many changes of one project, even if
they fail late, keep another project from one turn and no more. Where all slots are taken, the
longest line loses its last change to a project that has fewer: a few projects cannot take them all.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf
from typing import Final, TypeVar

from anyio import CapacityLimiter
from anyio.to_thread import run_sync

from vifguard.api.http.bodies import Bodies
from vifguard.api.http.host_turns import HostTurns
from vifguard.api.http.shares import Share, Shares, busy

T = TypeVar("T")

# Together, and with the one change, no more than a server has connections to its database.
_READS: Final = 8
_FEEDS: Final = 3
_REPORTS: Final = 2
_LARGE_REPORTS: Final = 1
_PROBES: Final = 1

LARGE: Final = 256 * 1024
"""Bytes of a report; one beyond waits for the large ones of other hosts, and for no small one."""

_DOCUMENTS: Final = 1
"""Large documents that are read at once: each takes many times the room of its text."""

_AT_ONCE: Final = 2
"""Changes that have a thread: one has the database, the other reads its document meanwhile.

A project has one at most: the other is for other projects."""

MAX_QUEUED: Final = 256
MAX_QUEUED_PER_PROJECT: Final = 64
MAX_WAITS_PER_PROJECT: Final = 100
"""Of a project: each is looked at again whenever its host has made progress."""

MAX_FEEDS: Final = 2
"""Feed requests of a host that wait: an agent makes one, another where it was started again."""

PATIENCE: Final = 10.0
"""Seconds that a change waits here: with the wait at the database, less than its client waits."""


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    """A change in its line: its turn, and its slot."""

    turn: asyncio.Future[None]
    slot: Share


class WriteQueue:
    """The lines of changes: the operator's first, then one of each project in rotation.

    One event loop uses one. The operator's, and that of services, has no project's name.
    """

    def __init__(
        self,
        most: int = MAX_QUEUED,
        most_of_a_project: int = MAX_QUEUED_PER_PROJECT,
        patience: float = PATIENCE,
    ) -> None:
        self._places = Shares("changes that wait for their turn", most, most_of_a_project)
        self._patience = patience
        self._threads = CapacityLimiter(_AT_ONCE)
        # In the order of their turns: a project that has had one goes behind the others.
        self._lines: dict[str, deque[_Waiting]] = {}
        self._running: Counter[str] = Counter()

    @property
    def waiting(self) -> int:
        """The number of changes that wait for their turn, or have it."""
        return self._places.taken

    async def run(self, project_id: str, change: Callable[[], T]) -> T:
        """Run a change in its turn; `project_id` is empty for users not counted by project.

        Raises what the change raises, and Refusal (429, 503) where it does not get its turn.
        """
        self._make_room(project_id)
        with self._places.slot(project_id) as slot:
            await self._have_turn(project_id, slot)
            try:
                return await run_sync(change, limiter=self._threads)
            finally:
                self._end_turn(project_id)

    def _make_room(self, project_id: str) -> None:
        """Where all slots are taken, end the last change of a longer line than a project has."""
        if not (project_id and self._places.is_full_for(project_id)):
            return
        lines = ((len(line), name) for name, line in self._lines.items() if name)
        length, longest = max(lines, default=(0, ""))
        if length > self._places.taken_by(project_id) + 1:
            last = self._lines[longest].pop()
            last.slot.give_back()
            if not last.turn.done():
                last.turn.set_exception(busy("those of other projects, which have fewer, wait"))

    async def _have_turn(self, project_id: str, slot: Share) -> None:
        turn = asyncio.get_running_loop().create_future()
        mine = _Waiting(turn, slot)
        self._lines.setdefault(project_id, deque()).append(mine)
        self._go_on()
        try:
            async with asyncio.timeout(self._patience):
                await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self._end_turn(project_id)  # it came in the moment in which it was given up
            else:
                self._leave(project_id, mine)
            if isinstance(error, TimeoutError):
                raise busy(f"this change has waited {self._patience:g} s for its turn") from None
            raise

    def _leave(self, project_id: str, mine: _Waiting) -> None:
        line = self._lines.get(project_id, deque())
        if mine in line:
            line.remove(mine)
            if not line:
                del self._lines[project_id]

    def _end_turn(self, project_id: str) -> None:
        self._running[project_id] -= 1
        if not self._running[project_id]:
            del self._running[project_id]
        self._go_on()

    def _go_on(self) -> None:
        """Give free turns to the changes that are next."""
        while self._running.total() < _AT_ONCE and (project_id := self._next()) is not None:
            line = self._lines.pop(project_id)
            first = line.popleft().turn
            if line:
                self._lines[project_id] = line
            if not first.cancelled():  # else it gives up, and has not left the line yet
                first.set_result(None)
                self._running[project_id] += 1

    def _next(self) -> str | None:
        """The project that is next: "" is the operator, None nobody.

        The operator always has one turn, and leaves the other to waiting projects.
        """
        if "" in self._lines and not self._running[""]:
            return ""
        free = (each for each in self._lines if each and not self._running[each])
        return next(free, "" if "" in self._lines else None)


class Reports:
    """The threads of reports: large ones wait for each other, and for no small one.

    One event loop uses one.
    """

    def __init__(self) -> None:
        self._threads = CapacityLimiter(_REPORTS)
        self._large = CapacityLimiter(_LARGE_REPORTS)

    async def run(self, size: int, take_in: Callable[[], T]) -> T:
        """Take in a report of `size` bytes; returns and raises as `take_in` does."""
        return await run_sync(take_in, limiter=self._large if size > LARGE else self._threads)


@dataclass(frozen=True)
class WorkerThreads:
    """The threads of one application, by kind of work."""

    reads: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(_READS))
    feeds: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(_FEEDS))
    feed_turns: HostTurns = field(default_factory=lambda: HostTurns("feed request", MAX_FEEDS))
    reports: Reports = field(default_factory=Reports)
    report_turns: HostTurns = field(default_factory=lambda: HostTurns("report", 0))
    documents: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(_DOCUMENTS))
    probes: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(_PROBES))
    changes: WriteQueue = field(default_factory=WriteQueue)
    bodies: Bodies = field(default_factory=Bodies)
    waits: Shares = field(
        default_factory=lambda: Shares("waits for ports", inf, MAX_WAITS_PER_PROJECT)
    )
