"""The resources of the API that a client works with."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ResourceType:
    """A kind of object: the key that wraps its JSON, and its path under /v2.0/.

    `noun` is the word in messages and commands; `key` names it in the objects that refer
    to it by id.
    """

    noun: str
    singular: str
    plural: str
    path: str

    @property
    def key(self) -> str:
        """The field that refers to one, such as `network_id`."""
        return f"{self.singular}_id"


NETWORK = ResourceType("network", "network", "networks", "networks")
SUBNET = ResourceType("subnet", "subnet", "subnets", "subnets")
PORT = ResourceType("port", "port", "ports", "ports")
IP_GROUP = ResourceType("ip-group", "ip_group", "ip_groups", "ip-groups")
HOST = ResourceType("host", "host", "hosts", "hosts")
SECURITY_GROUP = ResourceType(
    "security-group", "security_group", "security_groups", "security-groups"
)
SECURITY_GROUP_RULE = ResourceType(
    "security-group-rule", "security_group_rule", "security_group_rules", "security-group-rules"
)
DEFAULT_RULE = ResourceType(
    "default-security-group-rule",
    "default_security_group_rule",
    "default_security_group_rules",
    "default-security-group-rules",
)
ADDRESS_GROUP = ResourceType("address-group", "address_group", "address_groups", "address-groups")
SUBNET_POOL = ResourceType("subnet-pool", "subnetpool", "subnetpools", "subnetpools")
RBAC_POLICY = ResourceType("rbac-policy", "rbac_policy", "rbac_policies", "rbac-policies")
EXTENSION = ResourceType("extension", "extension", "extensions", "extensions")
