"""Bounds of the lists and texts in messages: a server refuses what is beyond, an agent cuts it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, is_dataclass
from functools import cache
from itertools import islice
from typing import Annotated, Any, TypeVar, get_args, get_origin, get_type_hints

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class AtMost:
    """The most items of a field's list, set or mapping, or characters of its text."""

    number: int


def bound_of(kind: Any) -> int | None:
    """The bound that the type of a field states; None for none."""
    marks = get_args(kind)[1:] if get_origin(kind) is Annotated else ()
    return next((mark.number for mark in marks if isinstance(mark, AtMost)), None)


def cut(message: T) -> T:
    """A message in which no list and no text is beyond its bound: the first ones are left."""
    kind: Any = type(message)
    kinds = _kinds(kind)
    parts = {name: getattr(message, name) for name in kinds}
    fitting = {name: _cut(value, kinds[name]) for name, value in parts.items()}
    changed = {name: value for name, value in fitting.items() if value is not parts[name]}
    found: T = kind(**parts | changed) if changed else message
    return found


@cache
def _kinds(message: Any) -> dict[str, Any]:
    return get_type_hints(message, include_extras=True)


def _cut(value: Any, kind: Any) -> Any:
    """A value of a field of this type; the same object where nothing of it is cut."""
    if is_dataclass(value):
        return cut(value)
    most = bound_of(kind)
    if most is None:
        return value
    inner = get_args(get_args(kind)[0])
    if isinstance(value, Mapping):
        named = {_cut(name, inner[0]): number for name, number in islice(value.items(), most)}
        return value if named == value else named
    if isinstance(value, str | bytes):
        return value[:most]
    items = value if isinstance(value, tuple) else sorted(value)
    fitting = type(value)(_cut(each, inner[0]) for each in items[:most])
    return value if fitting == value else fitting
