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
    networks.NETWORKS,
    subnets.SUBNETS,
    ports.PORTS,
    security_groups.SECURITY_GROUPS,
    security_group_rules.SECURITY_GROUP_RULES,
    default_security_group_rules.DEFAULT_RULES,
    address_groups.ADDRESS_GROUPS,
    rbac_policies.RBAC_POLICIES,
    subnet_pools.SUBNET_POOLS,
    ip_availability.AVAILABILITY,
    agents.AGENTS,
)
