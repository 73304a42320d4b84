"""The wirings of a host: each place, interface and name goes to the wiring that it has."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from vifguard.agent.placement import Placement
from vifguard.agent.state import AgentState
from vifguard.agent.wiring.adoption import Adoption
from vifguard.agent.wiring.applied_wiring import Lost
from vifguard.agent.wiring.choice import WiringName, choose
from vifguard.agent.wiring.interface_quarantine import InterfaceQuarantine
from vifguard.agent.wiring.wiring import Batch, Connected, Wiring
from vifguard.bridging.bridge import port_of_mark
from vifguard.kernel.net.link import Link


class Wirings:
    """All wirings of a host, in the order in which they are asked for a leaving interface.

    One thread's, but for `silenced`.
    """

    def __init__(
        self,
        state: AgentState,
        wirings: Mapping[WiringName, Wiring],
        quarantine: InterfaceQuarantine,
        adoption: Adoption,
    ) -> None:
        self._state = state
        self._wirings = wirings
        self._quarantine = quarantine
        self._adoption = adoption
        self._bridges: dict[int, str] = {}
        """The bridge that each interface was last given, by name."""

    def wait(self, placements: Iterable[Placement], dirty: Collection[str]) -> dict[str, Lost]:
        """Block the interfaces of `dirty` ports that are not there yet; return losses of that."""
        missing = [x for x in placements if x.link is None and self._is_held(x.wiring)]
        return self._quarantine.wait(missing, dirty)

    def prepare(self, places: Mapping[int, Placement], ports: Mapping[int, str]) -> dict[int, str]:
        """Record interfaces as they are, and silence the host itself at them.

        Disconnect those whose port or bridge changes: the policy to come must not be in force in
        the old place. `ports` are those that interfaces have had until now. Returns those for
        which that failed, with the reason.
        """
        self._prepare(places, ports)
        leaving = {
            i: place for i, place in places.items() if self._is_leaving(place, ports.get(i, ""))
        }
        if not leaving:
            return {}
        failed = self.disconnect(self._state.links[i] for i in leaving if i in self._state.links)
        # They have all that was recorded of them again.
        self._prepare(leaving, ports)
        return {
            i: f"its interface cannot leave its former place: {why}" for i, why in failed.items()
        }

    def running(self, places: Mapping[int, Placement]) -> frozenset[int]:
        """The places whose guests had a network before any guard."""
        return frozenset(
            i for i, x in places.items() if x.link and self._wirings[x.wiring].was_running(x.link)
        )

    def connect(self, places: Mapping[int, Placement], batch: Batch) -> Connected:
        """Give guarded interfaces their place; lift or impose their quarantine."""
        connected = Connected()
        for name, wiring in self._wirings.items():
            connected.add(wiring.connect(_of(name, places), batch))
        self._note(places, {*batch.failed, *connected.failed})
        bare = [i for i in batch.unguarded if i not in places or self.holds(places[i])]
        self._quarantine.lift(places, bare, self._has_held_port)
        return connected

    def holds(self, place: Placement) -> bool:
        """Whether an interface passes nothing without a guard, by its wiring's quarantine."""
        return self._is_held(place.wiring)

    def disconnect(self, links: Iterable[Link]) -> dict[int, str]:
        """Make interfaces pass nothing in their place; return the failures with the reason."""
        leaving: dict[WiringName, list[Link]] = {}
        for link in links:
            leaving.setdefault(self._name_of(link), []).append(link)
        failed: dict[int, str] = {}
        for name, own in leaving.items():
            failed |= self._wirings[name].disconnect(own)
        return failed

    def forget(self, indexes: Iterable[int]) -> None:
        """Forget disconnected interfaces, once their guards are gone."""
        indexes = frozenset(indexes)
        self._adoption.forget(indexes)
        self._forget(indexes)

    def compare(self, ports: Collection[int], guarded: Collection[int]) -> None:
        """Put right what belongs to no port, once all ports have had their turn."""
        for wiring in self._wirings.values():
            wiring.compare(ports, guarded)

    def sweep(self, ports: Collection[int]) -> None:
        """Remove leftovers, after guards of no port went."""
        self._forget(self._bridges.keys() - ports)
        self.disconnect(self._adoption.keep(ports))
        for wiring in self._wirings.values():
            wiring.sweep(ports)
        self._quarantine.sweep()

    def forget_others(self, ports: Collection[str]) -> None:
        """Wait for the interfaces of no other ports."""
        self._quarantine.forget_others(ports)

    def silenced(self) -> dict[int, tuple[str, Mapping[str, str]]]:
        """The settings that keep the host itself off its wiring, by interface, with its name.

        Another thread may call this, and gets the present state or that of a moment ago.
        """
        links = self._state.links
        found: dict[int, Mapping[str, str]] = {}
        for wiring in self._wirings.values():
            found |= wiring.silenced()
        here = ((links.get(i), settings) for i, settings in found.items())
        return {link.index: (link.name, settings) for link, settings in here if link}

    def _prepare(self, places: Mapping[int, Placement], ports: Collection[int]) -> None:
        for name, wiring in self._wirings.items():
            wiring.prepare(_of(name, places), ports)

    def _is_leaving(self, place: Placement, before: str) -> bool:
        """Whether an interface is in another place than this, or was another port's, `before`.

        One that was no port's is where its hypervisor put it, and leaves with its guard.
        """
        link = place.link
        # A closed guard passes nothing wherever it is.
        if link is None or not link.master or place.closed or place.stays:
            return False
        if not self.holds(place):
            return self._adoption.is_taken(link.index)
        before = before or port_of_mark(link)
        master = self._state.links.get(link.master)
        bridge = self._bridges.get(link.index) or (master.name if master else "")
        here = (place.port.policy.port_id, place.bridge.name if place.bridge else "")
        return bool(before) and (before, bridge) != here

    def _note(self, places: Mapping[int, Placement], failed: Collection[int]) -> None:
        """Note the bridges that interfaces have joined."""
        self._forget(places)
        self._bridges |= {
            i: place.bridge.name
            for i, place in places.items()
            if place.bridge and not (place.closed or place.stays or i in failed)
        }

    def _forget(self, indexes: Iterable[int]) -> None:
        for index in indexes:
            self._bridges.pop(index, None)

    def _name_of(self, link: Link) -> WiringName:
        """The wiring of an interface that is no port's any more."""
        return next(name for name, wiring in self._wirings.items() if wiring.has(link))

    def _is_held(self, wiring: WiringName) -> bool:
        return self._wirings[wiring].has_quarantine

    def _has_held_port(self, name: str) -> bool:
        """Whether a port whose wiring has a quarantine claims an interface of this name."""
        ports = (self._state.ports[i] for i in self._state.claimants(name))
        choices = (choose(self._state, port.segment.network_id) for port in ports)
        return any(self._is_held(choice.wiring) for choice in choices)


def _of(name: WiringName, places: Mapping[int, Placement]) -> dict[int, Placement]:
    return {index: place for index, place in places.items() if place.wiring is name}
