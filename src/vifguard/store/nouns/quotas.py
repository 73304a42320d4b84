"""Quotas of single projects: the most that each may have of a resource."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from sqlalchemy import and_, bindparam, delete, insert, select

from vifguard.store.batch import Batch, Pending
from vifguard.store.database.statements import Statement
from vifguard.store.schema.tables import quotas
from vifguard.store.transaction import Snapshot, WriteTransaction

_ONE = Statement(
    select(quotas.c.most).where(
        quotas.c.project_id == bindparam("project_id"), quotas.c.resource == bindparam("resource")
    )
)
_OF = select(quotas.c.resource, quotas.c.most).where(quotas.c.project_id == bindparam("project_id"))
_DROP = delete(quotas).where(
    and_(
        quotas.c.project_id == bindparam("of_project"),
        quotas.c.resource.in_(bindparam("resources", expanding=True)),
    )
)


def queue_limit(batch: Batch, project_id: str, resource: str) -> Pending[int | None]:
    """Queue reading a project's own quota of a resource; None where it has the usual one."""
    this = {"project_id": project_id, "resource": resource}
    return batch.queue(_ONE, this, lambda rows: rows[0].most if rows else None)


def of_project(snapshot: Snapshot, project_id: str) -> dict[str, int]:
    """A project's own quotas, by resource."""
    rows = snapshot.connection.execute(_OF, {"project_id": project_id})
    return {row.resource: row.most for row in rows}


def read(snapshot: Snapshot) -> dict[str, dict[str, int]]:
    """The own quotas of every project that has any, by project and resource."""
    found: dict[str, dict[str, int]] = defaultdict(dict)
    for row in snapshot.connection.execute(select(quotas).order_by(quotas.c.project_id)):
        found[row.project_id][row.resource] = row.most
    return dict(found)


def write(change: WriteTransaction, project_id: str, limits: Mapping[str, int]) -> None:
    """Give a project quotas of its own; those not named stay."""
    change.allocate_revision()
    if not limits:
        return
    this = {"of_project": project_id, "resources": sorted(limits)}
    change.connection.execute(_DROP, this)
    rows = [
        {"project_id": project_id, "resource": resource, "most": most}
        for resource, most in limits.items()
    ]
    change.connection.execute(insert(quotas), rows)


def drop(change: WriteTransaction, project_id: str) -> bool:
    """Give a project the usual quotas again; return whether it had others."""
    change.allocate_revision()
    mine = delete(quotas).where(quotas.c.project_id == project_id)
    return change.connection.execute(mine).rowcount > 0
