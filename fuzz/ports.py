"""Many ports enforced at once by one private driver, and its verdicts beside the reference's.

The programs are given frames as if they stood on interfaces that exist: they are made in a
network namespace that has no name and ends with the process. All ports share the maps, so a
program that looked up another port's addresses would be found out too.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from tests.triangle import decider

from fuzz import vocabulary
from vifguard.enforce.driver.events import Dropped
from vifguard.enforce.driver.protocol import Attachment, RulesetChange
from vifguard.kernel.net import netns
from vifguard.lab.world.netns import ip
from vifguard.model.policy import PortPolicy
from vifguard.model.security_group import SetChange
from vifguard.model.verdict import Action, Direction, Verdict
from vifguard.packet.describe import describe
from vifguard.packet.frame import Frame
from vifguard.packet.offload import NO_OFFLOAD, Offload
from vifguard.semantics.groups import GroupState
from vifguard.semantics.storm import Bucket
from vifguard.semantics.verdict import verdict

_FULL = Bucket()
"""Storm is judged too, where it needs no memory: plenty for everything, or nothing at all."""
_AN_AGE = 31_000_000_000
"""Nanoseconds in which every first fragment is forgotten, so that no table is ever full."""

LONGEST = 3000
"""Octets; a test run takes frames of nearly a page."""


def is_testable(frame: bytes) -> bool:
    """Whether the program can be tested with the frame."""
    return len(frame) <= LONGEST and decider.is_testable(frame)


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A frame on which the two disagree; `program` is the program's verdict as text."""

    policy: PortPolicy
    direction: Direction
    frame: bytes
    reference: str
    program: str
    offload: Offload = NO_OFFLOAD

    @property
    def kind(self) -> tuple[str, ...]:
        """The key that it shares with others of the same cause, probably."""
        return self.direction, *self.reference.split()[:2], self.program

    def __str__(self) -> str:
        return (
            f"{self.direction} {describe(self.frame)}\n  {self.frame.hex()}\n"
            f"  {self.offload}\n  {self.policy}\n"
            f"  reference: {self.reference}\n  program:   {self.program}"
        )


class Ports:
    """Ports by number, from 0. Making one puts the calling thread into a new namespace."""

    def __init__(self, policies: Sequence[PortPolicy]) -> None:
        netns.leave()
        names = [f"fuzz{number}" for number in range(len(policies))]
        ip(f"link add {name} type bridge" for name in names)
        self._ifindexes = [socket.if_nametoindex(name) for name in names]
        self._driver = decider.private_driver()
        self.policies = list(policies)
        self._memories = [GroupState(vocabulary.BOOK) for _ in self.policies]
        self._now = 1
        sets = {
            name: SetChange(complete=True, added=held)
            for name, held in vocabulary.BOOK.sets.items()
        }
        self._driver.load_ruleset(
            RulesetChange(complete=True, groups=vocabulary.BOOK.rules, sets=sets)
        )
        self._driver.set_clock(self._now)
        self.hold({})

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._driver.close()

    def hold(self, policies: dict[int, PortPolicy]) -> None:
        """Give ports other policies; all are read back."""
        for number, policy in policies.items():
            self.policies[number] = policy
        wanted = self._driver.render(
            Attachment(policy, ifindex, reversed_hooks=False, revision=1)
            for ifindex, policy in zip(self._ifindexes, self.policies, strict=True)
        )
        if wanted.refused:
            raise ValueError(f"policies that cannot be held: {wanted.refused}")
        change = self._driver.diff(wanted, self._driver.observe(None))
        if change:
            self._driver.apply(change)
        if len(self._driver.enforced(wanted, self._driver.observe(None))) != len(self.policies):
            raise ValueError("the kernel holds other policies than it was given")

    def age(self) -> None:
        """Advance the clock until every memory has expired; both must have judged the same."""
        self._now += _AN_AGE
        self._driver.set_clock(self._now)
        for memory in self._memories:
            memory.fragments.passed.clear()

    def judge(self, number: int, direction: Direction, frame: Frame) -> Verdict:
        """The verdict of the reference."""
        try:
            return verdict(
                self.policies[number],
                direction,
                frame,
                now=self._now,
                bucket=_FULL,
                memory=self._memories[number],
            )
        except Exception as error:
            error.add_note(f"{direction} {frame.octets.hex()} under {self.policies[number]}")
            raise

    def disagreements(
        self,
        number: int,
        direction: Direction,
        frames: Sequence[Frame],
        wanted: Sequence[Verdict],
    ) -> list[Disagreement]:
        """The frames, of these testable ones, on which the program disagrees."""
        ifindex = self._ifindexes[number]
        octets = [frame.octets for frame in frames]
        told = self._driver.test_all(direction, octets, ifindex, [each.offload for each in frames])
        return [
            Disagreement(
                self.policies[number],
                direction,
                frame.octets,
                str(said),
                _text(frame.octets, seen, ifindex),
                frame.offload,
            )
            for frame, said, seen in zip(frames, wanted, told, strict=True)
            if not _agree(said, seen) or not _is_of(frame.octets, seen, ifindex)
        ]


def _agree(said: Verdict, seen: Dropped | None) -> bool:
    if seen is None:
        return said.action is Action.PASS
    return said.reason is seen.reason and said.guard is seen.guard


def _is_of(frame: bytes, seen: Dropped | None, ifindex: int) -> bool:
    """Whether a drop record is of this frame."""
    return seen is None or (
        seen.length == len(frame) and seen.device == ifindex and frame.startswith(seen.head)
    )


def _text(frame: bytes, seen: Dropped | None, ifindex: int) -> str:
    if seen is None:
        return "pass"
    told = str(Verdict(Action.DROP, seen.guard, seen.reason))
    return told if _is_of(frame, seen, ifindex) else f"{told}, recorded of another frame"
