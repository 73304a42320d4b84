"""One sequence, judged by all subjects, and the shortest one that still divides them."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tests.triangle.sequences.steps import Held, Passed, Renewed, Sent, Step, shown
from tests.triangle.sequences.subject import Reference, Said, Subject

FIRST = 10**9
_LOOK = 16
"""Frames between two looks at the states of the connections."""


class DisagreementError(AssertionError):
    """Two subjects say different things of the last step."""

    def __init__(self, steps: Sequence[Step], said: Sequence[Said]) -> None:
        super().__init__(f"{said}\n{shown(steps)}")
        self.steps = list(steps)
        self.said = list(said)


@dataclass
class Tally:
    """What was reached, as the reference says."""

    frames: int = 0
    said: Counter = field(default_factory=Counter)
    states: Counter = field(default_factory=Counter)
    """Of connections, by state and protocol."""


class Stage:
    """Takes steps. The first of the subjects is a reference, by whose word is counted."""

    def __init__(self, *subjects: Subject, tally: Tally | None = None) -> None:
        self.reference: Reference = subjects[0]
        self._subjects = subjects
        self.tally = tally or Tally()
        self.steps: list[Step] = []
        self.held: Held | None = None
        self.now = FIRST
        for subject in subjects:
            self.now = subject.begin(self.now)
        self._tell_time()

    def take(self, step: Step) -> Said:
        """What all say of it; DisagreementError where they do not all say the same."""
        self.steps.append(step)
        if isinstance(step, Held):
            self.held = step
            for subject in self._subjects:
                subject.hold(step)
        elif isinstance(step, Passed):
            self.now += step.nanoseconds
            self._tell_time()
        elif isinstance(step, Renewed):
            for subject in self._subjects:
                subject.renew(step.port, self.now + step.nanoseconds)
        else:
            return self._judge(step)
        return None

    def _judge(self, step: Sent) -> Said:
        said = [each.judge(step.port, step.direction, step.frame) for each in self._subjects]
        if any(one != said[0] for one in said):
            raise DisagreementError(self.steps, said)
        self._count(step, said[0])
        return said[0]

    def _count(self, step: Sent, said: Said) -> None:
        self.tally.frames += 1
        self.tally.said[said] += 1
        if self.tally.frames % _LOOK == 0:
            for flow in self.reference.flows(step.port):
                self.tally.states[flow.state, flow.key.protocol] += 1

    def _tell_time(self) -> None:
        for subject in self._subjects:
            subject.set_clock(self.now)


def replay(steps: Sequence[Step], *subjects: Subject) -> DisagreementError | None:
    """What the subjects disagree on, from the beginning."""
    stage = Stage(*subjects)
    try:
        for step in steps:
            stage.take(step)
    except DisagreementError as error:
        return error
    return None


def shrunk(error: DisagreementError, *subjects: Subject) -> DisagreementError:
    """A short sequence on which they still disagree in the same way: none of its steps can go."""

    def still(steps: list[Step]) -> DisagreementError | None:
        if not steps or not isinstance(steps[0], Held):
            return None
        again = replay(steps, *subjects)
        return again if again and again.said == error.said else None

    error = still(error.steps) or error
    size = len(error.steps) // 2
    while size:
        error = _without(error, size, still)
        size //= 2
    return error


def _without(
    error: DisagreementError, size: int, still: Callable[[list[Step]], DisagreementError | None]
) -> DisagreementError:
    """It, less every run of `size` steps that it does not need."""
    at = max(0, len(error.steps) - size)
    while True:
        shorter = still(error.steps[:at] + error.steps[at + size :])
        error = shorter or error
        if at == 0:
            return error
        at = max(0, min(at, len(error.steps)) - size)
