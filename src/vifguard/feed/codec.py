"""The JSON of the messages, for a feed that crosses a socket.

Strict both ways: a server does not take an agent's junk for a report, nor an agent a
half-understood update for a policy.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Any, TypeVar

from cattrs import BaseValidationError, Converter, ForbiddenExtraKeysError

from vifguard.model.address import (
    IPAddress,
    IPNetwork,
    Mac,
    parse_address,
    parse_network,
)
from vifguard.model.guard import Guard, LinkLocal, Role
from vifguard.model.port import PortState
from vifguard.model.verdict import Direction, Reason

T = TypeVar("T")

_NOT_THIS = (
    BaseValidationError,
    ForbiddenExtraKeysError,
    ValueError,
    TypeError,
    KeyError,
    AttributeError,
)


class CodecError(ValueError):
    """JSON that is not the message it should be."""


def encode(message: object) -> Any:
    """A message as JSON values."""
    return _CONVERTER.unstructure(message)


def decode(kind: type[T], raw: object) -> T:
    """The message of JSON values; raises CodecError."""
    try:
        return _CONVERTER.structure(raw, kind)
    except _NOT_THIS as error:
        raise CodecError(f"no {kind.__name__}: {error}") from None


def _exactly(kind: type[T]) -> Any:
    def read(raw: object, _: object) -> T:
        if type(raw) is not kind:
            raise CodecError(f"{raw!r} is no {kind.__name__}")
        return raw

    return read


def _member(raw: object, kind: type[Any]) -> Any:
    if type(raw) is not (int if issubclass(kind, int) else str):
        raise CodecError(f"{raw!r} is no {kind.__name__}")
    return kind(raw)


def _number(raw: object, _: object) -> float:
    if type(raw) not in {int, float}:
        raise CodecError(f"{raw!r} is no number")
    return float(raw)  # type: ignore[arg-type]


def _bytes(raw: object, _: object) -> bytes:
    if not isinstance(raw, str):
        raise CodecError(f"{raw!r} is no hexadecimal text")
    return bytes.fromhex(raw)


def _converter() -> Converter:
    converter = Converter(
        detailed_validation=False,
        forbid_extra_keys=True,
        unstruct_collection_overrides={frozenset: list, tuple: list},
    )
    for kind in (int, str, bool):
        converter.register_structure_hook(kind, _exactly(kind))
    # Subclasses of these; without a reader of their own they would stay what they are.
    for choice in (PortState, Direction, Guard, Reason, Role, LinkLocal):
        converter.register_structure_hook(choice, _member)
    converter.register_structure_hook(float, _number)
    converter.register_structure_hook(bytes, _bytes)
    converter.register_unstructure_hook(bytes, bytes.hex)
    converter.register_structure_hook(Mac, lambda raw, _: Mac.parse(raw))
    converter.register_unstructure_hook(Mac, str)
    converter.register_structure_hook(IPAddress, lambda raw, _: parse_address(raw))
    for address in (IPv4Address, IPv6Address, IPv4Network, IPv6Network):
        converter.register_unstructure_hook(address, str)
    converter.register_structure_hook(IPNetwork, lambda raw, _: parse_network(raw))
    return converter


_CONVERTER = _converter()
