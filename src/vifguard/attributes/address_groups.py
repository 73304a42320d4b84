"""The attributes of address groups."""

from __future__ import annotations

from typing import Any, Final

from vifguard.attributes.rules import OWNER
from vifguard.attributes.schema import Attribute, ResourceSchema
from vifguard.attributes.shared_attributes import shared_attributes, with_stamp
from vifguard.attributes.values.converters import (
    Converter,
    InvalidValueError,
    boolean,
    many_of,
    mapped,
    or_none_at_all,
)
from vifguard.model.address import IPNetwork, parse_interface, quoted

_MAX_ADDRESSES = 10_000


def _read_prefix(value: Any) -> IPNetwork:
    prefix = parse_interface(value).network
    if prefix.prefixlen == 0:
        # Not every kind of table that holds sets can hold this one.
        raise InvalidValueError(
            f"{quoted(value)} covers every address: use a rule without a remote instead"
        )
    return prefix


def in_order(prefixes: frozenset[IPNetwork]) -> list[IPNetwork]:
    """Prefixes by IP version, address and length."""
    return sorted(prefixes, key=lambda each: (each.version, each.network_address, each.prefixlen))


ADDRESSES: Final = mapped(
    or_none_at_all(
        many_of(Converter({"type": "string", "format": "ip-or-cidr"}, _read_prefix), _MAX_ADDRESSES)
    ),
    frozenset,
    lambda prefixes: [*map(str, in_order(prefixes))],
)

ADDRESS_GROUPS: Final = ResourceSchema(
    "address_group",
    "address_groups",
    (
        *shared_attributes(),
        Attribute(
            "addresses",
            ADDRESSES,
            OWNER,
            None,
            frozenset(),
            "addresses",
            help="Its addresses and prefixes.",
        ),
        Attribute("shared", boolean),
        *with_stamp(),
    ),
)
