"""Extra DHCP options of a port: kept and shown, to be read for a DHCP server."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from vifguard.attributes.refusal import bad_request
from vifguard.attributes.values.converters import (
    Converter,
    InvalidValueError,
    exactly,
    integer,
    many_of,
    mapped,
    nullable,
    or_none_at_all,
    record,
    refused_as,
    text,
)
from vifguard.model.address import quoted
from vifguard.model.port import DhcpOption

_MAY_BE_BLANK: Final = frozenset({"router", "classless-static-route"})
_MAX_OPTIONS = 64


def _option(given: dict[str, Any]) -> DhcpOption:
    name, value, version = given["opt_name"], given["opt_value"], given.get("ip_version", 4)
    if not name:
        raise InvalidValueError(f"opt_name: {quoted(name)} is blank")
    if value == "" and name not in _MAY_BE_BLANK:
        raise InvalidValueError(f"opt_value: {quoted(value)} is blank")
    if version not in (4, 6):
        raise InvalidValueError(f"ip_version: {version} is not in [4, 6]")
    return DhcpOption(name, value, version)


def _show(options: Iterable[DhcpOption]) -> list[dict[str, Any]]:
    return [
        {"opt_name": option.name, "opt_value": option.value, "ip_version": option.version}
        for option in options
    ]


_one = record({"opt_name": text(64), "opt_value": nullable(text())}, {"ip_version": integer(4, 6)})
_many: Final[Converter] = many_of(mapped(_one, _option), _MAX_OPTIONS)
_options = or_none_at_all(refused_as("InvalidInput", _many))
dhcp_options: Final = Converter(_options.schema, _options.read, _show)

only_null: Final = exactly(None)
"""A QoS policy: there are none."""


def merged(before: Iterable[DhcpOption], given: Iterable[DhcpOption]) -> tuple[DhcpOption, ...]:
    """The options of a port after a request: those given replace, those without value go.

    Raises Refusal (400) where they are too many.
    """
    found = {(option.name, option.version): option for option in before}
    for option in given:
        found[option.name, option.version] = option
    kept = tuple(option for option in found.values() if option.value is not None)
    if len(kept) > _MAX_OPTIONS:
        raise bad_request(
            f"Invalid input for extra_dhcp_opts. Reason: {len(kept)} options are more than the "
            f"maximum of {_MAX_OPTIONS}."
        )
    return kept
