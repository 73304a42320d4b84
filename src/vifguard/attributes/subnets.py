"""The attributes of subnets."""

from __future__ import annotations

import re
from typing import Any, Final

from vifguard.attributes.rules import NETWORK_OWNER
from vifguard.attributes.schema import REQUIRED, Attribute, ResourceSchema
from vifguard.attributes.shared_attributes import NO_ONE, shared_attributes, with_stamp
from vifguard.attributes.values.converters import (
    Converter,
    InvalidValueError,
    address,
    boolean,
    cidr,
    destination,
    exactly,
    integer,
    list_of,
    mapped,
    nullable,
    or_none_at_all,
    record,
    refused_as,
    uuid,
)
from vifguard.model.address import quoted
from vifguard.model.network import HostRoute, Pool


def _pool(given: dict[str, Any]) -> Pool:
    start, end = given["start"], given["end"]
    if start.version != end.version or start > end:
        raise InvalidValueError(
            f"the start {start} is not before the end {end}", "InvalidAllocationPool"
        )
    return Pool(start, end)


def _version(given: int) -> int:
    if given not in (4, 6):
        raise ValueError(f"{given} is not in [4, 6]")
    return given


_IPV6_MODE = nullable(exactly("slaac", "dhcpv6-stateful", "dhcpv6-stateless"))
_pools = list_of(
    mapped(
        record({"start": address, "end": address}, {}),
        _pool,
        lambda pool: {"start": str(pool.start), "end": str(pool.end)},
    ),
    32,
)
_routes = list_of(
    mapped(
        record({"destination": destination, "nexthop": address}, {}),
        lambda given: HostRoute(given["destination"], given["nexthop"]),
        lambda hop: {"destination": str(hop.destination), "nexthop": str(hop.nexthop)},
    ),
    20,
    "HostRoutesExhausted",
)

_DEVICE = re.compile(r"(network|neutron|compute|baremetal):[0-9A-Za-z_.:-]{0,240}", re.ASCII)


def _read_service_type(value: Any) -> str:
    if not isinstance(value, str):
        raise InvalidValueError(
            f"Subnet service type {quoted(value)} is not a string", "InvalidInputSubnetServiceType"
        )
    if not _DEVICE.fullmatch(value):
        raise InvalidValueError(
            f"Subnet service type {quoted(value)} does not correspond to a valid device owner",
            "InvalidSubnetServiceType",
        )
    return value


_service_types = or_none_at_all(list_of(Converter({"type": "string"}, _read_service_type), 50))
_nameservers = or_none_at_all(list_of(address, 5, "DNSNameServersExhausted"))

SUBNETS: Final = ResourceSchema(
    "subnet",
    "subnets",
    (
        *shared_attributes(),
        Attribute(
            "network_id",
            uuid,
            NETWORK_OWNER,
            default=REQUIRED,
            field="network_id",
            help="The network that it is on.",
        ),
        Attribute(
            "ip_version",
            mapped(integer(4, 6), _version),
            NETWORK_OWNER,
            help="4 or 6; the range says it too.",
        ),
        Attribute(
            "cidr",
            nullable(refused_as("InvalidInput", cidr)),
            NETWORK_OWNER,
            help="The range, such as 10.0.0.0/24 or fd00:1::/64. Else one from a pool.",
            source="cidr",
        ),
        Attribute(
            "gateway_ip",
            nullable(address),
            NETWORK_OWNER,
            NETWORK_OWNER,
            help="The gateway's address.",
            source="gateway",
        ),
        Attribute(
            "allocation_pools",
            nullable(_pools),
            NETWORK_OWNER,
            NETWORK_OWNER,
            help="The ranges of addresses that ports get theirs from.",
            source="pools",
        ),
        Attribute(
            "enable_dhcp",
            boolean,
            NETWORK_OWNER,
            NETWORK_OWNER,
            default=True,
            field="enable_dhcp",
            help="Whether the subnet is for DHCP. vifguard runs no DHCP server itself.",
        ),
        Attribute(
            "dns_nameservers",
            _nameservers,
            NETWORK_OWNER,
            NETWORK_OWNER,
            (),
            "nameservers",
            help="The DNS servers that a DHCP server names.",
        ),
        Attribute(
            "host_routes",
            or_none_at_all(_routes),
            NETWORK_OWNER,
            NETWORK_OWNER,
            (),
            "host_routes",
            help="The routes that a DHCP server hands out.",
        ),
        Attribute(
            "ipv6_ra_mode",
            _IPV6_MODE,
            NETWORK_OWNER,
            field="ipv6_ra_mode",
            help="How a router advertises it.",
        ),
        Attribute(
            "ipv6_address_mode",
            _IPV6_MODE,
            NETWORK_OWNER,
            field="ipv6_address_mode",
            help="How its guests get IPv6 addresses.",
        ),
        Attribute(
            "subnetpool_id",
            nullable(uuid),
            NETWORK_OWNER,
            help="The subnet pool that the range is from: the given, or the first free range.",
            source="subnet_pool_id",
        ),
        Attribute(
            "use_default_subnetpool",
            boolean,
            NETWORK_OWNER,
            default=False,
            visible_to=NO_ONE,
            help="Take the range from the default pool of its IP version.",
        ),
        Attribute(
            "prefixlen",
            nullable(integer(0, 128)),
            NETWORK_OWNER,
            visible_to=NO_ONE,
            help="The prefix length of the range from the pool.",
        ),
        Attribute("segment_id", exactly(None), NETWORK_OWNER, help="There are no segments."),
        Attribute(
            "service_types",
            _service_types,
            NETWORK_OWNER,
            NETWORK_OWNER,
            (),
            "service_types",
            help="The device owners of the ports that get its addresses unasked.",
        ),
        # Its network's: a filter alone.
        Attribute("shared", boolean, is_filter=True),
        *with_stamp(),
    ),
)
