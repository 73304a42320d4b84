"""The table of each noun that projects have."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from sqlalchemy import Table

from vifguard.model.noun import Noun
from vifguard.store.schema import tables

TABLE_OF: Final[Mapping[Noun, Table]] = MappingProxyType(
    {
        Noun.NETWORK: tables.networks,
        Noun.SUBNET: tables.subnets,
        Noun.PORT: tables.ports,
        Noun.IP_GROUP: tables.ip_groups,
        Noun.SECURITY_GROUP: tables.security_groups,
        Noun.SECURITY_GROUP_RULE: tables.security_group_rules,
        Noun.ADDRESS_GROUP: tables.address_groups,
        Noun.RBAC_POLICY: tables.rbac_policies,
        Noun.SUBNET_POOL: tables.subnet_pools,
    }
)
"""The table that a noun's objects are the rows of."""
