"""The attributes of default rules."""

from __future__ import annotations

from typing import Final

from vifguard.attributes.rules import OPERATOR
from vifguard.attributes.schema import Attribute, ResourceSchema
from vifguard.attributes.security_group_rules import said
from vifguard.attributes.shared_attributes import description
from vifguard.attributes.values.converters import boolean, exactly, nullable, uuid
from vifguard.model.security_group import MEMBERS

DEFAULT_RULES: Final = ResourceSchema(
    "default_security_group_rule",
    "default_security_group_rules",
    (
        Attribute("id", uuid),
        Attribute("description", description, OPERATOR, None, "", "description", help="Free text."),
        *said(OPERATOR),
        Attribute(
            "remote_group_id",
            nullable(exactly(MEMBERS)),
            OPERATOR,
            help="The other side: PARENT, the group's own members.",
        ),
        # A group of one project is not for the groups of all.
        Attribute(
            "remote_address_group_id",
            exactly(None),
            OPERATOR,
            help="A group of one project is not for the groups of all.",
        ),
        Attribute(
            "used_in_default_sg",
            boolean,
            OPERATOR,
            None,
            default=False,
            field="in_default",
            help="Whether groups named default get it.",
        ),
        Attribute(
            "used_in_non_default_sg",
            boolean,
            OPERATOR,
            None,
            default=True,
            field="in_others",
            help="Whether other groups get it.",
        ),
    ),
)
