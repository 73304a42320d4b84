"""What must change so that a cloud becomes what a file declares; pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vifguard.cli.declared.declaration import DeclarationError, Declared
from vifguard.cli.declared.nouns import NOUN_OF, NOUNS, Item, Made, Named
from vifguard.client.resource import NETWORK, SECURITY_GROUP, SUBNET, Resource
from vifguard.model.security_group import DEFAULT


@dataclass(frozen=True, slots=True)
class Create:
    """An object that is declared and not there; `values` by the file's keys."""

    resource: Resource
    project: str
    name: str
    values: Mapping[str, Any]

    def __str__(self) -> str:
        return f"{self.resource.noun} {self.project}/{self.name}"

    @property
    def made(self) -> Made:
        """What others refer to it by."""
        return Made(self.resource, self.project, self.name)


@dataclass(frozen=True, slots=True)
class Update:
    """An object that differs; `values` are the differing ones, `current` what is there."""

    resource: Resource
    project: str
    name: str
    current: Item
    values: Mapping[str, Any]

    def __str__(self) -> str:
        return f"{self.resource.noun} {self.project}/{self.name}"


@dataclass(frozen=True, slots=True)
class Delete:
    """An object of a declared project that the file does not declare."""

    resource: Resource
    project: str
    name: str
    current: Item

    def __str__(self) -> str:
        return f"{self.resource.noun} {self.project}/{self.name}"


Step = Create | Update | Delete
Present = Mapping[Resource, Sequence[Item]]
"""The objects that the server shows, by resource."""


def difference(
    declared: Sequence[Declared], present: Present, *, prune: bool = False
) -> tuple[Step, ...]:
    """The steps, in the order in which they must be taken; none when all is as declared.

    With `prune`, what the declared projects have beyond the file is deleted, last. Raises
    DeclarationError where a reference dangles or a lasting field differs.
    """
    comparing = _Comparing(declared, present)
    steps: list[Step] = [step for item in declared for step in comparing.steps(item)]
    if comparing.problems:
        raise DeclarationError(comparing.problems)
    if prune:
        steps += _surplus(declared, present)
    return tuple(steps)


Reference = str | Made
"""How one object refers to another: by its id, or by the id to come."""


class _Comparing:
    """One comparison, gathering what is wrong on the way."""

    def __init__(self, declared: Iterable[Declared], present: Present) -> None:
        self.problems: list[str] = []
        self._declared = {(item.resource, item.project, item.name): item for item in declared}
        self._ids = {(resource, one["id"]) for resource, found in present.items() for one in found}
        self._named: dict[tuple[Resource, str, str], list[Item]] = {}
        for resource, found in present.items():
            for one in found:
                key = (resource, one["project_id"], one["name"])
                self._named.setdefault(key, []).append(one)
        self._shared = [one for one in present[NETWORK] if one["shared"]]
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
            if field.lasting and field.name in changed:
                old, new = current.get(field.attribute.name), changed[field.name]
                self.problems.append(
                    f"{item}: {field.name} is {shown(old)} and cannot become {shown(new)}: "
                    f"delete the {item.resource.noun} first"
                )

    def _current(self, item: Declared) -> Item | None:
        found = self._named.get((item.resource, item.project, item.name), [])
        if len(found) > 1:
            ids = ", ".join(sorted(one["id"] for one in found))
            self.problems.append(
                f"{item}: {len(found)} bear this name: rename all but one of {ids}"
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
            case Named():
                return self._reference(item, value, network)
            case dict():
                return {key: self._resolve(item, one, network) for key, one in value.items()}
            case list():
                return [self._resolve(item, one, network) for one in value]
            case _:
                return value

    def _reference(
        self, item: Declared, wanted: Named, network: Reference | None
    ) -> Reference | None:
        found = self._candidates(item.project, wanted, network)
        if len(found) == 1:
            return found[0]
        what = f"{wanted.resource.noun} {wanted.name!r}"
        if found:
            self.problems.append(f"{item}: {what} could be any of {len(found)}: give its id")
        elif wanted.resource is not SUBNET:
            self.problems.append(f"{item}: there is no {what}: declare it, or correct the name")
        elif network is not None:
            self.problems.append(f"{item}: its network has no {what}: declare it there")
        return None

    def _candidates(
        self, project: str, wanted: Named, network: Reference | None
    ) -> list[Reference]:
        """What a name can mean: an id, then the project's own, then what is shared."""
        resource, name = wanted.resource, wanted.name
        if resource is SUBNET:
            return self._subnets.get((network, name), [])
        if (resource, name) in self._ids:
            return [name]
        if own := self._named.get((resource, project, name)):
            return [one["id"] for one in own]
        if (resource, project, name) in self._declared:
            return [Made(resource, project, name)]
        return self._shared_networks(name) if resource is NETWORK else []

    def _shared_networks(self, name: str) -> list[Reference]:
        there: list[Reference] = [one["id"] for one in self._shared if one["name"] == name]
        coming = [
            Made(resource, project, name)
            for (resource, project, other), item in self._declared.items()
            if resource is NETWORK and other == name and item.values.get("shared")
            if (resource, project, name) not in self._named
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
                for network in self._candidates(project, item.values["network"], None):
                    index.setdefault((network, name), []).append(Made(resource, project, name))
        return index


def _surplus(declared: Sequence[Declared], present: Present) -> Iterator[Delete]:
    """What the declared projects have beyond the declared, dependents first."""
    projects = {item.project for item in declared}
    wanted = {(item.resource, item.project, item.name) for item in declared}
    for resource in (noun.resource for noun in reversed(list(NOUNS.values()))):
        for one in present[resource]:
            project, name = one["project_id"], one["name"]
            # Every project has a default group: it comes with the first port.
            is_default = resource is SECURITY_GROUP and name == DEFAULT
            if project in projects and (resource, project, name) not in wanted and not is_default:
                yield Delete(resource, project, name or one["id"], one)


def shown(value: Any) -> str:
    """A value in a line for people."""
    match value:
        case Made():
            return value.name
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case Mapping():
            return "{" + ", ".join(f"{key}: {shown(one)}" for key, one in value.items()) + "}"
        case list():
            return "[" + ", ".join(shown(one) for one in value) + "]"
        case _:
            return str(value)
