"""The wiring by our own bridges: one a network, sealed off from the host, with its uplink."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from vifguard.agent.placement import Placement
from vifguard.agent.state import AgentState
from vifguard.agent.wiring.adoption import Adoption
from vifguard.agent.wiring.choice import bridge_of
from vifguard.agent.wiring.members import Members, bridges_by_name, member
from vifguard.agent.wiring.wiring import Batch, Connected
from vifguard.bridging.bridge import Bridge, DesiredBridges, is_ours
from vifguard.kernel.net import sysctl
from vifguard.kernel.net.link import Link


class OwnBridges:
    """Our bridges: made with their first port, removed with their last. One thread's.

    An interface of a closed port, or without its guard, is a member of none. One that no port is
    for is taken out, and down.
    """

    has_quarantine = True

    def __init__(self, state: AgentState, members: Members, adoption: Adoption) -> None:
        self._state = state
        self._members = members
        self._adoption = adoption

    def prepare(self, places: Mapping[int, Placement], _ports: Collection[int]) -> None:
        """Record the interfaces, and turn the host's own IPv6 off at them."""
        self._adoption.note(place.link for place in places.values() if place.link)
        self._members.disable_host_ipv6(places)

    def was_running(self, _link: Link) -> bool:
        """No: its network is given to it after its guard."""
        return False

    def connect(self, places: Mapping[int, Placement], batch: Batch) -> Connected:
        """Make the bridges, with the guarded interfaces as their only members."""
        members = {
            index: member(place, batch, closed_in="")
            for index, place in places.items()
            if not place.stays
        }
        near = {*members, *(i for i in batch.links if i in self._state.links)}
        self._members.forget([i for i in batch.links if i not in near])
        links = {index: self._state.links[index] for index in near}
        bridges = self._concerned(places, links)
        return self._members.apply(DesiredBridges(bridges, members), links.values())

    def has(self, _link: Link) -> bool:
        """Yes: whatever is no other wiring's is cut off by this one."""
        return True

    def disconnect(self, links: Iterable[Link]) -> Mapping[int, str]:
        """Take interfaces out of their bridge, down or where they were, and give them back."""
        return self._members.give_back(links)

    def compare(self, ports: Collection[int], guarded: Collection[int]) -> None:
        """Do nothing: members of no port are swept."""

    def sweep(self, ports: Collection[int]) -> None:
        """Remove members that are no port's, and bridges without a network."""
        state = self._state
        links = {x.index: x for x in state.links.values() if self._is_stray(x, ports)}
        bridges = bridges_by_name(bridge_of(state, each.network_id) for each in state.segments)
        links.update(self._members.links_of(bridges))
        self._members.apply(DesiredBridges(bridges, {}), links.values())
        self._members.keep(bridges)

    def silenced(self) -> Mapping[int, Mapping[str, str]]:
        """The sysctls that keep the host itself off our bridges and their members."""
        bridges = dict.fromkeys(list(self._state.bridges), sysctl.NO_HOST_IP)
        return self._members.silenced() | bridges

    def _is_stray(self, link: Link, ports: Collection[int]) -> bool:
        """Whether a link is a bridge of ours, or in one without being a port's."""
        inside = link.master in self._state.bridges and link.index not in ports
        return inside or link.index in self._state.bridges

    def _concerned(
        self, places: Mapping[int, Placement], links: dict[int, Link]
    ) -> dict[str, Bridge]:
        """The bridges of some places and links; adds the bridges' own links to `links`."""
        state = self._state
        masters = (state.links.get(link.master) for link in list(links.values()))
        idle = (
            b for i in state.bridges if not state.networks_of_bridge((b := state.links[i]).name)
        )
        links.update({link.index: link for link in (*masters, *idle) if link and is_ours(link)})
        bridges = bridges_by_name(place.bridge for place in places.values())
        for link in links.values():
            if is_ours(link):
                networks = state.networks_of_bridge(link.name)
                bridges |= bridges_by_name(bridge_of(state, network) for network in networks)
        links.update(self._members.links_of(bridges))
        return bridges
