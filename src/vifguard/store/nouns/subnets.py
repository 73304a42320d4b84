"""Subnets: read, create, update, delete, and the free ranges that follow their pools."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from ipaddress import ip_network
from typing import Any

from sqlalchemy import ColumnElement, bindparam, delete, insert, or_, select, update

from vifguard.model.address import IPNetwork, host_prefix
from vifguard.model.intent import Ranges
from vifguard.model.network import AUTOMATIC, Network, Subnet
from vifguard.resolve.affected import affected_by_subnet
from vifguard.store.addressing import learned, pool_ranges, resting
from vifguard.store.batch import Batch, Pending
from vifguard.store.database.statements import Statement, in_list
from vifguard.store.errors import InUseError, MissingError, WrongAddressError
from vifguard.store.schema.mapping import SUBNET, stamp_of
from vifguard.store.schema.row_mapping import Record
from vifguard.store.schema.tables import allocations, networks, ports, subnets
from vifguard.store.stored_nouns import StoredSubnet
from vifguard.store.transaction import Snapshot, WriteTransaction

_ORDER = (subnets.c.created_at, subnets.c.id)
_OF_NETWORK = Statement(
    select(subnets).where(subnets.c.network_id == bindparam("network_id")).order_by(*_ORDER)
)
_OF_PORTS_NETWORK = Statement(
    select(subnets)
    .join(ports, ports.c.network_id == subnets.c.network_id)
    .where(ports.c.id == bindparam("port_id"))
    .order_by(*_ORDER)
)
_IDS = Statement(
    select(subnets.c.network_id, subnets.c.id)
    .where(in_list(subnets.c.network_id, "ids"))
    .order_by(*_ORDER)
)
_AUTOMATIC = Statement(
    select(subnets.c.network_id, subnets.c.cidr).where(
        in_list(subnets.c.network_id, "networks"),
        or_(*(subnets.c.ipv6_address_mode == mode for mode in sorted(AUTOMATIC))),
    )
)
_NOT_A_PROJECTS = (
    select(subnets.c.network_id, subnets.c.cidr, networks.c.public, networks.c.shared)
    .join(networks, networks.c.id == subnets.c.network_id)
    .where(or_(networks.c.public, networks.c.shared))
)


def read(snapshot: Snapshot, which: ColumnElement[bool]) -> list[StoredSubnet]:
    """The subnets that a condition on their table selects, in the order they were made."""
    rows = snapshot.connection.execute(select(subnets).where(which).order_by(*_ORDER))
    return [StoredSubnet(SUBNET.read(row), stamp_of(row)) for row in rows]


def get(snapshot: Snapshot, subnet_id: str) -> StoredSubnet:
    """One subnet; raises MissingError."""
    found = read(snapshot, subnets.c.id == subnet_id)
    if not found:
        raise MissingError("subnet", subnet_id)
    return found[0]


def queue(batch: Batch, network_id: str) -> Pending[list[Subnet]]:
    """Queue reading the subnets of one network, in the order they were made."""
    return batch.queue(_OF_NETWORK, {"network_id": network_id}, _subnets_of)


def queue_of_port(batch: Batch, port_id: str) -> Pending[list[Subnet]]:
    """Queue reading the subnets of the network that a port is on, in the order they were made."""
    return batch.queue(_OF_PORTS_NETWORK, {"port_id": port_id}, _subnets_of)


def of_network(snapshot: Snapshot, network_id: str) -> list[Subnet]:
    """The subnets of one network, in the order they were made."""
    return _subnets_of(snapshot.rows(_OF_NETWORK, {"network_id": network_id}))


def _subnets_of(rows: Iterable[Record]) -> list[Subnet]:
    return [SUBNET.read(row) for row in rows]


def ids_by_network(snapshot: Snapshot, network_ids: Collection[str]) -> dict[str, list[str]]:
    """The ids of the subnets of these networks, by network, in the order they were made."""
    found: dict[str, list[str]] = defaultdict(list)
    for row in snapshot.rows(_IDS, {"ids": sorted(network_ids)}):
        found[row.network_id].append(row.id)
    return dict(found)


def ranges(snapshot: Snapshot, network_ids: Iterable[str]) -> Ranges:
    """The ranges that are not one project's alone, and the automatic ones of these networks."""
    automatic = snapshot.rows(_AUTOMATIC, {"networks": sorted(network_ids)})
    public: set[IPNetwork] = set()
    shared: dict[str, set[IPNetwork]] = {}
    for row in snapshot.connection.execute(_NOT_A_PROJECTS):
        cidr = ip_network(row.cidr)
        if row.public:
            public.add(cidr)
        if row.shared:
            shared.setdefault(row.network_id, set()).add(cidr)
    return Ranges.of(public, shared, _by_network(automatic))


def create(change: WriteTransaction, network: Network, subnet: Subnet) -> StoredSubnet:
    """Store a subnet; raises WrongAddressError where it overlaps another of its network."""
    for other in of_network(change, network.id):
        if other.cidr.version == subnet.cidr.version and other.cidr.overlaps(subnet.cidr):
            raise WrongAddressError(
                f"Requested subnet with cidr: {subnet.cidr} for network: {network.id} overlaps "
                f"with another subnet: {other.cidr} of {other.id}."
            )
    change.connection.execute(
        insert(subnets).values(SUBNET.values(subnet) | change.created_stamp())
    )
    resting.adopt(change, subnet)
    pool_ranges.open_pools(change, subnet)
    _network_changed(change, network.id)
    _displace(change, None, subnet)
    change.journal_affected(affected_by_subnet(network, None, subnet))
    return get(change, subnet.id)


def update_subnet(
    change: WriteTransaction, network: Network, before: StoredSubnet, changes: Mapping[str, Any]
) -> StoredSubnet:
    """Change fields of a subnet; its range stays."""
    after = replace(before.subnet, **changes)
    values = SUBNET.values(after) | change.updated_stamp(before.stamp)
    change.connection.execute(update(subnets).where(subnets.c.id == after.id).values(values))
    if after.pools != before.subnet.pools:
        pool_ranges.open_pools(change, after)
    _displace(change, before.subnet, after)
    change.journal_affected(affected_by_subnet(network, before.subnet, after))
    return get(change, after.id)


def delete_subnet(change: WriteTransaction, network: Network, subnet: Subnet) -> None:
    """Delete a subnet; raises InUseError while an address of it is taken."""
    taken = select(allocations.c.address).where(allocations.c.subnet_id == subnet.id).limit(1)
    if change.connection.execute(taken).first():
        raise InUseError(
            "subnet",
            f"Unable to complete operation on subnet {subnet.id}: One or more ports or IP "
            f"groups have an IP allocation from this subnet.",
        )
    _displace(change, subnet, None)
    change.connection.execute(delete(subnets).where(subnets.c.id == subnet.id))
    _network_changed(change, network.id)
    change.allocate_revision()
    change.journal_affected(affected_by_subnet(network, subnet, None))


def _network_changed(change: WriteTransaction, network_id: str) -> None:
    """Raise the revision number of a network, as its JSON lists its subnets."""
    this = networks.c.id == network_id
    row = change.connection.execute(select(networks).where(this)).one()
    stamp = change.updated_stamp(stamp_of(row))
    change.connection.execute(update(networks).where(this).values(stamp))


def _by_network(rows: Iterable[Record]) -> dict[str, set[IPNetwork]]:
    found: dict[str, set[IPNetwork]] = defaultdict(set)
    for row in rows:
        found[row.network_id].add(ip_network(row.cidr))
    return found


def _displace(change: WriteTransaction, before: Subnet | None, after: Subnet | None) -> None:
    """Release learned addresses whose range is automatic no more, and the one of a new gateway."""
    either = before or after
    if either is None or either.cidr.version == 4:
        return
    if before is not None and before.is_automatic and not (after and after.is_automatic):
        learned.release(change, either.network_id, before.cidr)
    if after is not None and after.gateway is not None:
        learned.release(change, either.network_id, host_prefix(after.gateway))
