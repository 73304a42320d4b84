"""Makes the kernel what the state says, and tells what it was then read back to be.

The order keeps every moment closed: floor, guard, read back, member, up; and backwards on
the way out. Killed between any two steps, what is there passes no more than what is wanted.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from vifguard.agent.guards import Guards, Result, at
from vifguard.agent.place import CONTESTED, Placement, bridge_of, place
from vifguard.agent.state import State, Touched, claimed_name
from vifguard.feed.messages import PortReport
from vifguard.kernel import sysctl
from vifguard.kernel.link import Link, LinkGone
from vifguard.model.guard import Guard
from vifguard.model.port import PortState
from vifguard.wire.bridge import Bridge, Member, Wanted, is_ours
from vifguard.wire.floor import Floor
from vifguard.wire.wirer import Outcome, Wirer

log = logging.getLogger("vifguard")


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of the ports that were touched; `failing` want another try."""

    reports: tuple[PortReport, ...] = ()
    failing: frozenset[str] = frozenset()


class Reconciler:
    """Settles what was touched. One thread's.

    `by_name`: the floor can wait for an interface that is not there yet.
    """

    def __init__(
        self, state: State, guards: Guards, wirer: Wirer, floor: Floor, *, by_name: bool
    ) -> None:
        self._state = state
        self._guards = guards
        self._wirer = wirer
        self._floor = floor
        self._by_name = by_name
        self._deaf: set[int] = set()
        self._index_of: dict[str, int] = {}
        self._awaited: dict[str, str] = {}
        self.port_of: dict[int, str] = {}
        self.watching: Mapping[int, str] = {}
        self.refusing: Mapping[int, Placement] = {}

    def settle(self, touched: Touched) -> Settled:
        """Bring what was touched to where it belongs."""
        ports, (regrouped, why) = self._state.ports, self._tell_book()
        touched = replace(touched, ports=touched.ports | regrouped)
        placements = [place(self._state, ports[i]) for i in touched.ports if i in ports]
        placements = [_closed(each, why) for each in placements]
        places = at(placements)
        before = [name for i in touched.ports if (name := self._awaited.pop(i, None))]
        self._hold(placements)
        result = self._guard(places, self._scope(places, touched))
        outcome = self._wire(places, result, touched)
        self._release(places, result, before)
        self._remember(places, touched)
        failed = dict(result.failed) | {i: w for i, w in outcome.members.items() if i in places}
        return Settled(
            tuple(_report(placement, failed, outcome) for placement in placements),
            frozenset(places[index].port.policy.port_id for index in failed)
            | (regrouped if why else frozenset()),
        )

    def _tell_book(self) -> tuple[frozenset[str], str]:
        """What groups say, to the driver first; the ports that this concerns.

        And why no port with groups can be held, where the kernel takes none of it.
        """
        change = self._state.book.change()
        if change is None:
            return frozenset(), ""
        try:
            groups = self._guards.hold(change)
        except OSError as error:
            log.exception("what security groups say could not be brought into force")
            return self._state.grouped, f"its security groups are not in force: {error}"
        self._state.book.told()
        return self._state.with_groups(groups), ""

    def sweep(self) -> None:
        """Take away what is there and belongs to no port, once all ports are settled."""
        plan = self._guards.plan_sweep(self.port_of.keys())
        self._free(plan.leaving)
        self._guards.carry_out(plan)
        links = {link.index: link for link in self._state.links.values() if self._is_stray(link)}
        bridges = _by_name(bridge_of(self._state, each.network_id) for each in self._state.segments)
        links.update(self._links_of(bridges))
        self._rewire(Wanted(bridges, {}), links.values())
        self._deaf.intersection_update(self._state.links)
        sealed = {self._state.links[i].name for i in self._state.bridges}
        self._set_floor(release=self._floor.devices - set(self._awaited.values()) - sealed)

    def _is_stray(self, link: Link) -> bool:
        """Whether a link is a bridge of ours, or in one without being a port's."""
        inside = link.master in self._state.bridges and link.index not in self.port_of
        return inside or link.index in self._state.bridges

    def _hold(self, placements: Iterable[Placement]) -> None:
        """The floor waits for interfaces that are to come."""
        if not self._by_name:
            return
        ports = (placement.port for placement in placements if placement.link is None)
        names = {port.policy.port_id: claimed_name(port) for port in ports}
        awaited = {i: name for i, name in names.items() if self._state.named(name) is None}
        self._awaited |= awaited
        self._set_floor(hold=awaited.values())

    def _scope(self, places: Mapping[int, Placement], touched: Touched) -> frozenset[int]:
        """The interfaces of the touched ports, before and now, and the touched links' guards."""
        before = {self._index_of[i] for i in touched.ports if i in self._index_of}
        return frozenset(before | (touched.links & self.port_of.keys()) | places.keys())

    def _guard(self, places: Mapping[int, Placement], scope: frozenset[int]) -> Result:
        for index, placement in places.items():
            self._make_deaf(index, placement)
        plan = self._guards.plan(places, scope)
        self._free(plan.leaving)
        return self._guards.carry_out(plan)

    def _make_deaf(self, index: int, placement: Placement) -> None:
        """The host itself speaks no IPv6 with a guest, were it but for a moment."""
        if index in self._deaf or placement.link is None:
            return
        try:
            sysctl.write(placement.link.name, sysctl.ALONE)
            self._deaf.add(index)
        except OSError as error:
            log.warning("IPv6 stays on at %s: %s", placement.link.name, error)

    def _free(self, indexes: Iterable[int]) -> None:
        """Interfaces that are no port's any more: out of their bridge, down, and then bare."""
        # Raised by us a moment after it was renamed, it is up and the notice of that to come.
        here = {
            i: replace(self._state.links[i], up=True) for i in indexes if i in self._state.links
        }
        members = {
            i: Member(self.port_of.get(i, ""), "", link.mac, link.mtu, up=False)
            for i, link in here.items()
        }
        outcome = self._rewire(Wanted({}, members), here.values())
        for index, why in outcome.members.items():
            log.error("interface %s is left unguarded: %s", here[index].name, why)

    def _wire(self, places: Mapping[int, Placement], result: Result, touched: Touched) -> Outcome:
        """Bridges, and for members those whose guards are in."""
        members = {
            index: _member(placement, failed=index in result.failed)
            for index, placement in places.items()
        }
        near = {*members, *(i for i in touched.links if i in self._state.links)}
        links = {index: self._state.links[index] for index in near}
        bridges = self._scene(places, links)
        outcome = self._rewire(Wanted(bridges, members), links.values())
        for why in outcome.bridges.values():
            log.error("%s", why)
        return outcome

    def _scene(self, places: Mapping[int, Placement], links: dict[int, Link]) -> dict[str, Bridge]:
        """The bridges that have to do with some places and links; adds theirs to `links`."""
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
        """Bridges and their uplinks, those that are there."""
        names = (name for bridge in bridges.values() for name in (bridge.name, bridge.uplink))
        found = (self._state.named(name) for name in names)
        return {link.index: link for link in found if link}

    def _rewire(self, wanted: Wanted, links: Iterable[Link]) -> Outcome:
        change = self._wirer.diff(wanted, self._wirer.observe(links))
        if change is None:
            return Outcome()
        outcome = self._wirer.apply(change)
        # What we did is known at once; the kernel's own notice of it then says nothing new.
        for link in outcome.links:
            self._state.take(link)
        for index in outcome.gone:
            self._state.take(LinkGone(index))
        return outcome

    def _release(
        self, places: Mapping[int, Placement], result: Result, before: Iterable[str]
    ) -> None:
        """Off with the floor where a guard is in; on with it where none could be put.

        Off as well where nobody is awaited any more of those who were `before`.
        """
        bare = {self._state.links[i].name for i in result.bare if i in self._state.links}
        release = {claimed_name(p.port) for p in places.values()}
        release |= {p.link.name for p in places.values() if p.link}
        release |= {name for name in before if not self._state.claimants(name)}
        self._set_floor(hold=bare, release=release - bare)

    def _set_floor(self, hold: Iterable[str] = (), release: Iterable[str] = ()) -> None:
        for name, why in self._floor.set(hold, release).items():
            log.error("the floor at %s cannot be changed: %s", name, why)

    def _remember(self, places: Mapping[int, Placement], touched: Touched) -> None:
        """Which interface is whose, and which are gone."""
        watching, refusing = dict(self.watching), dict(self.refusing)
        for port_id in touched.ports:
            index = self._index_of.pop(port_id, None)
            if index is not None and self.port_of.get(index) == port_id:
                del self.port_of[index]
                watching.pop(index, None)
                refusing.pop(index, None)
        for index, placement in places.items():
            port_id = placement.port.policy.port_id
            self._index_of[port_id] = index
            self.port_of[index] = port_id
            if placement.port.policy.watched:
                watching[index] = port_id
            if placement.port.policy.reject:
                refusing[index] = placement
        # Another thread may be walking through the old ones.
        if watching != self.watching:
            self.watching = watching
        if refusing != self.refusing:
            self.refusing = refusing
        self._deaf.difference_update([i for i in touched.links if i not in self._state.links])


def _member(placement: Placement, *, failed: bool) -> Member:
    """What the interface is a member of: of nothing while its guard is not as it should be."""
    port = placement.port
    name = CONTESTED if placement.contested else port.policy.port_id
    if placement.closed or failed:
        # Where there is no bridge to leave, an interface is cut off by taking it down.
        cut = False if placement.swapped and failed else None
        return Member(name, "", port.mac, port.segment.mtu, cut)
    bridge = placement.bridge.name if placement.bridge else ""
    return Member(name, bridge, port.mac, port.segment.mtu, up=True)


def _closed(placement: Placement, why: str) -> Placement:
    """The place, closed where its groups are of no force."""
    if why and not placement.closed and Guard.GROUPS in placement.port.policy.guards:
        return replace(placement, closed=why)
    return placement


def _report(placement: Placement, failed: Mapping[int, str], outcome: Outcome) -> PortReport:
    port, link = placement.port, placement.link
    name = link.name if link else ""
    why = placement.closed or (failed.get(link.index, "") if link else "")
    if why:
        state = PortState.HELD_CLOSED
    elif link is None:
        state, why = PortState.ABSENT, placement.note
    else:
        state = PortState.ENFORCED
        uplink = placement.bridge.uplink if placement.bridge else ""
        why = placement.note or outcome.uplinks.get(uplink, "")
    return PortReport(port.policy.port_id, port.revision, state, name, why)


def _by_name(bridges: Iterable[Bridge | None]) -> dict[str, Bridge]:
    return {bridge.name: bridge for bridge in bridges if bridge is not None}
