"""The schema of a cloud file: the keys of each noun, in the API's words and with its refusals.

A file refers by name where the API takes an id, and has short keys for attributes that Neutron
spells with a prefix; every other key is the API's attribute of the same name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid5

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
from vifguard.cli.apply.separate_requests import EVERY, set_addresses, set_tags, share, unmarked
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
from vifguard.model.guard import with_implied

if TYPE_CHECKING:
    from vifguard.client.client import Client

Item = Mapping[str, Any]
"""An object as the API shows it."""

_STANDS_IN = UUID(int=0)


@dataclass(frozen=True, slots=True)
class NamedReference:
    """An object that a value refers to by name or id; which one, `difference` finds out."""

    resource: ResourceType
    name: str


@dataclass(frozen=True, slots=True)
class CreatedReference:
    """The id that an object will have once it has been created."""

    resource: ResourceType
    project: str
    name: str


Beside = Callable[["Client", ResourceType, str, Any], None]
"""Gives the object of an id a value, by requests of its own."""


@dataclass(frozen=True)
class FileField:
    """One key that a file may give a noun.

    `attribute` is the API's; `refer` puts references where the file has names; `same` compares a
    declared value with an object of the server; `told` is the present value in the report of a
    change. `beside` sets a value that no update of the object changes. A value that is not
    `posted` is set once the object is there.
    """

    name: str
    attribute: Attribute
    refer: Callable[[Any], Any] = lambda value: value
    same: Callable[[FileField, Any, Item], bool] | None = None
    told: Callable[[Any], Any] = lambda value: value
    beside: Beside | None = None
    posted: bool = True

    @property
    def required(self) -> bool:
        """Whether an object cannot be created without it."""
        return self.attribute.default is REQUIRED

    @property
    def lasting(self) -> bool:
        """Whether it cannot change once the object exists."""
        return self.attribute.put is None and self.beside is None

    def read(self, value: Any) -> Any:
        """The model's value; ValueError where the API would refuse it."""
        return self.attribute.converter.read(with_stand_ins(value))

    def holds(self, value: Any, item: Item) -> bool:
        """Whether the server's object has the declared value."""
        if self.same is not None:
            return self.same(self, value, item)
        return bool(self.read(value) == self.read(item.get(self.attribute.name)))


def with_stand_ins(value: Any) -> Any:
    """The value with an id for each reference: equal for equal ones, and nobody's."""
    match value:
        case NamedReference() | CreatedReference():
            return str(uuid5(_STANDS_IN, repr(value)))
        case dict():
            return {key: with_stand_ins(one) for key, one in value.items()}
        case list():
            return [with_stand_ins(one) for one in value]
        case _:
            return value


def _named(resource: ResourceType) -> Callable[[Any], Any]:
    """A name becomes a reference; any other value is left for the converter to refuse."""
    return lambda value: (
        NamedReference(resource, value) if isinstance(value, str) and value else value
    )


def _each(refer: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: [refer(one) for one in value] if isinstance(value, list) else value


def _from_subnet(value: Any) -> Any:
    """`subnet` by name for the API's `subnet_id`."""
    if not isinstance(value, dict) or "subnet" not in value:
        return value
    rest = {key: one for key, one in value.items() if key != "subnet"}
    return {"subnet_id": _named(SUBNET)(value["subnet"]), **rest}


def _same_set(field: FileField, value: Any, item: Item) -> bool:
    return set(field.read(value)) == set(field.read(item[field.attribute.name]))


def _same_rules(field: FileField, value: Any, item: Item) -> bool:
    """The rules mean the same, however they are written."""
    return bool(field.read(value) == field.read(rules.said(item[field.attribute.name])))


def _with_remote(value: Any) -> Any:
    """A rule's `remote_group` and `remote_address_group` by name for the API's ids."""
    if not isinstance(value, dict):
        return value
    kinds = {"remote_group": SECURITY_GROUP, "remote_address_group": ADDRESS_GROUP}
    return {
        f"{key}_id" if key in kinds else key: _named(kinds[key])(one) if key in kinds else one
        for key, one in value.items()
    }


def _same_addresses(field: FileField, value: Any, item: Item) -> bool:
    """Each declared address is there: itself, or any one of its subnet; and no other."""
    if value is None:
        return True  # null leaves the addresses to the server
    left = list(item[field.attribute.name])
    for one in sorted(value, key=lambda one: "ip_address" not in one):
        wanted = {key: _canonical(key, inner) for key, inner in one.items()}
        found = next((have for have in left if wanted.items() <= have.items()), None)
        if found is None:
            return False
        left.remove(found)
    return not left


def _canonical(key: str, value: Any) -> Any:
    return str(converters.address.read(value)) if key == "ip_address" else value


def _same_pairs(field: FileField, value: Any, item: Item) -> bool:
    """The declared pairs and no other; a pair without a MAC means the port's own."""
    own = converters.mac.read(item["mac_address"])
    wanted, found = field.read(value), field.read(item[field.attribute.name])
    # However their owners wrote them.
    wants, has = ({(one.prefix, one.mac or own) for one in pairs} for pairs in (wanted, found))
    return bool(wants == has)


def _same_guards(field: FileField, value: Any, item: Item) -> bool:
    wanted, found = field.read(value), field.read(item["guards"])
    if wanted is None or found is None:
        return wanted is found
    return with_implied(wanted) == with_implied(found)


def _same_security(field: FileField, value: Any, item: Item) -> bool:
    # null is "as the network has it": any value of the port was once that.
    return value is None or field.read(value) == item["port_security_enabled"]


def _same_host(_: FileField, value: Any, item: Item) -> bool:
    return (value or "") == (item.get("binding:host_id") or "")


def _same_interface(_: FileField, value: Any, item: Item) -> bool:
    return bool(item.get("binding:profile", {}).get("interface") == value.get("interface"))


@dataclass(frozen=True)
class FileResource:
    """A noun of a file: its resource in the API, and its fields."""

    resource: ResourceType
    fields: tuple[FileField, ...]

    @cached_property
    def by_name(self) -> Mapping[str, FileField]:
        """The fields by the file's keys."""
        return {field.name: field for field in self.fields}


def _plain(api: ResourceSchema, *names: str) -> tuple[FileField, ...]:
    return tuple(FileField(name, api.by_name[name]) for name in names)


def _same_targets(_: FileField, value: Any, item: Item) -> bool:
    return set(value) == set(_targets(item["shared_with"]))


def _targets(shared_with: Sequence[str]) -> list[str]:
    """The projects by name; `shared`, or the operator, is for sharing with every one."""
    return [target for target in shared_with if target != EVERY]


def _same_tags(_: FileField, value: Any, item: Item) -> bool:
    return set(value) == set(unmarked(item["tags"]))


_TAGS = FileField(
    "tags",
    Attribute("tags", tags, OWNER, OWNER, ()),
    same=_same_tags,
    told=unmarked,
    beside=set_tags,
    posted=False,
)
_SHARED_WITH = FileField(
    "shared_with",
    Attribute("shared_with", converters.list_of(converters.project, 1000), OWNER, OWNER, ()),
    same=_same_targets,
    told=_targets,
    beside=share,
    posted=False,
)


def _network(api: ResourceSchema) -> FileField:
    return FileField("network", api.by_name["network_id"], _named(NETWORK))


_GUARDED = ("admin_state_up", "guard_profile", "storm", "description")

NOUNS: Mapping[str, FileResource] = {
    "subnet_pools": FileResource(
        SUBNET_POOL,
        (
            FileField("prefixes", SUBNET_POOLS.by_name["prefixes"], same=_same_set),
            *_plain(SUBNET_POOLS, "default_prefixlen", "min_prefixlen", "max_prefixlen"),
            *_plain(SUBNET_POOLS, "default_quota", "is_default", "shared", "description"),
            _SHARED_WITH,
            _TAGS,
        ),
    ),
    "networks": FileResource(
        NETWORK,
        (
            *_plain(NETWORKS, "shared", "public", "mtu", "link_local", "learned_limits"),
            *_plain(NETWORKS, "port_security_enabled"),
            *_plain(NETWORKS, *_GUARDED),
            FileField("guards", NETWORKS.by_name["guards"], same=_same_guards),
            FileField("physical_network", NETWORKS.by_name["provider:physical_network"]),
            _SHARED_WITH,
            _TAGS,
        ),
    ),
    "subnets": FileResource(
        SUBNET,
        (
            _network(SUBNETS),
            # A file names the range; one from a subnet pool would be another each time.
            FileField("cidr", replace(SUBNETS.by_name["cidr"], converter=cidr, default=REQUIRED)),
            *_plain(SUBNETS, "gateway_ip", "enable_dhcp", "dns_nameservers"),
            *_plain(SUBNETS, "ipv6_ra_mode", "ipv6_address_mode", "description"),
            FileField("allocation_pools", SUBNETS.by_name["allocation_pools"], same=_same_set),
            FileField("host_routes", SUBNETS.by_name["host_routes"], same=_same_set),
            FileField("subnet_pool", SUBNETS.by_name["subnetpool_id"], _named(SUBNET_POOL)),
            _TAGS,
        ),
    ),
    "address_groups": FileResource(
        ADDRESS_GROUP,
        (
            *_plain(ADDRESS_GROUPS, "description"),
            FileField("addresses", ADDRESS_GROUPS.by_name["addresses"], beside=set_addresses),
            _SHARED_WITH,
            _TAGS,
        ),
    ),
    "security_groups": FileResource(
        SECURITY_GROUP,
        (*_plain(SECURITY_GROUPS, "description", "stateful", "reject"), _SHARED_WITH, _TAGS),
    ),
    "ports": FileResource(
        PORT,
        (
            _network(PORTS),
            *_plain(PORTS, "mac_address", "roles", "ethertypes", *_GUARDED),
            *_plain(PORTS, "device_id", "device_owner", "security_groups_enabled"),
            FileField("guards", PORTS.by_name["guards"], same=_same_guards),
            FileField(
                "fixed_ips", PORTS.by_name["fixed_ips"], _each(_from_subnet), _same_addresses
            ),
            FileField(
                "allowed_address_pairs",
                PORTS.by_name["allowed_address_pairs"],
                same=_same_pairs,
            ),
            FileField(
                "port_security_enabled",
                PORTS.by_name["port_security_enabled"],
                same=_same_security,
            ),
            FileField(
                "security_groups",
                PORTS.by_name["security_groups"],
                _each(_named(SECURITY_GROUP)),
                _same_set,
            ),
            FileField("host", PORTS.by_name["binding:host_id"], same=_same_host),
            FileField(
                "interface",
                PORTS.by_name["binding:profile"],
                lambda value: {} if value is None else {"interface": value},
                _same_interface,
            ),
            FileField("vnic_type", PORTS.by_name["binding:vnic_type"]),
            _TAGS,
        ),
    ),
    "ip_groups": FileResource(
        IP_GROUP,
        (
            _network(IP_GROUPS),
            FileField(
                "addresses", IP_GROUPS.by_name["addresses"], _each(_from_subnet), _same_addresses
            ),
            FileField("members", IP_GROUPS.by_name["members"], _each(_named(PORT)), _same_set),
            FileField("pinned", IP_GROUPS.by_name["pinned_port_id"], _named(PORT)),
            *_plain(IP_GROUPS, "vrid4", "vrid6", "max_moves_per_minute", "description"),
            _TAGS,
        ),
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
                _each(_with_remote),
                _same_rules,
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
