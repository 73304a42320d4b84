"""Ports: read, create, update, delete."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Select,
    bindparam,
    delete,
    insert,
    select,
    union_all,
    update,
)

from vifguard.model.address import Mac, host_prefix
from vifguard.model.address_request import AddressRequest
from vifguard.model.learned import LearnedAddress
from vifguard.model.network import Network, Subnet
from vifguard.model.port import Port
from vifguard.store.addressing import (
    addresses,
    interface_ownership,
    learned,
    ownership,
    port_addresses,
    wide_pair_owners,
)
from vifguard.store.database.json_rows import json_rows
from vifguard.store.database.statements import Statement, in_list
from vifguard.store.errors import ConflictError, MissingError
from vifguard.store.nouns import ip_groups, pair_rows
from vifguard.store.nouns.hosts import StoredHost, only_host
from vifguard.store.reports.heartbeats import Heartbeats
from vifguard.store.schema.mapping import NETWORK, PrefixedRow, port_of, port_values, stamp_of
from vifguard.store.schema.row_mapping import Record, Values
from vifguard.store.schema.tables import (
    address_pairs,
    allocations,
    enforcements,
    hosts,
    ip_group_members,
    learned_addresses,
    networks,
    port_security_groups,
    ports,
    security_groups,
)
from vifguard.store.stored_nouns import NOT_REPORTED, Reported, Stamp, StoredPort, enforcement_of
from vifguard.store.transaction import Deferred, Snapshot, WriteTransaction
from vifguard.store.updates.membership import MembershipChange


@dataclass(frozen=True, slots=True)
class NewPort:
    """A port before the store has chosen the values that its owner left open.

    `port.mac` and `port.fixed_ips` do not count yet: `mac` None requests a free one, and
    `wishes` None for an address of each family that the network's subnets offer.
    """

    port: Port
    mac: Mac | None = None
    wishes: tuple[AddressRequest, ...] | None = None
    tags: tuple[str, ...] = ()


_FIXED = (
    select(json_rows(allocations.c.position, allocations.c.subnet_id, allocations.c.address))
    .where(allocations.c.port_id == ports.c.id)
    .scalar_subquery()
    .label("fixed")
)
_PAIRS = (
    select(
        json_rows(
            address_pairs.c.position,
            address_pairs.c.first,
            address_pairs.c.length,
            address_pairs.c.mac,
            address_pairs.c.prefix_text,
            address_pairs.c.mac_text,
        )
    )
    .where(address_pairs.c.port_id == ports.c.id)
    .scalar_subquery()
    .label("pairs")
)
_GROUPS = (
    select(json_rows(port_security_groups.c.group_id, security_groups.c.rules_revision))
    .join_from(port_security_groups, security_groups)
    .where(port_security_groups.c.port_id == ports.c.id)
    .scalar_subquery()
    .label("groups")
)
_LEARNED = (
    select(
        json_rows(
            learned_addresses.c.address,
            learned_addresses.c.mac,
            learned_addresses.c.proven,
            learned_addresses.c.since,
        )
    )
    .where(learned_addresses.c.port_id == ports.c.id)
    .scalar_subquery()
    .label("learned")
)
_IP_GROUPS = (
    select(json_rows(ip_group_members.c.group_id))
    .where(ip_group_members.c.port_id == ports.c.id)
    .scalar_subquery()
    .label("ip_groups")
)

_BESIDE = (hosts.c.reached, hosts.c.seen_at.label("heard_at"), wide_pair_owners.TOO_MANY)


@dataclass(frozen=True, slots=True)
class PortContext:
    """The nouns that a new port depends on: its network, the subnets there, and all hosts."""

    network: Network
    subnets: Sequence[Subnet]
    hosts: Sequence[StoredHost]


def _query(which: ColumnElement[bool]) -> Select[*tuple[Any, ...]]:
    """The statement that reads the ports a condition selects, with all their parts."""
    reported = (column.label(f"reported_{column.name}") for column in enforcements.c)
    on = (column.label(f"on_{column.name}") for column in networks.c)
    return (
        select(ports, *reported, *on, *_BESIDE, _FIXED, _PAIRS, _LEARNED, _GROUPS, _IP_GROUPS)
        .join_from(ports, enforcements, isouter=True)
        .join(networks, networks.c.id == ports.c.network_id)
        .join(hosts, hosts.c.name == ports.c.host, isouter=True)
        .where(which)
        .order_by(ports.c.created_at, ports.c.id)
    )


class PortQuery:
    """The query, run often, of the ports that a condition with parameters selects."""

    def __init__(self, which: ColumnElement[bool]) -> None:
        self._statement = Statement(_query(which))

    def run(self, snapshot: Snapshot, values: Values) -> list[StoredPort]:
        """The ports, in the order they were made."""
        return _all_stored(snapshot.rows(self._statement, values), snapshot.heartbeats)


def _all_stored(rows: Iterable[Record], heartbeats: Heartbeats) -> list[StoredPort]:
    known: dict[str, Network] = {}
    found = []
    for row in rows:
        if row.network_id not in known:
            known[row.network_id] = NETWORK.read(PrefixedRow(row, "on_"))
        found.append(_stored(row, known[row.network_id], heartbeats))
    return found


def _reported(row: Record) -> Reported:
    return (
        row.reported_host,
        row.reported_revision,
        row.reported_state,
        row.reported_interface,
        row.reported_reason,
        row.reported_driver,
    )


def _stored(row: Record, network: Network, heartbeats: Heartbeats) -> StoredPort:
    groups = row.groups
    heard = row.heard_at
    return StoredPort(
        port_of(row, [group_id for group_id, _ in groups]),
        network,
        row.policy_revision,
        enforcement_of(row.host, _reported(row)),
        stamp_of(row),
        max((revision for _, revision in groups), default=0),
        row.reached or 0,
        tuple(group_id for (group_id,) in row.ip_groups),
        0.0 if heard is None else heartbeats.silent_since(row.host, heard),
        bool(row.too_many),
    )


_ONE = PortQuery(ports.c.id == bindparam("id"))
_THESE = PortQuery(in_list(ports.c.id, "ids"))
_INSERT = Statement(insert(ports))
_UPDATE = Statement(update(ports).where(ports.c.id == bindparam("this")))
_DELETE = Statement(delete(ports).where(ports.c.id == bindparam("this")))
_BOUND = select(ports.c.host).where(
    ports.c.network_id == bindparam("network_id"), ports.c.id != bindparam("id")
)
# Two look-ups in the index: a test for another host would walk along all ports that are on this.
_INTERFACE_ELSEWHERE = Statement(
    union_all(
        _BOUND.where(ports.c.host > "", ports.c.host < bindparam("host"))
        .order_by(ports.c.host)
        .limit(1)
        .subquery()
        .select(),
        _BOUND.where(ports.c.host > bindparam("host"))
        .order_by(ports.c.host)
        .limit(1)
        .subquery()
        .select(),
    )
)


def read(snapshot: Snapshot, which: ColumnElement[bool]) -> list[StoredPort]:
    """The ports that a condition on their table selects, in the order they were made."""
    return _all_stored(snapshot.connection.execute(_query(which)), snapshot.heartbeats)


def by_id(snapshot: Snapshot, ids: Sequence[str]) -> list[StoredPort]:
    """The ports with these ids, in the order they were made."""
    return _THESE.run(snapshot, {"ids": ids})


def of_network(snapshot: Snapshot, network_id: str) -> list[StoredPort]:
    """The ports on a network, in the order they were made."""
    return read(snapshot, ports.c.network_id == network_id)


def get(snapshot: Snapshot, port_id: str) -> StoredPort:
    """One port; raises MissingError."""
    found = _ONE.run(snapshot, {"id": port_id})
    if not found:
        raise MissingError("port", port_id)
    return found[0]


def create(change: WriteTransaction, ground: PortContext, draft: NewPort) -> StoredPort:
    """Store a port with a MAC and addresses of its own.

    Raises MacTakenError, AddressTakenError, WrongAddressError, NoAddressLeftError, or
    ConflictError where its host cannot be.
    """
    change.allocate_revision()
    network = ground.network
    mac = draft.mac or ownership.generate()
    host = draft.port.host or only_host(ground.hosts)
    port = replace(draft.port, mac=mac, fixed_ips=(), host=host)
    is_known = ownership.queue_known_macs(change, network.id, mac)
    checks = [ownership.queue_mac_check(change, port)] if draft.mac else []
    checks += [
        *ownership.queue_pairs_check(change, port),
        *_queue_interface_elsewhere(change, network, port),
    ]
    checks += interface_ownership.queue_free_check(change, port)
    move = MembershipChange(change, None, port)
    choice = port_addresses.ask(change, port, draft.wishes, ground.subnets)
    if draft.mac is None and is_known():
        return create(change, ground, draft)  # one in sixteen million: another is drawn
    for check in checks:
        check()
    fixed = choice()
    stamp = change.created_stamp() | {"tags": draft.tags or None}
    values = port_values(port) | {"policy_revision": change.revision} | stamp
    change.write(_INSERT, values)
    if port.address_pairs:
        pair_rows.write(change, None, port)
        _displace(change, port)
    for position, taken in enumerate(fixed):
        addresses.assign(change, port_addresses.taker(port), taken, position)
    kept = replace(port, fixed_ips=tuple(map(port_addresses.fixed, fixed)))
    move.write(kept)
    change.journal_port(port.id, (port.host,))
    stamped = Stamp(**stamp | {"tags": draft.tags})
    return StoredPort(kept, network, change.revision, NOT_REPORTED, stamped)


def update_port(
    change: WriteTransaction,
    before: StoredPort,
    changes: Mapping[str, Any],
    wishes: tuple[AddressRequest, ...] | None = None,
) -> StoredPort:
    """Change fields of a port; `wishes` None keeps its addresses. Raises as `create` does."""
    change.allocate_revision()
    after = replace(before.port, **changes)
    checks = _queue_placement(change, before, after)
    if after.mac != before.port.mac:
        checks.append(ownership.queue_mac_check(change, after))
    has_other_pairs = after.address_pairs != before.port.address_pairs
    if has_other_pairs:
        checks += ownership.queue_pairs_check(change, after)
    moves = wishes is not None or _membership_fields(after) != _membership_fields(before.port)
    move = MembershipChange(change, before.port, after, before.ip_groups) if moves else None
    for check in checks:
        check()
    if has_other_pairs:
        pair_rows.write(change, before.port, after)
    if has_other_pairs or after.mac != before.port.mac:
        after = replace(after, learned=_still_learned(change, after))
    if wishes is not None or after.mac != before.port.mac:
        after = replace(after, fixed_ips=port_addresses.retake(change, before, after, wishes))
    stored = write(change, before, after)
    if move is not None:
        move.write(after)
    if (after.host, after.security_groups) == (before.port.host, before.port.security_groups):
        return stored
    return get(change, after.id)  # another host's reports count, and the rules of other groups


def delete_port(change: WriteTransaction, stored: StoredPort, beside: Sequence[Subnet]) -> None:
    """Delete a port: its addresses are free, and IP groups no longer count it a member.

    `beside` are the subnets of its network.
    """
    change.allocate_revision()
    port = stored.port
    if stored.ip_groups:
        ip_groups.forget_member(change, port.id)
    move = MembershipChange(change, port, None)
    removed = ((fixed.subnet_id, fixed.address) for fixed in port.fixed_ips)
    is_shared = stored.network.shared
    addresses.release(change, removed, beside, port.project_id, is_shared=is_shared)
    move.write(None)
    pair_rows.write(change, port, None)
    change.write(_DELETE, {"this": port.id})
    change.journal_port(port.id, (port.host,))


def _still_learned(change: WriteTransaction, after: Port) -> tuple[LearnedAddress, ...]:
    """Release learned addresses that new MACs or address pairs of a port end; return the rest."""
    macs = {after.mac, *(pair.mac for pair in after.address_pairs)}
    for each in after.learned:
        if each.mac not in macs:
            learned.release(change, after.network_id, host_prefix(each.address))
    _displace(change, after)
    return learned.of_port(change, after.id)


def _displace(change: WriteTransaction, port: Port) -> None:
    """Release the learned addresses in a port's address pairs, whichever port claimed them."""
    for pair in port.address_pairs:
        learned.release(change, port.network_id, pair.prefix)


def _membership_fields(port: Port) -> tuple[object, ...]:
    return (
        port.mac,
        port.host,
        port.address_pairs,
        port.security_groups,
        port.port_security_enabled,
    )


def write(change: WriteTransaction, before: StoredPort, after: Port) -> StoredPort:
    """Store the row of a port after a change; its addresses and pairs are written already."""
    stamp = change.updated_stamp(before.stamp)
    policy_revision = before.policy_revision
    # A change that hosts do not get must not make the port wait for them; one that they get
    # touches this port's policy and no other's.
    if _fields_of_policy(before.port) != _fields_of_policy(after):
        policy_revision = change.revision
        change.journal_port(after.id, (before.port.host, after.host))
    values = port_values(after) | {"policy_revision": policy_revision} | stamp
    change.write(_UPDATE, values | {"this": after.id})
    stamped = replace(before.stamp, **stamp)
    return replace(before, port=after, policy_revision=policy_revision, stamp=stamped)


def _fields_of_policy(port: Port) -> Port:
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
        address_pairs=tuple(replace(p, prefix_text="", mac_text="") for p in port.address_pairs),
    )


def _queue_placement(
    change: WriteTransaction, before: StoredPort, after: Port
) -> list[Deferred[None]]:
    """Queue the checks that raise ConflictError where the new host or interface cannot be."""
    checks: list[Deferred[None]] = []
    if after.host != before.port.host:
        checks += _queue_interface_elsewhere(change, before.network, after)
    if (after.host, after.interface) != (before.port.host, before.port.interface):
        checks += interface_ownership.queue_free_check(change, after)
    return checks


def _queue_interface_elsewhere(
    change: WriteTransaction, network: Network, port: Port
) -> list[Deferred[None]]:
    """Queue the check that raises ConflictError where an isolated network would be on two hosts."""
    if network.shared or not port.host:
        return []

    def read(rows: list[Record]) -> None:
        for row in rows:
            raise ConflictError(
                f"Port {port.id} cannot be on host {port.host!r}: network {network.id} is isolated "
                f"and its ports are on host {row.host!r}; an isolated network is kept on one host.",
                f"Port {port.id} cannot be where it would be put: network {network.id} is isolated "
                f"and its ports are on another host; an isolated network is kept on one host.",
            )

    here = {"network_id": network.id, "id": port.id, "host": port.host}
    return [change.queue(_INTERFACE_ELSEWHERE, here, read)]
