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
        Attribute("shared", boolean, OPERATOR, OPERATOR, default=False, field="shared"),
        Attribute("mtu", integer(68, 65535), NETWORK_OWNER, NETWORK_OWNER, 1500, "mtu"),
        Attribute(
            "port_security_enabled",
            boolean,
            NETWORK_OWNER,
            NETWORK_OWNER,
            default=True,
            field="port_security_enabled",
        ),
        Attribute(
            "provider:network_type",
            nullable(exactly("flat", "local")),
            OPERATOR,
            visible_to=BINDER,
        ),
        Attribute(
            "provider:physical_network",
            nullable(physical),
            OPERATOR,
            visible_to=BINDER,
        ),
        Attribute("provider:segmentation_id", exactly(None), OPERATOR, visible_to=BINDER),
        # There are no routers, and so nobody is let out by it: a word that is kept and shown.
        Attribute("router:external", boolean, OPERATOR, OPERATOR, default=False, field="external"),
        Attribute("guard_profile", profile, NETWORK_OWNER, NETWORK_OWNER, None, "profile"),
        Attribute("guards", guards, NETWORK_OWNER, NETWORK_OWNER, None, "guards"),
        Attribute("public", boolean, OPERATOR, OPERATOR, default=False, field="public"),
        Attribute(
            "link_local",
            one_of(LinkLocal),
            NETWORK_OWNER,
            NETWORK_OWNER,
            LinkLocal.LEARNED,
            "link_local",
        ),
        Attribute(
            "learned_limits",
            learned_limits,
            NETWORK_OWNER,
            NETWORK_OWNER,
            DEFAULT_LEARNED_LIMITS,
            "learned_limits",
        ),
        Attribute("storm", storm, STORM, STORM, DEFAULT_STORM, "storm"),
        Attribute("status", exactly("ACTIVE")),
        Attribute("subnets", strings),
        Attribute(
            "availability_zone_hints", list_of(text(), 10), NETWORK_OWNER, None, (), "zone_hints"
        ),
        Attribute("dns_domain", dns, NETWORK_OWNER, NETWORK_OWNER, "", "dns_domain"),
        Attribute("qos_policy_id", only_null, OWNER, OWNER, visible_to=NO_ONE),
        Attribute("availability_zones", strings),
        *with_stamp(),
    ),
)
