"""RBAC policies as rows: read, create, retarget, delete. Their effects are in `sharing`."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import (
    Column,
    ColumnElement,
    Insert,
    Select,
    Update,
    bindparam,
    delete,
    exists,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from vifguard.model.rbac_policy import EVERY_PROJECT, RbacPolicy, Sharable
from vifguard.store.database.statements import Statement, in_list
from vifguard.store.errors import DuplicatePolicyError, MissingError
from vifguard.store.schema.row_mapping import Record
from vifguard.store.schema.tables import rbac_policies
from vifguard.store.transaction import Snapshot, WriteTransaction

_FOR = or_(
    rbac_policies.c.target == bindparam("project_id"), rbac_policies.c.target == EVERY_PROJECT
)
_IS_SHARED = Statement(
    select(rbac_policies.c.id)
    .where(rbac_policies.c.object_id == bindparam("object_id"), _FOR)
    .limit(1)
)
_AMONG = Statement(
    select(rbac_policies.c.object_id)
    .where(in_list(rbac_policies.c.object_id, "ids"), _FOR)
    .distinct()
)
_TARGETS = select(rbac_policies.c.target).where(rbac_policies.c.object_id == bindparam("object_id"))


def read(snapshot: Snapshot, which: ColumnElement[bool]) -> list[RbacPolicy]:
    """The policies that a condition on their table selects, in the order of their ids."""
    rows = snapshot.connection.execute(
        select(rbac_policies).where(which).order_by(rbac_policies.c.id)
    )
    return [_policy_of(row) for row in rows]


def of_object(snapshot: Snapshot, object_id: str) -> list[RbacPolicy]:
    """The policies that share an object, in the order of their ids."""
    return read(snapshot, rbac_policies.c.object_id == object_id)


def get(snapshot: Snapshot, policy_id: str) -> RbacPolicy:
    """One policy; raises MissingError."""
    found = read(snapshot, rbac_policies.c.id == policy_id)
    if not found:
        raise MissingError("rbac-policy", policy_id)
    return found[0]


def shares(object_id: Column[str]) -> ColumnElement[bool]:
    """Whether the object of a column is shared with the project of `project_id`, a parameter."""
    return exists(select(rbac_policies.c.id).where(rbac_policies.c.object_id == object_id, _FOR))


def is_shared(snapshot: Snapshot, object_id: str, project_id: str) -> bool:
    """Whether an object is shared with a project, or with every one."""
    return bool(snapshot.rows(_IS_SHARED, {"object_id": object_id, "project_id": project_id}))


def shared_of(snapshot: Snapshot, ids: Collection[str], project_id: str) -> frozenset[str]:
    """The ids of these objects that are shared with a project, or with every one."""
    these = {"ids": sorted(ids), "project_id": project_id}
    return frozenset(row.object_id for row in snapshot.rows(_AMONG, these))


def shared_with(kind: Sharable, project_id: str) -> Select[tuple[str]]:
    """The ids of the objects of a kind that are shared with a project, to select from."""
    targets = (project_id, EVERY_PROJECT)
    return select(rbac_policies.c.object_id).where(
        rbac_policies.c.target.in_(targets), rbac_policies.c.kind == kind
    )


def targets(snapshot: Snapshot, object_id: str) -> frozenset[str]:
    """The targets that an object is shared with."""
    return frozenset(snapshot.connection.scalars(_TARGETS, {"object_id": object_id}))


def create(change: WriteTransaction, policy: RbacPolicy) -> None:
    """Store a policy; raises DuplicatePolicyError where there is one like it."""
    values = {
        "id": policy.id,
        "project_id": policy.project_id,
        "kind": policy.kind,
        "object_id": policy.object_id,
        "target": policy.target,
    }
    _write(change, insert(rbac_policies).values(values))


def retarget(change: WriteTransaction, policy: RbacPolicy, target: str) -> None:
    """Share with another project instead; raises DuplicatePolicyError as `create` does."""
    this = rbac_policies.c.id == policy.id
    _write(change, update(rbac_policies).where(this).values(target=target))


def drop(change: WriteTransaction, policy_id: str) -> None:
    """Delete a policy."""
    change.connection.execute(delete(rbac_policies).where(rbac_policies.c.id == policy_id))
    change.allocate_revision()


def withdraw(change: WriteTransaction, object_id: str, target: str) -> None:
    """Delete the policy that shares an object with a target, if there is one."""
    this = (rbac_policies.c.object_id == object_id) & (rbac_policies.c.target == target)
    change.connection.execute(delete(rbac_policies).where(this))
    change.allocate_revision()


def forget(change: WriteTransaction, object_id: str) -> None:
    """Delete the policies of a deleted object."""
    change.connection.execute(delete(rbac_policies).where(rbac_policies.c.object_id == object_id))


def _write(change: WriteTransaction, statement: Insert | Update) -> None:
    change.allocate_revision()
    try:
        change.connection.execute(statement)
    except IntegrityError:
        raise DuplicatePolicyError("An RBAC policy already exists with those values.") from None


def _policy_of(row: Record) -> RbacPolicy:
    return RbacPolicy(row.id, row.project_id, Sharable(row.kind), row.object_id, row.target)
