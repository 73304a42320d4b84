"""The wiring that is somebody else's: an interface is guarded, and otherwise left alone.

Its master, MTU, MAC, state and sysctls are its hypervisor's. It has no quarantine: until its guard
is in, and once its port is deleted, it passes what its hypervisor lets it pass.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping

from vifguard.agent.placement import CONTESTED, Placement
from vifguard.agent.state import AgentState
from vifguard.agent.wiring.adoption import Adoption
from vifguard.agent.wiring.wiring import Batch, Connected
from vifguard.bridging.bridge import mark, port_of_mark
from vifguard.kernel.net.link import Link

log = logging.getLogger("vifguard")


class HandsOff:
    """Interfaces that bear their port as their alias, where they had none. One thread's.

    The alias is the mark of the guard: by it an agent knows whose guard it finds.
    """

    has_quarantine = False

    def __init__(self, state: AgentState, adoption: Adoption) -> None:
        self._state = state
        self._adoption = adoption

    def prepare(self, places: Mapping[int, Placement], ports: Collection[int]) -> None:
        """Do nothing: until the guard is in, an interface is as its hypervisor left it."""

    def was_running(self, _link: Link) -> bool:
        """Yes: nobody kept its guest from its network."""
        return True

    def connect(self, places: Mapping[int, Placement], batch: Batch) -> Connected:
        """Mark guarded interfaces; first give back those that were wired by us."""
        if not places:
            return Connected()
        links = self._state.links
        here = {i for i in places if i in links and i not in batch.unguarded}
        taken = [links[i] for i in here if self._adoption.is_taken(i)]
        # The guard is in: whichever place it had, it passes no more there than its guard lets it.
        connected = Connected(self._adoption.give_back(taken, lambda _: True))
        self._adoption.forget(x.index for x in taken if x.index not in connected.failed)
        here -= connected.failed.keys()
        self._adoption.note((links[i] for i in here), hands_off=True)
        self._mark({i: places[i] for i in here})
        return connected

    def has(self, link: Link) -> bool:
        """Whether it was marked by this wiring."""
        return self._adoption.is_hands_off(link.index)

    def disconnect(self, links: Iterable[Link]) -> Mapping[int, str]:
        """Take the mark away; the guard goes, and nothing else of the interface changes."""
        return self._adoption.give_back(links, lambda _: True)

    def compare(self, ports: Collection[int], guarded: Collection[int]) -> None:
        """Do nothing: what belongs to no port is somebody else's."""

    def sweep(self, ports: Collection[int]) -> None:
        """Do nothing: what belongs to no port is somebody else's."""

    def silenced(self) -> Mapping[int, Mapping[str, str]]:
        """None: the host's own sysctls are not touched."""
        return {}

    def _mark(self, places: Mapping[int, Placement]) -> None:
        aliases, links = {}, self._state.links
        for index, place in places.items():
            link = links[index]
            alias = mark(CONTESTED if place.contested else place.port.policy.port_id)
            is_free = not link.alias or bool(port_of_mark(link))
            if is_free and link.alias != alias:
                aliases[index] = alias
        for index, why in self._adoption.set_aliases(aliases).items():
            log.warning("interface %s has no mark of its guard: %s", links[index].name, why)
