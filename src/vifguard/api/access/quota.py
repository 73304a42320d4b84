"""Quotas of a project, whoever creates; the operator's own project is not counted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from sqlalchemy import Select, String, Table, bindparam, func, literal, select, union_all

from vifguard.attributes.quotas import UNLIMITED
from vifguard.attributes.refusal import conflict
from vifguard.attributes.rules import User
from vifguard.store.database.statements import Statement
from vifguard.store.nouns import quotas
from vifguard.store.schema.tables import (
    address_groups,
    allocations,
    ip_groups,
    networks,
    ports,
    rbac_policies,
    security_group_rules,
    security_groups,
    set_prefixes,
    subnet_pools,
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
        subnet_pools: 100,
    }
)
"""The quotas of a project for which the operator set no others."""

ADDRESSES = 10_000
"""Of all address groups of a project."""

_ADDRESSES: Final = "address_group_address"

OWN_ADDRESSES = 1000
"""Of all ports and IP groups of a project; learned addresses are not counted."""

_OWN_ADDRESSES: Final = "ip_address"

NAMES: Final[Mapping[Table, str]] = MappingProxyType(
    {
        networks: "network",
        subnets: "subnet",
        ports: "port",
        ip_groups: "ip_group",
        security_groups: "security_group",
        security_group_rules: "security_group_rule",
        address_groups: "address_group",
        rbac_policies: "rbac_policy",
        subnet_pools: "subnetpool",
    }
)
"""The name of each in a quota."""


_HOW_MANY = func.count().label("how_many")


def _of(table: Table) -> Select[Any]:
    mine = table.c.project_id == bindparam("project_id")
    return select(_HOW_MANY).select_from(table).where(mine)


_COUNTING: Final[Mapping[str, Select[Any]]] = MappingProxyType(
    {
        **{name: _of(table) for table, name in NAMES.items()},
        _OWN_ADDRESSES: _of(allocations),
        _ADDRESSES: select(_HOW_MANY)
        .select_from(set_prefixes)
        .join(address_groups, address_groups.c.id == set_prefixes.c.set_id)
        .where(address_groups.c.project_id == bindparam("project_id")),
    }
)
_COUNTS: Final = {name: Statement(counting) for name, counting in _COUNTING.items()}


_ALL_COUNTS: Final = Statement(
    union_all(
        *(
            counting.add_columns(literal(name, String()).label("resource"))
            for name, counting in _COUNTING.items()
        )
    )
)


def check_quota(snapshot: Snapshot, user: User, table: Table, project_id: str, more: int) -> None:
    """Raise Refusal (409) where `more` objects would exceed the project's quota."""
    queue_quota_check(snapshot, user, table, project_id, more)()


def queue_quota_check(
    snapshot: Snapshot, user: User, table: Table, project_id: str, more: int
) -> Callable[[], None]:
    """Queue a check that raises Refusal (409) where `more` objects would exceed the quota."""
    return _queue_check(snapshot, user, NAMES[table], project_id, more)


def check_address_quota(snapshot: Snapshot, user: User, project_id: str, more: int) -> None:
    """Raise Refusal (409) where `more` addresses in address groups would exceed the quota."""
    _queue_check(snapshot, user, _ADDRESSES, project_id, more)()


def queue_own_address_check(snapshot: Snapshot, user: User, project_id: str) -> Callable[[], None]:
    """Queue a check that, called once addresses are taken, raises Refusal (409) over the quota."""
    return _queue_check(snapshot, user, _OWN_ADDRESSES, project_id, 0)


def default_quotas() -> dict[str, int]:
    """The quotas of a project that has none of its own."""
    return {
        **{name: QUOTA[table] for table, name in NAMES.items()},
        _ADDRESSES: ADDRESSES,
        _OWN_ADDRESSES: OWN_ADDRESSES,
    }


def of_project(snapshot: Snapshot, project_id: str) -> dict[str, int]:
    """The quotas of a project."""
    return default_quotas() | quotas.of_project(snapshot, project_id)


def used(snapshot: Snapshot, project_id: str, resource: str) -> int:
    """The number of a resource's objects that a project has."""
    return int(snapshot.rows(_COUNTS[resource], {"project_id": project_id})[0].how_many)


def all_used(snapshot: Snapshot, project_id: str) -> dict[str, int]:
    """The number of objects that a project has, by resource."""
    rows = snapshot.rows(_ALL_COUNTS, {"project_id": project_id})
    return {row.resource: int(row.how_many) for row in rows}


def _queue_check(
    snapshot: Snapshot, user: User, resource: str, project_id: str, more: int
) -> Callable[[], None]:
    if user.is_operator and project_id == user.project_id:
        return lambda: None
    own = quotas.queue_limit(snapshot, project_id, resource)

    def hear() -> None:
        limit = own()
        most = default_quotas()[resource] if limit is None else limit
        has = used(snapshot, project_id, resource) if most != UNLIMITED else 0
        if most != UNLIMITED and has + more > most:
            raise conflict(
                "OverQuota",
                f"Quota exceeded for resources: ['{resource}']. Project {project_id} has {has} of "
                f"{most}; delete some, or ask the operator.",
            )

    return hear
