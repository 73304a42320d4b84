"""Converters: JSON value -> our value, or InvalidValueError; each knows its schema.

They coerce where Neutron does (`"True"`, `"22"`), on full ASCII matches; the rest is refused.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network
from typing import Any, TypeVar

from vifguard.attributes.values.invisible_text import is_seen
from vifguard.model.address import (
    AddressError,
    IPAddress,
    IPNetwork,
    Mac,
    host_prefix,
    parse_address,
    parse_interface,
    parse_network,
    quoted,
)

Schema = Mapping[str, Any]
T = TypeVar("T")

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.ASCII)
_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,15})", re.ASCII)
_PROJECT = re.compile(r"[0-9A-Za-z][0-9A-Za-z_.-]{0,63}", re.ASCII)
_HOST = re.compile(r"[0-9A-Za-z][0-9A-Za-z_.-]{0,252}", re.ASCII)
_PHYSICAL = re.compile(r"[0-9A-Za-z][0-9A-Za-z_.-]{0,63}", re.ASCII)
_LABEL = r"[0-9A-Za-z]([0-9A-Za-z-]{0,61}[0-9A-Za-z])?"
_DNS = re.compile(rf"(({_LABEL}[.])*{_LABEL}[.]?)?", re.ASCII)
_TRUE = frozenset({"1", "t", "true", "on", "y", "yes"})
_FALSE = frozenset({"0", "f", "false", "off", "n", "no"})

_NEVER_A_STATION = tuple(
    (IPv4Network(text) if "." in text else IPv6Network(text), why)
    for text, why in (
        ("0.0.0.0/8", "unspecified"),
        ("127.0.0.0/8", "loopback"),
        ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "reserved or broadcast"),
        ("::/128", "unspecified"),
        ("::1/128", "loopback"),
        ("::ffff:0:0/96", "IPv4-mapped"),
        ("ff00::/8", "multicast"),
    )
)

_LINK_LOCAL = IPv6Network("fe80::/10")


class InvalidValueError(ValueError):
    """An invalid value; the message quotes it and gives the reason, `kind` is Neutron's type."""

    def __init__(self, message: str, kind: str = "HTTPBadRequest") -> None:
        super().__init__(message)
        self.kind = kind


@dataclass(frozen=True, slots=True)
class Converter:
    """The accepted values of an attribute: their schema, and the function that reads one.

    `show` is the reverse: a value of the model as JSON; None where it is JSON itself.
    """

    schema: Schema
    read: Callable[[Any], Any]
    show: Callable[[Any], Any] | None = None


def quoted_list(names: Iterable[str]) -> str:
    """The first ten of several names in their order, each quoted: short, however many are given."""
    return ", ".join(quoted(name) for name in sorted(names)[:10])


_JOINERS = "\u200c\u200d"
"""Persian words and many emoji are written with these (ZWNJ, ZWJ), which show nothing alone."""

_LAYOUT = "\n\r\t"


def text(limit: int = 255, *, lines: bool = False) -> Converter:
    """Text in any living script, of at most `limit` characters.

    No control, no line separator, nothing that turns the direction of the text after it (Unicode
    Technical Report 36, section 2.3). `lines`: line ends and tabs are accepted.
    """
    layout = _LAYOUT if lines else ""

    def read(value: Any) -> str:
        if not isinstance(value, str):
            raise InvalidValueError(f"{quoted(value)} is not a valid string")
        if len(value) > limit:
            raise InvalidValueError(f"{quoted(value)} exceeds maximum length of {limit}")
        if not value.isprintable():
            for index, one in enumerate(value, 1):
                if not (_has_visible_character(one) or one in layout):
                    raise InvalidValueError(
                        f"{quoted(value)} holds U+{ord(one):04X} at character {index}, which does "
                        f"not print"
                    )
        return value

    return Converter({"type": "string", "maxLength": limit}, read)


def word(limit: int = 255) -> Converter:
    """A name: a text that shows at least one character, or is empty."""
    any_text = text(limit)

    def read(value: Any) -> str:
        read: str = any_text.read(value)
        if read and not is_seen(read):
            codes = " ".join(f"U+{ord(one):04X}" for one in read[:10])
            raise InvalidValueError(
                f"{quoted(value)} ({codes}) has no visible character: give at least one"
            )
        return read

    return Converter(any_text.schema, read)


def _has_visible_character(one: str) -> bool:
    return one.isprintable() or one in _JOINERS or unicodedata.category(one) == "Zs"


def _read_boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    word = str(value).lower() if isinstance(value, str | int) else ""
    if word in _TRUE or word in _FALSE:
        return word in _TRUE
    raise InvalidValueError(f"{quoted(value)} cannot be converted to boolean", "InvalidInput")


boolean = Converter({"type": "boolean"}, _read_boolean)


def integer(low: int, high: int) -> Converter:
    """A whole number from `low` to `high`, both included."""

    def read(value: Any) -> int:
        if isinstance(value, str) and _INTEGER.fullmatch(value):
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            raise InvalidValueError(f"{quoted(value)} is not an integer", "InvalidInput")
        if not low <= value <= high:
            raise InvalidValueError(f"{quoted(value)} is not from {low} to {high}")
        return value

    return Converter({"type": "integer", "minimum": low, "maximum": high}, read)


NUMERAL = "^[0-9]+$"
"""The pattern of a whole number that is shown as a text; it sorts as the number."""


def matching(pattern: re.Pattern[str], what: str) -> Converter:
    """Text that a pattern matches as a whole."""

    def read(value: Any) -> str:
        if not isinstance(value, str) or not pattern.fullmatch(value):
            raise InvalidValueError(f"{quoted(value)} is not {what}")
        return value

    return Converter({"type": "string", "pattern": f"^(?:{pattern.pattern})$"}, read)


uuid = matching(_UUID, "a valid UUID")
project = matching(_PROJECT, "a project id (letters, digits, '_', '.', '-')")
host_name = matching(_HOST, "a host name")
dns = matching(_DNS, "a name of the DNS (labels of letters, digits and '-')")
physical = matching(_PHYSICAL, "a name of a physical network")


def one_of(kind: type[StrEnum]) -> Converter:
    """One of the words of an enumeration."""
    words = [member.value for member in kind]

    def read(value: Any) -> StrEnum:
        if not isinstance(value, str) or value not in words:
            raise InvalidValueError(f"{quoted(value)} is not in {words}")
        return kind(value)

    return Converter({"type": "string", "enum": words}, read)


def exactly(*values: object) -> Converter:
    """One of these very values, and of their very types."""

    def read(value: Any) -> object:
        for allowed in values:
            if type(value) is type(allowed) and value == allowed:
                return allowed
        raise InvalidValueError(
            f"{quoted(value)} is not in {list(values)}: other values are not supported"
        )

    return Converter({"enum": list(values)}, read)


def nullable(inner: Converter) -> Converter:
    """Null as None, or a value of `inner`."""
    show = inner.show
    return Converter(
        {"anyOf": [inner.schema, {"type": "null"}]},
        lambda value: None if value is None else inner.read(value),
        show and (lambda value: None if value is None else show(value)),
    )


def or_none_at_all(inner: Converter) -> Converter:
    """A list, or null for an empty one."""
    return mapped(nullable(inner), lambda given: given or (), inner.show)


def refused_as(kind: str, inner: Converter) -> Converter:
    """The values of `inner`; its refusals have this type of Neutron's."""

    def read(value: Any) -> Any:
        try:
            return inner.read(value)
        except ValueError as error:
            raise InvalidValueError(str(error), kind) from None

    return Converter(inner.schema, read, inner.show)


def many_of(inner: Converter, limit: int, beyond: str = "HTTPBadRequest") -> Converter:
    """A list of at most `limit` values, as a tuple in the order given.

    `beyond` is Neutron's word for more of them.
    """

    def read(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise InvalidValueError(f"{quoted(value)} is not a list")
        if len(value) > limit:
            raise InvalidValueError(
                f"{len(value)} entries are more than the maximum of {limit}", beyond
            )
        return tuple(inner.read(each) for each in value)

    show = inner.show
    return Converter(
        {"type": "array", "items": inner.schema, "maxItems": limit},
        read,
        list if show is None else lambda values: [*map(show, values)],
    )


def list_of(inner: Converter, limit: int, beyond: str = "HTTPBadRequest") -> Converter:
    """A list of different values, at most `limit`, as a tuple in the order given."""
    many = many_of(inner, limit, beyond)

    def read(value: Any) -> tuple[Any, ...]:
        found = many.read(value)
        for index, one in enumerate(found):
            if one in found[:index]:
                raise InvalidValueError(f"duplicate entry {quoted(value[index])}")
        return tuple(found)

    return Converter(many.schema, read, many.show)


def set_of(inner: Converter, limit: int) -> Converter:
    """A list of different values whose order does not matter, as a frozenset."""
    ordered = list_of(inner, limit)
    return Converter(ordered.schema, lambda value: frozenset(ordered.read(value)), sorted)


def record(required: Mapping[str, Converter], optional: Mapping[str, Converter]) -> Converter:
    """An object with these keys and no others, as a dict of converted values."""
    parts = {**required, **optional}

    def read(value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise InvalidValueError(f"{quoted(value)} is not a dictionary")
        if unknown := value.keys() - parts.keys():
            raise InvalidValueError(f"unexpected keys {quoted_list(unknown)} in {quoted(value)}")
        if missing := required.keys() - value.keys():
            raise InvalidValueError(f"missing keys {sorted(missing)} in {quoted(value)}")
        return {name: _inner(parts[name], name, each) for name, each in value.items()}

    schema = {
        "type": "object",
        "properties": {name: part.schema for name, part in parts.items()},
        "required": sorted(required),
        "additionalProperties": False,
    }
    return Converter(schema, read)


def _inner(converter: Converter, name: str, value: Any) -> Any:
    try:
        return converter.read(value)
    except ValueError as error:
        raise InvalidValueError(f"{name}: {error}") from None


def mapped(
    inner: Converter, change: Callable[[Any], Any], show: Callable[[Any], Any] | None = None
) -> Converter:
    """The values of `inner`, changed further; `change` may raise ValueError, `show` reverses it."""
    return Converter(inner.schema, lambda value: change(inner.read(value)), show)


def _read_mac(value: Any) -> Mac:
    mac = Mac.parse(value)
    if mac.is_group or mac.is_zero:
        raise AddressError(f"{quoted(value)} is a group or zero address, which no station has")
    return mac


_PAIR = "[0-9A-Fa-f]{2}"
_MAC_SCHEMA = {"type": "string", "pattern": f"^{_PAIR}([:-]){_PAIR}(\\1{_PAIR}){{4}}$"}
mac = Converter(_MAC_SCHEMA, _read_mac, str)

_NLB_MULTICAST, _NLB_UNICAST = b"\x03\xbf", b"\x02\xbf"


def _read_pair_mac(value: Any) -> Mac:
    found = Mac.parse(value)
    if not found.is_group:
        return _read_mac(value)
    # Windows NLB in multicast mode answers ARP with a group address: to let it pass would let
    # one guest turn its neighbours' traffic into a flood (RFC 1812, 3.3.2 forbids believing it).
    instead = "list a unicast address at the port of each node"
    if found.octets.startswith(_NLB_MULTICAST):
        unicast = Mac(_NLB_UNICAST + found.octets[2:])
        instead = f"set Windows NLB to unicast mode, and list {unicast} at the port of each node"
    raise AddressError(f"{quoted(value)} is a group address, which no station has; {instead}")


pair_mac = Converter(_MAC_SCHEMA, _read_pair_mac)
"""The MAC of an address pair, which several ports of a project may list."""


def why_not_a_station(prefix: IPNetwork) -> str:
    """Why no station can have an address of `prefix`; empty where it can."""
    for never, why in _NEVER_A_STATION:
        if prefix.version == never.version and prefix.overlaps(never):
            return f"overlaps {never}, which is {why}"
    return ""


def _station(prefix: IPNetwork, value: Any) -> None:
    if why := why_not_a_station(prefix):
        raise AddressError(f"{quoted(value)} {why}")


def _read_address(value: Any) -> IPAddress:
    found = parse_address(value)
    _station(host_prefix(found), value)
    return found


address = Converter({"type": "string", "format": "ip"}, _read_address, str)


def _read_prefix(value: Any) -> IPNetwork:
    found = parse_interface(value).network
    _station(found, value)
    return found


prefix = Converter({"type": "string", "format": "ip-or-cidr"}, _read_prefix, str)


def _read_subnet(value: Any) -> IPNetwork:
    if not (isinstance(value, str) and "/" in value):
        raise AddressError(f"{quoted(value)} is not a network like 10.0.0.0/24")
    found = parse_interface(value).network
    _station(found, value)
    if found.version == 6 and found.overlaps(_LINK_LOCAL):
        # They are each port's own, with and without a subnet.
        raise AddressError(f"{quoted(value)} overlaps {_LINK_LOCAL}, which is link-local")
    return found


cidr = Converter({"type": "string", "format": "cidr"}, _read_subnet, str)


def _read_route(value: Any) -> IPNetwork:
    return parse_network(value)


destination = Converter({"type": "string", "format": "cidr"}, _read_route, str)
