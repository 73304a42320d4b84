"""Rules of security groups. Neutron's words ingress and egress are used here only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final
from uuid import uuid4

from starlette.responses import Response

from vifguard.api.access import ownership
from vifguard.api.access.quota import check_quota
from vifguard.api.http.request import RequestContext
from vifguard.api.http.responses import JsonResponse
from vifguard.api.http.routes import Routes
from vifguard.api.schema.stamp import show_stamp
from vifguard.api.schema.stored_list import StoredList
from vifguard.attributes.refusal import Refusal, bad_request, conflict
from vifguard.attributes.rules import Subject
from vifguard.attributes.schema import ParsedBody
from vifguard.attributes.security_group_rules import SECURITY_GROUP_RULES, WORD, meaning
from vifguard.model.noun import Noun
from vifguard.model.security_group import (
    Rule,
    SecurityGroup,
    SecurityGroupRule,
)
from vifguard.store.nouns import security_groups
from vifguard.store.queries import lists, visibility
from vifguard.store.stored_nouns import StoredRule
from vifguard.store.transaction import Snapshot, WriteTransaction

router = Routes("security groups")

_LIST: Final = StoredList(SECURITY_GROUP_RULES, lists.SECURITY_GROUP_RULES)


@router.get("/security-group-rules", name="list_security_group_rules")
def list_security_group_rules(call: RequestContext) -> Response:
    """The rules of the project's security groups."""
    listing = call.listing(SECURITY_GROUP_RULES)
    with call.store.read() as snapshot:

        def shown(found: Sequence[StoredRule]) -> list[dict[str, Any]]:
            return _shown(snapshot, found)

        unwritten = security_groups.unwritten(snapshot, call.user.project_id)
        first = [show(each, group.group) for group in unwritten for each in group.rules]
        return JsonResponse(_LIST.answer(snapshot, listing, shown, first))


@router.post("/security-group-rules", name="create_security_group_rule", status_code=201)
def create_security_group_rule(call: RequestContext) -> Response:
    """Add one rule to a security group, or several at once."""
    given = SECURITY_GROUP_RULES.read_post(call.document)
    if len({each["security_group_id"] for each in given}) > 1:
        raise Refusal(
            400,
            "SecurityGroupNotSingleGroupRules",
            "Only allowed to update rules for one security profile at a time",
        )
    with call.store.change() as change:
        group = ownership.own_security_group(change, call.user, given[0]["security_group_id"]).group
        rules = [_rule(change, call, group, each) for each in given]
        if len({rule.rule.canonical() for rule in rules}) < len(rules):
            raise conflict(
                "DuplicateSecurityGroupRuleInPost", "Duplicate Security Group Rule in POST."
            )
        check_quota(change, call.user, Noun.SECURITY_GROUP_RULE, group.project_id, len(rules))
        made = [security_groups.create_rule(change, rule) for rule in rules]
    return call.created(SECURITY_GROUP_RULES, [show(each, group) for each in made])


@router.get("/security-group-rules/{rule_id}", name="show_security_group_rule")
def show_security_group_rule(call: RequestContext, rule_id: str) -> Response:
    """One rule."""
    with call.store.read() as snapshot:
        found = visibility.security_group_rule(snapshot, call.user, rule_id)
        group = visibility.security_group(snapshot, call.user, found.rule.group_id).group
    return call.show_one(SECURITY_GROUP_RULES, show(found, group))


@router.delete(
    "/security-group-rules/{rule_id}", name="delete_security_group_rule", status_code=204
)
def delete_security_group_rule(call: RequestContext, rule_id: str) -> Response:
    """Delete a rule; connections that it alone allowed end."""
    with call.store.change() as change:
        found = visibility.security_group_rule(change, call.user, rule_id)
        call.require_revision(found.stamp)
        security_groups.delete_rules(change, [found])
    return Response(status_code=204)


def _rule(
    change: WriteTransaction, call: RequestContext, group: SecurityGroup, given: ParsedBody
) -> SecurityGroupRule:
    SECURITY_GROUP_RULES.authorize_post(given, Subject(call.user, group.project_id))
    if given["project_id"] not in (None, group.project_id):
        raise bad_request(
            f"Invalid input for project_id. Reason: the rule is to be of project "
            f"{given['project_id']}, and security group {group.id} is of {group.project_id}."
        )
    rule, known = meaning(given)
    written = given["remote_ip_prefix"]
    if (group_id := given["remote_group_id"]) is not None:
        visibility.require_security_groups(change, group.project_id, {group_id})
    if (address_group_id := given["remote_address_group_id"]) is not None:
        visibility.require_address_group(change, group.project_id, address_group_id)
    return SecurityGroupRule(
        id=str(uuid4()),
        project_id=group.project_id,
        group_id=group.id,
        rule=rule,
        protocol=None if known is None else known.word,
        of_address_group=address_group_id is not None,
        written="" if str(written) in {"None", str(rule.remote)} else str(written),
        **SECURITY_GROUP_RULES.fields(given),
    )


def _shown(snapshot: Snapshot, found: Sequence[StoredRule]) -> list[dict[str, Any]]:
    by_id = security_groups.by_id(snapshot, {each.rule.group_id for each in found})
    return [show(each, by_id[each.rule.group_id]) for each in found]


def show(stored: StoredRule, group: SecurityGroup) -> dict[str, Any]:
    """A rule as the API shows it."""
    noun, remote = stored.rule, stored.rule.rule.remote
    set_id = remote if isinstance(remote, str) else None
    shown = show_meaning(noun.rule, noun.protocol)
    prefix = shown.pop("remote_ip_prefix")
    return {
        "id": noun.id,
        "project_id": noun.project_id,
        "tenant_id": noun.project_id,
        "description": noun.description,
        "security_group_id": noun.group_id,
        **shown,
        "remote_group_id": None if noun.of_address_group else set_id,
        "remote_address_group_id": set_id if noun.of_address_group else None,
        "remote_ip_prefix": noun.written or prefix,
        "normalized_cidr": prefix,
        "belongs_to_default_sg": group.is_default,
        **show_stamp(stored.stamp),
    }


def show_meaning(rule: Rule, protocol: str | None) -> dict[str, Any]:
    """A rule's meaning in Neutron's words, without a remote that is a set."""
    low, high = rule.range
    prefix = None if rule.remote is None or isinstance(rule.remote, str) else str(rule.remote)
    return {
        "direction": WORD[rule.direction],
        "ethertype": f"IPv{rule.version}",
        "protocol": protocol,
        "port_range_min": low,
        "port_range_max": high,
        "remote_ip_prefix": prefix,
    }
