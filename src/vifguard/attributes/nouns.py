"""Every noun that clients write, as attributes."""

from __future__ import annotations

from typing import Final

from vifguard.attributes.address_groups import ADDRESS_GROUPS
from vifguard.attributes.default_security_group_rules import DEFAULT_RULES
from vifguard.attributes.ip_groups import IP_GROUPS
from vifguard.attributes.networks import NETWORKS
from vifguard.attributes.ports import PORTS
from vifguard.attributes.rbac_policies import RBAC_POLICIES
from vifguard.attributes.security_group_rules import SECURITY_GROUP_RULES
from vifguard.attributes.security_groups import SECURITY_GROUPS
from vifguard.attributes.subnet_pools import SUBNET_POOLS
from vifguard.attributes.subnets import SUBNETS

NOUNS: Final = (
    NETWORKS,
    SUBNETS,
    PORTS,
    SECURITY_GROUPS,
    SECURITY_GROUP_RULES,
    DEFAULT_RULES,
    ADDRESS_GROUPS,
    RBAC_POLICIES,
    SUBNET_POOLS,
    IP_GROUPS,
)
"""The nouns, in the order in which the documents show them."""

FREE_TEXTS: Final = frozenset(
    each.name for noun in NOUNS for each in noun.writable if each.default == ""
) - {"name"}
"""The attributes of which an empty text has a meaning."""
