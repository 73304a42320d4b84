"""Ports: read, create, update, delete."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement, bindparam, delete, insert, select, update

from vifguard.model.address import Mac
from vifguard.model.network import Network, Subnet
from vifguard.model.port import FixedIp, Port
from vifguard.resolve.policy import governing
from vifguard.store import addresses, followers, identity, ip_groups, sets, subnets
from vifguard.store.addresses import AUTOMATIC, Taken, Taker, Wish
from vifguard.store.errors import ConflictError, MissingError, NoAddressLeftError
from vifguard.store.hosts import StoredHost, only_host
from vifguard.store.listed import listed
from vifguard.store.rows import (
    NOT_REPORTED,
    Part,
    Record,
    Stamp,
    StoredPort,
    enforcement_of,
    network_of,
    pair_values,
    port_of,
    port_values,
    stamp_of,
)
from vifguard.store.tables import (
    address_pairs,
    allocations,
    enforcements,
    hosts,
    ip_group_members,
    networks,
    port_security_groups,
    ports,
    security_groups,
)
from vifguard.store.transaction import Change, Snapshot

_OUI = bytes((0xFA, 0x16, 0x3E))
"""The first three octets of the MACs we choose: locally administered, and known to tools."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A port before the store has chosen what its owner left open.

    `port.mac` and `port.fixed_ips` are not meant yet: `mac` None asks for a free one, and
    `wishes` None for an address of each family that the network's subnets offer.
    """

    port: Port
    mac: Mac | None = None
    wishes: tuple[Wish, ...] | None = None
    tags: tuple[str, ...] = ()


_FIXED = (
    select(listed(allocations.c.position, allocations.c.subnet_id, allocations.c.address))
    .where(allocations.c.port_id == ports.c.id)
    .scalar_subquery()
    .label("fixed")
)
_PAIRS = (
    select(
        listed(
            address_pairs.c.position,
            address_pairs.c.first,
            address_pairs.c.length,
            address_pairs.c.mac,
        )
    )
    .where(address_pairs.c.port_id == ports.c.id)
    .scalar_subquery()
    .label("pairs")
)
_GROUPS = (
    select(listed(port_security_groups.c.group_id, security_groups.c.rules_revision))
    .join_from(port_security_groups, security_groups)
    .where(port_security_groups.c.port_id == ports.c.id)
    .scalar_subquery()
    .label("groups")
)

_IP_GROUPS = (
    select(listed(ip_group_members.c.group_id))
    .where(ip_group_members.c.port_id == ports.c.id)
    .scalar_subquery()
    .label("ip_groups")
)


@dataclass(frozen=True, slots=True)
class Ground:
    """What a new port stands on: its network, the subnets there, and the hosts there are."""

    network: Network
    subnets: Sequence[Subnet]
    hosts: Sequence[StoredHost]


class Reads:
    """The statement that reads the ports a condition on their table selects, with all their parts.

    Built once where the condition has parameters: the building costs more than the reading.
    """

    def __init__(self, which: ColumnElement[bool]) -> None:
        reported = (column.label(f"reported_{column.name}") for column in enforcements.c)
        on = (column.label(f"on_{column.name}") for column in networks.c)
        self._statement = (
            select(ports, *reported, *on, hosts.c.reached, _FIXED, _PAIRS, _GROUPS, _IP_GROUPS)
            .join_from(ports, enforcements, isouter=True)
            .join(networks, networks.c.id == ports.c.network_id)
            .join(hosts, hosts.c.name == ports.c.host, isouter=True)
            .where(which)
            .order_by(ports.c.created_at, ports.c.id)
        )

    def run(self, snapshot: Snapshot, values: Mapping[str, object]) -> list[StoredPort]:
        """The ports, in the order they were made."""
        known: dict[str, Network] = {}
        found = []
        for row in snapshot.connection.execute(self._statement, values):
            if row.network_id not in known:
                known[row.network_id] = network_of(Part(row, "on_"))
            found.append(_stored(row, known[row.network_id]))
        return found


def _stored(row: Record, network: Network) -> StoredPort:
    groups = row.groups
    return StoredPort(
        port_of(row, [group_id for group_id, _ in groups]),
        network,
        row.policy_revision,
        enforcement_of(
            row.host,
            row.reported_host,
            row.reported_revision,
            row.reported_state,
            row.reported_interface,
            row.reported_reason,
        ),
        stamp_of(row),
        max((revision for _, revision in groups), default=0),
        row.reached or 0,
        tuple(group_id for (group_id,) in row.ip_groups),
    )


_ONE = Reads(ports.c.id == bindparam("id"))
_THESE = Reads(ports.c.id.in_(bindparam("ids", expanding=True)))
_INSERT = insert(ports)
_UPDATE = update(ports).where(ports.c.id == bindparam("this"))
_DELETE = delete(ports).where(ports.c.id == bindparam("this"))
_INSERT_PAIRS = insert(address_pairs)
_DELETE_PAIRS = delete(address_pairs).where(address_pairs.c.port_id == bindparam("this"))
_JOIN = insert(port_security_groups)
_LEAVE = delete(port_security_groups).where(
    port_security_groups.c.port_id == bindparam("this"),
    port_security_groups.c.group_id == bindparam("group"),
)
_ELSEWHERE = (
    select(ports.c.host)
    .where(
        ports.c.network_id == bindparam("network_id"),
        ports.c.id != bindparam("id"),
        ports.c.host != "",
        ports.c.host != bindparam("host"),
    )
    .limit(1)
)


def read(snapshot: Snapshot, which: ColumnElement[bool]) -> list[StoredPort]:
    """The ports that a condition on their table selects, in the order they were made."""
    return Reads(which).run(snapshot, {})


def by_id(snapshot: Snapshot, ids: Sequence[str]) -> list[StoredPort]:
    """The ports with these ids, in the order they were made."""
    return _THESE.run(snapshot, {"ids": ids})


def get(snapshot: Snapshot, port_id: str) -> StoredPort:
    """One port; raises MissingError."""
    found = _ONE.run(snapshot, {"id": port_id})
    if not found:
        raise MissingError("port", port_id)
    return found[0]


def create(change: Change, ground: Ground, draft: Draft) -> StoredPort:
    """Store a port with a MAC and addresses of its own.

    Raises MacTakenError, AddressTakenError, WrongAddressError, NoAddressLeftError, or
    ConflictError where its host cannot be.
    """
    change.mark()
    network = ground.network
    mac = draft.mac or _free_mac(change, network.id)
    host = draft.port.host or only_host(ground.hosts)
    port = replace(draft.port, mac=mac, fixed_ips=(), host=host)
    if draft.mac:
        identity.require_mac(change, port)
    identity.require_pairs(change, port)
    _require_one_host(change, network, port)
    fixed = _choose_all(change, port, draft.wishes, ground.subnets)
    stamp = change.made() | {"tags": draft.tags or None}
    values = port_values(port) | {"policy_revision": change.revision} | stamp
    change.write(_INSERT, values)
    if port.address_pairs:
        change.write(_INSERT_PAIRS, pair_values(port))
    for position, taken in enumerate(fixed):
        addresses.allot(change, _taker(port), taken, position)
    kept = replace(port, fixed_ips=tuple(map(_fixed, fixed)))
    _regroup(change, None, kept)
    change.note(port.id, (port.host,))
    stamped = Stamp(**stamp | {"tags": draft.tags})
    return StoredPort(kept, network, change.revision, NOT_REPORTED, stamped)


def update_port(
    change: Change,
    before: StoredPort,
    changes: Mapping[str, Any],
    wishes: tuple[Wish, ...] | None = None,
) -> StoredPort:
    """Change fields of a port; `wishes` None keeps its addresses. Raises as `create` does."""
    change.mark()
    after = replace(before.port, **changes)
    if after.mac != before.port.mac:
        identity.require_mac(change, after)
    if after.host != before.port.host:
        _require_one_host(change, before.network, after)
    if after.address_pairs != before.port.address_pairs:
        identity.require_pairs(change, after)
        change.write(_DELETE_PAIRS, {"this": after.id})
        if after.address_pairs:
            change.write(_INSERT_PAIRS, pair_values(after))
    if wishes is not None or after.mac != before.port.mac:
        after = replace(after, fixed_ips=_retake(change, before.port, after, wishes))
    stored = _write(change, before, after)
    _regroup(change, before.port, after, before.ip_groups)
    if (after.host, after.security_groups) == (before.port.host, before.port.security_groups):
        return stored
    return get(change, after.id)  # another host's word counts, and the rules of other groups


def delete_port(change: Change, stored: StoredPort) -> None:
    """Delete a port: its addresses are free, and IP groups no longer count it a member."""
    change.mark()
    port = stored.port
    if stored.ip_groups:
        ip_groups.forget_member(change, port.id)
    by_id = {subnet.id: subnet for subnet in subnets.of_network(change, port.network_id)}
    for fixed in port.fixed_ips:
        addresses.release(change, by_id[fixed.subnet_id], fixed.address)
    _regroup(change, port, None)
    change.write(_DELETE, {"this": port.id})
    change.note(port.id, (port.host,))


def _regroup(
    change: Change, before: Port | None, after: Port | None, member_of: Sequence[str] = ()
) -> None:
    """Write which security groups a port has, and tell who follows them of its addresses."""
    had = (before and before.security_groups) or frozenset()
    has = (after and after.security_groups) or frozenset()
    this = after or before
    if this is None or not had | has:
        return
    if gone := sorted(had - has):
        rows = [{"this": this.id, "group": group_id} for group_id in gone]
        change.write(_LEAVE, rows)
    if come := sorted(has - had):
        rows = [{"port_id": this.id, "group_id": group_id} for group_id in come]
        change.write(_JOIN, rows)
    followers.move(change, before, after)
    sets.bring(change, this.id, sets.of_port(before), sets.of_port(after))
    if before is None or after is None:
        return  # who comes or goes is a member of no IP group
    was, is_now = map(governing, (before, after))
    if was != is_now:
        for ip_group in member_of:
            others = partial(sets.of_ip_group, change, ip_group, but=this.id)
            sets.bring(change, ip_group, others(plus=was), others(plus=is_now))


def _write(change: Change, before: StoredPort, after: Port) -> StoredPort:
    stamp = change.changed_from(before.stamp)
    policy_revision = before.policy_revision
    # What hosts are not told of must not make the port wait for them; what they are told of
    # touches this port's policy and no other's.
    if _what_hosts_see(before.port) != _what_hosts_see(after):
        policy_revision = change.revision
        change.note(after.id, (before.port.host, after.host))
    values = port_values(after) | {"policy_revision": policy_revision} | stamp
    change.write(_UPDATE, values | {"this": after.id})
    stamped = replace(before.stamp, **stamp)
    return replace(before, port=after, policy_revision=policy_revision, stamp=stamped)


def _what_hosts_see(port: Port) -> Port:
    return replace(
        port,
        name="",
        project_id="",
        description="",
        device_id="",
        device_owner="",
        vnic_type="",
        binding_profile={},
        dns_name="",
        dns_domain="",
        dhcp_options=(),
    )


def _choose_all(
    change: Change, port: Port, wishes: tuple[Wish, ...] | None, choice: Sequence[Subnet]
) -> list[Taken]:
    if wishes is None:
        served = [subnet for subnet in choice if subnet.serves(port.device_owner)]
        return _choose_usual(change, port, served)
    return [addresses.choose(change, _taker(port), wish, choice) for wish in wishes]


def _choose_usual(change: Change, port: Port, choice: Sequence[Subnet]) -> list[Taken]:
    """An address of each family from the first subnet that has one, and the automatic ones."""
    take = partial(addresses.choose, change, _taker(port), subnets=choice)
    automatic = [subnet for subnet in choice if subnet.ipv6_address_mode in AUTOMATIC]
    taken = [take(Wish(subnet.id)) for subnet in automatic]
    for family in (4, 6):
        offered = [s for s in choice if s.cidr.version == family and s not in automatic]
        for subnet in offered:
            try:
                taken.append(take(Wish(subnet.id)))
                break
            except NoAddressLeftError:
                if subnet is offered[-1]:
                    raise
    return taken


def _fixed(taken: Taken) -> FixedIp:
    return FixedIp(taken.subnet_id, taken.address)


def _taker(port: Port) -> Taker:
    return Taker(port.network_id, port.project_id, port_id=port.id, mac=port.mac)


def _retake(
    change: Change, before: Port, after: Port, wishes: tuple[Wish, ...] | None
) -> tuple[FixedIp, ...]:
    """Keep what is still wished for, give back the rest, take what is new."""
    choice = subnets.of_network(change, after.network_id)
    by_id = {subnet.id: subnet for subnet in choice}
    if wishes is None:
        wishes = tuple(Wish(fixed.subnet_id) for fixed in before.fixed_ips)
    spare = list(before.fixed_ips)
    if after.mac != before.mac:  # an address formed from the old MAC is no longer the port's
        spare = [f for f in spare if by_id[f.subnet_id].ipv6_address_mode not in AUTOMATIC]
    kept = [_keep(spare, wish) for wish in wishes]
    for fixed in before.fixed_ips:
        if fixed not in kept:
            addresses.release(change, by_id[fixed.subnet_id], fixed.address)
    for position, still in enumerate(kept):
        if still is not None:
            addresses.move(change, after.network_id, still.address, position)
    pairs = zip(kept, wishes, strict=True)
    return tuple(
        fixed or _fixed(addresses.take(change, _taker(after), wish, choice, position))
        for position, (fixed, wish) in enumerate(pairs)
    )


def _keep(spare: list[FixedIp], wish: Wish) -> FixedIp | None:
    for fixed in spare:
        if wish.subnet_id in (None, fixed.subnet_id) and wish.address in (None, fixed.address):
            spare.remove(fixed)
            return fixed
    return None


def _free_mac(change: Change, network_id: str) -> Mac:
    while True:
        mac = Mac(_OUI + secrets.token_bytes(3))
        if not identity.mac_known(change, network_id, mac):
            return mac


def _require_one_host(change: Change, network: Network, port: Port) -> None:
    if network.shared or not port.host:
        return
    here = {"network_id": network.id, "id": port.id, "host": port.host}
    other = change.connection.scalar(_ELSEWHERE, here)
    if other:
        raise ConflictError(
            f"Port {port.id} cannot be on host {port.host!r}: network {network.id} is isolated "
            f"and its ports are on host {other!r}; an isolated network is kept on one host."
        )
