"""The quotas of a project, as attributes."""

from __future__ import annotations

from typing import Final

from vifguard.attributes.rules import OPERATOR
from vifguard.attributes.schema import Attribute, ResourceSchema
from vifguard.attributes.values.converters import boolean, integer, project
from vifguard.model.noun import Noun

UNLIMITED: Final = -1
"""The quota of any number."""

ADDRESS_GROUP_ADDRESS: Final = "address_group_address"
"""The addresses of all address groups of a project."""

IP_ADDRESS: Final = "ip_address"
"""The addresses of all ports and IP groups of a project."""

RESOURCES: Final = (*(noun.value for noun in Noun), ADDRESS_GROUP_ADDRESS, IP_ADDRESS)
"""Everything that has a quota."""

_MOST = integer(UNLIMITED, 2**31 - 1)

QUOTAS: Final = ResourceSchema(
    "quota",
    "quotas",
    (
        *(Attribute(name, _MOST, None, OPERATOR) for name in RESOURCES),
        # The path names the project; clients name it again.
        Attribute("project_id", project, None, OPERATOR, help="The project, as the path names it."),
        Attribute("tenant_id", project),
        # A quota below the present use is accepted only with `force`.
        Attribute("force", boolean, None, OPERATOR, help="Also below what the project has."),
        Attribute(
            "check_limit",
            boolean,
            None,
            OPERATOR,
            help="Refuse a quota below what the project has; the usual.",
        ),
    ),
)
