"""Filters of lists as SQL: conditions on a table's columns for the filters of a query."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Column, ColumnElement, Table, or_, select

from vifguard.api.schema.listing import Listing, Shown
from vifguard.attributes.refusal import invalid_input
from vifguard.attributes.schema import ResourceSchema
from vifguard.attributes.values.converters import boolean
from vifguard.model.address import AddressError, IPAddress, Mac, parse_address
from vifguard.store.nouns import list_pages
from vifguard.store.nouns.list_pages import Page
from vifguard.store.schema.mapping import key
from vifguard.store.schema.tables import allocations
from vifguard.store.transaction import Snapshot

Values = Sequence[str]
SqlFilter = Callable[[str, Values], ColumnElement[bool]]
"""The condition that an attribute, of this name, has one of some values."""


def columns(table: Table, *names: str, **others: str) -> dict[str, Column[Any]]:
    """The columns of a table by the names of attributes; `others` are called otherwise there."""
    return {name: table.c[name] for name in names} | {
        name: table.c[column] for name, column in others.items()
    }


def text(column: Column[Any]) -> SqlFilter:
    """A filter for a column of texts; an empty value means null too."""

    def narrow(_name: str, values: Values) -> ColumnElement[bool]:
        found = column.in_(values)
        return or_(found, column.is_(None)) if column.nullable and "" in values else found

    return narrow


def flag(condition: ColumnElement[bool]) -> SqlFilter:
    """A filter by true or false; raises Refusal for a value that is neither."""

    def narrow(name: str, values: Values) -> ColumnElement[bool]:
        return or_(*(condition if _flag(name, value) else ~condition for value in values))

    return narrow


def mac(column: Column[Any]) -> SqlFilter:
    """A filter for a column of MACs; a text that is no MAC matches nothing."""

    def narrow(_name: str, values: Values) -> ColumnElement[bool]:
        return column.in_([found.octets for value in values for found in _macs(value)])

    return narrow


def fixed_ips(port_id: Column[str]) -> SqlFilter:
    """A filter for the addresses of a port: it has a given one, or one on a given subnet."""

    def narrow(_name: str, values: Values) -> ColumnElement[bool]:
        asked = [value.partition("=")[::2] for value in values]
        subnet_ids = [wanted for word, wanted in asked if word == "subnet_id"]
        wanted = [text for word, text in asked if word == "ip_address"]
        which: ColumnElement[bool] = allocations.c.port_id.is_not(None)
        if subnet_ids:
            which &= allocations.c.subnet_id.in_(subnet_ids)
        if wanted:
            keys = [key(found) for text in wanted for found in _addresses(text)]
            which &= allocations.c.address.in_(keys)
        return port_id.in_(select(allocations.c.port_id).where(which))

    return narrow


@dataclass(frozen=True)
class SqlFilters:
    """The SQL by which the list of a resource is narrowed, sorted and cut.

    `columns` are the attributes that are given and shown as texts, `constant` the filters that
    select exactly, `partial` those that select too much: the rest is filtered afterwards.
    """

    resource: ResourceSchema
    table: Table
    columns: Mapping[str, Column[Any]]
    constant: Mapping[str, SqlFilter] = field(default_factory=dict)
    partial: Mapping[str, SqlFilter] = field(default_factory=dict)

    def condition(self, listing: Listing, seen: ColumnElement[bool]) -> ColumnElement[bool]:
        """Of the visible rows, at least those that the query selects; raises Refusal."""
        exact = {name: text(column) for name, column in self.columns.items()} | dict(self.constant)
        hidden = frozenset(self.resource.hidden_from(listing.user))
        for name, narrow in (exact | dict(self.partial)).items():
            if name in listing.filters and name not in hidden:
                seen &= narrow(name, listing.filters[name])
        return seen

    def is_exact(self, listing: Listing) -> bool:
        """Whether the condition covers all filters of the query, and columns its order."""
        hidden = frozenset(self.resource.hidden_from(listing.user))
        asked = listing.filters.keys()
        known = (self.columns.keys() | self.constant.keys()) - hidden
        sortable = {name for name, each in self.columns.items() if not each.nullable} - hidden
        return asked <= known and {key for key, _ in listing.sort} <= sortable

    def cut(
        self, snapshot: Snapshot, listing: Listing, which: ColumnElement[bool]
    ) -> ColumnElement[bool]:
        """The condition for one page, and one more object; raises Refusal (404)."""
        sort = tuple((self.columns[key], descending) for key, descending in listing.sort)
        most = listing.limit and listing.limit + 1
        where = Page(most, listing.marker, listing.backwards, sort)
        found = list_pages.page(snapshot, self.table, which, where)
        if found is None:
            raise listing.no_marker()
        return found

    def answer(
        self,
        snapshot: Snapshot,
        listing: Listing,
        seen: ColumnElement[bool],
        show: Callable[[ColumnElement[bool]], Sequence[Shown]],
        first: Sequence[Shown] = (),
    ) -> dict[str, Any]:
        """The body of the answer; `show` shows the rows of a condition, in the order of making.

        `first` are objects before all of them that are in no table. Raises Refusal.
        """
        which = self.condition(listing, seen)
        if self.is_exact(listing) and not first:
            return listing.page(show(self.cut(snapshot, listing, which)))
        return listing.answer([*first, *show(which)])


def _flag(name: str, value: str) -> bool:
    try:
        found: bool = boolean.read(value)
    except ValueError as error:
        raise invalid_input(f"Invalid input for {name}. Reason: {error}.") from None
    return found


def _addresses(text: str) -> list[IPAddress]:
    try:
        return [parse_address(text)]
    except AddressError:
        return []


def _macs(text: str) -> list[Mac]:
    try:
        return [Mac.parse(text)]
    except AddressError:
        return []
