"""The quarantine of ports' interfaces: from their plug to their guard, and where none is put."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Mapping

from vifguard.agent.placement import Placement
from vifguard.agent.state import AgentState, claimed_name
from vifguard.agent.wiring.applied_wiring import Lost, WiringLoss
from vifguard.bridging.quarantine import Quarantine

log = logging.getLogger("vifguard")


class InterfaceQuarantine:
    """Drop chains at the names of interfaces. One thread's.

    `by_name`: a chain can wait for an interface that is not there yet.
    """

    def __init__(self, state: AgentState, quarantine: Quarantine, *, by_name: bool) -> None:
        self._state = state
        self._quarantine = quarantine
        self._by_name = by_name
        self._missing: dict[str, str] = {}
        self._before: Mapping[str, str] = {}

    def wait(self, missing: Iterable[Placement], dirty: Collection[str]) -> dict[str, Lost]:
        """Block the names of missing interfaces; return the losses of that, by port.

        `dirty` are the ports that were looked for, those of `missing` among them.
        """
        self._before = {i: name for i in dirty if (name := self._missing.pop(i, None))}
        if not self._by_name:
            return {}
        names = {place.port.policy.port_id: claimed_name(place.port) for place in missing}
        awaited = {i: name for i, name in names.items() if self._state.named(name) is None}
        self._missing |= awaited
        lost = [
            i
            for i, name in awaited.items()
            if self._before.get(i) == name and not self._quarantine.is_blocked(name)
        ]
        self._set(block=awaited.values())
        return {
            i: (WiringLoss.QUARANTINE, f"the quarantine did not wait for {awaited[i]}")
            for i in lost
        }

    def lift(
        self,
        places: Mapping[int, Placement],
        unguarded: Iterable[int],
        is_held: Callable[[str], bool],
    ) -> None:
        """Lift the quarantine of guarded interfaces; impose it where none could be guarded.

        Lift it as well for names that were waited for, and are no port's any more that
        `is_held` by it.
        """
        # A chain is bound to a name and outlives the device: block no name that no port claims.
        names = {i: self._state.links[i].name for i in unguarded if i in self._state.links}
        bare = {name for name in names.values() if is_held(name)}
        release = {claimed_name(place.port) for place in places.values()}
        release |= {place.link.name for place in places.values() if place.link}
        release |= {name for name in self._before.values() if not is_held(name)}
        self._set(block=bare, release=release - bare)

    def forget_others(self, ports: Collection[str]) -> None:
        """Forget all ports but these."""
        self._missing = {i: name for i, name in self._missing.items() if i in ports}

    def sweep(self) -> None:
        """Lift it everywhere but at missing interfaces and at our bridges."""
        sealed = {self._state.links[i].name for i in self._state.bridges}
        self._set(release=self._quarantine.devices - set(self._missing.values()) - sealed)

    def _set(self, block: Iterable[str] = (), release: Iterable[str] = ()) -> None:
        for name, why in self._quarantine.update(block, release).items():
            log.error("the quarantine at %s cannot be changed: %s", name, why)
