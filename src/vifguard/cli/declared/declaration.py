"""The objects that a document declares, or everything that is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from vifguard.api import convert
from vifguard.cli.declared.nouns import NOUN_OF, NOUNS, PARTS, Field, Noun
from vifguard.client.resource import Resource


class DeclarationError(Exception):
    """Everything that is wrong with a cloud file; `problems` has a line each."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Declared:
    """One object that a file declares; `values` by the file's keys, as the API takes them."""

    resource: Resource
    project: str
    name: str
    values: Mapping[str, Any]

    def __str__(self) -> str:
        return f"{self.resource.noun} {self.project}/{self.name}"


def declared_objects(document: Any) -> tuple[Declared, ...]:
    """The objects of a document, in the order in which they are created.

    Raises DeclarationError with every problem there is, not just the first.
    """
    reading = _Reading([])
    objects = list(reading.objects(document))
    if reading.problems:
        raise DeclarationError(reading.problems)
    order = list(NOUN_OF)
    return tuple(sorted(objects, key=lambda one: order.index(one.resource)))


@dataclass(frozen=True, slots=True)
class _Reading:
    """One walk through a document, gathering what is wrong on the way."""

    problems: list[str]

    def objects(self, document: Any) -> Iterator[Declared]:
        top = self._mapping(document, "the file", ("projects",))
        for project, nouns in self._named(top.get("projects"), "projects", convert.project):
            where = f"projects.{project}"
            for plural, entries in self._mapping(nouns, where, tuple(NOUNS)).items():
                noun = NOUNS[plural]
                for name, entry in self._named(entries, f"{where}.{plural}", convert.text()):
                    place = f"{where}.{plural}.{name}"
                    for each, given in self._parts(noun, entry, place):
                        values = self._values(each, given, place)
                        yield Declared(each.resource, project, name, values)

    def _parts(self, noun: Noun, entry: Any, where: str) -> Iterator[tuple[Noun, dict[str, Any]]]:
        """A noun's own part of an entry, and what else the entry says."""
        part = PARTS.get(noun.resource)
        beside = tuple(part.by_name) if part else ()
        given = self._mapping(entry, where, (*noun.by_name, *beside))
        yield noun, {key: value for key, value in given.items() if key not in beside}
        if part and (rest := {key: value for key, value in given.items() if key in beside}):
            yield part, rest

    def _values(self, noun: Noun, given: dict[str, Any], where: str) -> dict[str, Any]:
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

    def _is_sound(self, field: Field, value: Any, where: str) -> bool:
        try:
            field.read(field.refer(value))
        except ValueError as error:
            self.problems.append(f"{where}: {error}")
            return False
        return True

    def _mapping(self, value: Any, where: str, known: tuple[str, ...]) -> dict[str, Any]:
        """The known keys of a mapping; nothing at all counts as an empty one."""
        if value is None:
            return {}
        if not isinstance(value, dict):
            self.problems.append(
                f"{where}: {convert.quoted(value)} is not a mapping of {', '.join(known)}"
            )
            return {}
        for key in sorted(value.keys() - set(known)):
            self.problems.append(
                f"{where}: {convert.quoted(key)} is unknown here; known: {', '.join(known)}"
            )
        return {key: inner for key, inner in value.items() if key in known}

    def _named(
        self, value: Any, where: str, converter: convert.Converter
    ) -> Iterator[tuple[str, Any]]:
        """The entries of a mapping from names."""
        if not isinstance(value, dict | None):
            self.problems.append(f"{where}: {convert.quoted(value)} is not a mapping from names")
            return
        for name, inner in (value or {}).items():
            try:
                if not converter.read(name).strip():
                    raise ValueError("a name must not be empty")  # noqa: TRY301  one place tells
            except ValueError as error:
                self.problems.append(f"{where}: {error}")
            else:
                yield name, inner


def _with_one_choice(values: dict[str, Any], noun: Noun) -> dict[str, Any]:
    """Choosing a profile ends a choice of guards, and the reverse: the API takes only one."""
    for one, other in (("guard_profile", "guards"), ("guards", "guard_profile")):
        if values.get(one) is not None and other in noun.by_name:
            values.setdefault(other, None)
    return values
