"""How much one project may have. The operator, creating, is not counted."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from sqlalchemy import Table, func, select

from vifguard.api.errors import conflict
from vifguard.api.who import User
from vifguard.store.tables import ip_groups, networks, ports, subnets
from vifguard.store.transaction import Snapshot

QUOTA: Mapping[Table, int] = MappingProxyType(
    {networks: 100, subnets: 100, ports: 500, ip_groups: 100}
)


def require_room(snapshot: Snapshot, user: User, table: Table, project_id: str, more: int) -> None:
    """Raise Refusal (409) where `more` objects would exceed the project's quota."""
    if user.is_operator:
        return
    mine = select(func.count()).select_from(table).where(table.c.project_id == project_id)
    has = snapshot.connection.execute(mine).scalar_one()
    if has + more > QUOTA[table]:
        raise conflict(
            "OverQuota",
            f"Quota exceeded for resources: {table.name}. Project {project_id} has {has} of "
            f"{QUOTA[table]}; delete some, or ask the operator.",
        )
