"""Requests for values that no update changes: tags, a set's addresses, the sharing projects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from vifguard.client.resource import (
    ADDRESS_GROUP,
    NETWORK,
    RBAC_POLICY,
    SECURITY_GROUP,
    SUBNET_POOL,
    ResourceType,
)
from vifguard.model.address import parse_prefix

if TYPE_CHECKING:
    from vifguard.client.client import Client

MARK: Final = "vifguard-apply"
"""The tag of objects that a file created: `--prune` deletes no others."""

EVERY: Final = "*"
"""The target of an RBAC policy that shares with every project."""

SHARED: Final = (NETWORK, SECURITY_GROUP, ADDRESS_GROUP, SUBNET_POOL)
"""The resources that RBAC policies share."""


def unmarked(tags: Sequence[str]) -> list[str]:
    """The tags that are an owner's own."""
    return [tag for tag in tags if tag != MARK]


def set_tags(client: Client, resource: ResourceType, key: str, wanted: Sequence[str]) -> None:
    """Give an object an owner's tags and no others; the mark it keeps."""
    mark = [MARK] if MARK in client.show(resource, key)["tags"] else []
    client.set_tags(resource, key, [*unmarked(wanted), *mark])


def set_addresses(client: Client, _: ResourceType, key: str, wanted: Sequence[str]) -> None:
    """Give an address group these addresses and no others."""
    has = set(client.show(ADDRESS_GROUP, key)["addresses"])
    wants = {str(parse_prefix(text)) for text in wanted}
    if new := sorted(wants - has):
        client.add_addresses(key, new)
    if old := sorted(has - wants):
        client.remove_addresses(key, old)


def share(client: Client, resource: ResourceType, key: str, wanted: Sequence[str]) -> None:
    """Share an object with these projects and no others; with every one it stays as it is."""
    policies = [one for one in client.list(RBAC_POLICY) if one["object_id"] == key]
    has = {one["target_tenant"]: one["id"] for one in policies}
    project = client.show(resource, key)["project_id"]
    for target in sorted(set(wanted) - has.keys()):
        body = {"object_type": resource.singular, "object_id": key, "project_id": project}
        body |= {"target_tenant": target, "action": "access_as_shared"}
        client.create(RBAC_POLICY, body)
    for target in sorted(has.keys() - {*wanted, EVERY}):
        client.delete(RBAC_POLICY, has[target])


def with_targets(
    items: Sequence[Mapping[str, Any]], policies: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Objects, with the projects that each is shared with, or every one."""
    targets: dict[str, list[str]] = {}
    for policy in policies:
        targets.setdefault(policy["object_id"], []).append(policy["target_tenant"])
    return [{**item, "shared_with": sorted(targets.get(item["id"], []))} for item in items]
