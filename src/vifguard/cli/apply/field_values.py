"""Values of a cloud file: how they become the API's, and whether an object has them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from vifguard.attributes.values import converters
from vifguard.cli.apply import rules
from vifguard.cli.apply.fields import FileField, Item, NamedReference
from vifguard.cli.apply.separate_requests import EVERY, unmarked
from vifguard.client.resource import ADDRESS_GROUP, SECURITY_GROUP, SUBNET, ResourceType
from vifguard.model.guard import with_implied


def named(resource: ResourceType) -> Callable[[Any], Any]:
    """A name becomes a reference; any other value is left for the converter to refuse."""
    return lambda value: (
        NamedReference(resource, value) if isinstance(value, str) and value else value
    )


def each_of(refer: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Refer from each value of a list."""
    return lambda value: [refer(one) for one in value] if isinstance(value, list) else value


def from_subnet(value: Any) -> Any:
    """`subnet` by name for the API's `subnet_id`."""
    if not isinstance(value, dict) or "subnet" not in value:
        return value
    rest = {key: one for key, one in value.items() if key != "subnet"}
    return {"subnet_id": named(SUBNET)(value["subnet"]), **rest}


def same_set(field: FileField, value: Any, item: Item) -> bool:
    """Whether the order alone differs."""
    return set(field.read(value)) == set(field.read(item[field.attribute.name]))


def same_rules(field: FileField, value: Any, item: Item) -> bool:
    """The rules mean the same, however they are written."""
    return bool(field.read(value) == field.read(rules.said(item[field.attribute.name])))


def with_remote(value: Any) -> Any:
    """A rule's `remote_group` and `remote_address_group` by name for the API's ids."""
    if not isinstance(value, dict):
        return value
    kinds = {"remote_group": SECURITY_GROUP, "remote_address_group": ADDRESS_GROUP}
    return {
        f"{key}_id" if key in kinds else key: named(kinds[key])(one) if key in kinds else one
        for key, one in value.items()
    }


def same_addresses(field: FileField, value: Any, item: Item) -> bool:
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


def same_pairs(field: FileField, value: Any, item: Item) -> bool:
    """The declared pairs and no other; a pair without a MAC means the port's own."""
    own = converters.mac.read(item["mac_address"])
    wanted, found = field.read(value), field.read(item[field.attribute.name])
    # However their owners wrote them.
    wants, has = ({(one.prefix, one.mac or own) for one in pairs} for pairs in (wanted, found))
    return bool(wants == has)


def same_guards(field: FileField, value: Any, item: Item) -> bool:
    """Whether the guards are the same, with those that they imply."""
    wanted, found = field.read(value), field.read(item["guards"])
    if wanted is None or found is None:
        return wanted is found
    return with_implied(wanted) == with_implied(found)


def same_security(field: FileField, value: Any, item: Item) -> bool:
    """Whether port security is as declared."""
    # null is "as the network has it": any value of the port was once that.
    return value is None or field.read(value) == item["port_security_enabled"]


def profile_of(interface: Any) -> Any:
    """The binding profile that names an interface."""
    return {} if interface is None else {"interface": interface}


def same_host(_: FileField, value: Any, item: Item) -> bool:
    """Whether the port is on the declared host."""
    return (value or "") == (item.get("binding:host_id") or "")


def same_interface(_: FileField, value: Any, item: Item) -> bool:
    """Whether the profile names the declared interface."""
    return bool(item.get("binding:profile", {}).get("interface") == value.get("interface"))


def same_targets(_: FileField, value: Any, item: Item) -> bool:
    """Whether it is shared with the declared projects."""
    return set(value) == set(targets(item["shared_with"]))


def targets(shared_with: Sequence[str]) -> list[str]:
    """The projects by name; `shared`, or the operator, is for sharing with every one."""
    return [target for target in shared_with if target != EVERY]


def same_tags(_: FileField, value: Any, item: Item) -> bool:
    """Whether the owner's tags are the declared ones."""
    return set(value) == set(unmarked(item["tags"]))
