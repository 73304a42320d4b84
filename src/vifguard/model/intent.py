"""Intent: a consistent snapshot of all nouns, or of those that some ports depend on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from vifguard.model.address import IPNetwork
from vifguard.model.ip_group import IpGroup
from vifguard.model.network import Network
from vifguard.model.port import Port
from vifguard.model.security_group import SecurityGroup


@dataclass(frozen=True, slots=True)
class Intent:
    """What is wanted at one revision.

    `public` holds the cidrs of every subnet on a network marked public, whether or not that
    network itself is in this snapshot. `security_groups` are those that the ports have; what
    they say is no part of it, as rules and members stand beside the ports on each host.
    """

    revision: int
    networks: Mapping[str, Network]
    ports: Mapping[str, Port]
    groups_of: Mapping[str, tuple[IpGroup, ...]]
    public: frozenset[IPNetwork]
    security_groups: Mapping[str, SecurityGroup]

    @classmethod
    def of(
        cls,
        revision: int,
        networks: Iterable[Network],
        ports: Iterable[Port],
        groups: Iterable[IpGroup],
        public: Iterable[IPNetwork],
        security_groups: Iterable[SecurityGroup] = (),
    ) -> Intent:
        """Index the nouns."""
        groups_of: dict[str, tuple[IpGroup, ...]] = {}
        for group in groups:
            for member in group.members:
                groups_of[member] = (*groups_of.get(member, ()), group)
        return cls(
            revision,
            {network.id: network for network in networks},
            {port.id: port for port in ports},
            groups_of,
            frozenset(public),
            {group.id: group for group in security_groups},
        )
