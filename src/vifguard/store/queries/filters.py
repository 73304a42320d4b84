"""Fields that lists are filtered and sorted by: each as a condition on the rows of a table."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, ColumnElement, Table, false, or_, select

from vifguard.model.address import AddressError, IPAddress, Mac, parse_address
from vifguard.model.rbac_policy import Sharable
from vifguard.store.nouns import rbac_policies
from vifguard.store.queries.visibility import Viewer
from vifguard.store.schema.mapping import key
from vifguard.store.schema.tables import allocations, subnets

Condition = ColumnElement[bool]
Narrow = Callable[[Viewer, Sequence[Any]], Condition]
"""The condition that a field has one of some values, for a viewer."""


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a list.

    `narrow` selects the rows with one of some values; without `is_exact` it may select more.
    `order` is the column to sort by: texts, never null; None where nothing is sorted by it.
    """

    narrow: Narrow
    order: Column[str] | None = None
    is_exact: bool = True


def texts(table: Table, *names: str, **others: str) -> Mapping[str, Field]:
    """The fields of columns that hold texts, by name; `others` are called otherwise there."""
    columns = {name: name for name in names} | others
    return {name: _text(table.c[column]) for name, column in columns.items()}


def flags(table: Table, *names: str) -> Mapping[str, Field]:
    """The fields of columns that are true or false; the values of their filters are too."""
    return {name: _flag_of(table.c[name]) for name in names}


def shared(object_id: Column[str], kind: Sharable) -> Field:
    """The field for whether the object of a column is shared with the viewer."""
    return _flag(lambda viewer: object_id.in_(rbac_policies.shared_with(kind, viewer.project_id)))


def mac(column: Column[Any]) -> Field:
    """The field of a column of MACs; a text that is no MAC matches nothing."""
    return Field(
        lambda _, values: column.in_([found.octets for text in values for found in _macs(text)])
    )


def fixed_ips(port_id: Column[str]) -> Field:
    """The field for the addresses of a port: it has a given one, or one on a given subnet.

    Values are `ip_address=ADDRESS` and `subnet_id=ID`; what else they may be selects every port.
    """

    def narrow(_viewer: Viewer, values: Sequence[str]) -> Condition:
        asked = [value.partition("=")[::2] for value in values]
        subnet_ids = [wanted for word, wanted in asked if word == "subnet_id"]
        wanted = [text for word, text in asked if word == "ip_address"]
        which: Condition = allocations.c.port_id.is_not(None)
        if subnet_ids:
            which &= allocations.c.subnet_id.in_(subnet_ids)
        if wanted:
            keys = [key(found) for text in wanted for found in _addresses(text)]
            which &= allocations.c.address.in_(keys)
        return port_id.in_(select(allocations.c.port_id).where(which))

    return Field(narrow, is_exact=False)


def ip_version(network_id: Column[str]) -> Field:
    """The field for the IP versions of a network's subnets: it has one of a given version."""

    def narrow(_viewer: Viewer, values: Sequence[str]) -> Condition:
        # An IPv6 range is the one written with colons.
        six = subnets.c.cidr.contains(":")
        known = {"4": ~six, "6": six}
        which = or_(false(), *(known[each] for each in values if each in known))
        return network_id.in_(select(subnets.c.network_id).where(which))

    return Field(narrow)


def _text(column: Column[Any]) -> Field:
    def narrow(_viewer: Viewer, values: Sequence[str]) -> Condition:
        found = column.in_(values)
        # An empty value means null too.
        return or_(found, column.is_(None)) if column.nullable and "" in values else found

    return Field(narrow, None if column.nullable else column)


def _flag_of(column: Column[bool]) -> Field:
    return _flag(lambda _: column)


def _flag(condition: Callable[[Viewer], Condition]) -> Field:
    def narrow(viewer: Viewer, values: Sequence[bool]) -> Condition:
        return or_(*(condition(viewer) if value else ~condition(viewer) for value in values))

    return Field(narrow)


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
