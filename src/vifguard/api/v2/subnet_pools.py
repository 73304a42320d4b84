"""Subnet pools: prefixes for subnets of the projects that may use the pool."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import replace
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
from vifguard.attributes.refusal import Refusal
from vifguard.attributes.rules import Subject
from vifguard.attributes.schema import ParsedBody
from vifguard.attributes.subnet_pools import SUBNET_POOLS
from vifguard.model.noun import Noun
from vifguard.model.rbac_policy import EVERY_PROJECT, RbacPolicy, Sharable
from vifguard.model.subnet_pool import USUAL_SHORTEST, SubnetPool, holds
from vifguard.store.nouns import rbac_policies, sharing, subnet_pools
from vifguard.store.queries import lists, visibility
from vifguard.store.stored_nouns import StoredSubnetPool
from vifguard.store.transaction import WriteTransaction

router = Routes("subnet pools")

_LIST: Final = StoredList(SUBNET_POOLS, lists.SUBNET_POOLS)


@router.get("/subnetpools", name="list_subnetpools")
def list_subnetpools(call: RequestContext) -> Response:
    """The pools of the user's project, and those shared with it."""
    listing = call.listing(SUBNET_POOLS)
    with call.store.read() as snapshot:

        def show(found: Sequence[StoredSubnetPool]) -> list[dict[str, Any]]:
            ids = [each.pool.id for each in found]
            shared = rbac_policies.shared_of(snapshot, ids, call.user.project_id)
            return [_show(each, shared) for each in found]

        return JsonResponse(_LIST.answer(snapshot, listing, show))


@router.post("/subnetpools", name="create_subnetpool", status_code=201)
def create_subnetpool(call: RequestContext) -> Response:
    """Create one pool, or several at once."""
    given = SUBNET_POOLS.read_post(call.document)
    with call.store.change() as change:
        made = [_create(change, call, each) for each in given]
        ids = [each.pool.id for each in made]
        shared = rbac_policies.shared_of(change, ids, call.user.project_id)
    return call.created(SUBNET_POOLS, [_show(each, shared) for each in made])


@router.get("/subnetpools/{pool_id}", name="show_subnetpool")
def show_subnetpool(call: RequestContext, pool_id: str) -> Response:
    """One pool."""
    with call.store.read() as snapshot:
        found = visibility.subnet_pool(snapshot, call.user, pool_id)
        shared = rbac_policies.shared_of(snapshot, [pool_id], call.user.project_id)
    return call.show_one(SUBNET_POOLS, _show(found, shared))


@router.put("/subnetpools/{pool_id}", name="update_subnetpool")
def update_subnetpool(call: RequestContext, pool_id: str) -> Response:
    """Change a pool; its prefixes may grow, and never lose addresses that subnets could have."""
    given = SUBNET_POOLS.read_put(call.document)
    with call.store.change() as change:
        before = ownership.own_subnet_pool(change, call.user, pool_id)
        call.require_revision(before.stamp)
        SUBNET_POOLS.authorize_put(given, Subject(call.user, before.pool.project_id))
        after = _with_lengths(replace(before.pool, **SUBNET_POOLS.fields(given)), given)
        if not all(holds(after.prefixes, prefix) for prefix in before.pool.prefixes):
            raise _refused(
                "IllegalSubnetPoolPrefixUpdate",
                "Illegal update to prefixes: Existing prefixes must be a subset of the new "
                "prefixes.",
            )
        _validate(after)
        lengths = {name: getattr(after, name) for name in ("shortest", "longest", "usual")}
        kept = subnet_pools.update_pool(change, before, SUBNET_POOLS.fields(given) | lengths)
        shared = rbac_policies.shared_of(change, [pool_id], call.user.project_id)
    return call.show_one(SUBNET_POOLS, _show(kept, shared))


@router.delete("/subnetpools/{pool_id}", name="delete_subnetpool", status_code=204)
def delete_subnetpool(call: RequestContext, pool_id: str) -> Response:
    """Delete a pool that no subnet is from."""
    with call.store.change() as change:
        found = ownership.own_subnet_pool(change, call.user, pool_id)
        call.require_revision(found.stamp)
        subnet_pools.delete_pool(change, pool_id)
    return Response(status_code=204)


def _create(change: WriteTransaction, call: RequestContext, given: ParsedBody) -> StoredSubnetPool:
    project_id = given["project_id"] or call.user.project_id
    SUBNET_POOLS.authorize_post(given, Subject(call.user, project_id))
    check_quota(change, call.user, Noun.SUBNET_POOL, project_id, 1)
    version = given["prefixes"][0].version
    bounds = (USUAL_SHORTEST[version], given["prefixes"][0].max_prefixlen)
    pool = SubnetPool(
        id=str(uuid4()),
        project_id=project_id,
        shortest=bounds[0],
        longest=bounds[1],
        usual=-1,
        **SUBNET_POOLS.fields(given),
    )
    pool = _with_lengths(pool, given)
    if pool.usual < 0:
        pool = replace(pool, usual=pool.shortest)
    _validate(pool)
    stored = subnet_pools.create(change, pool)
    if given["shared"]:
        policy_id = str(uuid4())
        policy = RbacPolicy(policy_id, project_id, Sharable.SUBNET_POOL, pool.id, EVERY_PROJECT)
        sharing.share(change, policy)
    return stored


def _with_lengths(pool: SubnetPool, given: ParsedBody) -> SubnetPool:
    names = {"min_prefixlen": "shortest", "max_prefixlen": "longest", "default_prefixlen": "usual"}
    lengths = {field: given.get(name) for name, field in names.items()}
    return replace(pool, **{field: each for field, each in lengths.items() if each is not None})


def _validate(pool: SubnetPool) -> None:
    bits = pool.prefixes[0].max_prefixlen
    for name, length, limit_name, limit, fits in (
        (
            "min_prefixlen",
            pool.shortest,
            "max_prefixlen",
            pool.longest,
            pool.shortest <= pool.longest,
        ),
        ("max_prefixlen", pool.longest, "ip_version_max", bits, pool.longest <= bits),
        (
            "default_prefixlen",
            pool.usual,
            "min_prefixlen",
            pool.shortest,
            pool.usual >= pool.shortest,
        ),
        (
            "default_prefixlen",
            pool.usual,
            "max_prefixlen",
            pool.longest,
            pool.usual <= pool.longest,
        ),
    ):
        if not fits:
            raise _refused(
                "IllegalSubnetPoolPrefixBounds",
                f"Illegal prefix bounds: {name}={length}, {limit_name}={limit}.",
            )


def _refused(kind: str, message: str) -> Refusal:
    return Refusal(400, kind, message)


def _show(stored: StoredSubnetPool, shared: Container[str]) -> dict[str, Any]:
    others = {"shared": stored.pool.id in shared, "address_scope_id": None}
    return SUBNET_POOLS.show(stored.pool, others | show_stamp(stored.stamp))
