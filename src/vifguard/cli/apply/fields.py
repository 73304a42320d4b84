"""Fields of a cloud file: the keys of a noun, and references to other objects."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid5

from vifguard.attributes.schema import REQUIRED, Attribute
from vifguard.client.resource import ResourceType

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
    declared value with an object of the server; `present_value` makes what the report of a change
    shows as the present value. `beside` sets a value that no update of the object changes. A value
    that is not `posted` is set once the object is there.
    """

    name: str
    attribute: Attribute
    refer: Callable[[Any], Any] = lambda value: value
    same: Callable[[FileField, Any, Item], bool] | None = None
    present_value: Callable[[Any], Any] = lambda value: value
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


@dataclass(frozen=True)
class FileResource:
    """A noun of a file: its resource in the API, and its fields.

    `without` has the attributes that have no key, and the reason.
    """

    resource: ResourceType
    fields: tuple[FileField, ...]
    without: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def by_name(self) -> Mapping[str, FileField]:
        """The fields by the file's keys."""
        return {each.name: each for each in self.fields}
