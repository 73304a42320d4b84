"""Nouns as the store keeps them: with their stamps, and with what hosts reported of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from vifguard.model.address import IPAddress
from vifguard.model.ip_group import IpGroup
from vifguard.model.network import Network, Subnet
from vifguard.model.port import Port, PortState
from vifguard.model.security_group import AddressGroup, SecurityGroup, SecurityGroupRule
from vifguard.model.subnet_pool import SubnetPool


@dataclass(frozen=True, slots=True)
class Stamp:
    """The revision number of a noun, the times it was made and last changed, its tags in order.

    Times are microseconds since the epoch.
    """

    revision_number: int
    created_at: int
    updated_at: int
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StoredNetwork:
    """A network as it is kept."""

    network: Network
    stamp: Stamp


@dataclass(frozen=True, slots=True)
class StoredSubnet:
    """A subnet as it is kept."""

    subnet: Subnet
    stamp: Stamp


@dataclass(frozen=True, slots=True)
class StoredSubnetPool:
    """A subnet pool as it is kept."""

    pool: SubnetPool
    stamp: Stamp


@dataclass(frozen=True, slots=True)
class StoredIpGroup:
    """An IP group as it is kept.

    `subnet_of` has None for a link-local address. `group.pinned` is the pin in force; `pinned` is
    the owner's. They differ while the group, having moved too often, is frozen at one member
    until `held_until`.
    """

    group: IpGroup
    subnet_of: dict[IPAddress, str | None]
    pinned: str | None
    held_until: float | None
    stamp: Stamp


@dataclass(frozen=True, slots=True)
class Enforcement:
    """The last report of the port's host about it."""

    host: str
    revision: int
    state: PortState
    interface: str
    reason: str
    driver: str
    wiring: str


NOT_REPORTED: Final = Enforcement("", 0, PortState.ABSENT, "", "", "", "")


Reported = tuple[str | None, int, str, str, str, str, str]
"""The columns of a report as they are kept; the first, who made it, is None for no report."""


def enforcement_of(host: str, reported: Reported) -> Enforcement:
    """The report about a port that is now on `host`.

    A report from a host that the port has left does not count.
    """
    by, revision, state, interface, reason, driver, wiring = reported
    if by is None or by != host:
        return NOT_REPORTED
    return Enforcement(by, revision, PortState(state), interface, reason, driver, wiring)


@dataclass(frozen=True, slots=True)
class EnforcementProgress:
    """The progress of a port's host in enforcing it.

    `policy_revision` is the last that changed the port's own policy, `rules_revision` the last
    at which a rule of its security groups changed; `reached` the one up to which its host enforces
    everything. `port_up` and `network_up` are the owners' admin_state_up. `silent_since` is the
    last heartbeat of the host (seconds since the epoch), where it is silent; else 0. `uncounted`
    is whether the port has a wide address pair, and those of its network break into too many
    pieces to count in security groups.
    """

    host: str
    port_up: bool
    network_up: bool
    policy_revision: int
    rules_revision: int
    reached: int
    enforcement: Enforcement
    silent_since: float = 0.0
    uncounted: bool = False


@dataclass(frozen=True, slots=True)
class StoredPort:
    """A port as it is kept, its network, and the progress of its host in enforcing it.

    `ip_groups` are those that it is a member of; `EnforcementProgress` explains the other fields.
    """

    port: Port
    network: Network
    policy_revision: int
    enforcement: Enforcement
    stamp: Stamp
    rules_revision: int = 0
    reached: int = 0
    ip_groups: tuple[str, ...] = ()
    silent_since: float = 0.0
    uncounted: bool = False

    @property
    def progress(self) -> EnforcementProgress:
        """The progress of its host in enforcing it."""
        return EnforcementProgress(
            self.port.host,
            self.port.admin_state_up,
            self.network.admin_state_up,
            self.policy_revision,
            self.rules_revision,
            self.reached,
            self.enforcement,
            self.silent_since,
            self.uncounted,
        )


@dataclass(frozen=True, slots=True)
class StoredRule:
    """A rule of a security group as it is kept."""

    rule: SecurityGroupRule
    stamp: Stamp


@dataclass(frozen=True, slots=True)
class StoredSecurityGroup:
    """A security group as it is kept, and its rules in the order they were made."""

    group: SecurityGroup
    rules: tuple[StoredRule, ...]
    stamp: Stamp


@dataclass(frozen=True, slots=True)
class StoredAddressGroup:
    """An address group as it is kept."""

    group: AddressGroup
    stamp: Stamp
