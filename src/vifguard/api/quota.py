"""How much one project may have. The operator, creating, is not counted."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from sqlalchemy import Table, func, select

from vifguard.api.errors import conflict
from vifguard.api.who import User
from vifguard.store.tables import (
    address_groups,
    ip_groups,
    networks,
    ports,
    rbac_policies,
    security_group_rules,
    security_groups,
    set_prefixes,
    subnets,
)
from vifguard.store.transaction import Snapshot

QUOTA: Mapping[Table, int] = MappingProxyType(
    {
        networks: 100,
        subnets: 100,
        ports: 500,
        ip_groups: 100,
        security_groups: 100,
        security_group_rules: 4000,
        address_groups: 100,
        rbac_policies: 100,
    }
)

ADDRESSES = 10_000
"""Of all address groups of a project."""


def require_room(snapshot: Snapshot, user: User, table: Table, project_id: str, more: int) -> None:
    """Raise Refusal (409) where `more` objects would exceed the project's quota."""
    if user.is_operator:
        return
    mine = select(func.count()).select_from(table).where(table.c.project_id == project_id)
    has = snapshot.connection.execute(mine).scalar_one()
    _require(table.name, project_id, has, more, QUOTA[table])


def require_address_room(snapshot: Snapshot, user: User, project_id: str, more: int) -> None:
    """Raise Refusal (409) where `more` addresses in address groups would exceed the quota."""
    if user.is_operator:
        return
    mine = (
        select(func.count())
        .select_from(set_prefixes)
        .join(address_groups, address_groups.c.id == set_prefixes.c.set_id)
        .where(address_groups.c.project_id == project_id)
    )
    has = snapshot.connection.execute(mine).scalar_one()
    _require("address_group addresses", project_id, has, more, ADDRESSES)


def _require(what: str, project_id: str, has: int, more: int, most: int) -> None:
    if has + more > most:
        raise conflict(
            "OverQuota",
            f"Quota exceeded for resources: {what}. Project {project_id} has {has} of {most}; "
            f"delete some, or ask the operator.",
        )
