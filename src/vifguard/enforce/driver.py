"""The protocol of drivers: render, observe, diff, apply. No add and no delete.

wanted = driver.render(attachments)
change = driver.diff(wanted, driver.observe(scope))
if change is not None:
    driver.apply(change)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Protocol, TypeVar

from vifguard.feed.messages import SetChange
from vifguard.model.address import IPAddress, Mac
from vifguard.model.guard import Guard
from vifguard.model.policy import PortPolicy
from vifguard.model.security_group import Rule
from vifguard.model.verdict import Direction, Reason

DesiredT = TypeVar("DesiredT")
"""The desired state, as the driver would write it."""
ObservedT = TypeVar("ObservedT")
"""The state that was read from the kernel."""
ChangeT = TypeVar("ChangeT")
"""The change from the observed state to the desired one."""


@dataclass(frozen=True, slots=True)
class Attachment:
    """A policy and the interface that it is for.

    `swapped`: the guest's frames leave the interface instead of entering it (macvtap).
    `revision` is the server's, at which the policy last changed. `running`: its guest was there
    before any guard, and may have connections.
    """

    policy: PortPolicy
    ifindex: int
    reversed_hooks: bool
    revision: int
    running: bool = False


@dataclass(frozen=True, slots=True)
class RulesetChange:
    """The rules of groups and the members of sets from now on, by id.

    `complete`: all other groups and sets are empty. The rules of a group are complete; a group
    without any allows nothing.
    """

    complete: bool
    groups: Mapping[str, frozenset[Rule]]
    sets: Mapping[str, SetChange]


class DriverError(Exception):
    """The driver cannot do its work on this host at all; the message names the remedy."""


class PortError(Exception):
    """One port could not be brought to its desired state; the others were.

    It stays on its old state, or closed where it had none.
    """

    def __init__(self, ifindex: int, reason: str) -> None:
        super().__init__(f"interface {ifindex}: {reason}")
        self.ifindex = ifindex
        self.reason = reason


class ApplyError(ExceptionGroup[PortError]):
    """The ports that failed, raised after all others were done."""


class Driver(Protocol[DesiredT, ObservedT, ChangeT]):
    """Enforces the policies of ports in one data plane.

    `render` and `diff` are pure. `observe` reads this driver's own state only.
    """

    @property
    def features(self) -> frozenset[str]:
        """The features of this driver on this host, as tried, not as guessed."""

    def load_ruleset(self, change: RulesetChange) -> frozenset[str]:
        """Bring the rules of groups and the sets into force for every port that has these groups.

        The first change must be complete. Returns the groups with a change that decides whether
        a port can be enforced: their ports are to be rendered anew.
        """

    def render(self, attachments: Iterable[Attachment]) -> DesiredT:
        """The state that enforces these policies. A port that cannot be rendered is closed."""

    def observe(self, scope: frozenset[int] | None) -> ObservedT:
        """The kernel's state of the interfaces in `scope`; None means everything."""

    def diff(self, desired: DesiredT, observed: ObservedT) -> ChangeT | None:
        """The change from `observed` to `desired`; None where they are equal.

        Observed state that is not desired is removed.
        """

    def apply(self, change: ChangeT) -> None:
        """Bring each port to its new state in one step.

        Raises ApplyError, after everything else is done, with each port that failed.
        """

    def enforced(self, desired: DesiredT, observed: ObservedT) -> Mapping[int, int]:
        """The interfaces whose desired state was observed in the kernel, with its revision."""


@dataclass(frozen=True, slots=True)
class Dropped:
    """One dropped frame, as the kernel recorded it; `at` is CLOCK_MONOTONIC in ns.

    `guard` None: the port is held closed or has no policy (then `port_id` is empty).
    `length` is the frame's, `head` its first bytes with a stripped tag put back.
    """

    ifindex: int
    port_id: str
    at: int
    direction: Direction
    guard: Guard | None
    reason: Reason
    length: int
    head: bytes


class ClaimKind(Enum):
    """The subject of a claim: a shared address, or one that a port is to learn.

    DEFENDED: a neighbour claims an address that is tentative at the port.
    """

    HOLDS = "holds"
    WANTS = "wants"
    DEFENDED = "defended"


@dataclass(frozen=True, slots=True)
class Claimed:
    """A guest's claim to its neighbours of a shared address, or of one to be learned.

    `mac` is the sender's. `seen_before`: the time this port last sent from it, 0 for never;
    CLOCK_MONOTONIC in ns.
    """

    ifindex: int
    port_id: str
    at: int
    address: IPAddress
    mac: Mac
    seen_before: int
    kind: ClaimKind = ClaimKind.HOLDS
