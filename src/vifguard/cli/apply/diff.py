"""The steps from the present state of a cloud to the one that a file declares; pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vifguard.cli.apply.declaration import DeclarationError, Declared, title
from vifguard.cli.apply.fields import CreatedReference, Item, NamedReference
from vifguard.cli.apply.schema import NOUN_OF
from vifguard.cli.apply.separate_requests import EVERY, SHARED
from vifguard.client.resource import SUBNET, ResourceType


@dataclass(frozen=True, slots=True)
class Create:
    """An object that is declared and not there; `values` by the file's keys."""

    resource: ResourceType
    project: str
    name: str
    values: Mapping[str, Any]

    def __str__(self) -> str:
        return title(self.resource, self.project, self.name)

    @property
    def made(self) -> CreatedReference:
        """The reference to it in other objects."""
        return CreatedReference(self.resource, self.project, self.name)


@dataclass(frozen=True, slots=True)
class Update:
    """An object that differs; `values` are the differing ones, `current` is the present object."""

    resource: ResourceType
    project: str
    name: str
    current: Item
    values: Mapping[str, Any]

    def __str__(self) -> str:
        return title(self.resource, self.project, self.name)


@dataclass(frozen=True, slots=True)
class Delete:
    """An object of a declared project that the file does not declare."""

    resource: ResourceType
    project: str
    name: str
    current: Item

    def __str__(self) -> str:
        return title(self.resource, self.project, self.name)


Step = Create | Update | Delete
Present = Mapping[ResourceType, Sequence[Item]]
"""The objects that the server shows, by resource."""


def difference(declared: Sequence[Declared], present: Present) -> tuple[Step, ...]:
    """The steps, in the order in which they must be taken; none when all is as declared.

    Raises DeclarationError where a reference dangles or a lasting field differs.
    """
    comparing = _Comparing(declared, present)
    steps: list[Step] = [step for item in declared for step in comparing.steps(item)]
    if comparing.problems:
        raise DeclarationError(comparing.problems)
    return tuple(steps)


Reference = str | CreatedReference | NamedReference
"""Another object, by its id, by the id to come, or by a name that leads nowhere."""


class _Comparing:
    """One comparison, which collects the faults of the file."""

    def __init__(self, declared: Iterable[Declared], present: Present) -> None:
        self.problems: list[str] = []
        self._declared = {(item.resource, item.project, item.name): item for item in declared}
        self._ids = {(resource, one["id"]) for resource, found in present.items() for one in found}
        self._names = {one["id"]: one["name"] for found in present.values() for one in found}
        self._named: dict[tuple[ResourceType, str, str], list[Item]] = {}
        for resource, found in present.items():
            for one in found:
                key = (resource, one["project_id"], one["name"])
                self._named.setdefault(key, []).append(one)
        self._shared = {resource: _shared_of(found) for resource, found in present.items()}
        self._subnets = self._subnets_of(present[SUBNET])

    def steps(self, item: Declared) -> Iterator[Step]:
        """None or one step for a declared object."""
        values = self._resolved(item)
        current = self._current(item)
        if current is None:
            yield Create(item.resource, item.project, item.name, values)
            return
        changed = {
            field.name: values[field.name]
            for field in NOUN_OF[item.resource].fields
            if field.name in values and not field.holds(values[field.name], current)
        }
        self._refuse_lasting(item, changed, current)
        if changed:
            yield Update(item.resource, item.project, item.name, current, changed)

    def _refuse_lasting(self, item: Declared, changed: Mapping[str, Any], current: Item) -> None:
        for field in NOUN_OF[item.resource].fields:
            new = changed.get(field.name)
            # A name that leads nowhere is a problem already.
            if field.lasting and field.name in changed and not isinstance(new, NamedReference):
                old = current.get(field.attribute.name)
                self.problems.append(
                    f"{item}: {field.name} is {shown(old, self._names)} and cannot become "
                    f"{shown(new, self._names)}: "
                    f"delete the {item.resource.noun} first"
                )

    def _current(self, item: Declared) -> Item | None:
        found = self._named.get((item.resource, item.project, item.name), [])
        if len(found) > 1:
            ids = ", ".join(sorted(one["id"] for one in found))
            self.problems.append(
                f"{item}: {len(found)} have this name: rename all but one of {ids}"
            )
        return found[0] if found else None

    def _resolved(self, item: Declared) -> dict[str, Any]:
        """The values, with references for names. The network first: subnets are its own."""
        values = dict(item.values)
        network = self._resolve(item, values.pop("network", None), None)
        resolved = {key: self._resolve(item, value, network) for key, value in values.items()}
        return {"network": network, **resolved} if "network" in item.values else resolved

    def _resolve(self, item: Declared, value: Any, network: Reference | None) -> Any:
        match value:
            case NamedReference():
                return self._reference(item, value, network)
            case dict():
                return {key: self._resolve(item, one, network) for key, one in value.items()}
            case list():
                return [self._resolve(item, one, network) for one in value]
            case _:
                return value

    def _reference(
        self, item: Declared, wanted: NamedReference, network: Reference | None
    ) -> Reference:
        found = self._candidates(item.project, wanted, network)
        if len(found) == 1:
            return found[0]
        what = f"{wanted.resource.noun} {wanted.name!r}"
        if found:
            self.problems.append(f"{item}: {what} could be any of {len(found)}: give its id")
        elif wanted.resource is not SUBNET:
            self.problems.append(f"{item}: there is no {what}: declare it, or correct the name")
        elif not isinstance(network, NamedReference | None):
            self.problems.append(f"{item}: its network has no {what}: declare it there")
        return wanted

    def _candidates(
        self, project: str, wanted: NamedReference, network: Reference | None
    ) -> list[Reference]:
        """The objects that a name can mean: by id, then the project's own, then shared ones."""
        resource, name = wanted.resource, wanted.name
        if resource is SUBNET:
            return self._subnets.get((network, name), [])
        if (resource, name) in self._ids:
            return [name]
        if own := self._named.get((resource, project, name)):
            return [one["id"] for one in own]
        if (resource, project, name) in self._declared:
            return [CreatedReference(resource, project, name)]
        return self._shared_ones(resource, project, name) if resource in SHARED else []

    def _shared_ones(self, resource: ResourceType, project: str, name: str) -> list[Reference]:
        """The objects of a name that others share with a project, those to be created included."""
        there: list[Reference] = [
            one["id"]
            for one in self._shared[resource].get(name, ())
            if one.get("shared") or {project, EVERY} & set(one.get("shared_with", ()))
        ]
        coming = [
            CreatedReference(resource, owner, name)
            for (kind, owner, other), item in self._declared.items()
            if (kind, other) == (resource, name) and (resource, owner, name) not in self._named
            if item.values.get("shared") or project in item.values.get("shared_with", ())
        ]
        return [*there, *coming]

    def _subnets_of(
        self, present: Sequence[Item]
    ) -> Mapping[tuple[Reference | None, str], list[Reference]]:
        """The subnets that a network has or will have, by their name and by their id."""
        index: dict[tuple[Reference | None, str], list[Reference]] = {}
        for one in present:
            for name in (one["name"], one["id"]):
                index.setdefault((one["network_id"], name), []).append(one["id"])
        for (resource, project, name), item in self._declared.items():
            if resource is SUBNET and (resource, project, name) not in self._named:
                wanted = item.values.get("network")
                for network in self._candidates(project, wanted, None) if wanted else ():
                    index.setdefault((network, name), []).append(
                        CreatedReference(resource, project, name)
                    )
        return index


def _shared_of(found: Sequence[Item]) -> Mapping[str, list[Item]]:
    """The objects that are shared with any project, by name."""
    index: dict[str, list[Item]] = {}
    for one in found:
        if one.get("shared") or one.get("shared_with"):
            index.setdefault(one["name"], []).append(one)
    return index


def shown(value: Any, names: Mapping[str, str]) -> str:
    """A value in a line for people, with names for the ids of objects that have one."""
    match value:
        case CreatedReference():
            return value.name
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case Mapping():
            return (
                "{" + ", ".join(f"{key}: {shown(one, names)}" for key, one in value.items()) + "}"
            )
        case list():
            return "[" + ", ".join(shown(one, names) for one in value) + "]"
        case _:
            return (names.get(value) if isinstance(value, str) else None) or str(value)
