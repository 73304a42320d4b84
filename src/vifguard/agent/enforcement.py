"""Enforcement of guards: put into the kernel, read back, closed where the kernel refuses."""

from __future__ import annotations

import logging
from collections.abc import Collection, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from vifguard.agent.placement import Placement, has_reversed_hooks
from vifguard.bridging.bridge import port_of_mark
from vifguard.enforce.driver import ApplyError, Attachment, PortError, RulesetChange
from vifguard.enforce.ebpf.driver import EbpfDriver
from vifguard.enforce.ebpf.state import NO_HOOKS, Change, Desired, Loss, Observed, PortImage
from vifguard.kernel.net.link import Link, interfaces
from vifguard.model.address import IPNetwork
from vifguard.model.policy import PortPolicy

log = logging.getLogger("vifguard")

_NO_PORT = "00000000-0000-0000-0000-000000000000"


@dataclass(frozen=True, slots=True)
class Plan:
    """The desired and the observed state of some interfaces, and the change between them.

    `lost`: the losses of the guards at these places, each with its cause.
    """

    places: Mapping[int, Placement]
    wanted: Desired
    seen: Observed
    change: Change | None
    lost: Mapping[int, tuple[Loss, str]] = field(default_factory=dict)

    @property
    def detached(self) -> Collection[int]:
        """The interfaces that lose their guard; the caller cuts them off first."""
        return self.seen.ports.keys() - self.wanted.ports.keys()


@dataclass(frozen=True, slots=True)
class Result:
    """Interfaces without their desired state, each with the reason.

    Of those, `unguarded` have no guard at all.
    """

    failed: Mapping[int, str]
    unguarded: frozenset[int]


class Enforcement:
    """The guards of this host."""

    def __init__(self, driver: EbpfDriver) -> None:
        self._driver = driver
        self._enforced: dict[int, PortImage] = {}
        self.changes = 0
        """The number of changes of rules and address sets."""

    @property
    def store(self) -> str:
        """The id of the store whose ports are guarded here; empty where none was noted."""
        return self._driver.pins.store if self._driver.pins else ""

    def set_store(self, ident: str) -> None:
        """Note the id of the store whose ports are guarded here from now on; raises OSError."""
        if self._driver.pins and ident:
            self._driver.pins.set_store(ident)

    def ports(self, links: Mapping[int, Link]) -> frozenset[str]:
        """The ports that have a guard at an interface that is there, put there by any agent.

        `links` are those of the host, by index: without the maps that a guard was put there with
        (another layout, pins that are gone), its port is the one that the interface's alias names.
        """
        found = {
            port.port_id or (port_of_mark(links[index]) if index in links else "")
            for index, port in self._driver.observe(None).ports.items()
            if port.hooks != NO_HOOKS
        }
        return frozenset(found) - {"", _NO_PORT}

    @property
    def enforced(self) -> Collection[int]:
        """The interfaces whose guard was read back when it was last put there."""
        return self._enforced.keys()

    def lost(self, indexes: Iterable[int]) -> dict[int, tuple[Loss, str]]:
        """Read these guards back; return the losses by interface."""
        scope = frozenset(indexes) & self._enforced.keys()
        return self._losses(scope, self._driver.observe(scope))

    def _losses(self, scope: Iterable[int], seen: Observed) -> dict[int, tuple[Loss, str]]:
        held = ((i, self._enforced[i]) for i in scope if i in self._enforced)
        found = {i: self._driver.loss(each, seen.ports.get(i)) for i, each in held}
        return {i: loss for i, loss in found.items() if loss}

    def repair(self) -> tuple[str, ...]:
        """Put back lost parts that all guards have in common; return their descriptions.

        Raises OSError or DriverError.
        """
        return self._driver.repair()

    def rules_lost(self) -> bool:
        """Whether somebody emptied a map of security groups' rules."""
        return self._driver.rules_lost()

    def compare_rules(self, sets: Mapping[str, Iterable[IPNetwork]]) -> Iterator[bool]:
        """Whether the kernel holds the rules of groups and `sets`, step by step."""
        return self._driver.compare_rules(sets)

    def load_ruleset(self, change: RulesetChange) -> frozenset[str]:
        """Load rules and address sets; return the groups whose ports are to be planned again.

        Raises OSError where the kernel refuses.
        """
        self.changes += 1
        return self._driver.load_ruleset(change)

    def has(self, index: int) -> bool:
        """Whether an interface has a guard, or leftovers of one."""
        return bool(self._driver.observe(frozenset({index})).ports)

    def plan(
        self, places: Mapping[int, Placement], scope: frozenset[int], running: Container[int] = ()
    ) -> Plan:
        """Plan that of the interfaces in `scope` exactly these places are guarded.

        Guests of the interfaces `running` were there before any guard.
        """
        wanted = self._driver.render(
            _attachment(i, place, running=i in running) for i, place in places.items()
        )
        seen = self._driver.observe(scope)
        lost = self._losses(places.keys() & scope, seen)
        return Plan(places, wanted, seen, self._driver.diff(wanted, seen), lost)

    def plan_sweep(self, kept: Collection[int]) -> Plan:
        """Plan that only these interfaces are guarded, as they are now."""
        seen = self._driver.observe(None)
        wanted = Desired({i: port for i, port in seen.ports.items() if i in kept}, {})
        return Plan({}, wanted, seen, self._driver.diff(wanted, seen))

    def keep_closed(self, plan: Plan, kept: Iterable[Link]) -> Plan:
        """The plan, except that these interfaces keep their guards, which let nothing pass."""
        policy = PortPolicy(_NO_PORT, frozenset(), frozenset(), closed="it is no port's")
        closed = self._driver.render(
            Attachment(policy, link.index, has_reversed_hooks(link), 0) for link in kept
        )
        wanted = replace(plan.wanted, ports={**plan.wanted.ports, **closed.ports})
        return replace(plan, wanted=wanted, change=self._driver.diff(wanted, plan.seen))

    def apply(self, plan: Plan) -> Result:
        """Apply the plan and read it back."""
        reasons = self._apply(plan.change)
        there = self._there(plan)
        self._note(plan, there)
        failed = dict(plan.wanted.refused)
        lacking = plan.wanted.ports.keys() - there
        for index in lacking:
            failed[index] = reasons.get(index, "its guard could not be read back from the kernel")
        return Result(failed, self._close(plan, {i: failed[i] for i in lacking}))

    def _apply(self, change: Change | None) -> dict[int, str]:
        if change is None:
            return {}
        try:
            self._driver.apply(change)
        except ApplyError as error:
            return {
                each.ifindex: each.reason
                for each in error.exceptions
                if isinstance(each, PortError)
            }
        return {}

    def _there(self, plan: Plan) -> set[int]:
        """The interfaces whose desired state the kernel has now."""
        seen = dict(plan.seen.ports)
        if plan.change is not None and plan.change.ports:
            anew = self._driver.observe(frozenset(plan.change.ports)).ports
            seen.update({index: anew[index] for index in plan.change.ports if index in anew})
        return {index for index, port in plan.wanted.ports.items() if seen.get(index) == port}

    def _note(self, plan: Plan, there: Collection[int]) -> None:
        """Remember the images that were read back, for the comparisons to come."""
        for index in plan.seen.ports.keys() | plan.wanted.ports.keys():
            self._enforced.pop(index, None)
        self._enforced.update((index, plan.wanted.ports[index]) for index in there)

    def _close(self, plan: Plan, lacking: Mapping[int, str]) -> frozenset[int]:
        """Close ports whose new policy the kernel did not take; return those left without a guard.

        Such a port must not go on with an older, wider policy.
        """
        if not lacking:
            return frozenset()
        places = {
            i: replace(plan.places[i], closed=why) for i, why in lacking.items() if i in plan.places
        }
        closing = self.plan(places, frozenset(places))
        reasons = self._apply(closing.change)
        there = self._there(closing)
        self._note(closing, there)
        bare = closing.wanted.ports.keys() - there
        # A guest that ends takes its interface along at any moment: what is gone needs no guard.
        for index in bare.intersection(interfaces()):
            place, why = places.get(index), reasons.get(index, lacking[index])
            log.error("%s has no guard: %s", _named(index, place), why)
        return frozenset(bare)


def _named(index: int, place: Placement | None) -> str:
    """An interface as an operator knows it; one that is gone has only its number."""
    if place is None or place.link is None:
        return f"interface {index}"
    return f"interface {place.link.name} of port {place.port.policy.port_id}"


def _attachment(index: int, place: Placement, *, running: bool) -> Attachment:
    policy = place.port.policy
    if place.closed != policy.closed:
        policy = replace(policy, closed=place.closed)
    return Attachment(policy, index, place.reversed_hooks, place.port.revision, running)


def by_ifindex(placements: Iterable[Placement]) -> dict[int, Placement]:
    """The places that have an interface, by its index."""
    return {place.link.index: place for place in placements if place.link is not None}
