"""The attributes of networks."""

from __future__ import annotations

from typing import Final

from vifguard.attributes.rules import BINDER, NETWORK_OWNER, OPERATOR, OWNER, STORM
from vifguard.attributes.schema import Attribute, ResourceSchema
from vifguard.attributes.shared_attributes import (
    NO_ONE,
    admin_state_up,
    guards,
    learned_limits,
    profile,
    shared_attributes,
    storm,
    strings,
    with_stamp,
)
from vifguard.attributes.values.converters import (
    boolean,
    dns,
    exactly,
    integer,
    list_of,
    nullable,
    one_of,
    physical,
    text,
)
from vifguard.attributes.values.dhcp_options import only_null
from vifguard.model.guard import LinkLocal
from vifguard.model.learned import DEFAULT_LEARNED_LIMITS
from vifguard.model.policy import DEFAULT_STORM

NETWORKS: Final = ResourceSchema(
    "network",
    "networks",
    (
        *shared_attributes(),
        admin_state_up(),
        Attribute(
            "shared",
            boolean,
            OPERATOR,
            OPERATOR,
            default=False,
            field="shared",
            help="Whether all projects may use it.",
        ),
        Attribute(
            "mtu",
            integer(68, 65535),
            NETWORK_OWNER,
            NETWORK_OWNER,
            1500,
            "mtu",
            help="The largest packet, in bytes.",
        ),
        Attribute(
            "port_security_enabled",
            boolean,
            NETWORK_OWNER,
            NETWORK_OWNER,
            default=True,
            field="port_security_enabled",
            help="Whether guards are in force at its ports, unless they choose otherwise.",
        ),
        Attribute(
            "provider:network_type",
            nullable(exactly("flat", "local")),
            OPERATOR,
            visible_to=BINDER,
            help="Whether it uses a physical network: flat does, local does not.",
        ),
        Attribute(
            "provider:physical_network",
            nullable(physical),
            OPERATOR,
            visible_to=BINDER,
            help="The physical network that it uses, as `vifguard up --physical` names it.",
        ),
        Attribute(
            "provider:segmentation_id",
            exactly(None),
            OPERATOR,
            visible_to=BINDER,
            help="There are no segmentation ids.",
        ),
        # There are no routers, and so nobody is let out by it: a word that is kept and shown.
        Attribute(
            "router:external",
            boolean,
            OPERATOR,
            OPERATOR,
            default=False,
            field="external",
            help="A word that is kept and shown; there are no routers.",
        ),
        Attribute(
            "guard_profile",
            profile,
            NETWORK_OWNER,
            NETWORK_OWNER,
            None,
            "profile",
            help="The profile of its ports: a named set of guards.",
        ),
        Attribute(
            "guards",
            guards,
            NETWORK_OWNER,
            NETWORK_OWNER,
            None,
            "guards",
            help="Instead of a profile, the guards of its ports.",
        ),
        Attribute(
            "public",
            boolean,
            OPERATOR,
            OPERATOR,
            default=False,
            field="public",
            help="Whether its subnets are public prefixes of the provider.",
        ),
        Attribute(
            "link_local",
            one_of(LinkLocal),
            NETWORK_OWNER,
            NETWORK_OWNER,
            LinkLocal.LEARNED,
            "link_local",
            help="IPv6 link-local addresses that its guests may use.",
        ),
        Attribute(
            "learned_limits",
            learned_limits,
            NETWORK_OWNER,
            NETWORK_OWNER,
            DEFAULT_LEARNED_LIMITS,
            "learned_limits",
            help="IPv6 addresses that a guest may choose itself: link-local ones for each MAC, "
            "and others on SLAAC subnets. By default 1 and 16.",
        ),
        Attribute(
            "storm",
            storm,
            STORM,
            STORM,
            DEFAULT_STORM,
            "storm",
            help="Broadcasts that a guest may send: frames a second, and how many at once.",
        ),
        Attribute("status", exactly("ACTIVE")),
        Attribute("subnets", strings),
        Attribute(
            "availability_zone_hints",
            list_of(text(), 10),
            NETWORK_OWNER,
            None,
            (),
            "zone_hints",
            help="Words that are kept and shown; there are no zones.",
        ),
        Attribute(
            "dns_domain",
            dns,
            NETWORK_OWNER,
            NETWORK_OWNER,
            "",
            "dns_domain",
            help="The DNS domain of its ports.",
        ),
        Attribute(
            "qos_policy_id",
            only_null,
            OWNER,
            OWNER,
            visible_to=NO_ONE,
            help="There are no QoS policies.",
        ),
        Attribute("availability_zones", strings),
        *with_stamp(),
    ),
)
