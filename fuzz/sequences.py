"""The search in sequences: whole conversations at four ports, now and then a frame changed.

The value of a frame depends here on those before it. The conversations, and the reference and
program that judge them step by step, are those of `tests.triangle.sequences`; a disagreement is
made short by leaving steps out.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from random import Random

from tests.triangle.sequences.actor import Actor, walk
from tests.triangle.sequences.program import with_program
from tests.triangle.sequences.stage import DisagreementError, Stage, Tally, shrunk
from tests.triangle.sequences.steps import Sent, Step
from tests.triangle.sequences.subject import Reference, Said, Subject

from fuzz.mutate import Mutator, Seed
from fuzz.ports import is_testable

_ACTIONS = 400
_CHANGED = 0.15
_FOUND_AT_MOST = 20


class Distorting(Stage):
    """A stage on which a frame may come otherwise than it was sent."""

    def __init__(self, random: Random, *subjects: Subject, tally: Tally) -> None:
        super().__init__(*subjects, tally=tally)
        self._random = random
        self._mutator = Mutator(random)
        self._before = b""

    def take(self, step: Step) -> Said:
        """The step; a frame at times mixed with the one before it."""
        if isinstance(step, Sent):
            frame, before = step.frame, self._before or step.frame
            self._before = frame
            if self._random.random() < _CHANGED:
                changed = self._mutator.mutate(Seed(frame), Seed(before))
                step = replace(step, frame=changed if is_testable(changed) else frame)
        return super().take(step)


def search(
    seed: int, goes_on: Callable[[Tally], bool], suspect: Callable[[], Subject] | None = None
) -> tuple[Tally, list[DisagreementError]]:
    """The tally, and the disagreements of reference and program (or `suspect`), made short."""

    def judged(program: Subject) -> tuple[Tally, list[DisagreementError]]:
        return _search(seed, goes_on, Reference(), program)

    return judged(suspect()) if suspect else with_program(judged)


def _search(
    seed: int, goes_on: Callable[[Tally], bool], *judges: Subject
) -> tuple[Tally, list[DisagreementError]]:
    tally, found = Tally(), list[DisagreementError]()
    while goes_on(tally) and len(found) < _FOUND_AT_MOST:
        random = Random(seed)
        try:
            walk(Actor(Distorting(random, *judges, tally=tally), random), _ACTIONS)
        except DisagreementError as error:
            found.append(shrunk(error, *judges))
        seed += 1
    return tally, found


def told(tally: Tally, found: list[DisagreementError], seconds: float) -> str:
    """The result of a search, in a line."""
    passed = 100 * tally.said[None] // max(1, tally.frames)
    return (
        f"search in sequences, {seconds:.0f} s: {tally.frames:,} frames "
        f"({tally.frames / seconds:,.0f} a second), {passed} % pass, "
        f"{len(tally.states)} states of connections, {len(found)} disagreements"
    )


def lasting(seconds: float) -> Callable[[Tally], bool]:
    """Go on for so long."""
    end = time.monotonic() + seconds
    return lambda _: time.monotonic() < end
