"""The guards of this host, by all of its drivers: planned, applied, read back."""

from __future__ import annotations

import logging
from collections.abc import Collection, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from vifguard.agent.driver_choice import DriverChoice, Guarded
from vifguard.agent.placement import Placement, has_reversed_hooks
from vifguard.bridging.bridge import port_of_mark
from vifguard.enforce.driver.device import Device
from vifguard.enforce.driver.protocol import (
    Attachment,
    ConnectionUse,
    DriverError,
    Loss,
    RulesetChange,
)
from vifguard.enforce.driver.session import UNREAD, Plan, Session
from vifguard.kernel.net.link import Link, interfaces
from vifguard.model.address import IPNetwork
from vifguard.model.policy import PortPolicy

log = logging.getLogger("vifguard")

_NO_PORT = "00000000-0000-0000-0000-000000000000"


@dataclass(frozen=True, slots=True)
class HostPlan:
    """The changes to some interfaces, a part for each driver.

    `observed`: the interfaces at which a guard, or leftovers of one, were read, or which cannot be
    read. `detached`: those that lose their guard; the caller cuts them off first. `lost`: the
    losses of the guards at these places. `unsupported`: the places that no driver guards, each
    with the reason.
    """

    places: Mapping[int, Placement]
    chosen: Mapping[int, Guarded]
    parts: tuple[Plan[object], ...]
    observed: Collection[int]
    detached: Collection[int]
    lost: Mapping[int, Loss] = field(default_factory=dict)
    unsupported: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class HostResult:
    """Interfaces without their desired state, each with the reason; `unguarded` have no guard.

    `drivers` names the driver of each place.
    """

    failed: Mapping[int, str]
    unguarded: frozenset[int]
    drivers: Mapping[int, str] = field(default_factory=dict)


class HostGuards:
    """The guards of this host. One thread's, except where a method says otherwise."""

    def __init__(self, sessions: Iterable[Session[object]]) -> None:
        """`sessions` are those of the host's drivers, in the order in which they are chosen."""
        self._sessions: Sequence[Session[object]] = tuple(sessions)
        self._guarded: dict[int, Guarded] = {}
        self._enforced: set[int] = set()
        self._choice = DriverChoice(self._sessions)
        self.changes = 0
        """The number of changes of rules and address sets."""

    @property
    def holder(self) -> str:
        """The id of the state of guards that this process alone holds; empty for none.

        One driver's is enough to tell two agents apart.
        """
        return next((each.driver.holder for each in self._sessions if each.driver.holder), "")

    @property
    def stores(self) -> frozenset[str]:
        """The ids of the stores whose ports are guarded here, as the drivers noted them."""
        return frozenset(each.driver.store for each in self._sessions) - {""}

    def set_store(self, ident: str) -> None:
        """Note the id of the store whose ports are guarded here from now on; raises OSError."""
        for session in self._sessions if ident else ():
            session.driver.set_store(ident)

    def ports(self, links: Mapping[int, Link]) -> frozenset[str]:
        """The ports that have a guard at an interface that is there, put there by any agent.

        `links` are those of the host, by index: where a driver does not know the port of a guard
        (of another build, or whose state is gone), it is the one that the interface's alias names.
        """
        self._choice.recognize(links.values())
        guarded = (item for session in self._sessions for item in session.read_guarded().items())
        marks = {index: port_of_mark(link) for index, link in links.items()}
        found = {port_id or marks.get(self.index_of(device), "") for device, port_id in guarded}
        return frozenset(found) - {"", _NO_PORT}

    def guarded_at(self, index: int) -> Guarded | None:
        """The driver and device of an interface that is guarded; any thread may call this."""
        return self._guarded.get(index)

    def index_of(self, device: Device) -> int:
        """The interface of a device, -1 where it is not known; any thread may call this."""
        return self._choice.index_of(device)

    def connections(self) -> ConnectionUse | None:
        """The use of the table of connections, to be read and closed; None where none is kept."""
        found = (session.driver.connections() for session in self._sessions)
        return next((table for table in found if table), None)

    @property
    def sessions(self) -> Sequence[Session[object]]:
        """The drivers in use."""
        return self._sessions

    @property
    def enforced(self) -> Collection[int]:
        """The interfaces whose guard was read back when it was last put there.

        Any thread may call this, and gets the present state or that of a moment ago.
        """
        return frozenset(self._enforced)

    def lost(self, indexes: Iterable[int]) -> dict[int, Loss]:
        """Read these guards back; return the losses by interface."""
        known = self._known(indexes)
        # What was put there and is not known any more would never be missed.
        found = {
            i: Loss(UNREAD, "its guard was not read back")
            for i, each in known.items()
            if i in self._enforced and each.device not in each.session.enforced
        }
        for session in self._sessions:
            own = {each.device: i for i, each in known.items() if each.session is session}
            found |= {own[d]: loss for d, loss in session.lost(own).items()} if own else {}
        return found

    def repair(self) -> Iterator[str]:
        """Put back lost parts that all guards have in common; give their descriptions.

        Raises OSError or DriverError, once every driver had its turn.
        """
        failed: list[OSError | DriverError] = []
        for session in self._sessions:
            try:
                yield from session.driver.repair()
            except (OSError, DriverError) as error:
                failed.append(error)
        if failed:
            raise failed[0]

    def rules_lost(self) -> bool:
        """Whether the rules of security groups are gone as a whole, or unreadable, somewhere."""
        return any(session.rules_lost() for session in self._sessions)

    def compare_rules(self, sets: Mapping[str, Iterable[IPNetwork]]) -> Iterator[bool]:
        """Whether every driver holds the rules of groups and `sets`, step by step."""
        for session in self._sessions:
            yield from session.compare_rules(sets)

    def load_ruleset(self, change: RulesetChange) -> frozenset[str]:
        """Load rules and address sets; return the groups whose ports are to be planned again."""
        self.changes += 1
        return frozenset().union(*[session.load_ruleset(change) for session in self._sessions])

    @property
    def is_ruleset_loaded(self) -> bool:
        """Whether every driver took the last change; ports with groups of another are closed."""
        return not any(session.no_rules for session in self._sessions)

    def has(self, link: Link) -> bool:
        """Whether an interface has a guard, or leftovers of one."""
        found = self._choice.choose(link)
        return found is not None and found.session.has(found.device)

    def plan(
        self, places: Mapping[int, Placement], scope: frozenset[int], running: Container[int] = ()
    ) -> HostPlan:
        """Plan that of the interfaces in `scope` exactly these places are guarded.

        Guests of the interfaces `running` were there before any guard.
        """
        links = {i: place.link for i, place in places.items() if place.link is not None}
        chosen = {i: found for i, link in links.items() if (found := self._choice.choose(link))}
        known = self._known(scope - chosen.keys())
        parts: list[Plan[object]] = []
        for session in self._sessions:
            own = {i: each.device for i, each in chosen.items() if each.session is session}
            others = (each.device for each in known.values() if each.session is session)
            devices = frozenset(own.values()).union(others)
            attached = (_attachment(d, places[i], running=i in running) for i, d in own.items())
            parts += [session.plan(attached, devices)] if devices else []
        lacking = {i: links[i] for i in links.keys() - chosen.keys()}
        unsupported = {i: f"no driver guards interface {x.name}" for i, x in lacking.items()}
        return replace(self._plan(parts, chosen), places=places, unsupported=unsupported)

    def plan_sweep(self, kept: Collection[int], links: Iterable[Link]) -> HostPlan:
        """Plan that only these interfaces are guarded, as they are now.

        `links` are those of the host.
        """
        self._choice.recognize(links)
        chosen = {i: each for i, each in self._guarded.items() if i in kept}
        parts = [
            session.plan_sweep({e.device for e in chosen.values() if e.session is session})
            for session in self._sessions
        ]
        strays = [Guarded(part.session, d) for part in parts for d in part.detached]
        found = {self.index_of(each.device): each for each in strays} | chosen
        self._guarded = {i: each for i, each in found.items() if i >= 0}
        return self._plan(parts, chosen)

    def keep_closed(self, plan: HostPlan, kept: Iterable[Link]) -> HostPlan:
        """The plan, except that these interfaces keep their guards, which let nothing pass."""
        policy = PortPolicy(
            _NO_PORT, frozenset(), frozenset(), closed=("the interface belongs to no port")
        )
        links = {link.index: link for link in kept}
        parts: list[Plan[object]] = []
        for part in plan.parts:
            found = {d: links[i] for d in part.detached if (i := self.index_of(d)) in links}
            closed = [Attachment(policy, d, has_reversed_hooks(x), 0) for d, x in found.items()]
            parts.append(part.session.keep_closed(part, closed) if closed else part)
        again = self._plan(parts, plan.chosen)
        return replace(again, places=plan.places, unsupported=plan.unsupported)

    def apply(self, plan: HostPlan) -> HostResult:
        """Apply the plan and read it back."""
        failed, bare = dict(plan.unsupported), dict(plan.unsupported)
        for part in plan.parts:
            result = part.session.apply(part)
            failed |= {self.index_of(device): why for device, why in result.failed.items()}
            bare |= {self.index_of(device): why for device, why in result.unguarded.items()}
        self._take_over(plan.chosen, bare)
        self._note(plan)
        # A guest that ends takes its interface along at any moment: what is gone needs no guard.
        for index in bare.keys() & interfaces() if bare else ():
            log.error(
                "no guard is in force at %s: %s", _named(index, plan.places.get(index)), bare[index]
            )
        return HostResult(
            failed, frozenset(bare), {i: each.name for i, each in plan.chosen.items()}
        )

    def _take_over(self, chosen: Mapping[int, Guarded], bare: Container[int]) -> None:
        """Note the drivers of interfaces; a former one ends once the new guard stands."""
        for index, after in chosen.items():
            before = self._known([index]).get(index, after)
            if before != after:
                if index in bare:
                    continue
                session = before.session
                session.apply(session.plan((), frozenset({before.device})))
            self._guarded[index] = after

    def _known(self, indexes: Iterable[int]) -> dict[int, Guarded]:
        """The drivers and devices of guarded interfaces.

        A name that another interface has by now is that one's device.
        """
        found = {i: self._guarded[i] for i in indexes if i in self._guarded}
        return {i: each for i, each in found.items() if self.index_of(each.device) == i}

    def _note(self, plan: HostPlan) -> None:
        """Remember which interfaces of a plan have a guard that was read back."""
        touched = plan.chosen.keys() | plan.observed
        for index in plan.detached:
            self._guarded.pop(index, None)
        known = self._known(touched)
        self._enforced -= touched
        self._enforced |= {i for i, x in known.items() if x.device in x.session.enforced}

    def _plan(self, parts: Iterable[Plan[object]], chosen: Mapping[int, Guarded]) -> HostPlan:
        parts = tuple(parts)
        observed = self._choice.indexes_of(d for part in parts for d in part.observed_devices)
        detached = self._choice.indexes_of(d for part in parts for d in part.detached)
        lost = {self.index_of(d): loss for part in parts for d, loss in part.lost.items()}
        # An interface that a driver gives up for another is not left without a guard.
        return HostPlan({}, chosen, parts, observed, detached - chosen.keys(), lost)


def _named(index: int, place: Placement | None) -> str:
    """An interface as an operator knows it; one that is gone has only its number."""
    if place is None or place.link is None:
        return f"interface {index}"
    return f"interface {place.link.name} of port {place.port.policy.port_id}"


def _attachment(device: Device, place: Placement, *, running: bool) -> Attachment:
    policy = place.port.policy
    if place.closed != policy.closed:
        policy = replace(policy, closed=place.closed)
    return Attachment(policy, device, place.reversed_hooks, place.port.revision, running)


def by_ifindex(placements: Iterable[Placement]) -> dict[int, Placement]:
    """The places that have an interface, by its index."""
    return {place.link.index: place for place in placements if place.link is not None}
