"""Kinds of differences between this project's connections and Linux's conntrack.

A kind says which differences are of it, as narrowly as it can; the first one that fits is taken.
Each has an example, a case whose last packet is the difference: a kind without one would not
be noticed when it no longer occurs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.oracles.conntrack.netfilter import Entry
from tests.oracles.conntrack.steps import Case, Connection, Segment, Sent, other
from tests.oracles.conntrack.track import Track
from tests.oracles.conntrack.trial import Difference

from vifguard.model.verdict import Direction, Reason


@dataclass(frozen=True, slots=True)
class Moment:
    """A difference, and what was known before its packet."""

    found: Difference
    track: Track

    @property
    def step(self) -> Sent:
        """The packet."""
        return self.found.step

    @property
    def connection(self) -> Connection:
        """Whose it is."""
        return self.found.case.connection

    @property
    def sender(self) -> Direction:
        """Who sent it."""
        return self.step.direction

    @property
    def other(self) -> Direction:
        """To whom."""
        return other(self.sender)

    @property
    def segment(self) -> Segment | None:
        """What it says, of TCP."""
        return self.step.segment

    @property
    def kind(self) -> str:
        """Its flags, of TCP, but PSH and URG."""
        return self.segment.kind if self.segment else ""

    @property
    def entry(self) -> Entry | None:
        """What Linux knew."""
        return self.found.entry

    @property
    def state(self) -> str:
        """In which state Linux had it, empty without an entry."""
        return self.entry.state if self.entry else ""

    @property
    def is_forgotten_there(self) -> bool:
        """Whether its time was over in Linux, and not here."""
        is_over = self.track.oldest > 0 and self.found.is_known_here and self.entry is None
        return is_over or self.track.was_forgotten_there

    @property
    def is_forgotten_here(self) -> bool:
        """Whether its time was over here, and not in Linux."""
        return self.track.oldest > 0 and not self.found.is_known_here and self.entry is not None

    @property
    def passes_here(self) -> bool:
        """Whether it passes here, and not in Linux; else the other way round."""
        return self.found.program is None

    @property
    def reason(self) -> Reason | None:
        """Why it does not pass here."""
        return self.found.program[1] if self.found.program else None


Example = Callable[[int, Direction], Case]
"""A case of an IP version, opened by a side."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind: what a packet is, what becomes of it here and in Linux, and why it may.

    `is_mended_soon` marks a fault of ours: such a kind has to go.
    """

    name: str
    what: str
    here: str
    linux: str
    why: str
    is_of: Callable[[Moment], bool]
    example: Example
    versions: tuple[int, ...] = (4, 6)
    is_fault: bool = False


def moment_of(found: Difference) -> Moment:
    """The difference with what was known before it. All earlier packets had one verdict."""
    track = Track()
    for step, before in zip(found.case.steps[:-1], found.before, strict=True):
        if not isinstance(step, Sent):
            track.elapse(step.seconds)
        elif before.passed:
            track.refresh(is_known_here=before.is_known_here, is_known_there=before.is_known_there)
            if step.segment is not None:
                track.take(step.direction, step.segment)
    return Moment(found, track)
