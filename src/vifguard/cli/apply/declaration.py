"""The objects that a document declares, or all its faults."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from vifguard.attributes.values import converters
from vifguard.cli.apply.fields import FileField, FileResource
from vifguard.cli.apply.schema import NOUN_OF, NOUNS, PARTS, QUOTA
from vifguard.client.resource import ResourceType
from vifguard.model.address import quoted
from vifguard.model.security_group import DEFAULT

_QUOTAS = QUOTA.resource.plural


class DeclarationError(Exception):
    """The faults of a cloud file; `problems` has a line each.

    `objects` are the declared, as far as they could be read.
    """

    def __init__(self, problems: list[str], objects: tuple[Declared, ...] = ()) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems
        self.objects = objects


@dataclass(frozen=True, slots=True)
class Declared:
    """One object that a file declares; `values` by the file's keys, as the API takes them."""

    resource: ResourceType
    project: str
    name: str
    values: Mapping[str, Any]

    def __str__(self) -> str:
        return title(self.resource, self.project, self.name)


def title(resource: ResourceType, project: str, name: str) -> str:
    """An object in a line for people; a project's quotas have no name."""
    return f"{resource.noun} {project}" + (f"/{name}" if name else "")


def declared_objects(document: Any) -> tuple[Declared, ...]:
    """The objects of a document, in the order in which they are created.

    Raises DeclarationError with every problem there is, not just the first.
    """
    reading = _Reading([])
    order = list(NOUN_OF)
    # A project's default group comes with its first group, if it does not come before it.
    objects = sorted(
        reading.objects(document),
        key=lambda one: (order.index(one.resource), one.name != DEFAULT),
    )
    if reading.problems:
        raise DeclarationError(reading.problems, tuple(objects))
    return tuple(objects)


def named_projects(document: Any) -> frozenset[str]:
    """The projects that a document names, whatever it declares in them."""
    match document:
        case {"projects": dict(projects)}:
            return frozenset(map(str, projects))
        case _:
            return frozenset()


@dataclass(frozen=True, slots=True)
class _Reading:
    """One walk through a document that collects its faults."""

    problems: list[str]

    def objects(self, document: Any) -> Iterator[Declared]:
        top = self._mapping(document, "the file", ("projects",))
        for project, nouns in self._named(top.get("projects"), "projects", converters.project):
            where = f"projects.{project}"
            given = self._mapping(nouns, where, (*NOUNS, _QUOTAS))
            if _QUOTAS in given:
                limits = self._mapping(given.pop(_QUOTAS), f"{where}.quotas", tuple(QUOTA.by_name))
                values = self._values(QUOTA, limits, f"{where}.quotas")
                yield Declared(QUOTA.resource, project, "", values)
            for plural, entries in given.items():
                noun = NOUNS[plural]
                for name, entry in self._named(entries, f"{where}.{plural}", converters.word()):
                    place = f"{where}.{plural}.{name}"
                    for each, said in self._parts(noun, entry, place):
                        values = self._values(each, said, place)
                        yield Declared(each.resource, project, name, values)

    def _parts(
        self, noun: FileResource, entry: Any, where: str
    ) -> Iterator[tuple[FileResource, dict[str, Any]]]:
        """A noun's own part of an entry, and the entry's other part."""
        part = PARTS.get(noun.resource)
        beside = tuple(part.by_name) if part else ()
        given = self._mapping(entry, where, (*noun.by_name, *beside))
        yield noun, {key: value for key, value in given.items() if key not in beside}
        if part and (rest := {key: value for key, value in given.items() if key in beside}):
            yield part, rest

    def _values(self, noun: FileResource, given: dict[str, Any], where: str) -> dict[str, Any]:
        for field in noun.fields:
            if field.required and field.name not in given:
                self.problems.append(f"{where}: {field.name} is missing")
        if given.get("guard_profile") is not None and given.get("guards") is not None:
            self.problems.append(f"{where}: choose guard_profile or guards, not both")
        values = {
            name: field.refer(given[name])
            for name, field in noun.by_name.items()
            if name in given and self._is_sound(field, given[name], f"{where}.{name}")
        }
        return _with_one_choice(values, noun)

    def _is_sound(self, field: FileField, value: Any, where: str) -> bool:
        found = list(_faults(field, field.refer(value)))
        self.problems.extend(f"{where}{at}: {fault}" for at, fault in found)
        return not found

    def _mapping(self, value: Any, where: str, known: tuple[str, ...]) -> dict[str, Any]:
        """The known keys of a mapping; nothing at all counts as an empty one."""
        if value is None:
            return {}
        if not isinstance(value, dict):
            self.problems.append(f"{where}: {quoted(value)} is not a mapping of {', '.join(known)}")
            return {}
        for key in sorted(value.keys() - set(known)):
            self.problems.append(
                f"{where}: {quoted(key)} is unknown here; known: {', '.join(known)}"
            )
        return {key: inner for key, inner in value.items() if key in known}

    def _named(
        self, value: Any, where: str, converter: converters.Converter
    ) -> Iterator[tuple[str, Any]]:
        """The entries of a mapping from names."""
        if not isinstance(value, dict | None):
            self.problems.append(f"{where}: {quoted(value)} is not a mapping from names")
            return
        for name, inner in (value or {}).items():
            try:
                if not converter.read(name):
                    raise ValueError("a name must not be empty")  # noqa: TRY301  one place tells
            except ValueError as error:
                self.problems.append(f"{where}: {error}")
            else:
                yield name, inner


def _faults(field: FileField, value: Any) -> Iterator[tuple[str, str]]:
    """The faults of a value with their places in a list; a fault of the whole has no place."""
    try:
        field.read(value)
    except ValueError as error:
        places = list(_faults_within(field, value)) if isinstance(value, list) else []
        yield from places or [("", str(error))]


def _faults_within(field: FileField, value: list[Any]) -> Iterator[tuple[str, str]]:
    for place, one in enumerate(value):
        try:
            field.read([one])
        except ValueError as error:
            yield f"[{place}]", str(error)


def _with_one_choice(values: dict[str, Any], noun: FileResource) -> dict[str, Any]:
    """Choosing a profile ends a choice of guards, and the reverse: the API takes only one."""
    for one, other in (("guard_profile", "guards"), ("guards", "guard_profile")):
        if values.get(one) is not None and other in noun.by_name:
            values.setdefault(other, None)
    return values
