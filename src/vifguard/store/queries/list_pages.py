"""Lists: their order and their pages. A condition on its table selects the rows of a list."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, ColumnElement, Table, and_, collate, or_, select, true

from vifguard.store.transaction import Snapshot

Order = tuple[ColumnElement[Any], bool]
"""A column to sort by, and whether the greatest comes first."""


@dataclass(frozen=True, slots=True)
class Page:
    """A page of a list: at most so many rows (0: all), behind a row or backwards before it.

    `sort` goes before the order in which the rows were made; its columns hold texts, never null.
    """

    most: int = 0
    marker: str | None = None
    backwards: bool = False
    sort: tuple[tuple[Column[str], bool], ...] = ()


def page(
    snapshot: Snapshot, table: Table, which: ColumnElement[bool], where: Page
) -> ColumnElement[bool] | None:
    """The condition for a part of the rows that another selects.

    None where the row that it is cut at is not among them.
    """
    order = _order(snapshot, table, where)
    if where.marker is not None:
        columns = [column for column, _ in order]
        marked = select(*columns).where(which, table.c.id == where.marker)
        found = snapshot.connection.execute(marked).first()
        if found is None:
            return None
        which = which & _after(order, found)
    if not where.most:
        return which
    sorting = [column.desc() if descending else column for column, descending in order]
    ids = select(table.c.id).where(which).order_by(*sorting).limit(where.most)
    return table.c.id.in_(ids.correlate(None))


def creation_order(table: Table) -> tuple[Column[Any], ...]:
    """The columns by which the rows of a table are in the order they were made."""
    return (table.c.created_at, table.c.id) if "created_at" in table.c else (table.c.id,)


def _order(snapshot: Snapshot, table: Table, where: Page) -> list[Order]:
    # By code points, as everything else here compares texts; a database may have another order.
    plain = "C" if snapshot.connection.dialect.name == "postgresql" else "BINARY"
    sort = [(collate(column, plain), descending) for column, descending in where.sort]
    order: list[Order] = [*sort, *((column, False) for column in creation_order(table))]
    return [(column, descending is not where.backwards) for column, descending in order]


def _after(order: Sequence[Order], marked: Sequence[Any]) -> ColumnElement[bool]:
    """The rows that come later than the one with these values."""
    alike: ColumnElement[bool] = true()
    later: list[ColumnElement[bool]] = []
    for (column, descending), value in zip(order, marked, strict=True):
        later.append(and_(alike, column < value if descending else column > value))
        alike = and_(alike, column == value)
    column, descending = order[0]
    # The rest implies this bound; by it alone an index finds the first row.
    bound = column <= marked[0] if descending else column >= marked[0]
    return and_(bound, or_(*later))
