"""The protocol of a driver: desired, observed, change, apply. No add and no delete.

A driver keeps one *image* for each device: all of a port's guard as the driver would write it,
and the same as it was read back. Only the driver looks into an image; everybody else compares.
It holds the id of its port, for `port_of`; the revision of the policy it may hold.

Every method is called by the agent's worker, one at a time, except where it names another thread.

desired = driver.render(attachments)
change = driver.diff(desired, driver.observe(scope))
if change is not None:
    driver.apply(change)
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, Protocol, Self, TypeVar

from vifguard.enforce.driver.device import Device
from vifguard.enforce.driver.events import DriverEvents
from vifguard.kernel.net.link import Link
from vifguard.model.address import IPNetwork
from vifguard.model.guard import Guard
from vifguard.model.policy import PortPolicy
from vifguard.model.security_group import Rule, SetChange

ImageT = TypeVar("ImageT")
"""The image of one device: comparable, and opaque to everybody but its driver."""


@dataclass(frozen=True, slots=True)
class Attachment:
    """A policy and the device that it is for.

    `reversed_hooks`: the guest's frames leave the device instead of entering it (macvtap).
    `revision` is the server's, at which the policy last changed. `running`: its guest was there
    before any guard, and may have connections.
    """

    policy: PortPolicy
    device: Device
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


@dataclass(frozen=True, slots=True)
class Capabilities:
    """The abilities of a driver on this host: tried, not guessed.

    `mechanism` is how it gets at frames (`tcx`); a host reports both among its features. `refused`
    are the guards that it cannot enforce, each with the reason: a port with one is closed. Where
    no living host has a driver with security groups, the API offers none.
    """

    driver: str
    mechanism: str
    refused: Mapping[Guard, str] = field(default_factory=dict)

    @property
    def features(self) -> frozenset[str]:
        """The abilities by name, as a host reports them."""
        own = {self.driver, self.mechanism}
        groups = {Guard.SECURITY_GROUPS} - self.refused.keys()
        return frozenset(own.union(each.value for each in groups))


@dataclass(frozen=True, slots=True)
class Desired(Generic[ImageT]):
    """The images of devices; `refused` names those that are closed instead, and why.

    `ports` has the closed image of a refused device too: a device that is not there loses its
    guard.
    `running` are the devices whose guests were there before any guard.
    """

    ports: Mapping[Device, ImageT]
    refused: Mapping[Device, str]
    running: frozenset[Device] = frozenset()


@dataclass(frozen=True, slots=True)
class Observed(Generic[ImageT]):
    """The images read back; `leftovers` describes objects of no device (complete reads only)."""

    ports: Mapping[Device, ImageT]
    leftovers: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Change(Generic[ImageT]):
    """The images to write, the devices to take guards off, and whether to remove leftovers.

    `observed` are the images that were read back at the devices to write.
    """

    ports: Mapping[Device, ImageT]
    observed: Mapping[Device, ImageT]
    removed: frozenset[Device] = frozenset()
    sweep: bool = False
    running: frozenset[Device] = frozenset()


COMMON = "common"
"""The kind of a loss that all guards of a driver have in common."""


class Loss(NamedTuple):
    """Something of a guard that was put there and is gone: its kind, as it is counted, and cause.

    Kinds are the driver's own words; docs/misfortune.md has those of eBPF.
    """

    kind: str
    cause: str


class DriverError(Exception):
    """The driver cannot do its work on this host at all; the message names the remedy."""


class HeldError(DriverError):
    """Another process, or another network namespace, holds what one at a time may change."""


class PortError(Exception):
    """One port could not be brought to its desired state; the others were.

    It stays on its old state, or closed where it had none.
    """

    def __init__(self, device: Device, reason: str) -> None:
        super().__init__(f"device {device}: {reason}")
        self.device = device
        self.reason = reason


class ApplyError(ExceptionGroup[PortError]):
    """The ports that failed, raised after all others were done."""


class ConnectionUse(Protocol):
    """The use of a driver's table of connections, until it is closed."""

    @property
    def capacity(self) -> int:
        """The number of connections that it has room for."""

    def used(self) -> float:
        """The part of it that is in use, 0 to 1."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...


class HostDriver(Protocol):
    """The parts of a driver that concern the host, and no single port."""

    @property
    def capabilities(self) -> Capabilities:
        """The driver's name and abilities."""

    @property
    def events(self) -> DriverEvents:
        """The events of its guards; read by a thread of their own."""

    @property
    def holder(self) -> str:
        """The id of the state that this process alone holds; kept for its next run. Empty: none.

        Of several drivers the first with one counts: it is enough to tell two agents apart.
        """

    @property
    def store(self) -> str:
        """The id of the store whose ports are guarded; empty where none was noted.

        An update is taken in only where every driver that noted a store noted the update's.
        """

    def set_store(self, ident: str) -> None:
        """Note the id of the store whose ports are guarded, beside the guards; raises OSError."""

    def device_of(self, link: Link) -> Device | None:
        """The identity of a port's interface; None where this driver does not guard such a one.

        The first of a host's drivers that answers guards the port: one that answers for every
        interface is the last of them.
        """

    def connections(self) -> ConnectionUse | None:
        """The use of its table of connections, to be read and closed; None where it has none.

        Called by the thread that watches the wiring. Of several drivers the first that has one is
        reported.
        """

    def load_ruleset(self, change: RulesetChange) -> frozenset[str]:
        """Bring the rules of groups and the sets into force for every port that has these groups.

        The first change must be complete. Returns the groups with a change that decides whether
        a port can be enforced: their ports are to be rendered anew. Raises OSError: this driver's
        ports with groups are then closed, and the change is loaded again soon.
        """

    def rules_lost(self) -> bool:
        """Whether rules of groups, or members of sets, are gone as a whole: a quick look.

        Raises OSError where they cannot be read; they are then loaded anew.
        """

    def compare_rules(self, sets: Mapping[str, Iterable[IPNetwork]]) -> Iterator[bool]:
        """Whether the loaded rules and `sets` are in force, step by step: all of it is slow.

        Raises OSError as `rules_lost` does.
        """

    def repair(self) -> tuple[str, ...]:
        """Put back lost parts that all guards have in common; return their descriptions.

        Raises OSError or DriverError where that fails.
        """

    def close(self) -> None:
        """Close all handles; the guards stay in force."""


class Removal(Protocol):
    """The guards of one driver on this host, held to be removed."""

    def remove_all(self) -> None:
        """Remove every guard and every other trace of this driver.

        The caller has cut the guests off, or lets them go on without a guard.
        """

    def close(self) -> None:
        """Release the guards; those that were not removed stay in force."""


class Driver(HostDriver, Protocol[ImageT]):
    """Enforces the policies of ports in one data plane.

    `diff` and `loss` are pure. `render` reads nothing of the backend; it depends on the ruleset
    that `load_ruleset` took last. `observe` reads this driver's own state only.
    """

    def render(self, attachments: Iterable[Attachment]) -> Desired[ImageT]:
        """The images that enforce these policies. A port that cannot be rendered is closed."""

    def observe(self, scope: frozenset[Device] | None) -> Observed[ImageT]:
        """The images of the devices in `scope`, as the data plane has them; None: everything.

        Raises OSError where it cannot be read. The devices are then read one by one: one that
        cannot be is not written to, and its port is cut off and tried again.
        """

    def apply(self, change: Change[ImageT]) -> None:
        """Bring each port to its new image in one step: killed anywhere, it has the old or the new.

        Raises ApplyError, after everything else is done, with each port that failed: an OSError
        of one port is that port's. One of the backend as a whole may be raised as it is: ports
        that are then read back otherwise are closed.
        """

    def loss(self, enforced: ImageT, observed: ImageT | None) -> Loss | None:
        """The first difference between an image that was read back and that of later; or None."""

    def port_of(self, observed: ImageT) -> str | None:
        """The id of the port that an image guards: empty where it is unknown, None for no guard."""

    def diff(self, desired: Desired[ImageT], observed: Observed[ImageT]) -> Change[ImageT] | None:
        """The change from `observed` to `desired`; None where they are equal.

        Observed images that are not desired are removed.
        """
        ports = {d: each for d, each in desired.ports.items() if observed.ports.get(d) != each}
        removed = frozenset(observed.ports) - frozenset(desired.ports)
        if not (ports or removed or observed.leftovers):
            return None
        before = {d: observed.ports[d] for d in ports if d in observed.ports}
        running = desired.running & ports.keys()
        return Change(ports, before, removed, bool(observed.leftovers), running)

    def enforced(self, desired: Desired[ImageT], observed: Observed[ImageT]) -> frozenset[Device]:
        """The devices whose desired image was read back; that of a refused one is closed."""
        return frozenset(d for d, each in desired.ports.items() if observed.ports.get(d) == each)
