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
from vifguard.store.addressing.allocation import Allocation
from vifguard.store.batch import Batch, Pending
from vifguard.store.database.json_rows import json_rows
from vifguard.store.database.statements import Statement, in_list
from vifguard.store.errors import ConflictError, MissingError
from vifguard.store.nouns import ip_groups, pair_rows, subnets
from vifguard.store.nouns.hosts import Host, only_host
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
from vifguard.store.transaction import Snapshot, WriteTransaction
from vifguard.store.updates import membership


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
    hosts: Sequence[Host]


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

    def queue(self, batch: Batch, values: Values) -> Pending[list[StoredPort]]:
        """Queue reading the ports, in the order they were made."""
        heartbeats = batch.snapshot.heartbeats
        return batch.queue(self._statement, values, lambda rows: _all_stored(rows, heartbeats))


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
        row.reported_wiring,
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
_UPDATE = Statement(update(ports).where(ports.c.id == bindparam("port_id")))
_DELETE = Statement(delete(ports).where(ports.c.id == bindparam("port_id")))
_BOUND = select(ports.c.host).where(
    ports.c.network_id == bindparam("network_id"), ports.c.id != bindparam("id")
)
# Two look-ups in the index: a test for another host would walk along all ports that are on this.
_NETWORK_ELSEWHERE = Statement(
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


def queue(batch: Batch, port_id: str) -> Pending[StoredPort | None]:
    """Queue reading one port, if it is there."""
    return _ONE.queue(batch, {"id": port_id}).then(lambda found: found[0] if found else None)


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
    mac = draft.mac or ownership.generate(change)
    host = draft.port.host or only_host(ground.hosts)
    port = replace(draft.port, mac=mac, fixed_ips=(), host=host)
    wide_pair_owners.queue_has_pairs(change, network.id)
    with change.batch() as batch:
        is_known = ownership.queue_known(batch, network.id, mac)
        checks = [ownership.check_mac(batch, port)] if draft.mac else []
        checks += [
            *ownership.check_pairs(batch, port),
            *_check_network(batch, network, port),
            *interface_ownership.check_interface(batch, port),
        ]
        membership_change = membership.queue(batch, None, port)
        choices = port_addresses.queue(batch, port, draft.wishes, ground.subnets)

    if draft.mac is None and is_known.result():
        return create(change, ground, draft)  # one in sixteen million: another is drawn
    for check in checks:
        check.result()
    stored = _insert(change, network, port, choices.take(change), draft.tags)
    membership_change.write(change, stored.port)
    change.journal_port(port.id, (port.host,))
    return stored


def _insert(
    change: WriteTransaction,
    network: Network,
    port: Port,
    allocations: Sequence[Allocation],
    tags: tuple[str, ...],
) -> StoredPort:
    """Write the rows of a new port, its pairs and its addresses."""
    stamp = change.created_stamp() | {"tags": tags or None}
    change.write(_INSERT, port_values(port) | {"policy_revision": change.revision} | stamp)
    if port.address_pairs:
        pair_rows.write(change, None, port)
        _displace(change, port)
    for position, allocation in enumerate(allocations):
        addresses.assign(change, port_addresses.taker(port), allocation, position)
    kept = replace(port, fixed_ips=tuple(map(port_addresses.fixed, allocations)))
    stamped = Stamp(**stamp | {"tags": tags})
    return StoredPort(kept, network, change.revision, NOT_REPORTED, stamped)


def update_port(
    change: WriteTransaction,
    before: StoredPort,
    changes: Mapping[str, Any],
    wishes: tuple[AddressRequest, ...] | None = None,
) -> StoredPort:
    """Change fields of a port; `wishes` None keeps its addresses. Raises as `create` does."""
    change.allocate_revision()
    port = before.port
    after = replace(port, **changes)
    takes = wishes is not None or after.mac != port.mac
    moves = wishes is not None or _membership_fields(after) != _membership_fields(port)
    with change.batch() as batch:
        checks = [*_check_placement(batch, before, after), *_check_identity(batch, port, after)]
        membership_change = (
            membership.queue(batch, port, after, before.ip_groups) if moves else None
        )
        choice = subnets.queue(batch, after.network_id) if takes else None

    for check in checks:
        check.result()
    after = _write_identity(change, port, after)
    if choice is not None:
        fixed_ips = port_addresses.retake(change, before, after, wishes, choice.result())
        after = replace(after, fixed_ips=fixed_ips)
    stored = write(change, before, after)
    if membership_change is not None:
        membership_change.write(change, after)
    if (after.host, after.security_groups) == (port.host, port.security_groups):
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
    removed = ((fixed.subnet_id, fixed.address) for fixed in port.fixed_ips)
    with change.batch() as batch:
        membership_change = membership.queue(batch, port, None)
        released = addresses.queue_release(
            batch, removed, beside, port.project_id, is_shared=stored.network.shared
        )

    released.write(change)
    membership_change.write(change, None)
    pair_rows.write(change, port, None)
    change.write(_DELETE, {"port_id": port.id})
    change.journal_port(port.id, (port.host,))


def _write_identity(change: WriteTransaction, before: Port, after: Port) -> Port:
    """Write a port's address pairs; return it with the learned addresses that it keeps."""
    if (after.mac, after.address_pairs) == (before.mac, before.address_pairs):
        return after
    if after.address_pairs != before.address_pairs:
        pair_rows.write(change, before, after)
    return replace(after, learned=_still_learned(change, after))


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
    change.write(_UPDATE, values | {"port_id": after.id})
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


def _check_placement(batch: Batch, before: StoredPort, after: Port) -> list[Pending[None]]:
    """Ask whether a new host or interface can be: results raise ConflictError."""
    checks: list[Pending[None]] = []
    if after.host != before.port.host:
        checks += _check_network(batch, before.network, after)
    if (after.host, after.interface) != (before.port.host, before.port.interface):
        checks += interface_ownership.check_interface(batch, after)
    return checks


def _check_identity(batch: Batch, before: Port, after: Port) -> list[Pending[None]]:
    """Ask whether a new MAC or address pair is another's: results raise ConflictError."""
    checks = [ownership.check_mac(batch, after)] if after.mac != before.mac else []
    if after.address_pairs != before.address_pairs:
        checks += ownership.check_pairs(batch, after)
    return checks


def _check_network(batch: Batch, network: Network, port: Port) -> list[Pending[None]]:
    """Ask whether an isolated network would be on two hosts: the result raises ConflictError."""
    if network.shared or not port.host:
        return []

    def decide(rows: list[Record]) -> None:
        for row in rows:
            raise ConflictError(
                f"Port {port.id} cannot be on host {port.host!r}: network {network.id} is isolated "
                f"and its ports are on host {row.host!r}; an isolated network is kept on one host.",
                f"Port {port.id} cannot be on the host that it would be bound to: network "
                f"{network.id} is isolated and its ports are on another host; an isolated "
                "network is kept on one host.",
            )

    place = {"network_id": network.id, "id": port.id, "host": port.host}
    return [batch.queue(_NETWORK_ELSEWHERE, place, decide)]
