"""The quotas of a project, as attributes."""

from __future__ import annotations

from typing import Final

from vifguard.attributes.rules import OPERATOR
from vifguard.attributes.schema import Attribute, ResourceSchema
from vifguard.attributes.values.converters import boolean, integer, project

UNLIMITED: Final = -1
"""The quota of any number."""

RESOURCES: Final = (
    "network",
    "subnet",
    "port",
    "ip_group",
    "security_group",
    "security_group_rule",
    "address_group",
    "rbac_policy",
    "subnetpool",
    "address_group_address",
    "ip_address",
)
"""Everything that has a quota."""

_MOST = integer(UNLIMITED, 2**31 - 1)

QUOTAS: Final = ResourceSchema(
    "quota",
    "quotas",
    (
        *(Attribute(name, _MOST, None, OPERATOR) for name in RESOURCES),
        # The path names the project; clients name it again.
        Attribute("project_id", project, None, OPERATOR),
        Attribute("tenant_id", project),
        # A quota below the present use is accepted only with `force`.
        Attribute("force", boolean, None, OPERATOR),
        Attribute("check_limit", boolean, None, OPERATOR),
    ),
)
