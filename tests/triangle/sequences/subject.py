"""Who judges a sequence: here the reference, with a memory for each port."""

from collections.abc import Iterator
from typing import Protocol

from tests.triangle.sequences.steps import Held

from vifguard.model.guard import Guard
from vifguard.model.verdict import Direction, Reason
from vifguard.semantics.flow import TICK, Flow
from vifguard.semantics.groups import GroupState
from vifguard.semantics.verdict import verdict

Said = tuple[Guard | None, Reason] | None
"""Why a frame may not pass; None where it may."""


class Subject(Protocol):
    """Judges frames at ports by number, and remembers."""

    def begin(self, now: int) -> int:
        """Forget everything; the time from which to go on, `now` (ns) or later."""

    def hold(self, held: Held) -> None:
        """Judge by these policies and rules from now on."""

    def set_clock(self, now: int) -> None:
        """Let it be `now` (ns)."""

    def renew(self, port: int, until: int) -> None:
        """The guard is new on a port until then (ns)."""

    def judge(self, port: int, direction: Direction, frame: bytes) -> Said:
        """What becomes of a frame."""


class Reference:
    """The page, in Python."""

    def __init__(self) -> None:
        self.begin(0)

    def begin(self, now: int) -> int:
        self._held: Held | None = None
        self._memories: list[GroupState] = []
        self._now = now
        return now

    def hold(self, held: Held) -> None:
        self._held = held
        self._memories = self._memories or [GroupState() for _ in held.policies]
        for memory in self._memories:
            memory.ruleset = held.book

    def set_clock(self, now: int) -> None:
        self._now = now
        for memory in self._memories:  # What has ended says nothing any more: only speed.
            memory.flows = {k: flow for k, flow in memory.flows.items() if not flow.is_expired(now)}
            memory.fragments.forget(now)

    def renew(self, port: int, until: int) -> None:
        self._memories[port].new_until = until

    def judge(self, port: int, direction: Direction, frame: bytes) -> Said:
        memory, policy = self._memories[port], self._held.policies[port]
        said = verdict(policy, direction, frame, now=self._now, memory=memory)
        return None if said.reason is None else (said.guard, said.reason)

    def flows(self, port: int) -> list[Flow]:
        """The connections that the port remembers."""
        return list(self._memories[port].flows.values())

    def ends(self) -> Iterator[int]:
        """When what is remembered will be forgotten (ns)."""
        for memory in self._memories:
            yield from (flow.expires * TICK for flow in memory.flows.values())
            yield from (passed.expires * TICK for passed in memory.fragments.passed.values())
