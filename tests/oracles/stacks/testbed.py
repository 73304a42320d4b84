"""A segment, the guests on it, and situations played there."""

from __future__ import annotations

import itertools
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.agent.netns import run
from tests.agent.ports import port_id
from tests.oracles.stacks.guests import (
    PATIENCE,
    Debian,
    Guest,
    Gvisor,
    Linux,
    Lwip,
    Place,
    PyTcp,
    Router,
)
from tests.oracles.stacks.script import Actor, Observation, Situation, parse, play
from tests.oracles.stacks.segment import (
    OUTSIDE,
    Dropped,
    Protection,
    Segment,
    address4,
    address6,
    link_local,
    second_address4,
    second_address6,
)

from vifguard.model.guard import Guard
from vifguard.model.verdict import Direction
from vifguard.packet.describe import describe

STACKS: dict[str, type[Guest]] = {
    "linux": Linux,
    "lwip": Lwip,
    "pytcp": PyTcp,
    "gvisor": Gvisor,
    "debian": Debian,
}
_UNROUTED, _PROHIBITED = ("10.7.0.1", "fd07::1"), ("10.6.0.1", "fd06::1")


_WAYS = {Direction.FROM_GUEST: "from", Direction.TO_GUEST: "to"}
_FLOODED = (Direction.TO_GUEST, Guard.MAC)
"""What a bridge floods is not for this guest: it is dropped by design, and would be ignored."""


@dataclass(frozen=True)
class Seen:
    """What became of a case: what programs saw, and which guards dropped something."""

    observations: tuple[Observation, ...]
    objections: frozenset[str]

    @property
    def is_well(self) -> bool:
        """Whether all came as on a bare bridge, and nothing was dropped."""
        return all(each.expected for each in self.observations) and not self.objections


@dataclass(frozen=True)
class Case:
    """A situation between two stacks, in one family."""

    situation: Situation
    a: str
    b: str
    version: int

    def __str__(self) -> str:
        return f"{self.situation.name}, {self.a} and {self.b}, IPv{self.version}"


class Immediate:
    """An actor that does what it is asked at once."""

    def __init__(self, act: Callable[[str], str]) -> None:
        self._act, self._outcome = act, ""

    def begin(self, line: str) -> None:
        """Do it."""
        self._outcome = self._act(line)

    def result(self) -> str:
        """What became of it."""
        return self._outcome


class GuestActor:
    """A guest as an actor; a crash is its own business."""

    def __init__(self, guest: Guest) -> None:
        self._guest = guest
        self._crashed = ""

    def begin(self, line: str) -> None:
        """Begin with an operation."""
        self._crashed = self._guest.crash() if line == "crash" else ""
        if not self._crashed:
            self._guest.begin(line)

    def result(self) -> str:
        """What became of it."""
        return self._crashed or self._guest.result()


class Testbed:
    """One segment with its router; guests come when a situation needs them, and stay.

    `early` are made at once, in the background: actor and stack.
    """

    def __init__(self, segment: Segment, early: Iterable[tuple[str, str]] = ()) -> None:
        self.segment = segment
        self._router = Router(segment)
        self._pool = ThreadPoolExecutor()
        self._guests: dict[tuple[str, str, bool], Future[Guest]] = {}
        self._numbers = itertools.count(1)
        self._time_passes = False
        self._pids = Path(tempfile.mkdtemp(prefix="vifguard-stacks-"), "pid")
        for actor, stack in early:
            self._made(actor, stack)

    @property
    def protection(self) -> Protection:
        """What guards the guests here."""
        return self.segment.protection

    def guest(self, actor: str, stack: str, *, wired: bool) -> Guest:
        """The guest of a stack that plays `a` or `b`."""
        return self._made(actor, stack, wired=wired).result()

    def _made(self, actor: str, stack: str, *, wired: bool = False) -> Future[Guest]:
        key = actor, stack, wired
        if key not in self._guests:
            place = Place(self.segment, next(self._numbers), wired)
            self._guests[key] = self._pool.submit(STACKS[stack], place)
        return self._guests[key]

    def play(self, case: Case, patience: float = PATIENCE) -> Seen:
        """What is seen of a case here; `patience` (s): for how long a guest waits for anything."""
        wired = case.situation.needs_wire
        a = self.guest("a", case.a, wired=wired)
        b = self.guest("b", case.b, wired=False)
        addresses = self._addresses(case, a, b)
        clock = Immediate(self._advance)
        actors: dict[str, Actor] = {
            "a": GuestActor(a),
            "b": GuestActor(b),
            "router": self._router.router,
            "far": self._router.far,
            "clock": clock,
        }
        if a.wire:
            actors["wire"] = Immediate(a.wire.answer)
        for name in ("a", "b", "router", "far"):
            actors[name].begin(f"patience {patience}")
            actors[name].result()
        before, since = self.segment.dropped(), time.time()
        try:
            outcome = play(case.situation.steps, actors, addresses, self._tick)
            seen = Seen(tuple(outcome), self._objections(before, since, {"a": a, "b": b}))
        finally:
            self._tidy(case, actors, addresses)
        if not seen.is_well:
            # Their stacks go on trying, and would tell others' situations of it a minute later.
            self._dismiss(a, b)
        return seen

    def _tidy(self, case: Case, actors: Mapping[str, Actor], addresses: Mapping[str, str]) -> None:
        for name in {"wire", "a", "b", "far"} & actors.keys():
            actors[name].begin("clear")
            actors[name].result()
        for step in parse(case.situation.undo):
            play((step,), actors, addresses, self._tick)
        if self._time_passes:
            self.segment.reset_time()
        self._time_passes = False

    def _dismiss(self, *guests: Guest) -> None:
        gone = [
            key for key, made in self._guests.items() if made.done() and made.result() in guests
        ]
        for key in gone:
            guest = self._guests.pop(key).result()
            self.segment.dismiss(guest.place.number)
            guest.close()

    def processes(self) -> dict[int, set[str]]:
        """The processes in the namespace of each guest of this kernel that stays, by number."""
        guests = (made.result() for made in self._guests.values())
        linux = [guest for guest in guests if type(guest) is Linux]
        return {
            guest.place.number: set(run("ip", "netns", "pids", guest.netns).split())
            for guest in linux
        }

    def close(self) -> None:
        """Remove the guests and the router."""
        for made in self._guests.values():
            if not made.exception():
                made.result().close()
        self._pool.shutdown()
        self._router.close()
        shutil.rmtree(self._pids.parent)

    def _addresses(self, case: Case, a: Guest, b: Guest) -> dict[str, str]:
        index = 0 if case.version == 4 else 1
        of = (address4, address6)[index]
        hosts = {"a": a.place.number, "b": b.place.number, "router": OUTSIDE}
        second = (second_address4, second_address6)[index]
        found = {name: of(number) for name, number in hosts.items()}
        found |= {f"{name}_second": second(number) for name, number in hosts.items()}
        for name, number in hosts.items():
            found |= {f"{name}4": address4(number), f"{name}6": address6(number)}
            found[f"{name}_link_local"] = link_local(number)
        return found | {
            "far": Router.FAR[index],
            "unrouted": _UNROUTED[index],
            "prohibited": _PROHIBITED[index],
            "a_mac": a.place.mac,
            "pid": str(self._pids),
            "v6": "6" if case.version == 6 else "",
        }

    def _objections(
        self, before: Dropped, since: float, guests: Mapping[str, Guest]
    ) -> frozenset[str]:
        """What guards have dropped of these guests since then: one line for each reason."""
        numbers = {name: guest.place.number for name, guest in guests.items()}
        indices = {self.segment.index(number) for number in numbers.values()}
        dropped = {
            (direction, guard)
            for index, direction, guard in self.segment.dropped() - before
            if index in indices and (direction, guard) != _FLOODED
        }
        if not dropped:
            return frozenset()
        ports = {port_id(number): name for name, number in numbers.items()}
        deadline = time.monotonic() + PATIENCE
        while True:
            records = [each for each in self.segment.records(since) if each.port_id in ports]
            seen = {(each.direction, each.guard) for each in records}
            if dropped <= seen or time.monotonic() > deadline:
                break
            time.sleep(0.05)
        return frozenset(
            f"{each.guard} {_WAYS[each.direction]} {ports[each.port_id]}: {each.reason.name}, "
            f"{describe(each.head.ljust(each.length, b'-'))}"
            for each in records
            if (each.direction, each.guard) in dropped
        ) or frozenset(f"{guard} {_WAYS[direction]} a guest" for direction, guard in dropped)

    def _advance(self, line: str) -> str:
        # What a stack still owes, a delayed acknowledgement say, is no later than half a second.
        self.segment.await_silence()
        self._time_passes = True
        self.segment.advance(float(line.split()[1]))
        return "ok"

    def _tick(self) -> None:
        if self._time_passes:
            self.segment.advance(0)
