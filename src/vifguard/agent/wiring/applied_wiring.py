"""Bridges and members as they were last applied, to find changes that somebody else undoes."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from enum import StrEnum

from vifguard.bridging.bridge import Bridge, BridgeChange, DesiredBridges, Member
from vifguard.bridging.bridge_applier import BridgeApplier, BridgeResult
from vifguard.kernel.net.link import Link


class WiringLoss(StrEnum):
    """The kinds of losses around the guards, as they are counted."""

    BRIDGE = "bridge"
    MEMBER = "member"
    QUARANTINE = "quarantine"
    SYSCTL = "sysctl"
    FILTER = "filter"


Lost = tuple[WiringLoss, str]


class AppliedWiring:
    """The bridges and members that were applied. One thread's."""

    def __init__(self, wirer: BridgeApplier) -> None:
        self._wirer = wirer
        self._bridges: dict[str, Bridge] = {}
        self._members: dict[int, Member] = {}

    def undone(self, wanted: DesiredBridges, change: BridgeChange) -> dict[int, Lost]:
        """The applied changes that somebody undid and that are to be made again, by interface.

        The known state of an interface may be older than the change: the kernel is read.
        Raises OSError.
        """
        bridges = {b.name: self._bridge(b) for b in change.ready if self._bridges.get(b.name) == b}
        found = {i: lost for i, m in wanted.members.items() if (lost := bridges.get(m.bridge))}
        for link, _ in change.members:
            member = wanted.members[link.index]
            if link.index not in found and self._members.get(link.index) == member:
                lost = self._member(link, member)
                found |= {link.index: lost} if lost else {}
        return found

    def note(self, wanted: DesiredBridges, outcome: BridgeResult) -> None:
        """Note the wiring that was applied, without the parts that failed."""
        made = {n: b for n, b in wanted.bridges.items() if b.ours and n not in outcome.bridges}
        self._bridges.update(made)
        for index, member in wanted.members.items():
            if index in outcome.members or not member.bridge:
                self._members.pop(index, None)
            else:
                self._members[index] = member

    def forget(self, indexes: Iterable[int]) -> None:
        """Forget members that were given back."""
        for index in indexes:
            self._members.pop(index, None)

    def keep(self, indexes: Collection[int], bridges: Collection[str]) -> None:
        """Forget other interfaces and bridges."""
        self._members = {i: each for i, each in self._members.items() if i in indexes}
        self._bridges = {n: each for n, each in self._bridges.items() if n in bridges}

    def _bridge(self, bridge: Bridge) -> Lost | None:
        link = self._wirer.named(bridge.name)
        if link is None:
            return WiringLoss.BRIDGE, f"bridge {bridge.name} was deleted"
        if not link.up:
            return WiringLoss.BRIDGE, f"bridge {bridge.name} was taken down"
        if link.mtu != bridge.mtu:
            return WiringLoss.BRIDGE, f"bridge {bridge.name} had the MTU {link.mtu}"
        if not self._wirer.is_sealed(bridge.name):
            return WiringLoss.QUARANTINE, f"bridge {bridge.name} was not sealed off from the host"
        return None

    def _member(self, noted: Link, member: Member) -> Lost | None:
        link, bridge = self._wirer.link(noted.index), self._wirer.named(member.bridge)
        if link is None:
            return None
        if bridge is None:
            return WiringLoss.BRIDGE, f"bridge {member.bridge} was deleted"
        if link.master != bridge.index:
            return WiringLoss.MEMBER, f"{link.name} was taken out of bridge {bridge.name}"
        if member.up and not link.up:
            return WiringLoss.MEMBER, f"{link.name} was taken down"
        return None
