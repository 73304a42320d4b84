"""The schema of a cloud file: the keys of each noun, in the API's words and with its refusals.

A file refers by name where the API takes an id, and has short keys for attributes that Neutron
spells with a prefix; every other key is the API's attribute of the same name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from vifguard.attributes.address_groups import ADDRESS_GROUPS
from vifguard.attributes.ip_groups import IP_GROUPS
from vifguard.attributes.networks import NETWORKS
from vifguard.attributes.ports import PORTS
from vifguard.attributes.quotas import QUOTAS
from vifguard.attributes.rules import OWNER
from vifguard.attributes.schema import REQUIRED, Attribute, ResourceSchema
from vifguard.attributes.security_groups import SECURITY_GROUPS
from vifguard.attributes.shared_attributes import tags
from vifguard.attributes.subnet_pools import SUBNET_POOLS
from vifguard.attributes.subnets import SUBNETS
from vifguard.attributes.values import converters
from vifguard.attributes.values.converters import cidr
from vifguard.cli.apply import quotas, rules
from vifguard.cli.apply.field_values import (
    each_of,
    from_subnet,
    named,
    profile_of,
    same_addresses,
    same_guards,
    same_host,
    same_interface,
    same_pairs,
    same_rules,
    same_security,
    same_set,
    same_tags,
    same_targets,
    targets,
    with_remote,
)
from vifguard.cli.apply.fields import FileField, FileResource
from vifguard.cli.apply.separate_requests import set_addresses, set_tags, share, unmarked
from vifguard.client.resource import (
    ADDRESS_GROUP,
    IP_GROUP,
    NETWORK,
    PORT,
    SECURITY_GROUP,
    SUBNET,
    SUBNET_POOL,
    ResourceType,
)

_TAGS = FileField(
    "tags",
    Attribute("tags", tags, OWNER, OWNER, ()),
    same=same_tags,
    present_value=unmarked,
    beside=set_tags,
    posted=False,
)
_SHARED_WITH = FileField(
    "shared_with",
    Attribute("shared_with", converters.list_of(converters.project, 1000), OWNER, OWNER, ()),
    same=same_targets,
    present_value=targets,
    beside=share,
    posted=False,
)


_STRUCTURE: Mapping[str, str] = {
    "name": "the file's keys are names",
    "project_id": "the file's keys are projects",
}
"""Attributes that the structure of a file gives, and how."""


def _noun(
    resource: ResourceType,
    schema: ResourceSchema,
    *own: FileField,
    without: Mapping[str, str] = MappingProxyType({}),
) -> FileResource:
    """A noun with a key for each attribute that a client may choose.

    `own` are the fields with a name or a comparison of their own; `without` has the attributes
    that no file gives, and the reason.
    """
    left = {field.attribute.name: field for field in own}
    keys = [
        left.pop(each.name) if each.name in left else FileField(each.name, each)
        for each in schema.writable
        if each.name not in {**without, **_STRUCTURE}
    ]
    fields = sorted((*keys, *left.values()), key=lambda field: not field.required)
    return FileResource(resource, tuple(fields), without)


def _network(schema: ResourceSchema) -> FileField:
    return FileField("network", schema.by_name["network_id"], named(NETWORK))


def _guards(schema: ResourceSchema) -> FileField:
    return FileField("guards", schema.by_name["guards"], same=same_guards)


def _addresses(schema: ResourceSchema, name: str) -> FileField:
    return FileField(name, schema.by_name[name], each_of(from_subnet), same_addresses)


_POOL: Mapping[str, Attribute] = SUBNET_POOLS.by_name
_SUBNET: Mapping[str, Attribute] = SUBNETS.by_name
_PORT: Mapping[str, Attribute] = PORTS.by_name
_IP_GROUP: Mapping[str, Attribute] = IP_GROUPS.by_name

NOUNS: Mapping[str, FileResource] = {
    "subnet_pools": _noun(
        SUBNET_POOL,
        SUBNET_POOLS,
        FileField("prefixes", _POOL["prefixes"], same=same_set),
        _SHARED_WITH,
        _TAGS,
    ),
    "networks": _noun(
        NETWORK,
        NETWORKS,
        _guards(NETWORKS),
        FileField("physical_network", NETWORKS.by_name["provider:physical_network"]),
        _SHARED_WITH,
        _TAGS,
        without={
            "provider:network_type": "physical_network says it",
            "router:external": "there are no routers",
            "availability_zone_hints": "there are no zones",
        },
    ),
    "subnets": _noun(
        SUBNET,
        SUBNETS,
        _network(SUBNETS),
        # A file names the range; one from a subnet pool would be another each time.
        FileField("cidr", replace(_SUBNET["cidr"], converter=cidr, default=REQUIRED)),
        FileField("allocation_pools", _SUBNET["allocation_pools"], same=same_set),
        FileField("host_routes", _SUBNET["host_routes"], same=same_set),
        FileField("subnet_pool", _SUBNET["subnetpool_id"], named(SUBNET_POOL)),
        _TAGS,
        without={
            "ip_version": "cidr says it",
            "prefixlen": "cidr says it",
            "use_default_subnetpool": "subnet_pool names one",
        },
    ),
    "address_groups": _noun(
        ADDRESS_GROUP,
        ADDRESS_GROUPS,
        FileField("addresses", ADDRESS_GROUPS.by_name["addresses"], beside=set_addresses),
        _SHARED_WITH,
        _TAGS,
    ),
    "security_groups": _noun(SECURITY_GROUP, SECURITY_GROUPS, _SHARED_WITH, _TAGS),
    "ports": _noun(
        PORT,
        PORTS,
        _network(PORTS),
        _guards(PORTS),
        _addresses(PORTS, "fixed_ips"),
        FileField("allowed_address_pairs", _PORT["allowed_address_pairs"], same=same_pairs),
        FileField("port_security_enabled", _PORT["port_security_enabled"], same=same_security),
        FileField(
            "security_groups", _PORT["security_groups"], each_of(named(SECURITY_GROUP)), same_set
        ),
        FileField("host", _PORT["binding:host_id"], same=same_host),
        FileField("interface", _PORT["binding:profile"], profile_of, same_interface),
        FileField("vnic_type", _PORT["binding:vnic_type"]),
        _TAGS,
        without={"extra_dhcp_opts": "a request adds to them, and leaves the others"},
    ),
    "ip_groups": _noun(
        IP_GROUP,
        IP_GROUPS,
        _network(IP_GROUPS),
        _addresses(IP_GROUPS, "addresses"),
        FileField("members", _IP_GROUP["members"], each_of(named(PORT)), same_set),
        FileField("pinned", _IP_GROUP["pinned_port_id"], named(PORT)),
        _TAGS,
    ),
}
"""Every noun of a file, in the order in which objects are created."""

PARTS: Mapping[ResourceType, FileResource] = {
    SECURITY_GROUP: FileResource(
        rules.RULES,
        (
            FileField(
                "rules",
                rules.ATTRIBUTE,
                each_of(with_remote),
                same_rules,
                rules.said,
                beside=rules.set_rules,
            ),
        ),
    ),
}
"""Further parts of a noun's entry, carried out once all objects of the noun are there.

A group's rules refer to other groups, which may refer to it.
"""


QUOTA = FileResource(
    quotas.QUOTA,
    tuple(FileField(key, QUOTAS.by_name[key], quotas.limit) for key in quotas.KEYS),
)
"""The quotas of a project: one for each, without a name."""


def _by_resource() -> dict[ResourceType, FileResource]:
    found = {QUOTA.resource: QUOTA}
    for noun in NOUNS.values():
        found[noun.resource] = noun
        if part := PARTS.get(noun.resource):
            found[part.resource] = part
    return found


NOUN_OF: Mapping[ResourceType, FileResource] = _by_resource()
"""The nouns and their parts by resource, in the same order."""
