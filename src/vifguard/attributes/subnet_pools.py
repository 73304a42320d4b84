"""The attributes of subnet pools."""

from __future__ import annotations

from typing import Final

from vifguard.attributes.rules import OPERATOR, OWNER
from vifguard.attributes.schema import REQUIRED, Attribute, ResourceSchema
from vifguard.attributes.shared_attributes import shared_attributes, with_stamp
from vifguard.attributes.values.converters import (
    NUMERAL,
    Converter,
    InvalidValueError,
    boolean,
    cidr,
    exactly,
    integer,
    list_of,
    mapped,
    nullable,
)
from vifguard.model.address import IPNetwork
from vifguard.model.subnet_pool import compact

_MAX_PREFIXES = 100


def _one_version(given: tuple[IPNetwork, ...]) -> tuple[IPNetwork, ...]:
    if not given:
        raise InvalidValueError("the list of prefixes is empty", "EmptySubnetPoolPrefixList")
    if len({prefix.version for prefix in given}) > 1:
        raise InvalidValueError(
            "a subnet pool has prefixes of IPv4 or of IPv6, and not of both",
            "PrefixVersionMismatch",
        )
    return compact(given)


_cidrs = list_of(cidr, _MAX_PREFIXES)
_prefixes = mapped(_cidrs, _one_version, _cidrs.show)
# Shown as a text: typed clients read that.
_length = nullable(Converter({"type": "string", "pattern": NUMERAL}, integer(0, 128).read, str))

SUBNET_POOLS: Final = ResourceSchema(
    "subnetpool",
    "subnetpools",
    (
        *shared_attributes(),
        Attribute(
            "prefixes",
            _prefixes,
            OWNER,
            OWNER,
            REQUIRED,
            "prefixes",
            help="All prefixes of the pool, of one IP version. They only grow.",
        ),
        Attribute("ip_version", integer(4, 6), source="version"),
        Attribute(
            "default_prefixlen",
            _length,
            OWNER,
            OWNER,
            help="The prefix length of a subnet that names none.",
            source="usual",
        ),
        Attribute(
            "min_prefixlen",
            _length,
            OWNER,
            OWNER,
            help="The least prefix length of a subnet.",
            source="shortest",
        ),
        Attribute(
            "max_prefixlen",
            _length,
            OWNER,
            OWNER,
            help="The greatest prefix length of a subnet.",
            source="longest",
        ),
        Attribute(
            "default_quota",
            nullable(integer(0, 2**31 - 1)),
            OWNER,
            OWNER,
            None,
            "quota",
            help="IPv4 addresses, or IPv6 /64s, that each project may have.",
        ),
        Attribute(
            "is_default",
            boolean,
            OPERATOR,
            OPERATOR,
            default=False,
            field="is_default",
            help="Whether it is the default pool of its IP version.",
        ),
        Attribute(
            "shared",
            boolean,
            OPERATOR,
            None,
            default=False,
            help="Whether every project may use it.",
        ),
        Attribute(
            "address_scope_id", exactly(None), OWNER, OWNER, help="There are no address scopes."
        ),
        *with_stamp(),
    ),
)
