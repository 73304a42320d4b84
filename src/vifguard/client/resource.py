"""The resources of the API that a client works with."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Resource:
    """A kind of object: what its JSON is wrapped in and where it lives under /v2.0/.

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


NETWORK = Resource("network", "network", "networks", "networks")
SUBNET = Resource("subnet", "subnet", "subnets", "subnets")
PORT = Resource("port", "port", "ports", "ports")
IP_GROUP = Resource("ip-group", "ip_group", "ip_groups", "ip-groups")
HOST = Resource("host", "host", "hosts", "hosts")
SECURITY_GROUP = Resource("security-group", "security_group", "security_groups", "security-groups")
SECURITY_GROUP_RULE = Resource(
    "security-group-rule", "security_group_rule", "security_group_rules", "security-group-rules"
)
DEFAULT_RULE = Resource(
    "default-security-group-rule",
    "default_security_group_rule",
    "default_security_group_rules",
    "default-security-group-rules",
)
ADDRESS_GROUP = Resource("address-group", "address_group", "address_groups", "address-groups")
SUBNET_POOL = Resource("subnet-pool", "subnetpool", "subnetpools", "subnetpools")
RBAC_POLICY = Resource("rbac-policy", "rbac_policy", "rbac_policies", "rbac-policies")
EXTENSION = Resource("extension", "extension", "extensions", "extensions")
