"""One case, judged by three: the eBPF program, the reference, and Linux's conntrack."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from tests.oracles.conntrack.netfilter import Entry, Netfilter
from tests.oracles.conntrack.steps import GUEST, Case, Elapsed, Sent
from tests.oracles.conntrack.wire import HEADER
from tests.triangle import universe
from tests.triangle.sequences.program import Program
from tests.triangle.sequences.steps import Held
from tests.triangle.sequences.subject import Reference, Said

from vifguard.model.guard import Guard, with_implied
from vifguard.model.security_group import ICMP_OF, IcmpType, PortRange, Rule, Ruleset
from vifguard.model.verdict import Direction

BUCKETS = 256
"""Of the program's table: one connection needs little, and each case empties it."""
_SECOND = 1_000_000_000
_STALLED, _TRIES = 1.0, 20
"""Seconds of real time in which a case must be played, else its ages are not comparable."""

RULES = tuple(
    Rule(direction, version, protocol, ports, icmp)
    for direction in Direction
    for version in (4, 6)
    for protocol, ports, icmp in (
        (6, PortRange(80, 80), None),
        (17, PortRange(53, 53), None),
        (47, None, None),
        (ICMP_OF[version], None, IcmpType(8 if version == 4 else 128)),
    )
)
"""What may be opened, from either side; the same for the port's group and for Linux."""

HELD = Held(
    (
        universe.policy(
            with_implied({Guard.SECURITY_GROUPS}),
            stateful=True,
            security_groups=frozenset({"group"}),
        ),
    ),
    Ruleset({"group": frozenset(RULES)}),
)


@dataclass(frozen=True, slots=True)
class Before:
    """A step that all agreed on: whether the packet passed, and who knew the connection then.

    Time passes always.
    """

    passed: bool = True
    is_known_here: bool = True
    is_known_there: bool = True


@dataclass(frozen=True, slots=True)
class Difference:
    """The last step of `case` is where they part.

    `before`: of each step before the last. `entry` is what conntrack knew before the last,
    `is_known_here` whether the connection was remembered here.
    """

    case: Case
    before: tuple[Before, ...]
    program: Said
    reference: Said
    linux: bool
    entry: Entry | None
    is_known_here: bool

    @property
    def step(self) -> Sent:
        """What they say different things of."""
        step = self.case.steps[-1]
        assert isinstance(step, Sent)
        return step

    def __str__(self) -> str:
        said = {"program": self.program, "reference": self.reference}
        lines = [f"  {name}: {_told(each)}" for name, each in said.items()]
        lines.append(f"  conntrack: {'pass' if self.linux else 'drop'}, before it {self.entry}")
        return "\n".join((str(self.case), *lines))


def _told(said: Said) -> str:
    return "pass" if said is None else f"drop, {said[1]}"


class Trial:
    """The three judges; each case finds them without any memory."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.reference = Reference()
        self.netfilter = Netfilter(GUEST.values(), RULES)
        self.packets = 0
        self._now = program.begin(_SECOND)
        program.set_clock(self._now)
        program.hold(HELD)

    def close(self) -> None:
        """Give back the oracle's namespace; the program is the caller's."""
        self.netfilter.close()

    def difference(self, case: Case) -> Difference | None:
        """Where they part first, None where they agree on every packet."""
        for _ in range(_TRIES):
            begun = time.monotonic()
            found = self._play(case)
            if not case.has_ages or time.monotonic() - begun < _STALLED:
                return found
            self.renew(case)
        raise AssertionError(f"the machine is too slow: {_STALLED} s are not enough for\n{case}")

    def _play(self, case: Case) -> Difference | None:
        self._forget()
        before: list[Before] = []
        for number, step in enumerate(case.steps):
            if isinstance(step, Elapsed):
                self._elapse(case, step)
                before.append(Before())
                continue
            known = self.netfilter.entry(case.connection), bool(self.reference.flows(0))
            program, reference, linux = self._judge(step)
            if program != reference or (program is None) != linux:
                until = Case(case.connection, case.steps[: number + 1])
                return Difference(until, tuple(before), program, reference, linux, *known)
            if not linux and step.is_fragmented:
                break  # What a part of a packet has told here, Linux was not told.
            before.append(Before(linux, known[1], known[0] is not None))
        return None

    def renew(self, case: Case) -> None:
        """Before a case is played again: half of a packet may be waiting in the kernel."""
        if case.is_fragmented:
            self.netfilter.renew()

    def _forget(self) -> None:
        self.netfilter.forget()
        self.program.forget()
        self.reference.begin(self._now)
        self.reference.hold(HELD)
        self.reference.set_clock(self._now)

    def _elapse(self, case: Case, step: Elapsed) -> None:
        self._now += step.seconds * _SECOND
        self.program.set_clock(self._now)
        self.reference.set_clock(self._now)
        self.netfilter.elapse(case.connection, step.seconds)

    def _judge(self, step: Sent) -> tuple[Said, Said, bool]:
        """What program and reference say of a packet, and whether Linux lets it pass."""
        self.packets += 1
        program = _all(lambda frame: self.program.judge(0, step.direction, frame), step)
        reference = _all(lambda frame: self.reference.judge(0, step.direction, frame), step)
        linux = self.netfilter.passes(step.direction, (frame[HEADER:] for frame in step.frames))
        return program, reference, linux


def _all(judge: Callable[[bytes], Said], step: Sent) -> Said:
    """Why not all of a packet passes, None where it does."""
    objections = [said for said in map(judge, step.frames) if said is not None]
    return objections[0] if objections else None


def shortest(found: Difference, trial: Trial, is_same: Callable[[Difference], bool]) -> Difference:
    """A case of few steps with a difference of which `is_same` holds: none of them can go."""
    size = len(found.case.steps) // 2
    while size:
        at = max(0, len(found.case.steps) - 1 - size)
        while True:
            steps = found.case.steps[:at] + found.case.steps[at + size :]
            shorter = Case(found.case.connection, steps)
            trial.renew(shorter)
            again = trial.difference(shorter)
            if again is not None and is_same(again):
                found = again
            if at == 0:
                break
            at = max(0, min(at, len(found.case.steps)) - size)
        size //= 2
    return found
