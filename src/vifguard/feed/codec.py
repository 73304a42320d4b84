"""The JSON of the messages, for a feed that crosses a socket.

Strict both ways: a server does not take an agent's junk for a report, nor an agent a
half-understood update for a policy. Sets are sorted, so equal messages are equal JSON.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from functools import lru_cache, partial
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from cattrs import BaseValidationError, Converter, ForbiddenExtraKeysError

from vifguard.feed.bounds import bound_of, encoded_length, longest
from vifguard.feed.messages import HostReport
from vifguard.feed.segment import Segment, SegmentKind, decode_kind, encode_kind
from vifguard.model.address import (
    IPAddress,
    IPNetwork,
    Mac,
    parse_address,
    parse_network,
)
from vifguard.model.policy import Storm
from vifguard.model.security_group import Rule

T = TypeVar("T")

_NOT_THIS = (
    BaseValidationError,
    ForbiddenExtraKeysError,
    ValueError,
    TypeError,
    KeyError,
    AttributeError,
)
_DIFFERENT = 4096
"""The number of different sets and segments remembered: those of many ports are equal."""
_REMEMBERED = 16384
"""The number of rules remembered."""
_LONGEST = 64
"""The most members of a set that is remembered; a larger one is of one group alone."""
_FORMER_NAMES = {"floor": "quarantine"}
"""What agents of an earlier release call a field of a host's report, or a cause of a loss."""
_INTEGERS = 1 << 63
"""The bound of integers: a database holds those below it, and not below its negative."""


class CodecError(ValueError):
    """JSON that is not the message that it should be."""


def encode(message: object) -> Any:
    """A message as JSON values."""
    return _CONVERTER.unstructure(message)


def decode(kind: type[T], raw: object) -> T:
    """The message of JSON values; raises CodecError."""
    try:
        return _CONVERTER.structure(raw, kind)
    except KeyError as error:
        raise CodecError(f"no {kind.__name__}: {error} is missing") from None
    except _NOT_THIS as error:
        raise CodecError(f"no {kind.__name__}: {error}") from None


def _exactly(kind: type[object]) -> Any:
    def read(raw: object, wanted: type[Any]) -> Any:
        # Registered by class, this reads the enumerations of such values as well.
        if wanted is not kind:
            return _choice(raw, wanted)
        if type(raw) is not kind:
            raise CodecError(f"{raw!r} is no {kind.__name__}")
        if isinstance(raw, int) and not -_INTEGERS <= raw < _INTEGERS:
            raise CodecError(f"{raw!r:.40} has more than 64 bits")  # no database holds it
        return raw

    return read


def _choice(raw: object, kind: type[Any]) -> Any:
    if type(raw) is not (int if issubclass(kind, int) else str):
        raise CodecError(f"{raw!r} is no {kind.__name__}")
    return kind(raw)


def _number(raw: object, _: object) -> float:
    if not isinstance(raw, int | float) or isinstance(raw, bool) or not math.isfinite(raw):
        raise CodecError(f"{raw!r} is no number")
    return float(raw)


def _bytes(raw: object, _: object) -> bytes:
    if not isinstance(raw, str):
        raise CodecError(f"{raw!r} is no hexadecimal text")
    return bytes.fromhex(raw)


def _remote(raw: object, _: object) -> IPNetwork | str | None:
    """The remote of a rule: a prefix has a slash, the id of a set has none."""
    if raw is None:
        return None
    if not isinstance(raw, str) or not raw:
        raise CodecError(f"{raw!r} is neither a prefix nor the id of a set")
    return parse_network(raw) if "/" in raw else raw


def _sequence(raw: object) -> list[Any]:
    if not isinstance(raw, list | tuple):
        raise CodecError(f"{raw!r} is no list")
    return list(raw)


def _set_reader(kind: Any) -> Callable[[object, object], frozenset[Any]]:
    """Make a reader of a set; one of texts that was read before is the same object again."""
    (element,) = get_args(kind)

    def read(items: tuple[Any, ...]) -> frozenset[Any]:
        found = frozenset(_CONVERTER.structure(each, element) for each in items)
        if len(found) != len(items):
            raise CodecError(f"{items!r} has something twice")
        return found

    remembered = lru_cache(_DIFFERENT)(read)

    def read_any(raw: object, _: object) -> frozenset[Any]:
        items = tuple(_sequence(raw))
        # To a cache, 1 is True; texts are only themselves.
        short = len(items) <= _LONGEST and all(type(each) is str for each in items)
        return remembered(items) if short else read(items)

    return read_any


def _set_writer(kind: Any) -> Callable[[frozenset[Any]], list[Any]]:
    (element,) = get_args(kind)
    # A rule has no order of its own; its text has, as its fields come in one order.
    order = repr if element is Rule else None
    return lambda items: sorted((_CONVERTER.unstructure(each) for each in items), key=order)


def _tuple_reader(kind: Any) -> Callable[[object, object], tuple[Any, ...]]:
    element = get_args(kind)[0]

    def read(raw: object, _: object) -> tuple[Any, ...]:
        return tuple(_CONVERTER.structure(each, element) for each in _sequence(raw))

    return read


def _bounded_reader(kind: Any) -> Callable[[object, object], Any]:
    """Make a reader that looks at the length first: nothing beyond the bound is read."""
    inner, most = get_args(kind)[0], bound_of(kind) or 0
    longest = 2 * most if inner is bytes else most

    def read_bounded(raw: object, _: object) -> Any:
        if isinstance(raw, str | list | tuple | dict) and len(raw) > longest:
            raise CodecError(f"{len(raw)} where at most {longest} are taken: {raw!r:.40}")
        return _CONVERTER.structure(raw, inner)

    return read_bounded


def _is_bounded(kind: Any) -> bool:
    return bound_of(kind) is not None


def _message_reader(converter: Converter, kind: Any) -> Any:
    """Make a reader of a dataclass; cattrs resolves its types without their annotations."""
    kinds = get_type_hints(kind, include_extras=True)
    for each in fields(kind):
        each.type = kinds[each.name]
    read: Any = converter.gen_structure_attrs_fromdict(kind)
    most = longest(kind)
    return read if most is None else _within(most, read)


def _within(most: int, read: Callable[[object, object], Any]) -> Callable[[object, object], Any]:
    """Make a reader that looks at the length of the whole first: a list may be of long lists."""

    def read_within(raw: object, kind: object) -> Any:
        if (octets := encoded_length(raw)) > most:
            raise CodecError(f"{octets} octets where at most {most} are taken: {raw!r:.40}")
        return read(raw, kind)

    return read_within


def _is_set(kind: Any) -> bool:
    return get_origin(kind) is frozenset


def _is_tuple(kind: Any) -> bool:
    return get_origin(kind) is tuple


def _converter() -> Converter:
    converter = Converter(
        detailed_validation=False,
        forbid_extra_keys=True,
        unstruct_collection_overrides={tuple: list},
    )
    for kind in (int, str, bool):
        converter.register_structure_hook(kind, _exactly(kind))
    converter.register_structure_hook(float, _number)
    converter.register_structure_hook(bytes, _bytes)
    converter.register_unstructure_hook(bytes, bytes.hex)
    converter.register_structure_hook(Mac, lambda raw, _: Mac.parse(raw))
    converter.register_unstructure_hook(Mac, str)
    converter.register_structure_hook(IPAddress, lambda raw, _: parse_address(raw))
    for address in (IPv4Address, IPv6Address, IPv4Network, IPv6Network):
        converter.register_unstructure_hook(address, str)
    converter.register_structure_hook(IPNetwork, lambda raw, _: parse_network(raw))
    converter.register_structure_hook(IPNetwork | str | None, _remote)
    converter.register_structure_hook_factory(_is_set, _set_reader)
    converter.register_unstructure_hook_factory(_is_set, _set_writer)
    converter.register_structure_hook_factory(_is_tuple, _tuple_reader)
    converter.register_structure_hook(SegmentKind, lambda raw, _: decode_kind(raw))
    converter.register_unstructure_hook(SegmentKind, encode_kind)
    converter.register_structure_hook_factory(is_dataclass, partial(_message_reader, converter))
    converter.register_structure_hook_factory(_is_bounded, _bounded_reader)
    for shared in (Segment, Storm):
        converter.register_structure_hook(shared, _sharing(converter, shared))
    converter.register_structure_hook(Rule, _remembering(converter, Rule))
    converter.register_structure_hook(HostReport, _by_former_names(converter))
    return converter


def _by_former_names(converter: Converter) -> Callable[[object, object], HostReport]:
    """Make a reader of a host's report that reads former names as well."""
    read: Any = converter.get_structure_hook(HostReport)

    def read_any(raw: object, kind: object) -> HostReport:
        report = _renamed(raw)
        if isinstance(report, dict) and "lost" in report:
            report["lost"] = _renamed(report["lost"])
        found: HostReport = read(report, kind)
        return found

    return read_any


def _renamed(raw: object) -> object:
    if not isinstance(raw, dict):
        return raw
    former = {old: new for old, new in _FORMER_NAMES.items() if new not in raw}
    return {former.get(name, name): value for name, value in raw.items()}


def _remembering(converter: Converter, kind: type[T]) -> Callable[[object, object], T]:
    """Make a reader that parses a value once: a group comes whole, mostly with one rule changed."""
    read: Any = converter.get_structure_hook(kind)
    known: dict[str, T] = {}

    def again(raw: object, _: object) -> T:
        text = repr(raw)
        found = known.get(text)
        if found is None:
            if len(known) >= _REMEMBERED:
                known.clear()
            found = known[text] = read(raw, kind)
        return found

    return again


def _sharing(converter: Converter, kind: type[T]) -> Callable[[object, object], T]:
    """Make a reader that returns a value that many ports have in common as one object."""
    read: Any = converter.get_structure_hook(kind)

    @lru_cache(_DIFFERENT)
    def same(value: T) -> T:
        return value

    return lambda raw, _: same(read(raw, kind))


_CONVERTER = _converter()
