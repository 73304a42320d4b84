"""Options of `create` and `set`, derived from attributes: one for each that a client may write."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from functools import cached_property
from typing import Annotated, Any

import typer

from vifguard.attributes.schema import REQUIRED, Attribute, ResourceSchema
from vifguard.attributes.values.converters import NUMERAL
from vifguard.cli.lookup import completer, id_of
from vifguard.cli.options.values import NONE, many, number_or_none, words
from vifguard.cli.session import Session
from vifguard.client.resource import ResourceType

Item = Mapping[str, Any]
"""An object as the API shows it, or as far as its creation has got."""

Body = dict[str, Any]
Read = Callable[[Session, Item, Any], Any]
"""Makes the API's value of an option's, beside the object that it is of."""


class Kind(Enum):
    """The form of an option's value."""

    SWITCH = auto()
    NUMBER = auto()
    TEXT = auto()
    WORDS = auto()
    LIST = auto()


_TYPES: Mapping[Kind, Any] = {
    Kind.SWITCH: bool,
    Kind.NUMBER: int,
    Kind.TEXT: str,
    Kind.WORDS: str,
    Kind.LIST: list[str],
}


@dataclass(frozen=True, slots=True)
class Spelling:
    """An attribute's spelling on the command line, where it is not the usual one.

    `option` is its flag, or both flags of a switch. `null` is the word for null; empty: there is
    none. `read` makes the API's value; `refers_to` is what its names are completed from.
    """

    option: str = ""
    metavar: str | None = None
    null: str = NONE
    read: Read | None = None
    refers_to: ResourceType | None = None


@dataclass(frozen=True)
class AttributeOption:
    """One attribute as an option."""

    attribute: Attribute
    spelling: Spelling

    @cached_property
    def flag(self) -> str:
        """The option as a user writes it; of a switch the positive one."""
        return self._flags.partition("/")[0]

    @property
    def parameter(self) -> str:
        """The name of its parameter."""
        return self.flag.removeprefix("--").replace("-", "_")

    @property
    def is_required(self) -> bool:
        """Whether `create` cannot be without it."""
        return self.attribute.default is REQUIRED

    def signature(self, *, required: bool) -> inspect.Parameter:
        """The parameter of a command."""
        kind = _TYPES[self._kind]
        option = typer.Option(
            self._flags,
            help=self.help,
            metavar=self.spelling.metavar,
            autocompletion=completer(names) if (names := self.spelling.refers_to) else None,
        )
        return inspect.Parameter(
            self.parameter,
            inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty if required else None,
            annotation=Annotated[kind if required else kind | None, option],
        )

    def read(self, session: Session, beside: Item, value: Any) -> Any:
        """The API's value; a usage error for a text that has none."""
        if self._null and value == self._null:
            return None
        if self.spelling.read is not None:
            return self.spelling.read(session, beside, value)
        match self._kind:
            case Kind.WORDS:
                return words(value)
            case Kind.LIST:
                return many(value)
            case Kind.TEXT if _is_number(self._schema):
                return number_or_none(self.flag, value)
            case _:
                return value

    @cached_property
    def help(self) -> str:
        """The attribute's text, with the words that stand for values."""
        first, stop, rest = self.attribute.help.partition(". ")
        choices = self._items.get("enum") or ()
        lists = self._kind in {Kind.WORDS, Kind.LIST}
        nothing = [NONE] if lists and not self.is_required else []
        if self._null and self._kind is not Kind.SWITCH:
            nothing.append(self._null)
        parts = (
            first.removesuffix(".") + (": " if choices else "") + ", ".join(map(str, choices)),
            "repeatable" if self._kind is Kind.LIST else "",
            f"or {', or '.join(dict.fromkeys(nothing))}" if nothing else "",
        )
        return "; ".join(filter(None, parts)) + (stop or ".") + rest

    @cached_property
    def _flags(self) -> str:
        if self.spelling.option:
            return self.spelling.option
        name = re.sub(r"[^a-z0-9]+", "-", self.attribute.name)
        return f"--{name}/--no-{name}" if self._kind is Kind.SWITCH else f"--{name}"

    @cached_property
    def _schema(self) -> Mapping[str, Any]:
        schema = self.attribute.converter.schema
        first: Mapping[str, Any] = schema.get("anyOf", [schema])[0]
        return first

    @property
    def _items(self) -> Mapping[str, Any]:
        items: Mapping[str, Any] = self._schema.get("items", self._schema)
        return items

    @cached_property
    def _null(self) -> str:
        """The word for null; empty where there is none, or null is what is not said."""
        is_nullable = {"type": "null"} in self.attribute.converter.schema.get("anyOf", ())
        is_usual = self.attribute.put is None and self.attribute.default is None
        return self.spelling.null if is_nullable and not is_usual else ""

    @cached_property
    def _kind(self) -> Kind:
        schema = self._schema
        if schema.get("type") == "boolean":
            return Kind.SWITCH
        if schema.get("type") == "array":
            return Kind.WORDS if "enum" in self._items else Kind.LIST
        if _is_number(schema) and not self._null:
            return Kind.NUMBER
        return Kind.TEXT


def _is_number(schema: Mapping[str, Any]) -> bool:
    return schema.get("type") == "integer" or schema.get("pattern") == NUMERAL


def of_text(read: Callable[[Any], Any]) -> Read:
    """A reader of values that mean the same beside any object."""
    return lambda _session, _beside, value: read(value)


def reference(option: str, resource: ResourceType) -> Spelling:
    """An option that names another object, whose id the API takes."""
    return Spelling(
        option, read=lambda session, _, name: id_of(session, resource, name), refers_to=resource
    )


def _unchanged(body: Body) -> Body:
    return body


@dataclass(frozen=True)
class NounOptions:
    """The options of a noun.

    `spelled` has the attributes that are spelled in a way of their own, `unoffered` those without
    an option and the reason. `complete` adds to a body what its values imply; it raises a usage
    error where they contradict each other.
    """

    resource: ResourceType
    schema: ResourceSchema
    spelled: Mapping[str, Spelling] = field(default_factory=dict)
    unoffered: Mapping[str, str] = field(default_factory=dict)
    complete: Callable[[Body], Body] = _unchanged

    @cached_property
    def create(self) -> tuple[AttributeOption, ...]:
        """The options of `create`; a name is its argument."""
        return tuple(
            each
            for each in self._options()
            if each.attribute.post and each.attribute.name != "name"
        )

    @cached_property
    def set(self) -> tuple[AttributeOption, ...]:
        """The options of `set`."""
        return tuple(each for each in self._options() if each.attribute.put)

    def body(
        self, options: tuple[AttributeOption, ...], session: Session, beside: Item, given: Body
    ) -> Body:
        """The body of a request with the options that were given."""
        body: Body = {}
        # A text that is no value is found before the server is asked for a name.
        for option in sorted(options, key=lambda each: each.spelling.read is not None):
            value = given.get(option.parameter)
            if value not in (None, []):
                body[option.attribute.name] = option.read(session, {**beside, **body}, value)
        return self.complete(body)

    def _options(self) -> Iterator[AttributeOption]:
        for attribute in self.schema.writable:
            if attribute.name not in self.unoffered:
                yield AttributeOption(attribute, _spelling(self.spelled, attribute))


_PROJECT = Spelling("--project")
_ENABLE = Spelling("--enable/--disable")
EVERYWHERE: Mapping[str, Spelling] = {"project_id": _PROJECT, "admin_state_up": _ENABLE}
"""Spellings that all nouns share."""


def _spelling(spelled: Mapping[str, Spelling], attribute: Attribute) -> Spelling:
    return spelled.get(attribute.name) or EVERYWHERE.get(attribute.name) or Spelling()
