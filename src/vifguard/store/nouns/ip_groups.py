"""IP groups: read, create, update, delete. The holders of addresses are in `reports.holders`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from ipaddress import IPv6Address
from typing import Any

from sqlalchemy import ColumnElement, and_, bindparam, delete, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from vifguard.model.address import IPAddress, host_prefix
from vifguard.model.address_request import AddressRequest
from vifguard.model.ip_group import IpGroup, RouterIds
from vifguard.model.network import Subnet
from vifguard.resolve.affected import affected_by_ip_group
from vifguard.store.addressing import addresses, learned, ownership
from vifguard.store.addressing.allocation import AddressOwner
from vifguard.store.errors import MissingError
from vifguard.store.nouns import subnets
from vifguard.store.schema.mapping import IP_GROUP, address_of, ip_group_of, key, stamp_of
from vifguard.store.schema.row_mapping import Values
from vifguard.store.schema.tables import (
    allocations,
    holders,
    ip_group_members,
    ip_groups,
    networks,
    ports,
)
from vifguard.store.stored_nouns import StoredIpGroup
from vifguard.store.transaction import Snapshot, WriteTransaction
from vifguard.store.updates import address_sets


class IpGroupQuery:
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

    def run(self, snapshot: Snapshot, values: Values) -> list[StoredIpGroup]:
        """The IP groups, in the order they were made."""
        execute = snapshot.connection.execute
        rows = execute(self._groups, values).all()
        if not rows:
            return []
        taken: dict[str, dict[IPAddress, str | None]] = defaultdict(dict)
        for group_id, address, subnet_id in execute(self._addresses, values):
            taken[group_id][address_of(address)] = subnet_id
        members: dict[str, list[str]] = defaultdict(list)
        for group_id, port_id in execute(self._members, values):
            members[group_id].append(port_id)
        return [
            StoredIpGroup(
                ip_group_of(row, tuple(taken[row.id]), members[row.id]),
                taken[row.id],
                row.pinned,
                row.held_until,
                stamp_of(row),
            )
            for row in rows
        ]


def read(snapshot: Snapshot, which: ColumnElement[bool]) -> list[StoredIpGroup]:
    """The IP groups that a condition on their table selects, in the order they were made."""
    return IpGroupQuery(which).run(snapshot, {})


def of_network(snapshot: Snapshot, network_id: str) -> list[StoredIpGroup]:
    """The IP groups on a network, in the order they were made."""
    return read(snapshot, ip_groups.c.network_id == network_id)


def of_ports(which: ColumnElement[bool]) -> ColumnElement[bool]:
    """The condition for the groups of the ports that a condition on theirs selects."""
    theirs = (
        select(ip_group_members.c.group_id)
        .join(ports, ports.c.id == ip_group_members.c.port_id)
        .where(which)
    )
    return ip_groups.c.id.in_(theirs)


class IpGroupIdQuery:
    """The statement that reads the router ids on the networks of the ports a condition selects."""

    def __init__(self, which: ColumnElement[bool]) -> None:
        networks = select(ports.c.network_id).where(which)
        columns = (ip_groups.c.id, ip_groups.c.network_id, ip_groups.c.vrid4, ip_groups.c.vrid6)
        self._statement = select(*columns).where(
            ip_groups.c.network_id.in_(networks),
            or_(ip_groups.c.vrid4.is_not(None), ip_groups.c.vrid6.is_not(None)),
        )

    def run(self, snapshot: Snapshot, values: Values) -> list[RouterIds]:
        """The router ids of each IP group that has one."""
        return [RouterIds(*row) for row in snapshot.connection.execute(self._statement, values)]


_OF_MEMBER = IpGroupQuery(of_ports(ports.c.id == bindparam("port_id")))


def get(snapshot: Snapshot, group_id: str) -> StoredIpGroup:
    """One IP group; raises MissingError."""
    found = read(snapshot, ip_groups.c.id == group_id)
    if not found:
        raise MissingError("ip-group", group_id)
    return found[0]


def create(
    change: WriteTransaction, group: IpGroup, wishes: tuple[AddressRequest, ...]
) -> StoredIpGroup:
    """Store an IP group and take its addresses; raises as `ports.create` does."""
    ownership.require_vrids_free(change, group)
    ownership.require_virtual_free(change, group)
    try:
        change.connection.execute(
            insert(ip_groups).values(IP_GROUP.values(group) | change.created_stamp())
        )
    except IntegrityError:
        raise ownership.vrid_taken(group) from None
    _write_members(change, group)
    _allocate_all(change, group, wishes)
    change.journal_affected(affected_by_ip_group(None, group))
    address_sets.update_contribution(
        change, group.id, frozenset(), address_sets.contribution_of_ip_group(change, group.id)
    )
    return get(change, group.id)


def update_group(
    change: WriteTransaction,
    before: StoredIpGroup,
    changes: Mapping[str, Any],
    wishes: tuple[AddressRequest, ...] | None = None,
) -> StoredIpGroup:
    """Change fields of an IP group; `wishes` None keeps its addresses."""
    asked = replace(before.group, pinned=before.pinned)
    after = replace(asked, **changes)
    if after.router_ids != asked.router_ids:
        ownership.require_vrids_free(change, after)
        ownership.require_virtual_free(change, after)
    values = IP_GROUP.values(after) | change.updated_stamp(before.stamp)
    contribution = address_sets.contribution_of_ip_group(change, after.id)
    try:
        change.connection.execute(
            update(ip_groups).where(ip_groups.c.id == after.id).values(values)
        )
    except IntegrityError:
        raise ownership.vrid_taken(after) from None
    if after.members != asked.members:
        _write_members(change, after)
    if wishes is not None:
        _reallocate(change, before, wishes)
    address_sets.update_contribution(
        change, after.id, contribution, address_sets.contribution_of_ip_group(change, after.id)
    )
    now = get(change, after.id)
    if _fields_of_policy(before.group) != _fields_of_policy(now.group):
        change.journal_affected(affected_by_ip_group(before.group, now.group))
    return now


def delete_group(change: WriteTransaction, stored: StoredIpGroup) -> None:
    """Delete an IP group, and release its addresses."""
    address_sets.update_contribution(
        change,
        stored.group.id,
        address_sets.contribution_of_ip_group(change, stored.group.id),
        frozenset(),
    )
    _release(change, stored, stored.subnet_of)
    change.connection.execute(delete(ip_groups).where(ip_groups.c.id == stored.group.id))
    change.allocate_revision()
    change.journal_affected(affected_by_ip_group(stored.group, None))


def forget_member(change: WriteTransaction, port_id: str) -> None:
    """Remove a port that is deleted from its IP groups: as member, as pin, and from a freeze."""
    for before in _OF_MEMBER.run(change, {"port_id": port_id}):
        contribution = address_sets.contribution_of_ip_group(change, before.group.id)
        mine = ip_groups.c.id == before.group.id
        stamped = change.updated_stamp(before.stamp)
        for column, freed in (
            (ip_groups.c.pinned, {"pinned": None}),
            (ip_groups.c.held_by, {"held_by": None, "held_until": None}),
        ):
            change.connection.execute(
                update(ip_groups).where(mine, column == port_id).values(freed)
            )
        change.connection.execute(update(ip_groups).where(mine).values(stamped))
        removed = and_(
            ip_group_members.c.group_id == before.group.id, ip_group_members.c.port_id == port_id
        )
        change.connection.execute(delete(ip_group_members).where(removed))
        address_sets.update_contribution(
            change,
            before.group.id,
            contribution,
            address_sets.contribution_of_ip_group(change, before.group.id),
        )
        change.journal_affected(affected_by_ip_group(before.group, None))


def _fields_of_policy(group: IpGroup) -> IpGroup:
    return replace(group, name="", description="", max_moves=None)


def _write_members(change: WriteTransaction, group: IpGroup) -> None:
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


def _allocate_all(
    change: WriteTransaction, group: IpGroup, wishes: Iterable[AddressRequest]
) -> None:
    choice = subnets.of_network(change, group.network_id)
    taker = AddressOwner(group.network_id, group.project_id, group_id=group.id)
    for position, wish in enumerate(wishes):
        _allocate(change, taker, wish, choice, position)


def _allocate(
    change: WriteTransaction,
    taker: AddressOwner,
    wish: AddressRequest,
    choice: Sequence[Subnet],
    position: int,
) -> None:
    if wish.is_link_local and isinstance(wish.address, IPv6Address):
        addresses.allocate_link_local(change, taker, wish.address, position)
        learned.release(change, taker.network_id, host_prefix(wish.address))
    else:
        addresses.allocate(change, taker, wish, choice, position)


def _reallocate(
    change: WriteTransaction, before: StoredIpGroup, wishes: tuple[AddressRequest, ...]
) -> None:
    """Keep the addresses that are still requested, release the others, take the new ones."""
    spare = dict(before.subnet_of)
    kept = [_keep(spare, wish) for wish in wishes]
    _release(change, before, spare)
    group, choice = before.group, subnets.of_network(change, before.group.network_id)
    taker = AddressOwner(group.network_id, group.project_id, group_id=group.id)
    for position, (address, wish) in enumerate(zip(kept, wishes, strict=True)):
        if address is None:
            _allocate(change, taker, wish, choice, position)
        else:
            addresses.move(change, group.network_id, address, position)


def _keep(spare: dict[IPAddress, str | None], wish: AddressRequest) -> IPAddress | None:
    for address, subnet_id in spare.items():
        if wish.subnet_id in (None, subnet_id) and wish.address in (None, address):
            del spare[address]
            return address
    return None


def _release(
    change: WriteTransaction, stored: StoredIpGroup, removed: Mapping[IPAddress, str | None]
) -> None:
    network_id, project_id = stored.group.network_id, stored.group.project_id
    choice = subnets.of_network(change, network_id)
    pooled = ((subnet, address) for address, subnet in removed.items() if subnet is not None)
    shared = change.connection.scalar(select(networks.c.shared).where(networks.c.id == network_id))
    addresses.release(change, pooled, choice, project_id, is_shared=bool(shared))
    link_local = [address for address, subnet in removed.items() if subnet is None]
    addresses.release_link_local(change, network_id, project_id, link_local)
    for address in removed:
        held = and_(holders.c.group_id == stored.group.id, holders.c.address == key(address))
        change.connection.execute(delete(holders).where(held))
