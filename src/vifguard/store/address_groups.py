"""Address groups: read, create, update, delete."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy import ColumnElement, bindparam, delete, insert, select, update

from vifguard.model.address import IPNetwork
from vifguard.model.security_group import AddressGroup
from vifguard.store import rbac_policies, sets
from vifguard.store.errors import InUseError, MissingError
from vifguard.store.rows import StoredAddressGroup, stamp_of
from vifguard.store.security_group_rows import address_group_of, address_group_values
from vifguard.store.tables import address_groups, security_group_rules
from vifguard.store.transaction import Change, Snapshot

_OWNER = select(address_groups.c.project_id).where(address_groups.c.id == bindparam("id"))


def read(snapshot: Snapshot, which: ColumnElement[bool]) -> list[StoredAddressGroup]:
    """The address groups that a condition on their table selects, in the order they were made."""
    order = (address_groups.c.created_at, address_groups.c.id)
    rows = snapshot.connection.execute(select(address_groups).where(which).order_by(*order)).all()
    held = sets.content(snapshot, [row.id for row in rows])
    return [
        StoredAddressGroup(address_group_of(row, held.get(row.id, ())), stamp_of(row))
        for row in rows
    ]


def get(snapshot: Snapshot, group_id: str) -> StoredAddressGroup:
    """One address group; raises MissingError."""
    found = read(snapshot, address_groups.c.id == group_id)
    if not found:
        raise MissingError("address-group", group_id)
    return found[0]


def owner(snapshot: Snapshot, group_id: str) -> str | None:
    """The project of an address group; None where there is no such group."""
    return snapshot.connection.scalar(_OWNER, {"id": group_id})


def create(change: Change, group: AddressGroup) -> StoredAddressGroup:
    """Store an address group."""
    values = address_group_values(group) | change.made()
    change.connection.execute(insert(address_groups).values(values))
    sets.hold(change, group.id, (), group.addresses)
    return get(change, group.id)


def update_group(
    change: Change, before: StoredAddressGroup, changes: Mapping[str, Any]
) -> StoredAddressGroup:
    """Change fields of an address group, its addresses among them."""
    after = replace(before.group, **changes)
    values = address_group_values(after) | change.changed_from(before.stamp)
    this = address_groups.c.id == after.id
    change.connection.execute(update(address_groups).where(this).values(values))
    sets.hold(change, after.id, before.group.addresses, after.addresses)
    return get(change, after.id)


def delete_group(change: Change, group: AddressGroup) -> None:
    """Delete an address group; raises InUseError while a rule refers to it."""
    refers = security_group_rules.c.remote_address_group_id == group.id
    if change.connection.scalar(select(security_group_rules.c.id).where(refers).limit(1)):
        raise InUseError(
            "address-group",
            f"Address group {group.id} is in use on one or more security group rules.",
        )
    sets.hold(change, group.id, group.addresses, frozenset[IPNetwork]())
    rbac_policies.forget(change, group.id)
    change.connection.execute(delete(address_groups).where(address_groups.c.id == group.id))
    change.mark()
