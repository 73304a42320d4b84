"""The number of objects and addresses that a project has."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from sqlalchemy import Select, String, Table, bindparam, func, literal, select, union_all

from vifguard.attributes.quotas import ADDRESS_GROUP_ADDRESS, IP_ADDRESS
from vifguard.store.database.statements import Statement
from vifguard.store.schema.noun_tables import TABLE_OF
from vifguard.store.schema.tables import address_groups, allocations, set_prefixes
from vifguard.store.transaction import Snapshot

_HOW_MANY = func.count().label("how_many")


def _of(table: Table) -> Select[Any]:
    mine = table.c.project_id == bindparam("project_id")
    return select(_HOW_MANY).select_from(table).where(mine)


_COUNTING: Final[Mapping[str, Select[Any]]] = MappingProxyType(
    {
        **{noun: _of(table) for noun, table in TABLE_OF.items()},
        IP_ADDRESS: _of(allocations),
        ADDRESS_GROUP_ADDRESS: select(_HOW_MANY)
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


def used(snapshot: Snapshot, project_id: str, resource: str) -> int:
    """The number of a resource's objects that a project has."""
    return int(snapshot.rows(_COUNTS[resource], {"project_id": project_id})[0].how_many)


def all_used(snapshot: Snapshot, project_id: str) -> dict[str, int]:
    """The number of objects that a project has, by resource."""
    rows = snapshot.rows(_ALL_COUNTS, {"project_id": project_id})
    return {row.resource: int(row.how_many) for row in rows}
