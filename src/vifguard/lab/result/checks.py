"""Checks of a scenario that become findings, and conditions awaited."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from vifguard.lab.result.finding import Finding, Tell
from vifguard.lab.world.netns import LabError

PATIENCE = 20.0
"""Seconds after which an expected event counts as missing."""

_AWHILE = 0.02

T = TypeVar("T")


def until(what: str, look: Callable[[], T | None], patience: float = PATIENCE) -> T:
    """Await a result of `look` that is neither None nor false; LabError after `patience` s."""
    deadline = time.monotonic() + patience
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > deadline:
            raise LabError(f"in vain for {patience:g} s: {what}")
        time.sleep(_AWHILE)


def worded(value: object) -> str:
    """An expected or seen value, in words for a table."""
    match value:
        case bool():
            return "yes" if value else "no"
        case list() | tuple():
            return ", ".join(worded(each) for each in value) or "none"
        case _:
            return str(value)


class Checks:
    """The findings of one scenario."""

    def __init__(self, scenario: str, tell: Tell) -> None:
        self.scenario, self._tell = scenario, tell

    def check(self, subject: str, expected: object, seen: object, why: str = "") -> None:
        """Report whether the seen value equals the expected one."""
        want, saw = worded(expected), worded(seen)
        faults = () if expected == seen else (f"{saw} instead of {want}",)
        self._tell(Finding(self.scenario, subject, want, saw, why, faults=faults))

    def must(
        self, subject: str, what: str, look: Callable[[], T | None], patience: float = PATIENCE
    ) -> T | None:
        """Await an event; the result of `look`, None where it did not happen in time."""
        try:
            found = until(subject, look, patience)
        except LabError as error:
            self._tell(
                Finding(self.scenario, subject, what, "did not happen", faults=(str(error),))
            )
            return None
        self._tell(Finding(self.scenario, subject, what, what))
        return found

    @contextmanager
    def during(self, subject: str) -> Iterator[None]:
        """Report a LabError within as a fault of the scenario, instead of ending the run."""
        try:
            yield
        except LabError as error:
            self._tell(Finding(self.scenario, subject, "done", "not done", faults=(str(error),)))
