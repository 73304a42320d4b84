"""Findings: what was expected, what was seen, and why. The rows of every table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """One expectation of a scenario and what came of it.

    `subject` is a variant of the catalogue or a sentence; `where` the kind of network and
    the path, or empty; `why` the guard and reason of the drop record. No `faults`: as expected.
    """

    scenario: str
    subject: str
    expected: str
    seen: str
    why: str = ""
    where: str = ""
    faults: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether it is as expected."""
        return not self.faults


Tell = Callable[[Finding], None]
"""Who is told each finding as it is made."""
