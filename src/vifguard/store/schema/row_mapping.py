"""Rows <-> dataclasses, derived from the types of the fields."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from enum import StrEnum
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from operator import attrgetter
from types import MappingProxyType, NoneType, UnionType
from typing import Any, Final, Generic, TypeVar, Union, get_args, get_origin, get_type_hints

from vifguard.model.address import Mac

T = TypeVar("T")

Values = dict[str, Any]
"""Column names and their values."""

Record = Any
"""A row as the database gives it: its columns are attributes."""


@dataclass(frozen=True, slots=True)
class Codec:
    """One kind of value: as the model has it, and as a column has it."""

    to_column: Callable[[Any], Any]
    from_column: Callable[[Any], Any]


def _same(value: Any) -> Any:
    return value


_PLAIN: Final = Codec(_same, _same)
_KNOWN: Final[Mapping[Any, Codec]] = MappingProxyType(
    {
        str: _PLAIN,
        int: _PLAIN,
        bool: _PLAIN,
        Mac: Codec(lambda mac: mac.octets, Mac),
        frozenset({IPv4Address, IPv6Address}): Codec(str, ip_address),
        frozenset({IPv4Network, IPv6Network}): Codec(str, ip_network),
    }
)


def codec_of(kind: Any) -> Codec:
    """How values of a type are kept in one column; TypeError for a type that is not known."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in {Union, UnionType}:
        return _of_union(arguments)
    if origin is tuple:
        return _of_many(tuple, list, codec_of(arguments[0]))
    if origin is frozenset:
        return _of_many(frozenset, sorted, codec_of(arguments[0]))
    if origin is Mapping:
        return Codec(lambda value: dict(value) or None, lambda value: value or {})
    return _of_class(kind)


def _of_class(kind: Any) -> Codec:
    if kind in _KNOWN:
        return _KNOWN[kind]
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return Codec(_same, kind)
    if is_dataclass(kind):
        return _of_record(kind)
    raise TypeError(f"{kind!r} has no column: add it to row_mapping")


def _of_union(arguments: tuple[Any, ...]) -> Codec:
    kinds = frozenset(arguments) - {NoneType}
    one = _KNOWN[kinds] if kinds in _KNOWN else codec_of(next(iter(kinds)))
    if NoneType not in arguments or one is _PLAIN:
        return one
    if get_origin(next(iter(kinds))) is frozenset:
        # An empty set is not none.
        item = codec_of(get_args(next(iter(kinds)))[0])
        one = Codec(
            lambda value: sorted(map(item.to_column, value)),
            lambda kept: frozenset(map(item.from_column, kept)),
        )
    return Codec(
        lambda value: None if value is None else one.to_column(value),
        lambda kept: None if kept is None else one.from_column(kept),
    )


def _of_many(kind: Callable[[Any], Any], order: Callable[[Any], list[Any]], item: Codec) -> Codec:
    # Empty is null: most nouns have none, and reading JSON costs more than the row.
    return Codec(
        lambda value: order(map(item.to_column, value)) if value else None,
        lambda kept: kind(map(item.from_column, kept)) if kept else kind(()),
    )


def _of_record(kind: Any) -> Codec:
    hints = get_type_hints(kind)
    parts = [(each.name, codec_of(hints[each.name])) for each in fields(kind)]
    return Codec(
        lambda value: [codec.to_column(getattr(value, name)) for name, codec in parts],
        lambda kept: kind(
            *(codec.from_column(each) for (_, codec), each in zip(parts, kept, strict=True))
        ),
    )


class RowMapping(Generic[T]):
    """The columns of a noun: one for each field, of the same name.

    `elsewhere` are the fields that its row does not have. `spread` are the fields that have a
    column for each part, named after the field's prefix here.
    """

    def __init__(
        self,
        noun: type[T],
        *,
        elsewhere: frozenset[str] = frozenset(),
        spread: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        hints = get_type_hints(noun)
        names = [each.name for each in fields(noun) if each.name not in elsewhere]  # type: ignore[arg-type]
        self._noun = noun
        self.spread = {name: _Spread(hints[name], spread[name]) for name in spread}
        self.fields = tuple(name for name in names if name not in spread)
        self._read = attrgetter(*self.fields)
        codecs = {name: codec_of(hints[name]) for name in self.fields}
        self._codecs = {name: codec for name, codec in codecs.items() if codec is not _PLAIN}

    def values(self, noun: T) -> Values:
        """The columns of a noun, and their values."""
        found = dict(zip(self.fields, self._read(noun), strict=True))
        for name, codec in self._codecs.items():
            found[name] = codec.to_column(found[name])
        for name, parts in self.spread.items():
            found |= parts.values(getattr(noun, name))
        return found

    def read(self, row: Record, **others: Any) -> T:
        """The noun of a row; `others` are values that the row does not have, or has otherwise."""
        found = dict(zip(self.fields, self._read(row), strict=True))
        for name, codec in self._codecs.items():
            found[name] = codec.from_column(found[name])
        for name, parts in self.spread.items():
            found[name] = parts.read(row)
        return self._noun(**(found | others))


class _Spread:
    """A field with a column for each of its parts; null in the first is none."""

    def __init__(self, kind: Any, prefix: str) -> None:
        (self._kind,) = {*get_args(kind)} - {NoneType} or {kind}
        self._names = [each.name for each in fields(self._kind)]
        self._columns = [f"{prefix}_{name}" for name in self._names]
        self._read = attrgetter(*self._columns)

    def values(self, value: Any) -> Values:
        return {
            column: None if value is None else getattr(value, name)
            for column, name in zip(self._columns, self._names, strict=True)
        }

    def read(self, row: Record) -> Any:
        parts = self._read(row)
        return None if parts[0] is None else self._kind(*parts)
