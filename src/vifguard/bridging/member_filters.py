"""Filters of the members of a bridge of the operator's: only those let in send and receive.

The hypervisor puts an interface into such a bridge before anybody can guard it. So the kernel
passes frames only between members that were let in: uplinks, members that the operator trusts,
and interfaces whose guards were read back. This stays in force while no agent lives.

`VlanFilter` costs next to nothing: the bridge filters by VLANs (802.1ad, which leaves guests'
own 802.1Q tags alone), and a new member is in none. `NftFilter` is for kernels whose bridges
cannot: two lookups for each frame that a bridge of this host forwards; a frame of an unknown
member is dropped, but its MAC is learned before that.
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
    """The VLAN settings of a bridge before it filtered its members."""

    vlan_filtering: bool = False
    vlan_protocol: int = 0
    default_vlan: int = 0


class MemberFilter(Protocol):
    """One way to keep members from forwarding. One thread's."""

    name: str
    """The name that `vifguard host check` prints."""

    def members(self, bridge: Link, there: Iterable[int]) -> frozenset[int] | None:
        """The members among `there` that may forward; None where nothing filters them."""

    def original_vlans(self, bridge: Link) -> OriginalVlans:
        """The bridge's VLAN settings now."""

    def put(self, bridge: Link, members: Iterable[int]) -> None:
        """Pass frames only between these members from now on."""

    def allow_forwarding(self, members: Iterable[int]) -> Mapping[int, str]:
        """Allow members to forward; return failures with their reasons."""

    def deny_forwarding(self, members: Iterable[int]) -> Mapping[int, str]:
        """Make members forward nothing any more; return failures with their reasons."""

    def dropped(self) -> int | None:
        """The number of dropped frames; None where nobody counts them."""

    def remove(self, bridge: Link, before: OriginalVlans) -> None:
        """Make all members forward, and restore the bridge's former VLAN settings."""


class VlanFilter:
    """A filter by VLANs: a member forwards once it is in the one VLAN that there is."""

    name = "vlan"

    def __init__(self, bridges: Bridges) -> None:
        self._bridges = bridges

    def members(self, bridge: Link, there: Iterable[int]) -> frozenset[int] | None:
        """The members in the VLAN, where the bridge is as `put` leaves it."""
        settings = self._bridges.settings(bridge.index)
        if settings is None or not settings.vlan_filtering or settings.default_vlan:
            return None
        if settings.vlan_protocol != SERVICE_TAG:
            return None
        vlans = self._bridges.vlans()
        return frozenset(i for i in there if THE_VLAN in vlans.get(i, ()))

    def original_vlans(self, bridge: Link) -> OriginalVlans:
        """The settings as read from the kernel."""
        found = self._bridges.settings(bridge.index)
        if found is None:
            raise NetlinkError(errno.ENODEV, f"{bridge.name} is not a bridge")
        return OriginalVlans(found.vlan_filtering, found.vlan_protocol, found.default_vlan)

    def put(self, bridge: Link, members: Iterable[int]) -> None:
        """Put these into the VLAN, and only then filter: a kill in between loses nothing."""
        self._bridges.set_vlans(bridge.index, default=0)
        self._bridges.set_vlans(bridge.index, protocol=SERVICE_TAG)
        raise_first(self._bridges.allow_vlan([bridge.index], to_self=True))
        here = sorted(members)
        refused = zip(here, self._bridges.allow_vlan(here), strict=True)
        # A member that has left meanwhile is no reason to leave the bridge unfiltered.
        raise_first(error for index, error in refused if error and self._is_member(index))
        self._bridges.set_vlans(bridge.index, filtering=True)

    def allow_forwarding(self, members: Iterable[int]) -> Mapping[int, str]:
        """Put members into the VLAN."""
        members = sorted(members)
        return _reasons(members, self._bridges.allow_vlan(members))

    def deny_forwarding(self, members: Iterable[int]) -> Mapping[int, str]:
        """Take members out of the VLAN."""
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
        """None: the kernel does not count them."""
        return None

    def remove(self, bridge: Link, before: OriginalVlans) -> None:
        """End the filter, then restore the VLAN that members had."""
        self._bridges.set_vlans(bridge.index, filtering=before.vlan_filtering)
        if before.vlan_protocol:
            self._bridges.set_vlans(bridge.index, protocol=before.vlan_protocol)
        self._bridges.set_vlans(bridge.index, default=before.default_vlan)


class NftFilter:
    """A filter by nftables: a member forwards once its index is in a set."""

    name = "nft"

    def __init__(self, table: MembersTable) -> None:
        self._table = table

    def members(self, bridge: Link, there: Iterable[int]) -> frozenset[int] | None:
        """The members in the set, where the filter is for this bridge too."""
        inside = self._table.members()
        if inside is None or bridge.name not in self._table.bridges():
            return None
        return inside.intersection(there)

    def original_vlans(self, bridge: Link) -> OriginalVlans:  # noqa: ARG002  (the protocol's)
        """The defaults: this filter does not change VLANs."""
        return OriginalVlans()

    def put(self, bridge: Link, members: Iterable[int]) -> None:
        """Make the filter anew, for this bridge and its former ones."""
        bridges = self._table.bridges() | {bridge.name}
        self._table.make(bridges, self._table.held().union(members))

    def allow_forwarding(self, members: Iterable[int]) -> Mapping[int, str]:
        """Put members into the set."""
        return self._change(add=frozenset(members))

    def deny_forwarding(self, members: Iterable[int]) -> Mapping[int, str]:
        """Take members out of the set."""
        return self._change(remove=frozenset(members))

    def dropped(self) -> int | None:
        """The count of the rules."""
        return self._table.dropped()

    def remove(self, bridge: Link, before: OriginalVlans) -> None:  # noqa: ARG002  (the protocol's)
        """Strike the bridge from the filter, which ends with its last one."""
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
    """The members among `there` that every filter lets forward; None without a filter."""
    found: frozenset[int] | None = None
    for each in filters:
        inside = each.members(bridge, there)
        if inside is not None:
            found = inside if found is None else found & inside
    return found


def _reasons(members: Iterable[int], results: Iterable[NetlinkError | None]) -> Mapping[int, str]:
    pairs = zip(members, results, strict=True)
    return {index: error.reason for index, error in pairs if error is not None}
