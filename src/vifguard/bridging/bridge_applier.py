"""Applies changes to the host's bridges and their members."""

from __future__ import annotations

import errno
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from vifguard.bridging import bridge as data
from vifguard.bridging.bridge import Bridge, BridgeChange, DesiredBridges, ObservedBridges, is_ours
from vifguard.bridging.quarantine import Quarantine
from vifguard.kernel.net import sysctl
from vifguard.kernel.net.bridge import Bridges
from vifguard.kernel.net.link import BRIDGE, Link, LinkChange, Links, NewBridge, changed
from vifguard.kernel.net.netlink import NetlinkError, raise_first


@dataclass(slots=True)
class BridgeResult:
    """The failures with their reasons, by name of bridge or uplink and by interface index.

    `links` are the devices that were changed, as they should be now; `removed` the removed ones.
    """

    bridges: dict[str, str] = field(default_factory=dict)
    members: dict[int, str] = field(default_factory=dict)
    uplinks: dict[str, str] = field(default_factory=dict)
    links: list[Link] = field(default_factory=list)
    removed: list[int] = field(default_factory=list)


class BridgeApplier:
    """The bridges of this host; `vlan_quarantine` where its bridges can block new members.

    One thread's. Only interfaces that the caller names become members.
    """

    def __init__(
        self, links: Links, bridges: Bridges, quarantine: Quarantine, *, vlan_quarantine: bool
    ) -> None:
        self._links = links
        self._bridges = bridges
        self._quarantine = quarantine
        self._vlan_quarantine = vlan_quarantine

    def observe(self, links: Iterable[Link]) -> ObservedBridges:
        """The observed state of these devices."""
        found = {link.index: link for link in links}
        held = frozenset(
            x.name for x in found.values() if is_ours(x) and self._quarantine.is_blocked(x.name)
        )
        return ObservedBridges(found, held, self._vlan_quarantine)

    def link(self, index: int) -> Link | None:
        """The device with this index as the kernel knows it now; None for none. Raises OSError."""
        return self._links.at(index)

    def named(self, name: str) -> Link | None:
        """The device of this name as the kernel knows it now; None for none. Raises OSError."""
        return self._links.named(name)

    def is_sealed(self, name: str) -> bool:
        """Whether the quarantine sealed a bridge when it was last read."""
        return self._quarantine.is_blocked(name)

    def diff(self, desired: DesiredBridges, observed: ObservedBridges) -> BridgeChange | None:
        """The change from `observed` to `desired`; None for none."""
        return data.difference(desired, observed)

    def apply(self, change: BridgeChange) -> BridgeResult:
        """Apply each step on its own; return the failures."""
        outcome = BridgeResult()
        self._change([(link, LinkChange(link.index, master=0)) for link in change.leave], outcome)
        indexes = {bridge.name: self._prepare(bridge, outcome) for bridge in change.ready}
        for uplink, name in change.uplinks:
            self._join_uplink(uplink, self._index(name, indexes), outcome)
        self._members(change, indexes, outcome)
        for link in change.remove:
            self._remove(link, outcome)
        return outcome

    def _prepare(self, bridge: Bridge, outcome: BridgeResult) -> int:
        """The index of a bridge of ours that is up and sealed; 0 where that failed.

        Sealed before it is up, whatever it was before: killed in between, it is down.
        """
        try:
            link = self._links.named(bridge.name) or self._make(bridge)
            if link.kind != BRIDGE:
                raise NetlinkError(
                    errno.EEXIST, f"the device {bridge.name} exists and is not a bridge: rename it"
                )
            sysctl.write(bridge.name, sysctl.NO_HOST_IP)
            failed = self._quarantine.update(block=[bridge.name])
            if failed:
                raise NetlinkError(
                    errno.EPERM, f"it cannot be sealed off from the host: {failed[bridge.name]}"
                )
            alias = f"vifguard network {bridge.network_id}"
            change = LinkChange(link.index, up=True, mtu=bridge.mtu, alias=alias)
            raise_first(self._links.change([change]))
            outcome.links.append(replace(link, up=True, mtu=bridge.mtu, alias=alias))
        except OSError as error:
            outcome.bridges[bridge.name] = f"bridge {bridge.name}: {error.strerror or error}"
            return 0
        return link.index

    def _make(self, bridge: Bridge) -> Link:
        new = NewBridge(bridge.name, bridge.mac, bridge.mtu, vlan_quarantine=self._vlan_quarantine)
        return self._links.make_bridge(new)

    def _join_uplink(self, uplink: Link, bridge: int, outcome: BridgeResult) -> None:
        try:
            if not bridge:
                raise NetlinkError(errno.ENODEV, "its bridge is missing")
            if uplink.master not in (0, bridge):
                raise NetlinkError(errno.EBUSY, "it is a member of another bridge")
            if self._links.addresses(uplink.index):
                # Joining it would cut the host off.
                raise NetlinkError(errno.EBUSY, "the host itself has addresses on it")
            # Else the host's own router solicitations go out among the guests' frames.
            sysctl.write(uplink.name, sysctl.NO_HOST_IPV6)
            change = LinkChange(uplink.index, master=bridge, up=True)
            raise_first(self._links.change([change]))
            if self._vlan_quarantine:
                raise_first(self._bridges.allow_vlan([uplink.index]))
            outcome.links.append(replace(uplink, master=bridge, up=True))
        except OSError as error:
            outcome.uplinks[uplink.name] = f"uplink {uplink.name}: {error.strerror or error}"

    def _members(
        self, change: BridgeChange, indexes: Mapping[str, int], outcome: BridgeResult
    ) -> None:
        possible = []
        for link, each in change.members:
            name = change.joins.get(link.index)
            bridge = self._index(name, indexes) if name else 0
            if name and not bridge:
                why = outcome.bridges.get(name, f"there is no bridge {name}")
                outcome.members[link.index] = why
                continue
            possible.append((link, replace(each, master=bridge) if name else each))
        self._change(possible, outcome)
        inside = [
            index for index in sorted(change.allow_forwarding) if index not in outcome.members
        ]
        self._note(inside, self._bridges.allow_vlan(inside), outcome)
        for index in change.hairpins:
            self._note([index], [self._bridges.set_member(index, hairpin=False)], outcome)

    def _change(self, changes: Sequence[tuple[Link, LinkChange]], outcome: BridgeResult) -> None:
        results = self._links.change([change for _, change in changes])
        self._note([link.index for link, _ in changes], results, outcome)
        outcome.links += [
            changed(link, change)
            for (link, change), error in zip(changes, results, strict=True)
            if error is None
        ]

    def _note(
        self, indexes: Iterable[int], results: Iterable[NetlinkError | None], outcome: BridgeResult
    ) -> None:
        for index, error in zip(indexes, results, strict=True):
            if error is not None:
                outcome.members[index] = _why(error)

    def _index(self, name: str, indexes: Mapping[str, int]) -> int:
        if name in indexes:
            return indexes[name]
        link = self._links.named(name)
        return link.index if link is not None and link.kind == BRIDGE else 0

    def _remove(self, link: Link, outcome: BridgeResult) -> None:
        try:
            self._links.remove(link.index)
            outcome.removed.append(link.index)
            self._quarantine.update(unblock=[link.name])
        except OSError as error:
            outcome.bridges[link.name] = f"bridge {link.name}: {error.strerror or error}"


def _why(error: NetlinkError) -> str:
    if error.errno in (errno.EXFULL, errno.ENFILE):
        return "the network's bridge is full: Linux gives one 1023 members"
    return f"the interface cannot be changed: {error.reason}"
