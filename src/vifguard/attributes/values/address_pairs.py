"""The allowed address pairs of a port: read, shown, and not counted in some security groups."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from vifguard.attributes.values.converters import (
    Converter,
    InvalidValueError,
    many_of,
    mapped,
    nullable,
    pair_mac,
    prefix,
    record,
)
from vifguard.model.address import Mac, is_wide, quoted
from vifguard.model.port import AddressPair

MOST: Final = 64
"""Pairs of a port."""

MOST_WIDE: Final = 10
"""Of them, those of more than one address: each may break in pieces around addresses of others."""

_pair = record({"ip_address": prefix}, {"mac_address": nullable(pair_mac)})


def _read_pair(value: Any) -> AddressPair:
    if isinstance(value, dict) and "ip_address" not in value:
        raise InvalidValueError(
            f"{quoted(value)} has no ip_address", "AllowedAddressPairsMissingIP"
        )
    given = _pair.read(value)
    # As they were written: a client that reads back another spelling sees a change to make.
    texts = (value["ip_address"], value.get("mac_address") or "")
    return AddressPair(given["ip_address"], given.get("mac_address"), *texts)


def _sound(given: tuple[AddressPair, ...] | None) -> tuple[AddressPair, ...]:
    meant = [(pair.prefix, pair.mac) for pair in given or ()]
    for index, one in enumerate(meant):
        if one in meant[:index]:
            message = f"duplicate entry {quoted(str(one[0]))}"
            raise InvalidValueError(message, "DuplicateAddressPairInRequest")
    if sum(is_wide(prefix) for prefix, _ in meant) > MOST_WIDE:
        raise InvalidValueError(
            f"more than {MOST_WIDE} pairs have a prefix of more than one address"
        )
    return given or ()


PAIRS: Final = mapped(nullable(many_of(Converter(_pair.schema, _read_pair), MOST)), _sound)


def show(pair: AddressPair, own: Mac) -> Mapping[str, str]:
    """A pair as the API shows it; `own` is the MAC of its port."""
    single = pair.prefix.num_addresses == 1
    return {
        "ip_address": pair.prefix_text or str(pair.prefix[0] if single else pair.prefix),
        "mac_address": pair.mac_text or str(pair.mac or own),
    }
