"""Objects that a file made and declares no more: they are deleted, unless others refer to them.

The server deletes a network with its subnets and the ports that serve it, and a security group with
the rules of its project's other groups that name it. Nothing is deleted along here that `apply` did
not make.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vifguard.cli.apply.declaration import Declared, title
from vifguard.cli.apply.diff import Create, Delete, Present, Step, Update
from vifguard.cli.apply.fields import Item
from vifguard.cli.apply.schema import NOUN_OF, NOUNS
from vifguard.cli.apply.separate_requests import EVERY, MARK, share
from vifguard.cli.show.references import references
from vifguard.client.errors import RefusedError
from vifguard.client.resource import (
    NETWORK,
    PORT,
    SECURITY_GROUP,
    SECURITY_GROUP_RULE,
    SUBNET,
    ResourceType,
)
from vifguard.model.security_group import DEFAULT

if TYPE_CHECKING:
    from vifguard.client.client import Client


@dataclass(frozen=True, slots=True)
class Kept:
    """A surplus object that stays; `stands` are the obstacles to its deletion."""

    surplus: Delete
    stands: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.surplus} is kept: {', '.join(self.stands)}"


def surplus(
    projects: Container[str],
    declared: Sequence[Declared],
    present: Present,
    steps: Sequence[Step],
) -> tuple[tuple[Delete, ...], tuple[Kept, ...]]:
    """Objects that `apply` made in the named projects and that are declared no more.

    First those to delete, dependents first. Second those that stay: an object that is not to be
    deleted refers to them, once the `steps` are taken.
    """
    going = {one.current["id"]: one for one in _undeclared(projects, declared, present)}
    stands = _shared_with_all(going)
    for who, item in _staying(present, steps, going):
        _add(stands, who, item)
    kept: list[Kept] = []
    while held := stands.keys() & going.keys():
        for key in held:
            one = going.pop(key)
            kept.append(Kept(one, tuple(dict.fromkeys(stands.pop(key)))))
            _add(stands, f"{one} refers to it", one.current)
    return tuple(going.values()), tuple(kept)


def _add(stands: dict[str, list[str]], who: str, item: Mapping[str, Any]) -> None:
    """Note the references of an object, without those to itself, as a group's rules have."""
    for key in {key for _, key in references(item)} - {item.get("id")}:
        stands.setdefault(key, []).append(who)


def _undeclared(
    projects: Container[str], declared: Sequence[Declared], present: Present
) -> Iterator[Delete]:
    wanted = {(item.resource, item.project, item.name) for item in declared}
    for resource in (noun.resource for noun in reversed(list(NOUNS.values()))):
        for one in present[resource]:
            project, name = one["project_id"], one["name"]
            is_surplus = project in projects and (resource, project, name) not in wanted
            # A project's default group comes again with its next object.
            is_surplus = is_surplus and (resource, name) != (SECURITY_GROUP, DEFAULT)
            if is_surplus and MARK in one.get("tags", ()):
                yield Delete(resource, project, name or one["id"], one)


def _shared_with_all(going: Mapping[str, Delete]) -> dict[str, list[str]]:
    """The security groups that rules may name which their owner does not see."""
    return {
        key: ["it is shared with every project"]
        for key, one in going.items()
        if one.resource == SECURITY_GROUP and EVERY in one.current.get("shared_with", ())
    }


def _staying(
    present: Present, steps: Iterable[Step], going: Container[str]
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Each object that stays or is to come, as it is once the steps are taken."""
    changed: dict[str, dict[str, Any]] = {}
    for step in steps:
        match step:
            case Update():
                changed.setdefault(step.current["id"], {}).update(_attributes(step))
            case Create():
                yield f"{step} is declared to refer to it", _attributes(step)
    for resource in (noun.resource for noun in NOUNS.values()):
        for one in present[resource]:
            if one["id"] not in going:
                name = title(resource, one["project_id"], one["name"] or one["id"])
                yield f"{name} refers to it", {**one, **changed.get(one["id"], {})}


def _attributes(step: Create | Update) -> dict[str, Any]:
    fields = NOUN_OF[step.resource].by_name
    return {fields[name].attribute.name: value for name, value in step.values.items()}


def delete(
    client: Client, resource: ResourceType, item: Item, deleted: Container[str] = ()
) -> None:
    """Delete an object, with nothing that came to it since the plan: RefusedError otherwise.

    `deleted` are the ids of all that the plan deletes: they may refer to it.
    """
    key, revision = item["id"], None
    if item.get("shared_with"):
        # Refused while others use it, which their owner does not see.
        share(client, resource, key, [])
    if resource == NETWORK:
        found = client.show(resource, key)
        _refuse("subnet", found["subnets"])
        _refuse("port", [one["id"] for one in client.list(PORT, network_id=key)])
        revision = found["revision_number"]
    elif resource == SUBNET:
        _refuse("port", [one["id"] for one in client.list(PORT, fixed_ips=f"subnet_id={key}")])
    elif resource == SECURITY_GROUP:
        rules = client.list(SECURITY_GROUP_RULE, remote_group_id=key)
        others = [one for one in rules if one["security_group_id"] != key]
        _refuse("rule", [x["id"] for x in others if x["security_group_id"] not in deleted])
    client.delete(resource, key, revision=revision)


def _refuse(noun: str, ids: Sequence[str]) -> None:
    if ids:
        why = f"{noun} {ids[0]} refers to it since the plan was made: run apply again"
        raise RefusedError(409, "InUse", why)
