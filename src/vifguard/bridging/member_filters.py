"""Who may send and receive on a bridge of the operator's: a filter of its members.

The hypervisor puts an interface into such a bridge before anybody can guard it. So the kernel
lets frames pass between those members alone that were let in: uplinks, members that the
operator trusts, and interfaces whose guards were read back. It holds also while no agent lives.

`VlanFilter` costs next to nothing: the bridge filters by VLANs (802.1ad, which leaves guests'
own 802.1Q tags alone), and a new member is in none. `NftFilter` is for kernels whose bridges
cannot: two lookups for each frame that a bridge of this host forwards; what an unknown member
sends is dropped, but its MAC is learned before that.
"""

from __future__ import annotations

import errno
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from vifguard.kernel.net.bridge import SERVICE_TAG, THE_VLAN, Bridges
from vifguard.kernel.net.link import Link
from vifguard.kernel.net.netlink import NetlinkError, raise_first
from vifguard.kernel.nftables.nft_members import MembersTable

TABLE = "vifguard-members"


@dataclass(frozen=True, slots=True)
class OriginalVlans:
    """What a bridge did with VLANs before it filtered its members."""

    vlan_filtering: bool = False
    vlan_protocol: int = 0
    default_vlan: int = 0


class MemberFilter(Protocol):
    """One way to hold members back. One thread's."""

    name: str
    """As `vifguard host check` says it."""

    def members(self, bridge: Link, there: Iterable[int]) -> frozenset[int] | None:
        """Which of the members that are there may forward; None where nothing filters them."""

    def original_vlans(self, bridge: Link) -> OriginalVlans:
        """What the bridge does with VLANs now."""

    def put(self, bridge: Link, members: Iterable[int]) -> None:
        """Let frames pass between these members alone from now on."""

    def allow_forwarding(self, members: Iterable[int]) -> Mapping[int, str]:
        """Let members forward; those that could not be, and why."""

    def deny_forwarding(self, members: Iterable[int]) -> Mapping[int, str]:
        """Let members forward nothing any more; those that could not be, and why."""

    def dropped(self) -> int | None:
        """How many frames were dropped; None where nobody counts."""

    def remove(self, bridge: Link, before: OriginalVlans) -> None:
        """Let all members forward, and the bridge do with VLANs what it did before."""


class VlanFilter:
    """By VLANs: a member forwards once it is in the one VLAN that there is."""

    name = "vlan"

    def __init__(self, bridges: Bridges) -> None:
        self._bridges = bridges

    def members(self, bridge: Link, there: Iterable[int]) -> frozenset[int] | None:
        """Those in the VLAN, where the bridge is as `put` leaves it."""
        settings = self._bridges.settings(bridge.index)
        if settings is None or not settings.vlan_filtering or settings.default_vlan:
            return None
        if settings.vlan_protocol != SERVICE_TAG:
            return None
        vlans = self._bridges.vlans()
        return frozenset(i for i in there if THE_VLAN in vlans.get(i, ()))

    def original_vlans(self, bridge: Link) -> OriginalVlans:
        """As the kernel says."""
        found = self._bridges.settings(bridge.index)
        if found is None:
            raise NetlinkError(errno.ENODEV, f"{bridge.name} is no bridge")
        return OriginalVlans(found.vlan_filtering, found.vlan_protocol, found.default_vlan)

    def put(self, bridge: Link, members: Iterable[int]) -> None:
        """Let these into the VLAN, and only then filter: killed in between, nothing is lost."""
        self._bridges.set_vlans(bridge.index, default=0)
        self._bridges.set_vlans(bridge.index, protocol=SERVICE_TAG)
        raise_first(self._bridges.allow_vlan([bridge.index], to_self=True))
        here = sorted(members)
        refused = zip(here, self._bridges.allow_vlan(here), strict=True)
        # Who has left meanwhile is no reason to let everybody forward.
        raise_first(error for index, error in refused if error and self._is_member(index))
        self._bridges.set_vlans(bridge.index, filtering=True)

    def allow_forwarding(self, members: Iterable[int]) -> Mapping[int, str]:
        """Into the VLAN."""
        members = sorted(members)
        return _reasons(members, self._bridges.allow_vlan(members))

    def deny_forwarding(self, members: Iterable[int]) -> Mapping[int, str]:
        """Out of the VLAN."""
        members = sorted(members)
        return _reasons(members, self._bridges.deny_vlan(members))

    def _is_member(self, index: int) -> bool:
        try:
            return self._bridges.member(index) is not None
        except NetlinkError as error:
            if error.errno != errno.ENODEV:
                raise
            return False

    def dropped(self) -> int | None:
        """The kernel does not count them."""
        return None

    def remove(self, bridge: Link, before: OriginalVlans) -> None:
        """Filter no more, then give members the VLAN that they had."""
        self._bridges.set_vlans(bridge.index, filtering=before.vlan_filtering)
        if before.vlan_protocol:
            self._bridges.set_vlans(bridge.index, protocol=before.vlan_protocol)
        self._bridges.set_vlans(bridge.index, default=before.default_vlan)


class NftFilter:
    """By nftables: a member forwards once its index is in a set."""

    name = "nft"

    def __init__(self, table: MembersTable) -> None:
        self._table = table

    def members(self, bridge: Link, there: Iterable[int]) -> frozenset[int] | None:
        """Those in the set, where the bridge is one that receives by it."""
        inside = self._table.members()
        if inside is None or bridge.name not in self._table.bridges():
            return None
        return inside.intersection(there)

    def original_vlans(self, bridge: Link) -> OriginalVlans:  # noqa: ARG002  (the protocol's)
        """Nothing is done with VLANs."""
        return OriginalVlans()

    def put(self, bridge: Link, members: Iterable[int]) -> None:
        """Make the filter anew, for this bridge and for what it still holds for."""
        bridges = self._table.bridges() | {bridge.name}
        self._table.make(bridges, self._table.held().union(members))

    def allow_forwarding(self, members: Iterable[int]) -> Mapping[int, str]:
        """Into the set."""
        return self._change(add=frozenset(members))

    def deny_forwarding(self, members: Iterable[int]) -> Mapping[int, str]:
        """Out of the set."""
        return self._change(remove=frozenset(members))

    def dropped(self) -> int | None:
        """As the rules count."""
        return self._table.dropped()

    def remove(self, bridge: Link, before: OriginalVlans) -> None:  # noqa: ARG002  (the protocol's)
        """The filter ends with its last bridge."""
        others = self._table.bridges() - {bridge.name}
        if others:
            self._table.make(others, self._table.held())
        else:
            self._table.remove()

    def _change(
        self, add: frozenset[int] = frozenset(), remove: frozenset[int] = frozenset()
    ) -> Mapping[int, str]:
        try:
            self._table.change(add, remove)
        except NetlinkError as error:
            return dict.fromkeys(add | remove, error.reason)
        return {}


def forwarding_members(
    filters: Iterable[MemberFilter], bridge: Link, there: Collection[int]
) -> frozenset[int] | None:
    """Which of the members that are there every filter lets forward; None where there is none."""
    found: frozenset[int] | None = None
    for each in filters:
        inside = each.members(bridge, there)
        if inside is not None:
            found = inside if found is None else found & inside
    return found


def _reasons(members: Iterable[int], results: Iterable[NetlinkError | None]) -> Mapping[int, str]:
    pairs = zip(members, results, strict=True)
    return {index: error.reason for index, error in pairs if error is not None}
