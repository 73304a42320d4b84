"""The attributes of RBAC policies."""

from __future__ import annotations

from typing import Any, Final

from vifguard.attributes.rules import OWN_PROJECT, OWNER, AttributeRule
from vifguard.attributes.schema import REQUIRED, Attribute, ResourceSchema
from vifguard.attributes.shared_attributes import NO_ONE
from vifguard.attributes.values.converters import Converter, InvalidValueError, project, text, uuid
from vifguard.model.address import quoted
from vifguard.model.rbac_policy import EVERY_PROJECT, Sharable


def _read_kind(value: Any) -> Sharable:
    word = value.strip().lower() if isinstance(value, str) else ""
    if word in {kind.value for kind in Sharable}:
        return Sharable(word)
    raise InvalidValueError(f"{quoted(value)} is not a valid RBAC object type", "InvalidInput")


def _read_target(value: Any) -> str:
    try:
        return EVERY_PROJECT if value == EVERY_PROJECT else str(project.read(value))
    except ValueError:
        raise InvalidValueError(
            f"{quoted(value)} is not a valid target project ID; expected a project's id or '*'",
            "InvalidInput",
        ) from None


_kind = Converter({"type": "string", "enum": [kind.value for kind in Sharable]}, _read_kind)
_target = Converter({"type": "string", "maxLength": 64}, _read_target)

_SHARER = AttributeRule(
    "the operator to '*', and otherwise by who shares",
    lambda standing, value: standing.user.is_operator or value != EVERY_PROJECT,
)

RBAC_POLICIES: Final = ResourceSchema(
    "rbac_policy",
    "rbac_policies",
    (
        Attribute("id", uuid),
        Attribute(
            "project_id",
            project,
            OWN_PROJECT,
            help="The project that owns it. Only the operator may name another project.",
        ),
        Attribute("tenant_id", project),
        Attribute("object_type", _kind, OWNER, default=REQUIRED, help="The kind of the object."),
        Attribute("object_id", uuid, OWNER, default=REQUIRED, help="The object that is shared."),
        # The same twice: the old word is the one that clients still send.
        Attribute("target_tenant", _target, _SHARER, _SHARER, help="A project, or * for all."),
        Attribute(
            "target_project",
            _target,
            _SHARER,
            _SHARER,
            visible_to=NO_ONE,
            help="A project, or * for all.",
        ),
        Attribute(
            "action",
            text(),
            OWNER,
            default=REQUIRED,
            help="What the target may do: access_as_shared.",
        ),
    ),
)
