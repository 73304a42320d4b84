"""Lists of nouns: filtered, sorted and cut by the database as far as it can."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import Column, Table

from vifguard.store.queries import list_pages
from vifguard.store.queries.filters import Condition, Field
from vifguard.store.queries.list_pages import Page
from vifguard.store.queries.visibility import Viewer
from vifguard.store.transaction import Snapshot

ListedT = TypeVar("ListedT")


@dataclass(frozen=True, slots=True)
class ListQuery:
    """The part of a list that is asked for.

    `filters` has the accepted values by field; `sort` has the fields to sort by, and whether the
    greatest comes first. The page has at most `limit` objects (0: all), behind the one whose id is
    `marker`, or with `backwards` before it.
    """

    filters: Mapping[str, Sequence[Any]]
    sort: Sequence[tuple[str, bool]] = ()
    limit: int = 0
    marker: str | None = None
    backwards: bool = False


@dataclass(frozen=True)
class NounList(Generic[ListedT]):
    """The list of a noun: its table, the rows that a viewer sees, its fields, and how it is read.

    `read` reads the rows that a condition selects, in the order they were made.
    """

    table: Table
    seen_by: Callable[[Viewer], Condition]
    fields: Mapping[str, Field]
    read: Callable[[Snapshot, Condition], Sequence[ListedT]]

    def is_exact(self, query: ListQuery) -> bool:
        """Whether the database can apply every filter, and the order."""
        return all(
            name in self.fields and self.fields[name].is_exact for name in query.filters
        ) and all(self._order_of(name) is not None for name, _ in query.sort)

    def select(self, snapshot: Snapshot, viewer: Viewer, query: ListQuery) -> Sequence[ListedT]:
        """At least the objects that the filters select, all of them; the page is not applied."""
        return self.read(snapshot, self._condition(viewer, query))

    def page(
        self, snapshot: Snapshot, viewer: Viewer, query: ListQuery
    ) -> Sequence[ListedT] | None:
        """The page of an exact query, and one more object; None where its marker is not there."""
        columns = ((self._order_of(name), descending) for name, descending in query.sort)
        sort = tuple((column, descending) for column, descending in columns if column is not None)
        where = Page(query.limit and query.limit + 1, query.marker, query.backwards, sort)
        which = list_pages.page(snapshot, self.table, self._condition(viewer, query), where)
        return None if which is None else self.read(snapshot, which)

    def _condition(self, viewer: Viewer, query: ListQuery) -> Condition:
        which = self.seen_by(viewer)
        for name, values in query.filters.items():
            if name in self.fields:
                which &= self.fields[name].narrow(viewer, values)
        return which

    def _order_of(self, name: str) -> Column[str] | None:
        return self.fields[name].order if name in self.fields else None
