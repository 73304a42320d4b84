"""Objects that others refer to by id, shown by their names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from vifguard.client.errors import RefusedError
from vifguard.client.resource import (
    ADDRESS_GROUP,
    NETWORK,
    PORT,
    SECURITY_GROUP,
    SUBNET,
    SUBNET_POOL,
    ResourceType,
)

if TYPE_CHECKING:
    from vifguard.client.client import Client

FIELDS: Final[Mapping[str, ResourceType]] = {
    "network_id": NETWORK,
    "subnet_id": SUBNET,
    "subnetpool_id": SUBNET_POOL,
    "port_id": PORT,
    "pinned_port_id": PORT,
    "members": PORT,
    "security_groups": SECURITY_GROUP,
    "security_group_id": SECURITY_GROUP,
    "remote_group_id": SECURITY_GROUP,
    "remote_address_group_id": ADDRESS_GROUP,
}
"""The resources that the fields of objects refer to."""

_AT_ONCE = 100
"""Ids in one request."""


def with_names(client: Client, item: Mapping[str, Any]) -> dict[str, Any]:
    """An object, with names for the ids of those it refers to and this user sees."""
    wanted: dict[ResourceType, set[str]] = {}
    for resource, key in references(item):
        wanted.setdefault(resource, set()).add(key)
    names = {
        key: name for kind, keys in wanted.items() for key, name in _request(client, kind, keys)
    }
    shown: dict[str, Any] = _named(item, names)
    return shown


def _request(client: Client, resource: ResourceType, keys: set[str]) -> Iterator[tuple[str, str]]:
    left = iter(sorted(keys))
    while some := list(islice(left, _AT_ONCE)):
        try:
            found = client.list(resource, id=some, fields=["id", "name"])
        except RefusedError as error:
            # A role that may change an object may not see all that it refers to.
            if error.status != 403:
                raise
            return
        for one in found:
            yield one["id"], one["name"]


def references(value: Any, field: str = "") -> Iterator[tuple[ResourceType, str]]:
    """The references of a value: kinds and ids."""
    match value:
        case str() if field in FIELDS and value:
            yield FIELDS[field], value
        case Mapping():
            for name, inner in value.items():
                yield from references(inner, name)
        case list():
            for inner in value:
                yield from references(inner, field)


def _named(value: Any, names: Mapping[str, str], field: str = "") -> Any:
    match value:
        case str() if field in FIELDS:
            return names.get(value) or value
        case Mapping():
            return {name: _named(inner, names, name) for name, inner in value.items()}
        case list():
            return [_named(inner, names, field) for inner in value]
        case _:
            return value
