"""Checks of a scenario that become findings, and conditions awaited."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from vifguard.lab.result.finding import Finding, Tell
from vifguard.lab.world.netns import LabError

PATIENCE = 20.0
"""Seconds after which what should have happened has not."""

_AWHILE = 0.02

T = TypeVar("T")


def until(what: str, look: Callable[[], T | None], patience: float = PATIENCE) -> T:
    """What `look` returns once it is neither None nor false; LabError when it stays so."""
    deadline = time.monotonic() + patience
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > deadline:
            raise LabError(f"in vain for {patience:g} s: {what}")
        time.sleep(_AWHILE)


def worded(value: object) -> str:
    """What was expected or seen, in words for a table."""
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
        """What was seen must equal what was expected."""
        want, saw = worded(expected), worded(seen)
        faults = () if expected == seen else (f"{saw} instead of {want}",)
        self._tell(Finding(self.scenario, subject, want, saw, why, faults=faults))

    def must(
        self, subject: str, what: str, look: Callable[[], T | None], patience: float = PATIENCE
    ) -> T | None:
        """Something must come about; what `look` found, None where it did not in time."""
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
        """What the bench cannot do within is a fault of the scenario, not the end of the run."""
        try:
            yield
        except LabError as error:
            self._tell(Finding(self.scenario, subject, "done", "not done", faults=(str(error),)))
