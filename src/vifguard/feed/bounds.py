"""Bounds of messages, and of their lists and texts: a server refuses what is beyond."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Final, TypeVar, get_args, get_origin

T = TypeVar("T")

_LONGEST: Final[dict[type[object], int]] = {}


@dataclass(frozen=True, slots=True)
class AtMost:
    """The most items of a field's list, set or mapping, or characters of its text."""

    number: int


def bound_of(kind: Any) -> int | None:
    """The bound that the type of a field states; None for none."""
    marks = get_args(kind)[1:] if get_origin(kind) is Annotated else ()
    return next((mark.number for mark in marks if isinstance(mark, AtMost)), None)


def encoded_at_most(octets: int) -> Callable[[type[T]], type[T]]:
    """Bound the messages of a class as a whole: the octets of their JSON."""

    def bounded(kind: type[T]) -> type[T]:
        _LONGEST[kind] = octets
        return kind

    return bounded


def longest(kind: type[object]) -> int | None:
    """The most octets of the JSON of a class's messages; None for no bound."""
    return _LONGEST.get(kind)


def encoded_length(raw: object) -> int:
    """The octets of JSON values as a text of ASCII without spaces."""
    return len(json.dumps(raw, separators=(",", ":")))
