"""Address groups: read, create, update, delete."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy import ColumnElement, bindparam, delete, insert, select, update

from vifguard.model.address import IPNetwork
from vifguard.model.security_group import AddressGroup
from vifguard.store.errors import InUseError, MissingError
from vifguard.store.nouns import rbac_policies
from vifguard.store.schema.mapping import ADDRESS_GROUP, stamp_of
from vifguard.store.schema.security_group_mapping import address_group_of
from vifguard.store.schema.tables import address_groups, security_group_rules
from vifguard.store.stored_nouns import StoredAddressGroup
from vifguard.store.transaction import Snapshot, WriteTransaction
from vifguard.store.updates import address_sets

_OWNER = select(address_groups.c.project_id).where(address_groups.c.id == bindparam("id"))


def read(snapshot: Snapshot, which: ColumnElement[bool]) -> list[StoredAddressGroup]:
    """The address groups that a condition on their table selects, in the order they were made."""
    order = (address_groups.c.created_at, address_groups.c.id)
    rows = snapshot.connection.execute(select(address_groups).where(which).order_by(*order)).all()
    held = address_sets.content(snapshot, [row.id for row in rows])
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


def create(change: WriteTransaction, group: AddressGroup) -> StoredAddressGroup:
    """Store an address group."""
    values = ADDRESS_GROUP.values(group) | change.created_stamp()
    change.connection.execute(insert(address_groups).values(values))
    address_sets.set_members(change, group.id, (), group.addresses)
    return get(change, group.id)


def update_group(
    change: WriteTransaction, before: StoredAddressGroup, changes: Mapping[str, Any]
) -> StoredAddressGroup:
    """Change fields of an address group, its addresses among them."""
    after = replace(before.group, **changes)
    values = ADDRESS_GROUP.values(after) | change.updated_stamp(before.stamp)
    this = address_groups.c.id == after.id
    change.connection.execute(update(address_groups).where(this).values(values))
    address_sets.set_members(change, after.id, before.group.addresses, after.addresses)
    return get(change, after.id)


def delete_group(change: WriteTransaction, group: AddressGroup) -> None:
    """Delete an address group; raises InUseError while a rule refers to it."""
    refers = security_group_rules.c.remote_address_group_id == group.id
    if change.connection.scalar(select(security_group_rules.c.id).where(refers).limit(1)):
        raise InUseError(
            "address-group",
            f"Address group {group.id} is in use on one or more security group rules.",
        )
    address_sets.set_members(change, group.id, group.addresses, frozenset[IPNetwork]())
    rbac_policies.forget(change, group.id)
    change.connection.execute(delete(address_groups).where(address_groups.c.id == group.id))
    change.allocate_revision()
