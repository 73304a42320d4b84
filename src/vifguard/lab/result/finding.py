"""Findings: expectation, observation and reason. The rows of every table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """One expectation of a scenario and its outcome.

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
"""A callback for each finding as it is made."""
