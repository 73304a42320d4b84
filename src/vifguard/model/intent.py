"""Intent: a consistent snapshot of all nouns, or of the nouns that some ports depend on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from vifguard.model.address import IPNetwork
from vifguard.model.ip_group import IpGroup, RouterIds
from vifguard.model.network import Network
from vifguard.model.port import Port
from vifguard.model.security_group import SecurityGroup


@dataclass(frozen=True, slots=True)
class Ranges:
    """The public prefixes: to every port, and to the ports on each shared network, by its id.

    A router on a shared network shares it with strangers, so the network's own subnets count
    there as public, whether or not it is marked so. `automatic` are the prefixes from which
    the guests of a network form addresses themselves, by its id too.
    """

    public: frozenset[IPNetwork] = frozenset()
    shared: Mapping[str, frozenset[IPNetwork]] = field(default_factory=dict)
    automatic: Mapping[str, frozenset[IPNetwork]] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        public: Iterable[IPNetwork],
        shared: Mapping[str, Iterable[IPNetwork]],
        automatic: Mapping[str, Iterable[IPNetwork]] = MappingProxyType({}),
    ) -> Ranges:
        """From the cidrs on networks marked public, on each shared one, and the automatic ones."""
        everywhere = frozenset(public)
        return cls(
            everywhere,
            {key: everywhere.union(own) for key, own in shared.items()},
            {key: frozenset(own) for key, own in automatic.items()},
        )

    def public_to(self, network_id: str) -> frozenset[IPNetwork]:
        """The public prefixes to a port on a network."""
        return self.shared.get(network_id, self.public)


@dataclass(frozen=True, slots=True)
class Intent:
    """The nouns at one revision, by id.

    `ranges` are those of all networks, whether or not they are in this snapshot.
    `router_ids` are, by network, those of all IP groups on it that have one.
    `security_groups` are those that the ports have, without their rules and members: these
    stand beside the ports on each host.
    """

    revision: int
    networks: Mapping[str, Network]
    ports: Mapping[str, Port]
    ip_groups_of: Mapping[str, tuple[IpGroup, ...]]
    ranges: Ranges
    security_groups: Mapping[str, SecurityGroup]
    router_ids: Mapping[str, tuple[RouterIds, ...]] = field(default_factory=dict)

    @classmethod
    def of(  # noqa: PLR0913 - all that a policy depends on
        cls,
        revision: int,
        networks: Iterable[Network],
        ports: Iterable[Port],
        groups: Iterable[IpGroup],
        ranges: Ranges = Ranges(),
        security_groups: Iterable[SecurityGroup] = (),
        *,
        router_ids: Iterable[RouterIds] = (),
    ) -> Intent:
        """Index the nouns."""
        groups_of: dict[str, tuple[IpGroup, ...]] = {}
        for group in groups:
            for member in group.members:
                groups_of[member] = (*groups_of.get(member, ()), group)
        ids_on: dict[str, tuple[RouterIds, ...]] = {}
        for ids in router_ids:
            ids_on[ids.network_id] = (*ids_on.get(ids.network_id, ()), ids)
        return cls(
            revision,
            {network.id: network for network in networks},
            {port.id: port for port in ports},
            groups_of,
            ranges,
            {group.id: group for group in security_groups},
            ids_on,
        )
