"""The lists of nouns, and the fields by which the database filters and sorts each."""

from __future__ import annotations

from typing import Final

from sqlalchemy import false, true

from vifguard.model.rbac_policy import Sharable
from vifguard.store.addressing import availability
from vifguard.store.nouns import (
    address_groups,
    ip_groups,
    networks,
    rbac_policies,
    security_groups,
    subnet_pools,
    subnets,
)
from vifguard.store.queries import port_pages, visibility
from vifguard.store.queries.filters import fixed_ips, flags, ip_version, mac, shared, texts
from vifguard.store.queries.list_query import NounList
from vifguard.store.schema import tables

_NAMED: Final = ("id", "name", "project_id", "description")

NETWORKS: Final = NounList(
    tables.networks,
    visibility.networks_of,
    {
        **texts(tables.networks, *_NAMED, "dns_domain"),
        **flags(tables.networks, "admin_state_up", "external"),
        "shared": shared(tables.networks.c.id, Sharable.NETWORK),
    },
    networks.read,
)

SUBNETS: Final = NounList(
    tables.subnets,
    visibility.subnets_of,
    {
        **texts(
            tables.subnets,
            *(*_NAMED, "network_id", "cidr"),
            gateway_ip="gateway",
            subnetpool_id="subnet_pool_id",
        ),
        **flags(tables.subnets, "enable_dhcp"),
        "shared": shared(tables.subnets.c.network_id, Sharable.NETWORK),
    },
    subnets.read,
)

PORTS: Final = NounList(
    tables.ports,
    visibility.ports_of,
    {
        **texts(tables.ports, *_NAMED, "network_id", "device_id", "device_owner", "host"),
        "mac_address": mac(tables.ports.c.mac),
        "fixed_ips": fixed_ips(tables.ports.c.id),
    },
    port_pages.read,
)

IP_GROUPS: Final = NounList(
    tables.ip_groups,
    visibility.ip_groups_of,
    texts(tables.ip_groups, *_NAMED, "network_id"),
    ip_groups.read,
)

SECURITY_GROUPS: Final = NounList(
    tables.security_groups,
    visibility.security_groups_of,
    {
        **texts(tables.security_groups, *_NAMED),
        **flags(tables.security_groups, "stateful", "reject"),
    },
    security_groups.read,
)

SECURITY_GROUP_RULES: Final = NounList(
    tables.security_group_rules,
    visibility.security_group_rules_of,
    texts(
        tables.security_group_rules,
        *("id", "project_id", "description", "remote_group_id", "remote_address_group_id"),
        security_group_id="group_id",
    ),
    security_groups.read_rules,
)

ADDRESS_GROUPS: Final = NounList(
    tables.address_groups,
    visibility.address_groups_of,
    texts(tables.address_groups, *_NAMED),
    address_groups.read,
)

SUBNET_POOLS: Final = NounList(
    tables.subnet_pools,
    visibility.subnet_pools_of,
    {**texts(tables.subnet_pools, *_NAMED), **flags(tables.subnet_pools, "is_default")},
    subnet_pools.read,
)

RBAC_POLICIES: Final = NounList(
    tables.rbac_policies,
    visibility.rbac_policies_of,
    texts(
        tables.rbac_policies,
        *("id", "project_id", "object_id"),
        object_type="kind",
        target_tenant="target",
    ),
    rbac_policies.read,
)

AVAILABILITIES: Final = NounList(
    tables.networks,
    lambda viewer: true() if viewer.sees_all else false(),
    {
        **texts(tables.networks, "project_id", network_id="id", network_name="name"),
        "ip_version": ip_version(tables.networks.c.id),
    },
    availability.read,
)
