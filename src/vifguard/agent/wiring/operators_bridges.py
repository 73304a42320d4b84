"""The wiring by a bridge of the operator's: its members forward once they are guarded."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from vifguard.agent.placement import Placement
from vifguard.agent.state import AgentState
from vifguard.agent.wiring.adopted_bridges import AdoptedBridges
from vifguard.agent.wiring.adoption import Adoption
from vifguard.agent.wiring.members import Members, bridges_by_name, member
from vifguard.agent.wiring.wiring import Batch, Connected
from vifguard.bridging.bridge import DesiredBridges
from vifguard.kernel.net.link import Link


class OperatorsBridges:
    """Bridges that are there before us, and stay. One thread's.

    An interface is where its hypervisor put it, or joins. A closed one stays: its guard is
    closed, or the filter of the bridge's members lets it forward nothing.
    """

    has_quarantine = True

    def __init__(
        self, state: AgentState, members: Members, adopted: AdoptedBridges, adoption: Adoption
    ) -> None:
        self._state = state
        self._members = members
        self._adopted = adopted
        self._adoption = adoption

    def prepare(self, places: Mapping[int, Placement], ports: Collection[int]) -> None:
        """Record the interfaces, and turn the host's own IPv6 off at them."""
        self._adopted.note_left(ports)
        self._adoption.note(place.link for place in places.values() if place.link)
        self._members.disable_host_ipv6(places)

    def was_running(self, link: Link) -> bool:
        """Whether it was a member before the bridge's members were first filtered."""
        return self._adopted.was_there(link)

    def connect(self, places: Mapping[int, Placement], batch: Batch) -> Connected:
        """Join the bridges, and let guarded members forward."""
        if not places:
            return Connected()
        members = {
            i: member(place, batch, closed_in=self._bridge_name(place.link))
            for i, place in places.items()
            if not place.stays
        }
        bridges = bridges_by_name(place.bridge for place in places.values())
        links = {i: self._state.links[i] for i in members}
        links |= self._links_of({each.bridge for each in members.values()})
        connected = self._members.apply(DesiredBridges(bridges, members), links.values())
        connected.failed |= self._allow_forwarding(places, batch)
        return connected

    def has(self, link: Link) -> bool:
        """Whether an interface is a member of such a bridge."""
        return self._adopted.bridge_of(link) is not None

    def disconnect(self, links: Iterable[Link]) -> Mapping[int, str]:
        """Let interfaces forward nothing, and give them back; take out those that were not there.

        One that was in the bridge when it was found stays, as a member without a port.
        """
        return self._members.give_back(links)

    def compare(self, ports: Collection[int], guarded: Collection[int]) -> None:
        """Let exactly those members forward that may, and filter bridges that are not."""
        self._adopted.compare(ports, guarded)

    def sweep(self, ports: Collection[int]) -> None:
        """Do nothing: the bridges are the operator's, and their members stay."""

    def silenced(self) -> Mapping[int, Mapping[str, str]]:
        """The sysctls that keep the host itself off the members."""
        return self._members.silenced()

    def _allow_forwarding(self, places: Mapping[int, Placement], batch: Batch) -> dict[int, str]:
        """Allow guarded members to forward; return why others cannot."""
        bare = batch.unguarded & places.keys()
        failed = dict(self._adopted.deny_forwarding(bare))
        guarded = {i: place.port.policy for i, place in places.items() if i not in bare}
        return failed | self._adopted.allow_forwarding(guarded, batch.guarded)

    def _bridge_name(self, link: Link | None) -> str:
        bridge = self._adopted.bridge_of(link) if link else None
        return bridge.name if bridge else ""

    def _links_of(self, names: Iterable[str]) -> dict[int, Link]:
        found = (self._state.named(name) for name in names if name)
        return {link.index: link for link in found if link}
