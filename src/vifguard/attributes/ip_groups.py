"""The attributes of IP groups."""

from __future__ import annotations

from typing import Final

from vifguard.attributes.rules import OWNER
from vifguard.attributes.schema import REQUIRED, Attribute, ResourceSchema
from vifguard.attributes.shared_attributes import (
    address_requests,
    seconds,
    shared_attributes,
    with_stamp,
)
from vifguard.attributes.values.converters import (
    integer,
    list_of,
    nullable,
    record,
    set_of,
    text,
    uuid,
)

_MAX_ADDRESSES = 32
_MAX_MEMBERS = 64
_VRID = nullable(integer(1, 255))
_HOLDER = record({"ip_address": text(), "port_id": uuid, "since": seconds}, {})

IP_GROUPS: Final = ResourceSchema(
    "ip_group",
    "ip_groups",
    (
        *shared_attributes(),
        Attribute(
            "network_id",
            uuid,
            OWNER,
            default=REQUIRED,
            field="network_id",
            help="The network that it is on.",
        ),
        Attribute(
            "addresses",
            address_requests(_MAX_ADDRESSES),
            OWNER,
            OWNER,
            (),
            help="Its addresses, or subnets to take them from.",
        ),
        Attribute(
            "members",
            set_of(uuid, _MAX_MEMBERS),
            OWNER,
            OWNER,
            frozenset(),
            "members",
            help="The ports that may answer for the addresses.",
        ),
        Attribute("vrid4", _VRID, OWNER, OWNER, field="vrid4", help="The VRRP router id for IPv4."),
        Attribute("vrid6", _VRID, OWNER, OWNER, field="vrid6", help="The VRRP router id for IPv6."),
        Attribute(
            "pinned_port_id",
            nullable(uuid),
            OWNER,
            OWNER,
            field="pinned",
            help="The only port that may hold the addresses.",
        ),
        Attribute(
            "max_moves_per_minute",
            nullable(integer(0, 1000)),
            OWNER,
            OWNER,
            field="max_moves",
            help="How often a minute the holder may change.",
        ),
        Attribute("holders", list_of(_HOLDER, _MAX_ADDRESSES)),
        Attribute("held_until", nullable(seconds)),
        *with_stamp(),
    ),
)
