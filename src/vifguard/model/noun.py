"""The nouns that projects have."""

from __future__ import annotations

from enum import StrEnum


class Noun(StrEnum):
    """A kind of object of a project, by its word in the API."""

    NETWORK = "network"
    SUBNET = "subnet"
    PORT = "port"
    IP_GROUP = "ip_group"
    SECURITY_GROUP = "security_group"
    SECURITY_GROUP_RULE = "security_group_rule"
    ADDRESS_GROUP = "address_group"
    RBAC_POLICY = "rbac_policy"
    SUBNET_POOL = "subnetpool"
