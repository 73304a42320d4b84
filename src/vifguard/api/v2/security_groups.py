"""Security groups: sets of rules that allow traffic of the ports that have them."""

from __future__ import annotations

from collections.abc import Container, Sequence
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
from vifguard.api.v2 import security_group_rules
from vifguard.attributes.refusal import conflict
from vifguard.attributes.rules import Subject
from vifguard.attributes.schema import ParsedBody
from vifguard.attributes.security_groups import SECURITY_GROUPS
from vifguard.model.noun import Noun
from vifguard.model.security_group import DEFAULT, SecurityGroup
from vifguard.store.nouns import default_rules, rbac_policies, security_groups
from vifguard.store.queries import lists, visibility
from vifguard.store.stored_nouns import StoredSecurityGroup
from vifguard.store.transaction import WriteTransaction

router = Routes("security groups")

_LIST: Final = StoredList(SECURITY_GROUPS, lists.SECURITY_GROUPS)


@router.get("/security-groups", name="list_security_groups")
def list_security_groups(call: RequestContext) -> Response:
    """The security groups of the user's project, its default one among them. Listing makes none."""
    listing = call.listing(SECURITY_GROUPS)
    with call.store.read() as snapshot:

        def show(found: Sequence[StoredSecurityGroup]) -> list[dict[str, Any]]:
            ids = [each.group.id for each in found]
            shared = rbac_policies.shared_of(snapshot, ids, call.user.project_id)
            return [_show(each, shared) for each in found]

        unwritten = security_groups.unwritten(snapshot, call.user.project_id)
        first = [_show(each) for each in unwritten]
        return JsonResponse(_LIST.answer(snapshot, listing, show, first))


@router.post("/security-groups", name="create_security_group", status_code=201)
def create_security_group(call: RequestContext) -> Response:
    """Create one security group, or several at once."""
    given = SECURITY_GROUPS.read_post(call.document)
    with call.store.change() as change:
        made = [_create(change, call, each) for each in given]
    return call.created(SECURITY_GROUPS, [_show(each) for each in made])


@router.get("/security-groups/{group_id}", name="show_security_group")
def show_security_group(call: RequestContext, group_id: str) -> Response:
    """One security group, with its rules."""
    with call.store.read() as snapshot:
        found = visibility.security_group(snapshot, call.user, group_id)
        shared = rbac_policies.shared_of(snapshot, [group_id], call.user.project_id)
    return call.show_one(SECURITY_GROUPS, _show(found, shared))


@router.put("/security-groups/{group_id}", name="update_security_group")
def update_security_group(call: RequestContext, group_id: str) -> Response:
    """Change a security group; whether it is stateful, only while no port has it."""
    given = SECURITY_GROUPS.read_put(call.document)
    with call.store.change() as change:
        before = ownership.own_security_group(change, call.user, group_id)
        call.require_revision(before.stamp)
        SECURITY_GROUPS.authorize_put(given, Subject(call.user, before.group.project_id))
        if before.group.is_default and "name" in given:
            raise conflict(
                "SecurityGroupCannotUpdateDefault", "Updating default security group not allowed."
            )
        _require_no_default(given)
        after = security_groups.update_group(change, before, SECURITY_GROUPS.fields(given))
        shared = rbac_policies.shared_of(change, [group_id], call.user.project_id)
    return call.show_one(SECURITY_GROUPS, _show(after, shared))


@router.delete("/security-groups/{group_id}", name="delete_security_group", status_code=204)
def delete_security_group(call: RequestContext, group_id: str) -> Response:
    """Delete a security group that no port has, and its project's rules that refer to it."""
    with call.store.change() as change:
        found = ownership.own_security_group(change, call.user, group_id)
        call.require_revision(found.stamp)
        if found.group.is_default and not call.user.is_operator:
            raise conflict(
                "SecurityGroupCannotRemoveDefault",
                "Insufficient rights for removing default security group.",
            )
        security_groups.delete_group(change, found.group)
    return Response(status_code=204)


def _create(
    change: WriteTransaction, call: RequestContext, given: ParsedBody
) -> StoredSecurityGroup:
    project_id = given["project_id"] or call.user.project_id
    SECURITY_GROUPS.authorize_post(given, Subject(call.user, project_id))
    if given["name"] == DEFAULT and project_id != call.user.project_id:
        return _create_default(change, project_id, given)
    _require_no_default(given)
    security_groups.ensure_default(change, project_id)
    check_quota(change, call.user, Noun.SECURITY_GROUP, project_id, 1)
    begins_with = sum(each.in_others for each in default_rules.read(change))
    check_quota(change, call.user, Noun.SECURITY_GROUP_RULE, project_id, begins_with)
    group = SecurityGroup(id=str(uuid4()), project_id=project_id, **SECURITY_GROUPS.fields(given))
    return security_groups.create(change, group)


def _create_default(
    change: WriteTransaction, project_id: str, given: ParsedBody
) -> StoredSecurityGroup:
    """Another project's default group, which none of its own writes has made yet."""
    if security_groups.default_of(change, project_id) is not None:
        _require_no_default(given)
    before = security_groups.get(change, security_groups.ensure_default(change, project_id))
    chosen = {
        name: value
        for name, value in SECURITY_GROUPS.fields(given).items()
        if name in given.named - {"name"}
    }
    return security_groups.update_group(change, before, chosen)


def _require_no_default(given: ParsedBody) -> None:
    if (given.get("name") or "").lower() == DEFAULT:
        raise conflict(
            "SecurityGroupDefaultAlreadyExists",
            "Default security group already exists: the name is its own.",
        )


def _show(stored: StoredSecurityGroup, shared: Container[str] = ()) -> dict[str, Any]:
    group = stored.group
    others = {
        "shared": group.id in shared,
        "security_group_rules": [security_group_rules.show(each, group) for each in stored.rules],
    }
    return SECURITY_GROUPS.show(group, others | show_stamp(stored.stamp))
