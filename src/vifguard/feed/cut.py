"""Cutting of messages to their bounds, by who sends them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import is_dataclass
from functools import cache
from itertools import islice
from typing import Any, Final, TypeVar, get_args, get_type_hints

from vifguard.feed.bounds import bound_of, encoded_length, longest
from vifguard.feed.codec import encode

T = TypeVar("T")

_MANY: Final = 1 << 16
"""More items than any bounded list has."""


def cut(message: T) -> T:
    """A message within its bounds: the first items of its lists, and of its texts, are left.

    Where it is too long as a whole, its lists are cut to ever fewer items, the longest first.
    """
    fitting, most = _fitting(message, _MANY), _MANY
    octets = longest(type(message))
    while octets is not None and most > 1 and encoded_length(encode(fitting)) > octets:
        most //= 2
        fitting = _fitting(fitting, most)
    return fitting


def _fitting(message: T, items: int) -> T:
    """A message in which no list has more items than these, and none and no text is too long."""
    kind: Any = type(message)
    kinds = _kinds(kind)
    parts = {name: getattr(message, name) for name in kinds}
    fitting = {name: _cut(value, kinds[name], items) for name, value in parts.items()}
    changed = {name: value for name, value in fitting.items() if value is not parts[name]}
    found: T = kind(**parts | changed) if changed else message
    return found


@cache
def _kinds(message: Any) -> dict[str, Any]:
    return get_type_hints(message, include_extras=True)


def _cut(value: Any, kind: Any, items: int) -> Any:
    """A value of a field of this type; the same object where nothing of it is cut."""
    if is_dataclass(value):
        return _fitting(value, items)
    bound = bound_of(kind)
    if bound is None:
        return value
    if isinstance(value, str | bytes):
        return value[:bound]
    inner, most = get_args(get_args(kind)[0]), min(bound, items)
    if isinstance(value, Mapping):
        few = islice(value.items(), most)
        named = {_cut(name, inner[0], items): number for name, number in few}
        return value if named == value else named
    ordered = value if isinstance(value, tuple) else sorted(value)
    fitting = type(value)(_cut(each, inner[0], items) for each in ordered[:most])
    return value if fitting == value else fitting
