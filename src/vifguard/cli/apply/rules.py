"""The rules of a security group as a file has them: together, and identified by their meaning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from vifguard.attributes.refusal import Refusal
from vifguard.attributes.rules import OWNER
from vifguard.attributes.schema import Attribute
from vifguard.attributes.security_group_rules import SECURITY_GROUP_RULES, meaning
from vifguard.attributes.values.converters import Converter, InvalidValueError
from vifguard.client.resource import SECURITY_GROUP, SECURITY_GROUP_RULE, ResourceType
from vifguard.model.address import quoted
from vifguard.model.security_group import Rule

if TYPE_CHECKING:
    from vifguard.client.client import Client

RULES: Final = ResourceType(
    "security-group-rules",
    SECURITY_GROUP.singular,
    SECURITY_GROUP.plural,
    SECURITY_GROUP.path,
)
"""All rules of one group, as one thing: it goes by the group's name and id."""

_OWNER = "security_group_id"
_ANY_GROUP = "00000000-0000-4000-8000-000000000000"
_SAID = tuple(
    attribute.name
    for attribute in SECURITY_GROUP_RULES.attributes
    if attribute.post is not None and attribute.name not in {_OWNER, "project_id"}
)


def said(shown: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Rules as their owner may have written them: without the server's additions."""
    return [{key: one[key] for key in _SAID if one.get(key) not in (None, "")} for one in shown]


def meaning_of(value: Any) -> Rule:
    """The meaning of one rule; ValueError where the API would refuse it."""
    if not isinstance(value, dict) or _OWNER in value:
        raise InvalidValueError(f"{quoted(value)} is no rule, which has a direction and more")
    try:
        (given,) = SECURITY_GROUP_RULES.read_post(
            {SECURITY_GROUP_RULE.singular: {_OWNER: _ANY_GROUP, **value}}
        )
        return meaning(given)[0].canonical()
    except Refusal as refusal:
        raise InvalidValueError(refusal.message) from None


def _read(value: Any) -> frozenset[Rule]:
    if not isinstance(value, list):
        raise InvalidValueError(f"{quoted(value)} is not a list")
    found: dict[Rule, int] = {}
    for place, one in enumerate(value):
        before = found.setdefault(meaning_of(one), place)
        if before != place:
            raise InvalidValueError(f"[{place}] means the same as [{before}]: {quoted(one)}")
    return frozenset(found)


ATTRIBUTE: Final = Attribute(
    "security_group_rules", Converter({"type": "array"}, _read), OWNER, OWNER, ()
)


def set_rules(
    client: Client, _: ResourceType, group_id: str, wanted: Sequence[Mapping[str, Any]]
) -> None:
    """Give a group these rules and no others; those that it has in other words it keeps."""
    found = client.show(SECURITY_GROUP, group_id)["security_group_rules"]
    has = {meaning_of(rule): one["id"] for rule, one in zip(said(found), found, strict=True)}
    wants = {meaning_of(rule): rule for rule in said(wanted)}
    new = [rule | {_OWNER: group_id} for key, rule in wants.items() if key not in has]
    # New rules first: a connection that old and new ones allow lives on.
    if new:
        client.create_many(SECURITY_GROUP_RULE, new)
    for key, rule_id in has.items():
        if key not in wants:
            client.delete(SECURITY_GROUP_RULE, rule_id)
