"""Ports that a change affects: narrows the work, never the meaning.

A full resolve of the intent after the change must differ from the one before only on the
ports named here (a property test holds it). A port that changes touches itself and no other.

A rule, an address group and the membership of a security group touch no port but the member
itself: a port's policy names its groups, and their rules stand once on each host.
"""

from __future__ import annotations

from dataclasses import dataclass

from vifguard.model.address import IPNetwork
from vifguard.model.ip_group import IpGroup
from vifguard.model.network import Network, Subnet
from vifguard.model.security_group import SecurityGroup


@dataclass(frozen=True, slots=True)
class ThesePorts:
    """The ports with these ids."""

    ids: frozenset[str]


@dataclass(frozen=True, slots=True)
class PortsOnNetwork:
    """Every port of one network."""

    network_id: str


@dataclass(frozen=True, slots=True)
class PortsInGroup:
    """Every port that has one security group."""

    group_id: str


@dataclass(frozen=True, slots=True)
class AllPorts:
    """Every port there is."""


AffectedPorts = ThesePorts | PortsOnNetwork | PortsInGroup | AllPorts

NOTHING = ThesePorts(frozenset())


def affected_by_network(before: Network | None, after: Network | None) -> AffectedPorts:
    """The network's ports; every port when a public prefix comes or goes with it."""
    was_public = before is not None and before.public
    is_public = after is not None and after.public
    if was_public != is_public:
        return AllPorts()
    network = after or before
    return PortsOnNetwork(network.id) if network is not None else NOTHING


def affected_by_subnet(
    network: Network, before: Subnet | None, after: Subnet | None
) -> AffectedPorts:
    """No port, unless a public prefix comes or goes, or one in which guests claim addresses.

    A range of a shared network is public to the ports of that network alone.
    """
    has_moved = (before and before.cidr) != (after and after.cidr)
    if network.public and has_moved:
        return AllPorts()
    if (network.shared and has_moved) or _claimable(before) != _claimable(after):
        return PortsOnNetwork(network.id)
    return NOTHING


def _claimable(subnet: Subnet | None) -> IPNetwork | None:
    return subnet.cidr if subnet is not None and subnet.is_automatic else None


def affected_by_ip_group(before: IpGroup | None, after: IpGroup | None) -> AffectedPorts:
    """The ports that are, or were, its members; if a router id changes, the whole network.

    An id that one group has is refused to every other port. Members are ports of the network.
    """
    group = after or before
    if group is not None and _vrids(before) != _vrids(after):
        return PortsOnNetwork(group.network_id)
    groups = (group for group in (before, after) if group is not None)
    return ThesePorts(frozenset(member for group in groups for member in group.members))


def _vrids(group: IpGroup | None) -> tuple[int | None, int | None]:
    return (group.vrid4, group.vrid6) if group is not None else (None, None)


def affected_by_security_group(
    before: SecurityGroup | None, after: SecurityGroup | None
) -> AffectedPorts:
    """The ports that have it, when it comes or goes or a field beside its rules changes."""
    group = after or before
    if group is None or _fields_without_rules(before) == _fields_without_rules(after):
        return NOTHING
    return PortsInGroup(group.id)


def _fields_without_rules(group: SecurityGroup | None) -> tuple[bool, bool] | None:
    return (group.stateful, group.reject) if group is not None else None
