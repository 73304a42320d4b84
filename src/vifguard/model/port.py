"""Ports: one virtual interface each, and the settings that owner and operator give it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from vifguard.model.address import IPAddress, IPNetwork, Mac
from vifguard.model.guard import Guard, Profile, Role
from vifguard.model.learned import LearnedAddress
from vifguard.model.policy import Storm

SERVING: Final = frozenset(
    {"network:dhcp", "network:distributed", "network:floatingip_agent_gateway"}
)
"""Owners of ports that serve a network and go with it (Neutron's AUTO_DELETE_PORT_OWNERS)."""


class PortState(StrEnum):
    """The state that a host reports of a port that it must enforce."""

    ENFORCED = "enforced"
    HELD_CLOSED = "held-closed"
    ABSENT = "absent"


@dataclass(frozen=True, slots=True)
class FixedIp:
    """An address of the port, taken from a subnet."""

    subnet_id: str
    address: IPAddress


@dataclass(frozen=True, slots=True)
class AddressPair:
    """A further prefix that the port may use; `mac` None means the port's own MAC.

    The texts are the owner's spelling of both, where it was kept.
    """

    prefix: IPNetwork
    mac: Mac | None = None
    prefix_text: str = ""
    mac_text: str = ""


@dataclass(frozen=True, slots=True)
class DhcpOption:
    """An option that a DHCP server is to give the guest of a port; vifguard does not read it."""

    name: str
    value: str | None
    version: int = 4


@dataclass(frozen=True, slots=True)
class Port:
    """A connection of one virtual interface to one network.

    `profile` and `guards` are None where the network's apply. `interface` names the host's
    device; empty means that the agent finds it by its usual name or its MAC. `security_groups`
    are ids. None: security groups are off. Empty: they are on and let nothing pass.
    `learned` are the addresses that its guest chose itself.
    """

    id: str
    network_id: str
    project_id: str
    mac: Mac
    name: str = ""
    fixed_ips: tuple[FixedIp, ...] = ()
    address_pairs: tuple[AddressPair, ...] = ()
    admin_state_up: bool = True
    port_security_enabled: bool = True
    profile: Profile | None = None
    guards: frozenset[Guard] | None = None
    security_groups: frozenset[str] | None = None
    roles: frozenset[Role] = frozenset()
    ethertypes: frozenset[int] = frozenset()
    storm: Storm | None = None
    host: str = ""
    interface: str = ""
    device_id: str = ""
    device_owner: str = ""
    vnic_type: str = "normal"
    binding_profile: Mapping[str, object] = field(default_factory=dict)
    description: str = ""
    dns_name: str = ""
    dns_domain: str = ""
    dhcp_options: tuple[DhcpOption, ...] = ()
    learned: tuple[LearnedAddress, ...] = ()
