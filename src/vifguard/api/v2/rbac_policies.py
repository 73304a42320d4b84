"""RBAC policies: which other projects may see and use an object."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final
from uuid import uuid4

from starlette.responses import Response

from vifguard.api.access.quota import check_quota
from vifguard.api.http.request import RequestContext
from vifguard.api.http.responses import JsonResponse
from vifguard.api.http.routes import Routes
from vifguard.api.schema.stored_list import StoredList
from vifguard.api.v2.sharing_conditions import require_shareable
from vifguard.attributes.networks import NETWORKS
from vifguard.attributes.rbac_policies import RBAC_POLICIES
from vifguard.attributes.refusal import Refusal, bad_request, forbidden
from vifguard.attributes.rules import Subject, User
from vifguard.attributes.schema import ParsedBody
from vifguard.model.address import quoted
from vifguard.model.noun import Noun
from vifguard.model.rbac_policy import EVERY_PROJECT, RbacPolicy, Sharable
from vifguard.store.nouns import sharing
from vifguard.store.queries import lists, visibility
from vifguard.store.transaction import Snapshot, WriteTransaction

router = Routes("rbac policies")

_ACTION: Final = "access_as_shared"


_LIST: Final = StoredList(RBAC_POLICIES, lists.RBAC_POLICIES)


@router.get("/rbac-policies", name="list_rbac_policies")
def list_rbac_policies(call: RequestContext) -> Response:
    """The policies that the user's project made."""
    listing = call.listing(RBAC_POLICIES)
    with call.store.read() as snapshot:
        return JsonResponse(
            _LIST.answer(snapshot, listing, lambda found: [_show(each) for each in found])
        )


@router.post("/rbac-policies", name="create_rbac_policy", status_code=201)
def create_rbac_policy(call: RequestContext) -> Response:
    """Share one object, or several at once."""
    given = RBAC_POLICIES.read_post(call.document)
    with call.store.change() as change:
        made = [_create(change, call, each) for each in given]
    return call.created(RBAC_POLICIES, [_show(each) for each in made])


@router.get("/rbac-policies/{policy_id}", name="show_rbac_policy")
def show_rbac_policy(call: RequestContext, policy_id: str) -> Response:
    """One policy."""
    with call.store.read() as snapshot:
        found = visibility.rbac_policy(snapshot, call.user, policy_id)
    return call.show_one(RBAC_POLICIES, _show(found))


@router.put("/rbac-policies/{policy_id}", name="update_rbac_policy")
def update_rbac_policy(call: RequestContext, policy_id: str) -> Response:
    """Share with another project instead, while the former one does not use the object."""
    given = RBAC_POLICIES.read_put(call.document)
    with call.store.change() as change:
        policy = visibility.rbac_policy(change, call.user, policy_id)
        _require_may(call.user, policy)
        RBAC_POLICIES.authorize_put(given, Subject(call.user, policy.project_id))
        owner = _owner(change, call.user, policy.kind, policy.object_id)
        if (target := _given_target(given)) is not None:
            _require_shareable(change, call.user, replace(policy, target=target), owner)
            policy = sharing.retarget(change, policy, target, owner)
    return call.show_one(RBAC_POLICIES, _show(policy))


@router.delete("/rbac-policies/{policy_id}", name="delete_rbac_policy", status_code=204)
def delete_rbac_policy(call: RequestContext, policy_id: str) -> Response:
    """End the sharing of an object, while the project it is shared with does not use it."""
    with call.store.change() as change:
        policy = visibility.rbac_policy(change, call.user, policy_id)
        _require_may(call.user, policy)
        owner = _owner(change, call.user, policy.kind, policy.object_id)
        sharing.unshare(change, policy, owner)
    return Response(status_code=204)


def _create(change: WriteTransaction, call: RequestContext, given: ParsedBody) -> RbacPolicy:
    user = call.user
    project_id = given["project_id"] or user.project_id
    RBAC_POLICIES.authorize_post(given, Subject(user, project_id))
    kind: Sharable = given["object_type"]
    if given["action"] != _ACTION:
        raise Refusal(
            400,
            "InvalidActionForType",
            f"Invalid input for operation: Invalid action {quoted(given['action'])} for object "
            f"type '{kind}'. Valid actions: ('{_ACTION}',).",
        )
    target = _given_target(given)
    if target is None:
        raise bad_request(
            "Failed to parse request. Required attribute 'target_tenant' not specified"
        )
    owner = _owner(change, user, kind, given["object_id"])
    check_quota(change, user, Noun.RBAC_POLICY, project_id, 1)
    policy = RbacPolicy(str(uuid4()), project_id, kind, given["object_id"], target)
    _require_shareable(change, user, policy, owner)
    return sharing.share(change, policy)


def _require_shareable(
    change: WriteTransaction, user: User, policy: RbacPolicy, owner: str
) -> None:
    """Raise Refusal (409) where a network is to be shared that cannot be."""
    if policy.kind is Sharable.NETWORK and policy.target != owner:
        network = visibility.network(change, user, policy.object_id).network
        require_shareable(change, NETWORKS, network)


def _require_may(user: User, policy: RbacPolicy) -> None:
    # The owner of an object does not take back the operator's sharing with every project.
    if policy.target == EVERY_PROJECT and not user.is_operator:
        raise forbidden(
            f"RBAC policy {policy.id} shares with every project: only the operator may do "
            f"that, and user {user.name!r} is none."
        )


def _given_target(given: ParsedBody) -> str | None:
    new, old = given.get("target_project"), given.get("target_tenant")
    if None not in (new, old) and new != old:
        raise bad_request("'target_project' and 'target_tenant' do not match")
    target: str | None = new if new is not None else old
    return target


def _owner(snapshot: Snapshot, user: User, kind: Sharable, object_id: str) -> str:
    """The project of the object; raises MissingError, or Refusal where it is not the user's.

    A shared network is the operator's, and its owner still chooses the projects to share it with.
    """
    owner = _project_of(snapshot, user, kind, object_id)
    if not user.owns(owner):
        raise Refusal(
            400,
            "InvalidInput",
            "Invalid input for operation: Only admins can manipulate policies on objects they do "
            "not own.",
        )
    return owner


def _project_of(snapshot: Snapshot, user: User, kind: Sharable, object_id: str) -> str:
    match kind:
        case Sharable.NETWORK:
            return visibility.network(snapshot, user, object_id).network.project_id
        case Sharable.SECURITY_GROUP:
            return visibility.security_group(snapshot, user, object_id).group.project_id
        case Sharable.ADDRESS_GROUP:
            return visibility.address_group(snapshot, user, object_id).group.project_id
        case Sharable.SUBNET_POOL:
            return visibility.subnet_pool(snapshot, user, object_id).pool.project_id


def _show(policy: RbacPolicy) -> dict[str, Any]:
    return {
        "id": policy.id,
        "project_id": policy.project_id,
        "tenant_id": policy.project_id,
        "object_type": policy.kind,
        "object_id": policy.object_id,
        "target_tenant": policy.target,
        "action": _ACTION,
    }
