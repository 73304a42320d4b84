"""Brings the kernel to the desired state, and reports the state that was read back.

The order keeps every moment closed: quarantine, guard, read back, member, up; and backwards on
the way out. An agent killed between any two steps leaves a host that passes no more than it may.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from vifguard.agent.enforcement import Enforcement, Plan, Result, by_ifindex
from vifguard.agent.placement import CONTESTED, Placement, bridge_of, locate
from vifguard.agent.state import AgentState, Dirty, claimed_name
from vifguard.agent.wiring.adopted_bridges import AdoptedBridges
from vifguard.agent.wiring.applied_wiring import AppliedWiring, Lost, WiringLoss
from vifguard.bridging.bridge import Bridge, DesiredBridges, Member, is_ours
from vifguard.bridging.bridge_applier import BridgeApplier, BridgeResult
from vifguard.bridging.quarantine import Quarantine
from vifguard.enforce.ebpf.state import Loss
from vifguard.feed.messages import PortReport
from vifguard.kernel.net import sysctl
from vifguard.kernel.net.link import Link, LinkRemoved
from vifguard.model.guard import Guard
from vifguard.model.port import PortState

log = logging.getLogger("vifguard")

V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class ReconcileResult:
    """Reports of the dirty ports; `failing` ones are to be tried again.

    `stuck` are interfaces of no port that are still members of a bridge, to be tried again too.
    `lost` are the ports whose guard or wiring was found lost: the kind of loss, and the cause.
    """

    reports: tuple[PortReport, ...] = ()
    failing: frozenset[str] = frozenset()
    stuck: frozenset[int] = frozenset()
    lost: Mapping[str, tuple[Loss, str] | Lost] = field(default_factory=dict)


class Reconciler:
    """Reconciles dirty ports and links. One thread's.

    `by_name`: the quarantine can wait for an interface that is not there yet.
    """

    def __init__(
        self,
        state: AgentState,
        guards: Enforcement,
        wirer: BridgeApplier,
        quarantine: Quarantine,
        adopted: AdoptedBridges,
        *,
        by_name: bool,
    ) -> None:
        self._state = state
        self._adopted = adopted
        self._guards = guards
        self._wirer = wirer
        self._applied_wiring = AppliedWiring(wirer)
        self._undone: dict[int, Lost] = {}
        self._quarantine = quarantine
        self._by_name = by_name
        self._ipv6_disabled: set[int] = set()
        self._ifindex_of: dict[str, int] = {}
        self._missing_interfaces: dict[str, str] = {}
        self._stuck: dict[int, str] = {}
        self.port_by_ifindex: dict[int, str] = {}
        self.watched: Mapping[int, str] = {}
        self.rejecting: Mapping[int, Placement] = {}
        self.claiming: Mapping[int, Placement] = {}
        self.detecting: Mapping[int, Placement] = {}

    def host_silencing(self) -> dict[int, tuple[str, Mapping[str, str]]]:
        """The settings that keep the host itself off its wiring, by interface, with its name.

        Another thread may call this, and gets the present state or that of a moment ago.
        """
        links = self._state.links
        found = {
            i: sysctl.NO_HOST_IPV6 for i in list(self.port_by_ifindex) if i in self._ipv6_disabled
        }
        found |= dict.fromkeys(list(self._state.bridges), sysctl.NO_HOST_IP)
        here = ((links.get(i), settings) for i, settings in found.items())
        return {link.index: (link.name, settings) for link, settings in here if link}

    def reconcile(self, dirty: Dirty) -> ReconcileResult:
        """Bring dirty ports and links to their desired state."""
        ports, (regrouped, why) = self._state.ports, self._load_ruleset()
        dirty = replace(dirty, ports=dirty.ports | regrouped)
        self._look_up_missing(dirty)
        self._adopted.note_left(self.port_by_ifindex)
        placements = [locate(self._state, ports[i]) for i in dirty.ports if i in ports]
        placements = [_closed(each, why) for each in placements]
        places = self._attachable(by_ifindex(placements))
        self._adopted.note(place.link for place in places.values() if place.link)
        before = {i: name for i in dirty.ports if (name := self._missing_interfaces.pop(i, None))}
        self._undone = {}
        lost: dict[str, tuple[Loss, str] | Lost] = dict(
            self._quarantine_missing(placements, before)
        )
        plan = self._plan(places, self._scope(places, dirty))
        result = self._guards.apply(plan)
        outcome = self._reconcile_bridges(places, result, dirty)
        outcome.members |= self._allow_forwarding(places, result)
        self._lift_quarantine(places, result, before.values())
        self._update_index(places, dirty)
        failed = dict(result.failed) | {i: w for i, w in outcome.members.items() if i in places}
        return ReconcileResult(
            tuple(_report(placement, failed, outcome) for placement in placements),
            frozenset(places[index].port.policy.port_id for index in failed)
            | (regrouped if why else frozenset()),
            frozenset(self._stuck),
            lost
            | {places[i].port.policy.port_id: w for i, w in self._undone.items() if i in places}
            # A guard that went with its interface was not lost.
            | {
                places[i].port.policy.port_id: p
                for i, p in plan.lost.items()
                if self._wirer.link(i)
            },
        )

    def _attachable(self, places: Mapping[int, Placement]) -> dict[int, Placement]:
        """The places at which a guard may be put, or has been; not those of waiting guests."""
        return {
            index: place
            for index, place in places.items()
            if not place.stays or index in self.port_by_ifindex or self._guards.has(index)
        }

    def _allow_forwarding(
        self, places: Mapping[int, Placement], result: Result
    ) -> Mapping[int, str]:
        """Allow guarded members of the operator's bridges to forward; return why others cannot."""
        bare = result.unguarded & places.keys()
        failed = dict(self._adopted.deny_forwarding(bare))
        return failed | self._adopted.allow_forwarding(
            {i: place.port.policy for i, place in places.items() if i not in bare},
            self.guarded,
        )

    def guarded(self) -> frozenset[int]:
        """The interfaces of ports whose guards were read back when they were last put there.

        Another thread may call this, and gets the present state or that of a moment ago.
        """
        return frozenset(list(self._guards.enforced)).intersection(list(self.port_by_ifindex))

    def _load_ruleset(self) -> tuple[frozenset[str], str]:
        """Load pending rules into the driver; return the ports that this concerns.

        Also the reason why no port with groups can be enforced, where the kernel takes none of it.
        """
        change = self._state.book.pending()
        if change is None:
            return frozenset(), ""
        try:
            groups = self._guards.load_ruleset(change)
        except OSError as error:
            log.exception("what security groups say could not be brought into force")
            return self._state.grouped, f"its security groups are not in force: {error}"
        self._state.book.mark_applied()
        return self._state.with_groups(groups), ""

    def sweep(self) -> frozenset[int]:
        """Remove guards, bridges and quarantine of no port, once all ports are reconciled.

        Returns the interfaces of no port that could not be taken out of their bridges.
        """
        self._forget_gone()
        self._adopted.compare(self.port_by_ifindex.keys(), self.guarded())
        plan = self._guards.plan_sweep(self.port_by_ifindex.keys())
        self._guards.apply(self._detach(plan))
        links = {link.index: link for link in self._state.links.values() if self._is_stray(link)}
        bridges = _by_name(bridge_of(self._state, each.network_id) for each in self._state.segments)
        links.update(self._links_of(bridges))
        self._apply_bridges(DesiredBridges(bridges, {}), links.values())
        self._ipv6_disabled.intersection_update(self._state.links)
        self._applied_wiring.keep(self._state.links, bridges)
        sealed = {self._state.links[i].name for i in self._state.bridges}
        self._set_quarantine(
            release=self._quarantine.devices - set(self._missing_interfaces.values()) - sealed
        )
        return frozenset(self._stuck)

    def _forget_gone(self) -> None:
        """Forget ports that are gone: a complete update does not name them."""
        removed = (
            self._ifindex_of.keys() | self._missing_interfaces.keys()
        ) - self._state.ports.keys()
        self._update_index({}, Dirty(frozenset(removed)))
        for port_id in removed:
            self._missing_interfaces.pop(port_id, None)

    def _is_stray(self, link: Link) -> bool:
        """Whether a link is a bridge of ours, or in one without being a port's."""
        inside = link.master in self._state.bridges and link.index not in self.port_by_ifindex
        return inside or link.index in self._state.bridges

    def _quarantine_missing(
        self, placements: Iterable[Placement], before: Mapping[str, str]
    ) -> dict[str, Lost]:
        """Quarantine the names of missing interfaces; return the losses of it, by port."""
        if not self._by_name:
            return {}
        ports = (placement.port for placement in placements if placement.link is None)
        names = {port.policy.port_id: claimed_name(port) for port in ports}
        awaited = {i: name for i, name in names.items() if self._state.named(name) is None}
        self._missing_interfaces |= awaited
        lost = [
            i
            for i, name in awaited.items()
            if before.get(i) == name and not self._quarantine.is_blocked(name)
        ]
        self._set_quarantine(hold=awaited.values())
        return {
            i: (WiringLoss.QUARANTINE, f"the quarantine did not wait for {awaited[i]}")
            for i in lost
        }

    def _scope(self, places: Mapping[int, Placement], dirty: Dirty) -> frozenset[int]:
        """The interfaces of the dirty ports, before and now, and dirty links that have a guard."""
        before = {self._ifindex_of[i] for i in dirty.ports if i in self._ifindex_of}
        guarded = dirty.links & (self.port_by_ifindex.keys() | self._stuck.keys())
        return frozenset(before | guarded | places.keys())

    def _look_up_missing(self, dirty: Dirty) -> None:
        """Look for interfaces of dirty ports, and other guards, that the state does not have.

        A link that was in no notice, or was left out of a dump, may be there all the same.
        """
        for index in self._scope({}, dirty) - self._state.links.keys():
            self._find(index)

    def _find(self, index: int) -> Link | None:
        """The link with an index, read from the kernel where the state has none."""
        link = self._state.links.get(index) or self._wirer.link(index)
        if link is not None and index not in self._state.links:
            log.warning(
                "the kernel has interface %s, which was in no notice and no dump", link.name
            )
            self._state.take(link)
        return link

    def _plan(self, places: Mapping[int, Placement], scope: frozenset[int]) -> Plan:
        for index, placement in places.items():
            self._disable_host_ipv6(index, placement)
        running = [i for i, place in places.items() if self._adopted.was_there(place.link)]
        return self._detach(self._guards.plan(places, scope, running))

    def _disable_host_ipv6(self, index: int, placement: Placement) -> None:
        """Turn off the host's own IPv6 at a guest's interface, before it is up in a bridge."""
        if index in self._ipv6_disabled or placement.link is None:
            return
        try:
            sysctl.write(placement.link.name, sysctl.NO_HOST_IPV6)
            self._ipv6_disabled.add(index)
        except OSError as error:
            log.warning("IPv6 stays on at %s: %s", placement.link.name, error)

    def _detach(self, plan: Plan) -> Plan:
        """Cut off the plan's leaving interfaces; the plan, with those that failed kept guarded."""
        for index in plan.seen.ports:
            self._stuck.pop(index, None)
        stuck = self._cut_off(plan.detached)
        self._stuck.update(stuck)
        kept = [self._state.links[index] for index in stuck]
        return self._guards.keep_closed(plan, kept) if kept else plan

    def _cut_off(self, indexes: Iterable[int]) -> dict[int, str]:
        """Take interfaces that are no port's any more out of their bridge, and down.

        In a bridge of the operator's they stay where they were found, and forward nothing.
        Returns those that are still there and could not be cut off, each with the reason.
        """
        indexes = frozenset(indexes)
        failed = dict(self._adopted.deny_forwarding(indexes))
        leaving = [index for index in indexes if not self._adopted.keeps(index)]
        found = {i: link for i in leaving if (link := self._find(i))}
        # A link that we set up a moment after it was renamed is up before the notice of that.
        here = {i: replace(link, up=True) for i, link in found.items()}
        members = {
            i: Member(self.port_by_ifindex.get(i, ""), "", link.mac, link.mtu, up=False)
            for i, link in here.items()
        }
        outcome = self._apply_bridges(DesiredBridges({}, members), here.values())
        failed |= outcome.members
        stuck = {i: why for i, why in failed.items() if self._wirer.link(i)}
        for index, why in stuck.items():
            name = self._state.links[index].name
            log.error("interface %s keeps its guard, closed: %s", name, why)
        return stuck

    def _reconcile_bridges(
        self, places: Mapping[int, Placement], result: Result, dirty: Dirty
    ) -> BridgeResult:
        """Reconcile bridges, with the guarded interfaces as members."""
        members = {
            index: self._member(placement, result)
            for index, placement in places.items()
            if not placement.stays
        }
        near = {*members, *(i for i in dirty.links if i in self._state.links)}
        links = {index: self._state.links[index] for index in near}
        bridges = self._bridges_concerned(places, links)
        outcome = self._apply_bridges(DesiredBridges(bridges, members), links.values())
        for why in outcome.bridges.values():
            log.error("%s", why)
        return outcome

    def _member(self, placement: Placement, result: Result) -> Member:
        """The desired membership of an interface: none while its guard is not as it should be.

        On a bridge of the operator's it stays: its guard is closed, or it may not forward.
        """
        port, link = placement.port, placement.link
        index = link.index if link else 0
        name = CONTESTED if placement.contested else port.policy.port_id
        if placement.closed or index in result.failed:
            # An interface without a bridge to leave is cut off by taking it down; so is one
            # without any guard, for which no chain may wait.
            cut = index in result.unguarded or (placement.reversed_hooks and index in result.failed)
            kept = self._adopted.bridge_of(link) if link else None
            up = False if cut else None
            return Member(name, kept.name if kept else "", port.mac, port.segment.mtu, up)
        bridge = placement.bridge.name if placement.bridge else ""
        return Member(name, bridge, port.mac, port.segment.mtu, up=True)

    def _bridges_concerned(
        self, places: Mapping[int, Placement], links: dict[int, Link]
    ) -> dict[str, Bridge]:
        """The bridges of some places and links; adds the bridges' own links to `links`."""
        state = self._state
        masters = (state.links.get(link.master) for link in list(links.values()))
        idle = (
            b for i in state.bridges if not state.networks_of_bridge((b := state.links[i]).name)
        )
        links.update({link.index: link for link in (*masters, *idle) if link and is_ours(link)})
        bridges = _by_name(placement.bridge for placement in places.values())
        for link in links.values():
            if is_ours(link):
                networks = state.networks_of_bridge(link.name)
                bridges |= _by_name(bridge_of(state, network) for network in networks)
        links.update(self._links_of(bridges))
        return bridges

    def _links_of(self, bridges: Mapping[str, Bridge]) -> dict[int, Link]:
        """The links of bridges and their uplinks, as far as they exist."""
        names = (name for bridge in bridges.values() for name in (bridge.name, bridge.uplink))
        found = (self._state.named(name) for name in names)
        return {link.index: link for link in found if link}

    def _apply_bridges(self, wanted: DesiredBridges, links: Iterable[Link]) -> BridgeResult:
        change = self._wirer.diff(wanted, self._wirer.observe(links))
        if change is None:
            self._applied_wiring.note(wanted, BridgeResult())
            return BridgeResult()
        self._undone |= self._applied_wiring.undone(wanted, change)
        outcome = self._wirer.apply(change)
        self._applied_wiring.note(wanted, outcome)
        # Our own changes are known at once; the kernel's notice of them then changes nothing.
        for link in outcome.links:
            self._state.take(link)
        for index in outcome.removed:
            self._state.take(LinkRemoved(index))
        return outcome

    def _lift_quarantine(
        self, places: Mapping[int, Placement], result: Result, before: Iterable[str]
    ) -> None:
        """Lift the quarantine of guarded interfaces; impose it where none could be guarded.

        Lift it as well for names among `before` that no port claims any more.
        """
        # A chain is bound to a name and outlives the device: block no name that no port claims.
        names = {i: self._state.links[i].name for i in result.unguarded if i in self._state.links}
        bare = {name for name in names.values() if self._state.claimants(name)}
        release = {claimed_name(p.port) for p in places.values()}
        release |= {p.link.name for p in places.values() if p.link}
        release |= {name for name in before if not self._state.claimants(name)}
        self._set_quarantine(hold=bare, release=release - bare)

    def _set_quarantine(self, hold: Iterable[str] = (), release: Iterable[str] = ()) -> None:
        for name, why in self._quarantine.update(hold, release).items():
            log.error("the quarantine at %s cannot be changed: %s", name, why)

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
        self._ipv6_disabled.difference_update(
            [i for i in dirty.links if i not in self._state.links]
        )


def _guarded_view(
    before: Mapping[int, V], removed: Collection[int], added: Mapping[int, V]
) -> Mapping[int, V]:
    """A view of some guarded interfaces, after additions and removals: another thread reads it."""
    if not added and before.keys().isdisjoint(removed):
        return before
    return {index: each for index, each in before.items() if index not in removed} | dict(added)


def _closed(placement: Placement, why: str) -> Placement:
    """The place, closed where its security groups are not in force."""
    if why and not placement.closed and Guard.SECURITY_GROUPS in placement.port.policy.guards:
        return replace(placement, closed=why)
    return placement


def _report(placement: Placement, failed: Mapping[int, str], outcome: BridgeResult) -> PortReport:
    port, link = placement.port, placement.link
    name = link.name if link else ""
    why = placement.closed or (failed.get(link.index, "") if link else "")
    if why:
        state = PortState.HELD_CLOSED
    elif link is None or placement.stays:
        state, why = PortState.ABSENT, placement.note
    else:
        state = PortState.ENFORCED
        uplink = placement.bridge.uplink if placement.bridge else ""
        why = placement.note or outcome.uplinks.get(uplink, "")
    return PortReport(port.policy.port_id, port.revision, state, name, why)


def _by_name(bridges: Iterable[Bridge | None]) -> dict[str, Bridge]:
    return {bridge.name: bridge for bridge in bridges if bridge is not None}
