"""What can be known of a TCP connection from the segments that passed, as RFC 9293 has it."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.oracles.conntrack.steps import ACK, FIN, FROM, RST, SPACE, SYN, TO, Segment, ahead, other

from vifguard.model.verdict import Direction

_LEAST_ACK_WINDOW = 66_000
"""An acknowledgement that is older by less than this is no stranger to Linux's conntrack."""


@dataclass
class Side:
    """What one side sent."""

    first: int | None = None
    end: int | None = None
    """Behind all that it sent."""
    right: int | None = None
    """Behind all that it may send."""
    acknowledged: int | None = None
    """The highest number that it acknowledged of the other's; before its SYN, the last."""
    window: int = 1
    """The largest that it offered."""
    scale: int | None = None
    syn: Segment | None = None
    fin: bool = False


@dataclass
class Track:
    """Follows a connection; a SYN with another number begins anew what is known of its sender."""

    sides: dict[Direction, Side] = field(default_factory=lambda: {FROM: Side(), TO: Side()})
    segments: list[tuple[Direction, Segment]] = field(default_factory=list)
    age: int = 0
    """Seconds since anything passed."""
    oldest: int = 0
    """The longest that it was idle."""
    is_reset: bool = False
    """Whether an RST passed since it was opened."""
    was_reset: bool = False
    """Whether an RST passed at any time."""
    is_reopened: bool = False
    was_forgotten_there: bool = False
    """Whether something passed when time was over in Linux, and not here."""
    has_old_syn: bool = False
    """Whether a SYN passed once more, when its sender had gone on."""
    has_overshot: bool = False
    """Whether data passed that lie beyond what its sender may send."""

    @property
    def is_taken_up(self) -> bool:
        """Whether the first that passed was no SYN."""
        return bool(self.segments) and not self.segments[0][1].flags & SYN

    @property
    def is_crossed(self) -> bool:
        """Whether both sides sent a SYN alone."""
        openers = {sender for sender, segment in self.segments if segment.kind == "S"}
        return len(openers) > 1

    @property
    def opener(self) -> Direction:
        """Who sent the first that passed."""
        return self.segments[0][0]

    def elapse(self, seconds: int) -> None:
        """Time passes."""
        self.age += seconds
        self.oldest = max(self.oldest, self.age)

    def refresh(self, *, is_known_here: bool, is_known_there: bool) -> None:
        """Something passes; a new connection, where nobody knew it any more."""
        self.age = 0
        if not is_known_here and not is_known_there:
            self.sides = {FROM: Side(), TO: Side()}
            self.segments = []
        self.was_forgotten_there |= self.oldest > 0 and is_known_here and not is_known_there

    def take(self, sender: Direction, segment: Segment) -> None:
        """A segment passed."""
        if segment.flags & RST:
            self.is_reset = self.was_reset = True
            self.segments.append((sender, segment))
            return
        if segment.flags & SYN:
            self._synchronise(sender, segment)
        self.segments.append((sender, segment))
        mine = self.sides[sender]
        if mine.first is None:
            mine.first = segment.sequence
        if mine.end is None or ahead(segment.end, mine.end) > 0:
            mine.end = segment.end
        self.has_overshot |= mine.right is not None and ahead(segment.end, mine.right) > 0
        mine.fin |= bool(segment.flags & FIN)
        if segment.flags & ACK:
            self._acknowledge(sender, segment)

    def _synchronise(self, sender: Direction, segment: Segment) -> None:
        before = self.sides[sender]
        if before.first == segment.sequence and before.end != segment.end:
            self.has_old_syn = True
        if self.sides[sender].first not in (None, segment.sequence) or self.is_taken_up:
            self.is_reopened = True
            self.sides[sender] = Side()
        if self.is_reset and not segment.flags & ACK:
            self.is_reset = False
        self.sides[sender].syn = segment
        self.sides[sender].scale = segment.scale

    def _acknowledge(self, sender: Direction, segment: Segment) -> None:
        mine, its = self.sides[sender], self.sides[other(sender)]
        is_scaled = mine.scale is not None and its.scale is not None and not segment.flags & SYN
        window = segment.window << ((mine.scale or 0) if is_scaled else 0)
        right = (segment.acknowledged + window) % SPACE
        begins = bool(segment.flags & SYN) or not (mine.syn or self.is_taken_up)
        mine.window = window if begins else max(mine.window, window)
        if (
            begins
            or mine.acknowledged is None
            or ahead(segment.acknowledged, mine.acknowledged) > 0
        ):
            mine.acknowledged = segment.acknowledged
        if begins or its.right is None or ahead(right, its.right) > 0:
            its.right = right

    def is_beyond(self, sender: Direction, segment: Segment) -> bool:
        """Whether it acknowledges what was not sent, or what is older than any window."""
        mine, its = self.sides[sender], self.sides[other(sender)]
        if not segment.flags & ACK or its.end is None:
            return bool(segment.flags & ACK) and mine.syn is not None
        beyond = ahead(segment.acknowledged, its.end)
        return beyond > 0 or beyond < -max(mine.window, _LEAST_ACK_WINDOW)

    def is_outside(self, sender: Direction, segment: Segment) -> bool:
        """Whether its data lie beyond what its sender may send, or before any window."""
        mine, its = self.sides[sender], self.sides[other(sender)]
        right = mine.end if mine.right is None else mine.right
        if right is None or mine.end is None:
            return False
        return (
            ahead(segment.sequence, right) > 0
            or ahead(segment.end, right) > 0
            or ahead(segment.end, mine.end) < -its.window
        )
