"""The routers and resources of Neutron v2.0 in the API, for the application to join."""

from __future__ import annotations

from typing import Final

from vifguard.api.v2 import (
    address_groups,
    agents,
    default_security_group_rules,
    ip_availability,
    networks,
    ports,
    quotas,
    rbac_policies,
    security_group_rules,
    security_groups,
    subnet_pools,
    subnets,
    tags,
    versions,
)
from vifguard.attributes.address_groups import ADDRESS_GROUPS
from vifguard.attributes.default_security_group_rules import DEFAULT_RULES
from vifguard.attributes.networks import NETWORKS
from vifguard.attributes.ports import PORTS
from vifguard.attributes.rbac_policies import RBAC_POLICIES
from vifguard.attributes.security_group_rules import SECURITY_GROUP_RULES
from vifguard.attributes.security_groups import SECURITY_GROUPS
from vifguard.attributes.subnet_pools import SUBNET_POOLS
from vifguard.attributes.subnets import SUBNETS

MODULES: Final = (
    versions,
    networks,
    subnets,
    ports,
    security_groups,
    security_group_rules,
    default_security_group_rules,
    address_groups,
    rbac_policies,
    subnet_pools,
    ip_availability,
    agents,
    quotas,
    tags,
)

ROUTERS: Final = tuple(module.router for module in MODULES)

RESOURCES: Final = (
    NETWORKS,
    SUBNETS,
    PORTS,
    SECURITY_GROUPS,
    SECURITY_GROUP_RULES,
    DEFAULT_RULES,
    ADDRESS_GROUPS,
    RBAC_POLICIES,
    SUBNET_POOLS,
    ip_availability.AVAILABILITY,
    agents.AGENTS,
)
