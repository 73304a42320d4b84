"""Default rules: those that every new security group begins with. The operator's to choose."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from starlette.responses import Response

from vifguard.api.http.request import RequestContext
from vifguard.api.http.responses import JsonResponse
from vifguard.api.http.routes import Routes
from vifguard.api.v2.security_group_rules import show_meaning
from vifguard.attributes.default_security_group_rules import DEFAULT_RULES
from vifguard.attributes.schema import ParsedBody
from vifguard.attributes.security_group_rules import meaning
from vifguard.model.security_group import DefaultRule
from vifguard.store.nouns import default_rules
from vifguard.store.transaction import WriteTransaction

router = Routes("security groups")


@router.get("/default-security-group-rules", name="list_default_security_group_rules")
def list_default_security_group_rules(call: RequestContext) -> Response:
    """The rules that new security groups begin with."""
    listing = call.listing(DEFAULT_RULES)
    with call.store.read() as snapshot:
        found = default_rules.read(snapshot)
    return JsonResponse(listing.answer([_show(each) for each in found]))


@router.post(
    "/default-security-group-rules", name="create_default_security_group_rule", status_code=201
)
def create_default_security_group_rule(call: RequestContext) -> Response:
    """Add a default rule, or several, to the security groups that are made from now on."""
    given = DEFAULT_RULES.read_post(call.document)
    with call.store.change() as change:
        made = [_create(change, each) for each in given]
    return call.created(DEFAULT_RULES, [_show(each) for each in made])


@router.get("/default-security-group-rules/{rule_id}", name="show_default_security_group_rule")
def show_default_security_group_rule(call: RequestContext, rule_id: str) -> Response:
    """One default rule."""
    with call.store.read() as snapshot:
        found = default_rules.get(snapshot, rule_id)
    return call.show_one(DEFAULT_RULES, _show(found))


@router.delete(
    "/default-security-group-rules/{rule_id}",
    name="delete_default_security_group_rule",
    status_code=204,
)
def delete_default_security_group_rule(call: RequestContext, rule_id: str) -> Response:
    """Delete a default rule; existing security groups keep the rules that they began with."""
    with call.store.change() as change:
        default_rules.delete_rule(change, default_rules.get(change, rule_id).id)
    return Response(status_code=204)


def _create(change: WriteTransaction, given: ParsedBody) -> DefaultRule:
    rule, known = meaning(given)
    word = None if known is None else known.word
    fields = DEFAULT_RULES.fields(given)
    return default_rules.create(change, DefaultRule(str(uuid4()), rule, word, **fields))


def _show(default: DefaultRule) -> dict[str, Any]:
    members = default.rule.remote if isinstance(default.rule.remote, str) else None
    return {
        "id": default.id,
        "description": default.description,
        **show_meaning(default.rule, default.protocol),
        "remote_group_id": members,
        "remote_address_group_id": None,
        "used_in_default_sg": default.in_default,
        "used_in_non_default_sg": default.in_others,
    }
