"""Brings the kernel to the desired state, and reports the state that was read back.

The order keeps every moment closed: quarantine, guard, read back, member, up; and backwards on
the way out. An interface whose port or bridge changes goes out of its old place before it comes
into the new one. An agent killed between any two steps leaves a host that passes no more than it
may.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from vifguard.agent.host_guards import HostGuards, HostPlan, HostResult, by_ifindex
from vifguard.agent.placement import Placement, locate
from vifguard.agent.state import AgentState, Dirty
from vifguard.agent.wiring.applied_wiring import Lost
from vifguard.agent.wiring.wiring import Batch, Connected
from vifguard.agent.wiring.wirings import Wirings
from vifguard.enforce.driver.protocol import Loss
from vifguard.feed.messages import PortReport
from vifguard.kernel.net.link import Link
from vifguard.model.port import PortState

log = logging.getLogger("vifguard")

V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class ReconcileResult:
    """Reports of the dirty ports; `failing` ones are to be tried again.

    `unremoved` are interfaces of no port that are still members of a bridge, to be tried again too.
    `lost` are the ports whose guard or wiring was found lost: the kind of loss, and the cause.
    """

    reports: tuple[PortReport, ...] = ()
    failing: frozenset[str] = frozenset()
    unremoved: frozenset[int] = frozenset()
    lost: Mapping[str, Loss | Lost] = field(default_factory=dict)


class Reconciler:
    """Reconciles dirty ports and links. One thread's.

    `find` reads the link of an index from the kernel; None for none.
    """

    def __init__(
        self,
        state: AgentState,
        guards: HostGuards,
        wirings: Wirings,
        find: Callable[[int], Link | None],
    ) -> None:
        self._state = state
        self._guards = guards
        self._wirings = wirings
        self._read = find
        self._ifindex_of: dict[str, int] = {}
        self._unremoved: dict[int, str] = {}
        self.port_by_ifindex: dict[int, str] = {}
        self.watched: Mapping[int, str] = {}
        self.rejecting: Mapping[int, Placement] = {}
        self.claiming: Mapping[int, Placement] = {}
        self.detecting: Mapping[int, Placement] = {}

    def reconcile(self, dirty: Dirty) -> ReconcileResult:
        """Bring dirty ports and links to their desired state."""
        ports, regrouped = self._state.ports, self._load_ruleset()
        dirty = replace(dirty, ports=dirty.ports | regrouped)
        self._look_up_missing(dirty)
        placements = [locate(self._state, ports[i]) for i in dirty.ports if i in ports]
        placements, stuck = self._prepare(placements)
        places = self._attachable(by_ifindex(placements))
        missing = self._wirings.wait(placements, dirty.ports)
        running = self._wirings.running(places)
        plan = self._detach(self._guards.plan(places, self._scope(places, dirty), running))
        result = self._guards.apply(plan)
        self._wirings.forget(plan.detached)
        batch = Batch(result.failed, result.unguarded, dirty.links, self.guarded)
        connected = self._wirings.connect(places, batch)
        self._update_index(places, dirty)
        bare = {i for i in result.unguarded & places.keys() if not self._wirings.holds(places[i])}
        failed = {**result.failed, **connected.failed, **stuck}
        failed = {i: why for i, why in failed.items() if i in places}
        return ReconcileResult(
            tuple(_report(each, failed, connected, result, bare) for each in placements),
            frozenset(places[index].port.policy.port_id for index in failed)
            | (frozenset() if self._state.ruleset.is_applied else regrouped),
            frozenset(self._unremoved),
            missing | self._losses(places, plan, connected),
        )

    def _prepare(
        self, placements: Collection[Placement]
    ) -> tuple[list[Placement], Mapping[int, str]]:
        """Have places prepared; those of interfaces that cannot leave their former one are closed.

        Also these interfaces, with the reason.
        """
        places = self._attachable(by_ifindex(placements))
        failed = self._wirings.prepare(places, self.port_by_ifindex)
        stuck = {i: why for i, why in failed.items() if self._read(i)}
        return [_prepared(each, self._state.links, stuck) for each in placements], stuck

    def _losses(
        self, places: Mapping[int, Placement], plan: HostPlan, connected: Connected
    ) -> dict[str, Loss | Lost]:
        """The losses of guards and wiring that were found, by port."""
        # A guard that went with its interface was not lost.
        guards = {i: loss for i, loss in plan.lost.items() if self._read(i)}
        found: dict[int, Loss | Lost] = {**connected.undone, **guards}
        return {places[i].port.policy.port_id: loss for i, loss in found.items() if i in places}

    def _attachable(self, places: Mapping[int, Placement]) -> dict[int, Placement]:
        """The places at which a guard may be put, or has been; not those of waiting guests."""
        return {
            index: place
            for index, place in places.items()
            if not place.stays or index in self.port_by_ifindex or self._has_guard(place)
        }

    def _has_guard(self, place: Placement) -> bool:
        return place.link is not None and self._guards.has(place.link)

    def guarded(self) -> frozenset[int]:
        """The interfaces of ports whose guards were read back when they were last put there.

        Another thread may call this, and gets the present state or that of a moment ago.
        """
        return frozenset(self._guards.enforced).intersection(list(self.port_by_ifindex))

    def _load_ruleset(self) -> frozenset[str]:
        """Load pending rules into the drivers; return the ports that this concerns.

        Those are all with groups where a driver did not take the rules.
        """
        change = self._state.ruleset.pending()
        if change is None:
            return frozenset()
        groups = self._guards.load_ruleset(change)
        if not self._guards.is_ruleset_loaded:
            return self._state.grouped
        self._state.ruleset.mark_applied()
        return self._state.with_groups(groups)

    def sweep(self) -> frozenset[int]:
        """Remove guards, bridges and quarantine of no port, once all ports are reconciled.

        Returns the interfaces of no port that could not be taken out of their bridges.
        """
        self._forget_missing()
        self._wirings.compare(self.port_by_ifindex.keys(), self.guarded())
        kept = self.port_by_ifindex.keys()
        plan = self._detach(self._guards.plan_sweep(kept, self._state.links.values()))
        self._guards.apply(plan)
        self._wirings.forget(plan.detached)
        self._wirings.sweep(self.port_by_ifindex.keys() | self._unremoved.keys())
        return frozenset(self._unremoved)

    def _forget_missing(self) -> None:
        """Forget ports that are gone: a complete update does not name them."""
        removed = self._ifindex_of.keys() - self._state.ports.keys()
        self._update_index({}, Dirty(frozenset(removed)))
        self._wirings.forget_others(self._state.ports.keys())

    def _scope(self, places: Mapping[int, Placement], dirty: Dirty) -> frozenset[int]:
        """The interfaces of the dirty ports, before and now, and dirty links that have a guard."""
        before = {self._ifindex_of[i] for i in dirty.ports if i in self._ifindex_of}
        guarded = dirty.links & (self.port_by_ifindex.keys() | self._unremoved.keys())
        return frozenset(before | guarded | places.keys())

    def _look_up_missing(self, dirty: Dirty) -> None:
        """Look for interfaces of dirty ports, and other guards, that the state does not have.

        A link that was in no notice, or was left out of a dump, may be there all the same.
        """
        for index in self._scope({}, dirty) - self._state.links.keys():
            self._find(index)

    def _find(self, index: int) -> Link | None:
        """The link with an index, read from the kernel where the state has none."""
        link = self._state.links.get(index) or self._read(index)
        if link is not None and index not in self._state.links:
            log.warning(
                "the kernel has interface %s, which was in no notice and no dump", link.name
            )
            self._state.take(link)
        return link

    def _detach(self, plan: HostPlan) -> HostPlan:
        """Disconnect the plan's leaving interfaces; the plan, with failed ones kept guarded."""
        for index in plan.observed:
            self._unremoved.pop(index, None)
        unremoved = self._disconnect(plan.detached)
        self._unremoved.update(unremoved)
        kept = [self._state.links[index] for index in unremoved]
        return self._guards.keep_closed(plan, kept) if kept else plan

    def _disconnect(self, indexes: Iterable[int]) -> dict[int, str]:
        """Have interfaces that are no port's any more pass nothing, before their guards go.

        Returns those that are still there and for which that failed, each with the reason.
        """
        failed = self._wirings.disconnect(link for i in indexes if (link := self._find(i)))
        unremoved = {i: why for i, why in failed.items() if self._read(i)}
        for index, why in unremoved.items():
            name = self._state.links[index].name
            log.error("interface %s keeps its guard, and passes nothing: %s", name, why)
        return unremoved

    def _update_index(self, places: Mapping[int, Placement], dirty: Dirty) -> None:
        """Update the maps from interfaces to ports, and remove interfaces that are gone."""
        removed: set[int] = set()
        for port_id in dirty.ports:
            index = self._ifindex_of.pop(port_id, None)
            if index is not None and self.port_by_ifindex.get(index) == port_id:
                del self.port_by_ifindex[index]
                removed.add(index)
        for index, placement in places.items():
            self._ifindex_of[placement.port.policy.port_id] = index
            self.port_by_ifindex[index] = placement.port.policy.port_id
        policies = {index: placement.port.policy for index, placement in places.items()}
        watching = {i: policy.port_id for i, policy in policies.items() if policy.watched}
        self.watched = _guarded_view(self.watched, removed, watching)
        refusing = {i: places[i] for i, policy in policies.items() if policy.reject}
        self.rejecting = _guarded_view(self.rejecting, removed, refusing)
        claiming = {i: places[i] for i, policy in policies.items() if policy.claimable}
        self.claiming = _guarded_view(self.claiming, removed, claiming)
        detecting = {i: places[i] for i, policy in policies.items() if policy.tentative}
        self.detecting = _guarded_view(self.detecting, removed, detecting)


def _guarded_view(
    before: Mapping[int, V], removed: Collection[int], added: Mapping[int, V]
) -> Mapping[int, V]:
    """A view of some guarded interfaces, after additions and removals: another thread reads it."""
    if not added and before.keys().isdisjoint(removed):
        return before
    return {index: each for index, each in before.items() if index not in removed} | dict(added)


def _prepared(
    placement: Placement, links: Mapping[int, Link], stuck: Mapping[int, str]
) -> Placement:
    """The place with its interface as that is in `links`, closed where it is in `stuck`."""
    link = placement.link
    if link is None:
        return placement
    closed = placement.closed or stuck.get(link.index, "")
    return replace(placement, link=links.get(link.index, link), closed=closed)


def _report(
    placement: Placement,
    failed: Mapping[int, str],
    connected: Connected,
    result: HostResult,
    bare: Collection[int],
) -> PortReport:
    """The report of a port; at an interface in `bare` nothing holds it closed."""
    port, link = placement.port, placement.link
    name = link.name if link else ""
    why = placement.closed or (failed.get(link.index, "") if link else "")
    if link is not None and link.index in bare:
        state, why = PortState.ABSENT, f"nothing holds it closed, its wiring is hands-off: {why}"
    elif why:
        state = PortState.HELD_CLOSED
    elif link is None or placement.stays:
        state, why = PortState.ABSENT, placement.note
    else:
        state = PortState.ENFORCED
        uplink = placement.bridge.uplink if placement.bridge else ""
        why = placement.note or connected.uplinks.get(uplink, "")
    driver = result.drivers.get(link.index, "") if link else ""
    wiring = placement.wiring.value
    return PortReport(port.policy.port_id, port.revision, state, name, why, driver, wiring)
