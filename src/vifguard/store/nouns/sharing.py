"""Sharing of objects with other projects, and its end while they do not use them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Final

from sqlalchemy import Executable, String, bindparam, select, union

from vifguard.model.rbac_policy import EVERY_PROJECT, RbacPolicy, Sharable
from vifguard.store.errors import InUseError, SharedInUseError
from vifguard.store.nouns import networks, rbac_policies
from vifguard.store.schema.tables import port_security_groups, ports, security_group_rules, subnets
from vifguard.store.transaction import WriteTransaction

_THIS: Final = bindparam("object_id", type_=String)

# The projects that use an object of each kind. `networks` finds those of a network.
_USERS: Mapping[Sharable, Executable] = MappingProxyType(
    {
        Sharable.SECURITY_GROUP: union(
            select(ports.c.project_id)
            .join(port_security_groups, port_security_groups.c.port_id == ports.c.id)
            .where(port_security_groups.c.group_id == _THIS),
            select(security_group_rules.c.project_id).where(
                security_group_rules.c.remote_group_id == _THIS
            ),
        ),
        Sharable.ADDRESS_GROUP: select(security_group_rules.c.project_id)
        .where(security_group_rules.c.remote_address_group_id == _THIS)
        .distinct(),
        Sharable.SUBNET_POOL: select(subnets.c.project_id)
        .where(subnets.c.subnet_pool_id == _THIS)
        .distinct(),
    }
)


def share(change: WriteTransaction, policy: RbacPolicy) -> RbacPolicy:
    """Share an object; raises DuplicatePolicyError."""
    rbac_policies.create(change, policy)
    if policy.kind is Sharable.NETWORK:
        networks.recheck_sharing(change, policy.object_id)
    return policy


def retarget(change: WriteTransaction, policy: RbacPolicy, target: str, owner: str) -> RbacPolicy:
    """Share an object with another project instead.

    Raises DuplicatePolicyError, or InUseError where a project that loses the object uses it.
    """
    if target == policy.target:
        return policy
    rbac_policies.retarget(change, policy, target)
    _require_unused(change, policy, owner)
    return replace(policy, target=target)


def unshare(change: WriteTransaction, policy: RbacPolicy, owner: str) -> None:
    """Share an object no more; raises InUseError where a project that loses it uses it."""
    rbac_policies.drop(change, policy.id)
    _require_unused(change, policy, owner)


def _require_unused(change: WriteTransaction, policy: RbacPolicy, owner: str) -> None:
    """Raise InUseError where a user of the object is not its owner, and no longer shares it."""
    if policy.kind is Sharable.NETWORK:
        try:
            networks.recheck_sharing(change, policy.object_id, lost=policy.target)
        except SharedInUseError as error:
            raise _in_use(policy, str(error), error.discreet) from None
        return
    remaining = rbac_policies.targets(change, policy.object_id)
    users = set(change.connection.scalars(_USERS[policy.kind], {"object_id": policy.object_id}))
    strangers = users - remaining - {owner}
    if strangers and EVERY_PROJECT not in remaining:
        known = strangers & {policy.target}
        discreet = f"project_id={policy.target}" if known else "other projects use it"
        raise _in_use(policy, f"project_id={', '.join(sorted(strangers))}", discreet)


def _in_use(policy: RbacPolicy, details: str, discreet: str) -> InUseError:
    head = (
        f"RBAC policy on object {policy.object_id} cannot be removed because other objects "
        f"depend on it.\nDetails: "
    )
    return InUseError("rbac-policy", head + details, head + discreet)
