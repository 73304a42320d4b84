"""Interfaces of ports as members of bridges, whoever made the bridge."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

from vifguard.agent.placement import CONTESTED, Placement
from vifguard.agent.state import AgentState
from vifguard.agent.wiring.adopted_bridges import AdoptedBridges
from vifguard.agent.wiring.adoption import Adoption
from vifguard.agent.wiring.applied_wiring import AppliedWiring
from vifguard.agent.wiring.wiring import Batch, Connected
from vifguard.bridging.bridge import Bridge, DesiredBridges, Member
from vifguard.bridging.bridge_applier import BridgeApplier, BridgeResult
from vifguard.kernel.net import sysctl
from vifguard.kernel.net.link import Link, LinkRemoved

log = logging.getLogger("vifguard")


class Members:
    """The members of bridges, as they were applied last. One thread's."""

    def __init__(
        self,
        state: AgentState,
        applier: BridgeApplier,
        adopted: AdoptedBridges,
        adoption: Adoption,
    ) -> None:
        self._state = state
        self._adopted = adopted
        self._adoption = adoption
        self._applier = applier
        self._applied = AppliedWiring(applier)
        self._ipv6_disabled: set[int] = set()

    def disable_host_ipv6(self, places: Mapping[int, Placement]) -> None:
        """Turn off the host's own IPv6 at guests' interfaces, before they are up in a bridge."""
        for index, place in places.items():
            if index in self._ipv6_disabled or place.link is None:
                continue
            try:
                sysctl.write(place.link.name, sysctl.NO_HOST_IPV6)
                self._ipv6_disabled.add(index)
            except OSError as error:
                log.warning("IPv6 stays on at %s: %s", place.link.name, error)

    def silenced(self) -> dict[int, Mapping[str, str]]:
        """The sysctls that must hold at interfaces; any thread may call this."""
        return dict.fromkeys(list(self._ipv6_disabled), sysctl.NO_HOST_IPV6)

    def apply(self, desired: DesiredBridges, links: Iterable[Link]) -> Connected:
        """Bring bridges and members to their desired state; the state knows it at once."""
        change = self._applier.diff(desired, self._applier.observe(links))
        if change is None:
            self._applied.note(desired, BridgeResult())
            return Connected()
        undone = self._applied.undone(desired, change)
        result = self._applier.apply(change)
        self._applied.note(desired, result)
        # Our own changes are known at once; the kernel's notice of them then changes nothing.
        for link in result.links:
            self._state.take(link)
        for index in result.removed:
            self._state.take(LinkRemoved(index))
        for why in result.bridges.values():
            log.error("%s", why)
        return Connected(result.members, result.uplinks, undone)

    def give_back(self, links: Iterable[Link]) -> dict[int, str]:
        """Give interfaces back as they were found, or cut off; return the failures with the reason.

        In a bridge of the operator's they forward nothing. One that no filter would hold back
        where it was, or whose state was not recorded, is cut off: out of its bridge, and down.
        Their guards are still there, and go last.
        """
        # A link that we set up a moment after it was renamed is up before the notice of that.
        here = [replace(link, up=True) for link in links]
        indexes = [link.index for link in here]
        failed = dict(self._adopted.deny_forwarding(indexes))
        failed |= self._adoption.give_back(here, self._adopted.holds)
        failed |= self._cut_off(x for x in here if not self._adoption.is_taken(x.index))
        # One that is back in such a bridge by this may have forwarded there before.
        failed |= self._adopted.deny_forwarding(indexes)
        back = [i for i in indexes if i not in failed]
        self._adopted.forget(back)
        self._applied.forget(back)
        self.forget(back)
        return failed

    def _cut_off(self, links: Iterable[Link]) -> dict[int, str]:
        here = {link.index: link for link in links}
        members = {i: Member("", "", link.mac, link.mtu, up=False) for i, link in here.items()}
        return self.apply(DesiredBridges({}, members), here.values()).failed

    def links_of(self, bridges: Mapping[str, Bridge]) -> dict[int, Link]:
        """The links of bridges and their uplinks, as far as they exist."""
        names = (name for bridge in bridges.values() for name in (bridge.name, bridge.uplink))
        found = (self._state.named(name) for name in names)
        return {link.index: link for link in found if link}

    def keep(self, bridges: Collection[str]) -> None:
        """Forget interfaces that are gone, and other bridges."""
        self._ipv6_disabled.intersection_update(self._state.links)
        self._applied.keep(self._state.links, bridges)

    def forget(self, indexes: Iterable[int]) -> None:
        """Let the host be as it is at these interfaces."""
        self._ipv6_disabled.difference_update(indexes)


def member(place: Placement, batch: Batch, *, closed_in: str) -> Member:
    """The desired membership of a place: its bridge where its guard is as it should be.

    `closed_in` names the bridge in which it stays otherwise; empty for none.
    """
    port, link = place.port, place.link
    index = link.index if link else 0
    name = CONTESTED if place.contested else port.policy.port_id
    if place.closed or index in batch.failed:
        # An interface without a bridge to leave is cut off by taking it down; so is one
        # without any guard, for which no chain may wait.
        cut = index in batch.unguarded or (place.reversed_hooks and index in batch.failed)
        return Member(name, closed_in, port.mac, port.segment.mtu, False if cut else None)
    bridge = place.bridge.name if place.bridge else ""
    return Member(name, bridge, port.mac, port.segment.mtu, up=True)


def bridges_by_name(bridges: Iterable[Bridge | None]) -> dict[str, Bridge]:
    """The bridges by name, without None."""
    return {bridge.name: bridge for bridge in bridges if bridge is not None}
