"""IP groups: read, create, update, delete; who holds an address is `holders`' matter."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy import ColumnElement, and_, bindparam, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from vifguard.model.address import IPAddress
from vifguard.model.ip_group import IpGroup
from vifguard.resolve.touched import touched_by_ip_group
from vifguard.store import addresses, identity, sets, subnets
from vifguard.store.addresses import Taker, Wish
from vifguard.store.errors import ConflictError, MissingError
from vifguard.store.rows import (
    StoredGroup,
    Values,
    address_of,
    group_of,
    group_values,
    key,
    stamp_of,
)
from vifguard.store.tables import allocations, holders, ip_group_members, ip_groups, ports
from vifguard.store.transaction import Change, Snapshot


class Reads:
    """The statements that read the IP groups a condition on their table selects."""

    def __init__(self, which: ColumnElement[bool]) -> None:
        self._groups = (
            select(ip_groups).where(which).order_by(ip_groups.c.created_at, ip_groups.c.id)
        )
        self._addresses = (
            select(allocations.c.group_id, allocations.c.address, allocations.c.subnet_id)
            .join(ip_groups, ip_groups.c.id == allocations.c.group_id)
            .where(which)
            .order_by(allocations.c.group_id, allocations.c.position)
        )
        self._members = (
            select(ip_group_members.c.group_id, ip_group_members.c.port_id)
            .join(ip_groups, ip_groups.c.id == ip_group_members.c.group_id)
            .where(which)
        )

    def run(self, snapshot: Snapshot, values: Values) -> list[StoredGroup]:
        """The IP groups, in the order they were made."""
        execute = snapshot.connection.execute
        rows = execute(self._groups, values).all()
        if not rows:
            return []
        taken: dict[str, dict[IPAddress, str]] = defaultdict(dict)
        for group_id, address, subnet_id in execute(self._addresses, values):
            taken[group_id][address_of(address)] = subnet_id
        members: dict[str, list[str]] = defaultdict(list)
        for group_id, port_id in execute(self._members, values):
            members[group_id].append(port_id)
        return [
            StoredGroup(
                group_of(row, tuple(taken[row.id]), members[row.id]),
                taken[row.id],
                row.pinned,
                row.held_until,
                stamp_of(row),
            )
            for row in rows
        ]


def read(snapshot: Snapshot, which: ColumnElement[bool]) -> list[StoredGroup]:
    """The IP groups that a condition on their table selects, in the order they were made."""
    return Reads(which).run(snapshot, {})


def of_ports(which: ColumnElement[bool]) -> ColumnElement[bool]:
    """The condition for the groups of the ports that a condition on theirs selects."""
    theirs = (
        select(ip_group_members.c.group_id)
        .join(ports, ports.c.id == ip_group_members.c.port_id)
        .where(which)
    )
    return ip_groups.c.id.in_(theirs)


_OF_MEMBER = Reads(of_ports(ports.c.id == bindparam("port_id")))


def get(snapshot: Snapshot, group_id: str) -> StoredGroup:
    """One IP group; raises MissingError."""
    found = read(snapshot, ip_groups.c.id == group_id)
    if not found:
        raise MissingError("ip-group", group_id)
    return found[0]


def create(change: Change, group: IpGroup, wishes: tuple[Wish, ...]) -> StoredGroup:
    """Store an IP group and take its addresses; raises as `ports.create` does."""
    identity.require_virtual_free(change, group)
    try:
        change.connection.execute(insert(ip_groups).values(group_values(group) | change.made()))
    except IntegrityError:
        raise _vrid_taken(group) from None
    _write_members(change, group)
    _take_all(change, group, wishes)
    change.touch(touched_by_ip_group(None, group))
    sets.bring(change, group.id, frozenset(), sets.of_ip_group(change, group.id))
    return get(change, group.id)


def update_group(
    change: Change,
    before: StoredGroup,
    changes: Mapping[str, Any],
    wishes: tuple[Wish, ...] | None = None,
) -> StoredGroup:
    """Change fields of an IP group; `wishes` None keeps its addresses."""
    asked = replace(before.group, pinned=before.pinned)
    after = replace(asked, **changes)
    if after.virtual_macs != asked.virtual_macs:
        identity.require_virtual_free(change, after)
    values = group_values(after) | change.changed_from(before.stamp)
    brought = sets.of_ip_group(change, after.id)
    try:
        change.connection.execute(
            update(ip_groups).where(ip_groups.c.id == after.id).values(values)
        )
    except IntegrityError:
        raise _vrid_taken(after) from None
    if after.members != asked.members:
        _write_members(change, after)
    if wishes is not None:
        _retake(change, before, wishes)
    sets.bring(change, after.id, brought, sets.of_ip_group(change, after.id))
    now = get(change, after.id)
    if _what_hosts_see(before.group) != _what_hosts_see(now.group):
        change.touch(touched_by_ip_group(before.group, now.group))
    return now


def delete_group(change: Change, stored: StoredGroup) -> None:
    """Delete an IP group; its addresses are free."""
    sets.bring(change, stored.group.id, sets.of_ip_group(change, stored.group.id), frozenset())
    _release(change, stored, stored.subnet_of)
    change.connection.execute(delete(ip_groups).where(ip_groups.c.id == stored.group.id))
    change.mark()
    change.touch(touched_by_ip_group(stored.group, None))


def forget_member(change: Change, port_id: str) -> None:
    """A port goes: it is no member, no pin and no holder any more."""
    for before in _OF_MEMBER.run(change, {"port_id": port_id}):
        brought = sets.of_ip_group(change, before.group.id)
        mine = ip_groups.c.id == before.group.id
        stamped = change.changed_from(before.stamp)
        for column, freed in (
            (ip_groups.c.pinned, {"pinned": None}),
            (ip_groups.c.held_by, {"held_by": None, "held_until": None}),
        ):
            change.connection.execute(
                update(ip_groups).where(mine, column == port_id).values(freed)
            )
        change.connection.execute(update(ip_groups).where(mine).values(stamped))
        gone = and_(
            ip_group_members.c.group_id == before.group.id, ip_group_members.c.port_id == port_id
        )
        change.connection.execute(delete(ip_group_members).where(gone))
        sets.bring(change, before.group.id, brought, sets.of_ip_group(change, before.group.id))
        change.touch(touched_by_ip_group(before.group, None))


def _what_hosts_see(group: IpGroup) -> IpGroup:
    return replace(group, name="", description="", max_moves=None)


def _vrid_taken(group: IpGroup) -> ConflictError:
    return ConflictError(
        f"VRRP id vrid4={group.vrid4} or vrid6={group.vrid6} belongs to another IP group of "
        f"network {group.network_id}; choose another."
    )


def _write_members(change: Change, group: IpGroup) -> None:
    mine = ip_group_members.c.group_id == group.id
    change.connection.execute(delete(ip_group_members).where(mine))
    rows = [{"group_id": group.id, "port_id": member} for member in sorted(group.members)]
    if rows:
        change.connection.execute(insert(ip_group_members), rows)
    strangers = holders.c.port_id.not_in(sorted(group.members))
    change.connection.execute(delete(holders).where(holders.c.group_id == group.id, strangers))
    left = ip_groups.c.held_by.not_in(sorted(group.members))
    change.connection.execute(
        update(ip_groups)
        .where(ip_groups.c.id == group.id, left)
        .values(held_by=None, held_until=None)
    )


def _take_all(change: Change, group: IpGroup, wishes: Iterable[Wish]) -> None:
    choice = subnets.of_network(change, group.network_id)
    taker = Taker(group.network_id, group.project_id, group_id=group.id)
    for position, wish in enumerate(wishes):
        addresses.take(change, taker, wish, choice, position)


def _retake(change: Change, before: StoredGroup, wishes: tuple[Wish, ...]) -> None:
    """Keep what is still wished for, give back the rest, take what is new."""
    spare = dict(before.subnet_of)
    kept = [_keep(spare, wish) for wish in wishes]
    _release(change, before, spare)
    group, choice = before.group, subnets.of_network(change, before.group.network_id)
    taker = Taker(group.network_id, group.project_id, group_id=group.id)
    for position, (address, wish) in enumerate(zip(kept, wishes, strict=True)):
        if address is None:
            addresses.take(change, taker, wish, choice, position)
        else:
            addresses.move(change, group.network_id, address, position)


def _keep(spare: dict[IPAddress, str], wish: Wish) -> IPAddress | None:
    for address, subnet_id in spare.items():
        if wish.subnet_id in (None, subnet_id) and wish.address in (None, address):
            del spare[address]
            return address
    return None


def _release(change: Change, stored: StoredGroup, gone: Mapping[IPAddress, str]) -> None:
    choice = subnets.of_network(change, stored.group.network_id)
    addresses.release(change, ((subnet, address) for address, subnet in gone.items()), choice)
    for address in gone:
        held = and_(holders.c.group_id == stored.group.id, holders.c.address == key(address))
        change.connection.execute(delete(holders).where(held))
