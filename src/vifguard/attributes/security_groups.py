"""The attributes of security groups."""

from __future__ import annotations

from typing import Final

from vifguard.attributes.rules import OWNER
from vifguard.attributes.schema import Attribute, ResourceSchema
from vifguard.attributes.security_group_rules import SECURITY_GROUP_RULES
from vifguard.attributes.shared_attributes import shared_attributes, with_stamp
from vifguard.attributes.values.converters import Converter, boolean

_rules = Converter({"type": "array", "items": SECURITY_GROUP_RULES.schema}, lambda value: value)

SECURITY_GROUPS: Final = ResourceSchema(
    "security_group",
    "security_groups",
    (
        *shared_attributes(),
        Attribute(
            "stateful",
            boolean,
            OWNER,
            OWNER,
            default=True,
            field="stateful",
            help="Whether packets of a connection that a rule allowed pass as well. Fixed once a "
            "port has the group.",
        ),
        Attribute(
            "reject",
            boolean,
            OWNER,
            OWNER,
            default=False,
            field="reject",
            help="Whether its ports answer what they refuse by a TCP reset or an ICMP error.",
        ),
        Attribute("shared", boolean),
        Attribute("security_group_rules", _rules),
        *with_stamp(),
    ),
)
