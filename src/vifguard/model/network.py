"""Networks and subnets."""

from __future__ import annotations

from dataclasses import dataclass

from vifguard.model.address import IPAddress, IPNetwork
from vifguard.model.guard import Guard, LinkLocal, Profile
from vifguard.model.learned import DEFAULT_LEARNED_LIMITS, LearnedLimits
from vifguard.model.policy import DEFAULT_STORM, Storm

AUTOMATIC = frozenset({"slaac", "dhcpv6-stateless"})
"""IPv6 address modes in which the guest forms its addresses from the prefix."""


@dataclass(frozen=True, slots=True)
class Network:
    """One L2 segment.

    A shared network carries ports of several projects and is the operator's; any other is
    isolated: one project's own, with any range. `public` marks the networks whose subnets
    are the provider's public prefixes. `physical` names the uplink that the operator maps
    on each host; an isolated network has none. `external` is a word of the operator's.
    """

    id: str
    project_id: str
    name: str = ""
    shared: bool = False
    public: bool = False
    physical: str = ""
    mtu: int = 1500
    admin_state_up: bool = True
    profile: Profile | None = None
    guards: frozenset[Guard] | None = None
    port_security_enabled: bool = True
    link_local: LinkLocal = LinkLocal.LEARNED
    learned_limits: LearnedLimits = DEFAULT_LEARNED_LIMITS
    storm: Storm = DEFAULT_STORM
    description: str = ""
    dns_domain: str = ""
    zone_hints: tuple[str, ...] = ()
    external: bool = False


@dataclass(frozen=True, slots=True)
class Pool:
    """A range of addresses to allocate from, both ends included."""

    start: IPAddress
    end: IPAddress


@dataclass(frozen=True, slots=True)
class HostRoute:
    """A static route that DHCP hands to the guests of a subnet."""

    destination: IPNetwork
    nexthop: IPAddress


@dataclass(frozen=True, slots=True)
class Subnet:
    """A range of addresses on a network, and the pools in it that ports get theirs from.

    `subnet_pool_id` is the subnet pool that the range is from. Where there are `service_types`,
    a port gets an address without naming the subnet only if its owner is one of them.
    """

    id: str
    network_id: str
    project_id: str
    cidr: IPNetwork
    name: str = ""
    gateway: IPAddress | None = None
    pools: tuple[Pool, ...] = ()
    enable_dhcp: bool = True
    nameservers: tuple[IPAddress, ...] = ()
    host_routes: tuple[HostRoute, ...] = ()
    ipv6_address_mode: str | None = None
    ipv6_ra_mode: str | None = None
    description: str = ""
    subnet_pool_id: str | None = None
    service_types: tuple[str, ...] = ()

    @property
    def is_automatic(self) -> bool:
        """Whether guests form their addresses themselves, from its prefix (RFC 4862)."""
        return self.ipv6_address_mode in AUTOMATIC

    def serves(self, device_owner: str) -> bool:
        """Whether ports of such an owner get its addresses without naming the subnet."""
        return not self.service_types or device_owner in self.service_types
