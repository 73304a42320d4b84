"""A run of the catalogue, on every segment of a topology along every path."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from vifguard.lab.attacks import VARIANTS
from vifguard.lab.attacks.attack import Actor, Attack, Expected, Outcome, Path, Variant
from vifguard.lab.play.drop_records import DropCause, Records
from vifguard.lab.play.judge import faults
from vifguard.lab.play.referee import Referee, Seen
from vifguard.lab.play.topology import LabSegment, Topology
from vifguard.lab.result.finding import Finding, Tell


@dataclass(frozen=True, slots=True)
class Case:
    """One frame to play: a variant on a segment along a path."""

    attack: Attack
    variant: Variant
    segment: LabSegment
    path: Path
    frame: bytes

    @property
    def expected(self) -> Expected:
        """The expected outcome there."""
        return self.variant.expect[self.segment.kind]

    @property
    def is_guarded(self) -> bool:
        """Whether the sender's own port must name the guard that dropped it."""
        return self.expected.outcome is Outcome.DROP and self.variant.actor is not Actor.OUTSIDE


@dataclass(slots=True)
class _PendingCase:
    """A case that was played; its drop records are still to come."""

    case: Case
    seen: str
    faults: list[str]
    why: list[str] = field(default_factory=list)
    awaited: int = 0


class CatalogueRun:
    """Plays rows; each finding is reported once its drop records are in."""

    def __init__(
        self,
        scenario: str,
        referee: Referee,
        records: Records,
        tell: Tell,
        *,
        plays: Callable[[bytes], bool] = lambda _: True,
    ) -> None:
        """Report to `tell`; `plays` returns whether a frame is one for this trial."""
        self._scenario, self._referee, self._tell = scenario, referee, tell
        self._plays = plays
        self._records = records
        self._open: deque[_PendingCase] = deque()
        for segment in referee.topology.segments:
            for place in segment.actors.values():
                if place.port_id:
                    records.start(place.port_id)

    def play(self, attack: Attack) -> None:
        """Play a row on every segment where somebody plays."""
        for segment in self._referee.topology.segments:
            if segment.actors:
                self._prepare(attack, segment)
            for case in cases(self._referee.topology, attack, segment):
                if self._plays(case.frame):
                    self._play(case)
        self._tell_known()

    def close(self) -> None:
        """Report the rest, and whether every port dropped the frames it had to and no others."""
        self._records.flush()
        self._tell_known()
        wrong = tuple(self._records.wrong())
        self._tell(
            Finding(
                self._scenario,
                "each port counts exactly the frames that it had to drop",
                expected="equal",
                seen="unequal" if wrong else "equal",
                faults=wrong,
            )
        )

    def _prepare(self, attack: Attack, segment: LabSegment) -> None:
        if attack.prelude is not None and attack.prelude in self._referee.topology.preludes:
            self._referee.topology.preludes[attack.prelude](segment)
            self._referee.settle()

    def _play(self, case: Case) -> None:
        """Play a case cold; then, where there is a twin, the twin and the frame right behind it."""
        seen = self._once(case)
        opened = _PendingCase(case, _word(seen), self._judged(case, seen))
        self._await_record(opened, seen)
        if case.variant.twin:
            opened.faults += self._twin(case)
            again = self._once(case)
            opened.faults += [f"after a legal frame: {each}" for each in self._judged(case, again)]
            self._await_record(opened, again)
        self._open.append(opened)

    def _once(self, case: Case) -> Seen:
        variant = case.variant
        cast = self._referee.topology.cast(case.segment, variant.actor, case.path)
        offload = variant.offload(cast) if variant.offload else None
        return self._referee.play(case.segment, variant.actor, case.frame, offload)

    def _twin(self, case: Case) -> list[str]:
        """Play the legal frame on the same path, and return the faults of its outcome."""
        variant = VARIANTS[case.variant.twin]
        actor = Actor.GUEST if case.variant.actor is Actor.CLOSED else case.variant.actor
        cast = self._referee.topology.cast(case.segment, actor, case.path)
        played = Variant(
            name=variant.name,
            frame=variant.frame,
            expect=variant.expect,
            actor=actor,
            offload=variant.offload,
        )
        twin = Case(case.attack, played, case.segment, case.path, variant.frame(cast))
        wrong = self._judged(twin, self._once(twin))
        return [f"its legal twin {case.variant.twin}: {each}" for each in wrong]

    def _judged(self, case: Case, seen: Seen) -> list[str]:
        return faults(case.variant, case.expected, case.segment, case.path, case.frame, seen)

    def _await_record(self, opened: _PendingCase, seen: Seen) -> None:
        case = opened.case
        if not case.is_guarded or seen.unsent or seen.heard:
            return  # a frame that arrived was not dropped: that is the fault
        guard = case.expected.guard
        opened.awaited += 1

        def on_record(named: DropCause) -> None:
            opened.awaited -= 1
            opened.why.append(str(named))
            if named.guard != guard:
                opened.faults.append(f"dropped by {named}, not by {guard or 'closed'}")

        port_id = case.segment.actors[case.variant.actor].port_id
        self._records.expect(port_id, case.frame, on_record)

    def _tell_known(self) -> None:
        """Report, in the order of playing, findings that wait for no record any more."""
        while self._open and not self._open[0].awaited:
            self._tell(self._finding(self._open.popleft()))

    def _finding(self, opened: _PendingCase) -> Finding:
        case = opened.case
        return Finding(
            self._scenario,
            case.attack.variant_id(case.variant),
            expected=str(case.expected),
            seen=opened.seen,
            why=", ".join(dict.fromkeys(opened.why)),
            where=_where(case.segment, case.path),
            faults=tuple(opened.faults),
        )


def cases(topology: Topology, attack: Attack, segment: LabSegment) -> Iterator[Case]:
    """Every different frame of a row on a segment, along the paths that lead somewhere."""
    for variant in attack.variants:
        if segment.kind not in variant.expect or variant.actor not in segment.actors:
            continue
        played: set[bytes] = set()
        for path in _paths(variant, segment):
            frame = variant.frame(topology.cast(segment, variant.actor, path))
            if frame not in played:
                played.add(frame)
                yield Case(attack, variant, segment, path, frame)


def _paths(variant: Variant, segment: LabSegment) -> Iterable[Path]:
    if variant.actor is Actor.OUTSIDE:
        return (Path.GUEST,)  # with any peer it is addressed to the victim
    if segment.outside or variant.paths == (Path.HOST,):
        return variant.paths
    return (Path.GUEST,)  # the segment with the uplink shows the other paths


def _where(segment: LabSegment, path: Path) -> str:
    named = "" if segment.name == segment.kind.lower() else f"{segment.name}, "
    return f"{named}{segment.kind}, {path}"


def _word(seen: Seen) -> str:
    """The outcome of a frame, in a word; faults have the details."""
    if seen.unsent:
        return "not carried"
    if seen.strangers or seen.host:
        return "leaked"
    if seen.heard:
        return "delivered"
    return "nothing" if not seen.anything else "tables changed"
