"""Owners of addresses: allocation from pools, and the prefixes that others may use.

`allocations` holds the taken addresses, unique on a network; `free_ranges` the free ones of
the pools, so that the lowest free address is one row away however many are taken.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_network
from itertools import islice
from typing import Final

from sqlalchemy import (
    String,
    and_,
    bindparam,
    delete,
    exists,
    func,
    insert,
    or_,
    select,
    update,
)

from vifguard.model.address import IPAddress, IPNetwork, Mac, host_prefix
from vifguard.model.address_request import AddressRequest
from vifguard.model.network import Subnet
from vifguard.store.addressing import pool_ranges, resting, wide_pair_owners
from vifguard.store.addressing.allocation import AddressOwner, Allocation
from vifguard.store.batch import Batch, Pending
from vifguard.store.database.statements import Statement
from vifguard.store.errors import (
    AddressTakenError,
    NoAddressLeftError,
    OffNetworkError,
    OffSubnetError,
    WrongAddressError,
)
from vifguard.store.reports import wiring
from vifguard.store.schema.mapping import address_of, key, next_key, prefix_of
from vifguard.store.schema.row_mapping import Record, Values
from vifguard.store.schema.tables import address_pairs, allocations, free_ranges
from vifguard.store.schema.tables import resting as resting_table
from vifguard.store.transaction import Snapshot, WriteTransaction

_ALLOCATE = Statement(insert(allocations))
_TAKEN = and_(
    allocations.c.network_id == bindparam("on_network"),
    allocations.c.address == bindparam("taken"),
)
_RELEASE = Statement(delete(allocations).where(_TAKEN))
_MOVE = Statement(update(allocations).where(_TAKEN).values(position=bindparam("place")))
_HERE = address_pairs.c.network_id == bindparam("network_id")
_PROJECT = bindparam("project_id", type_=String)
# The ends of an index: a test for another project would walk along all of the project's own.
ANY_FOREIGN_PAIR = or_(
    select(func.min(address_pairs.c.project_id)).where(_HERE).scalar_subquery() < _PROJECT,
    select(func.max(address_pairs.c.project_id)).where(_HERE).scalar_subquery() > _PROJECT,
)
"""Whether another project has an address pair on the network."""

_MOST_NAMED: Final = 10
_COVERING = (
    select(address_pairs.c.first, address_pairs.c.length)
    .where(
        address_pairs.c.network_id == bindparam("network_id"),
        address_pairs.c.project_id != _PROJECT,
        address_pairs.c.first.in_(bindparam("firsts", expanding=True)),
        address_pairs.c.length <= bindparam("longest"),
    )
    .order_by(address_pairs.c.length)
)
_FREE = select(
    free_ranges.c.first,
    free_ranges.c.last,
    ANY_FOREIGN_PAIR.label("is_foreign"),
    wiring.ANY.label("has_hosts"),
    exists()
    .where(
        resting_table.c.subnet_id == bindparam("subnet_id"),
        resting_table.c.until <= resting.now(),
    )
    .label("has_rested"),
).where(free_ranges.c.subnet_id == bindparam("subnet_id"))
_LOWEST = Statement(
    _FREE.where(free_ranges.c.last >= bindparam("at_least")).order_by(free_ranges.c.first).limit(1)
)
_HOLDING = Statement(
    _FREE.where(free_ranges.c.first <= bindparam("wanted"))
    .order_by(free_ranges.c.first.desc())
    .limit(1)
)
_IS_TAKEN = Statement(select(exists().where(_TAKEN).label("taken")))


@dataclass(frozen=True, slots=True)
class PendingAllocation:
    """An address to take of a subnet: `address`, or with None the lowest that is free.

    `ranges` has the free range that it may come out of. None: another address of the subnet is
    taken before, and the free ranges are asked for then.
    """

    taker: AddressOwner
    subnet: Subnet
    address: IPAddress | None
    ranges: Pending[list[Record]] | None

    def take(self, change: WriteTransaction) -> Allocation:
        """Take the address; raises AddressTakenError or NoAddressLeftError."""
        if self.ranges is None:
            rows = change.rows(*_range_query(self.taker, self.subnet, self.address))
        else:
            rows = self.ranges.result()
        if self.address is None:
            return _take_lowest(change, self.taker, self.subnet, rows)
        return _take_this(change, self.taker, self.subnet, self.address, rows)


def queue(
    batch: Batch,
    taker: AddressOwner,
    wishes: Iterable[AddressRequest],
    subnets: Sequence[Subnet],
) -> list[PendingAllocation]:
    """Queue reading free addresses of a network's subnets; raises WrongAddressError."""
    choices: list[PendingAllocation] = []
    for wish in wishes:
        subnet = _subnet_of(taker, wish, subnets)
        address = _address_of(taker, subnet, wish.address)
        is_first = all(each.subnet != subnet for each in choices)
        ranges = batch.queue(*_range_query(taker, subnet, address), list) if is_first else None
        choices.append(PendingAllocation(taker, subnet, address, ranges))
    return choices


def allocate(
    change: WriteTransaction,
    taker: AddressOwner,
    wish: AddressRequest,
    subnets: Sequence[Subnet],
    position: int,
) -> Allocation:
    """Take one address of a network's subnets, and write its owner.

    Raises WrongAddressError, AddressTakenError or NoAddressLeftError.
    """
    wide_pair_owners.queue_has_pairs(change, taker.network_id)
    with change.batch() as batch:
        (choice,) = queue(batch, taker, (wish,), subnets)
    taken = choice.take(change)
    assign(change, taker, taken, position)
    return taken


def allocate_link_local(
    change: WriteTransaction, taker: AddressOwner, address: IPv6Address, position: int
) -> None:
    """Take an IPv6 link-local address, and write its owner.

    WrongAddressError for one that a MAC address gives its station (EUI-64, RFC 4291, appendix
    A), AddressTakenError for one that is taken on the network.
    """
    identifier = address.packed[8:]
    if identifier[3:5] == b"\xff\xfe" or not any(identifier):
        raise WrongAddressError(
            f"IPv6 link-local address {address} is that of a MAC address, or of all routers: "
            f"choose one like fe80::1."
        )
    here = {"on_network": taker.network_id, "taken": key(address)}
    is_taken = change.rows(_IS_TAKEN, here)[0].taken
    if is_taken or _covering(change, taker, address) is not None:
        raise _taken_error(address, taker.network_id)
    _require_no_hosts(change, taker.network_id, address)
    _assign(change, taker, address, None, position)


def release_link_local(
    change: WriteTransaction, network_id: str, project_id: str, removed: Iterable[IPAddress]
) -> None:
    """Release link-local addresses of a project."""
    for address in removed:
        change.write(_RELEASE, {"on_network": network_id, "taken": key(address)})
        wide_pair_owners.note_owner_removed(change, network_id, project_id, [host_prefix(address)])


def assign(change: WriteTransaction, taker: AddressOwner, taken: Allocation, position: int) -> None:
    """Write the owner of a taken address, and its place among those of its port or group."""
    _assign(change, taker, taken.address, taken.subnet_id, position)


def _assign(
    change: WriteTransaction,
    taker: AddressOwner,
    address: IPAddress,
    subnet_id: str | None,
    position: int,
) -> None:
    row = {
        "network_id": taker.network_id,
        "address": key(address),
        "subnet_id": subnet_id,
        "project_id": taker.project_id,
        "port_id": taker.port_id,
        "group_id": taker.group_id,
        "position": position,
    }
    change.write(_ALLOCATE, row)
    wide_pair_owners.note_owner_added(
        change, taker.network_id, taker.project_id, [host_prefix(address)]
    )


@dataclass(frozen=True, slots=True)
class Release:
    """Addresses that a project gives back, each with its subnet and the free ranges beside it.

    The ranges are None where they are not needed, or another address of the subnet goes before.
    Those of a shared network rest first, for the project.
    """

    project_id: str
    is_shared: bool
    removed: Sequence[tuple[Subnet, IPAddress, Pending[list[Record]] | None]]

    def write(self, change: WriteTransaction) -> None:
        """Give the addresses back to the pools."""
        for subnet, address, ranges in self.removed:
            freed = [host_prefix(address)]
            wide_pair_owners.note_owner_removed(change, subnet.network_id, self.project_id, freed)
            if self.is_shared and change.rest and not subnet.is_automatic:
                resting.rest(change, subnet, address, self.project_id)
            elif ranges is not None:
                pool_ranges.join(change, subnet, address, ranges.result())
            else:
                pool_ranges.give_back(change, subnet, address)
            change.write(_RELEASE, {"on_network": subnet.network_id, "taken": key(address)})


def queue_release(
    batch: Batch,
    removed: Iterable[tuple[str, IPAddress]],
    subnets: Iterable[Subnet],
    project_id: str,
    *,
    is_shared: bool,
) -> Release:
    """Queue reading what giving a project's addresses back needs; each has the id of its subnet."""
    by_id = {subnet.id: subnet for subnet in subnets}
    asked: dict[str, Pending[list[Record]]] = {}
    items: list[tuple[Subnet, IPAddress, Pending[list[Record]] | None]] = []
    for subnet_id, address in removed:
        subnet, ranges = by_id[subnet_id], None
        rests = is_shared and not subnet.is_automatic
        if not rests and subnet_id not in asked and pool_ranges.is_pooled(subnet, address):
            ranges = asked[subnet_id] = pool_ranges.queue_beside(batch, subnet, address)
        items.append((subnet, address, ranges))
    return Release(project_id, is_shared, items)


def release(
    change: WriteTransaction,
    removed: Iterable[tuple[str, IPAddress]],
    subnets: Iterable[Subnet],
    project_id: str,
    *,
    is_shared: bool,
) -> None:
    """Give a project's addresses, each with the id of its subnet, back to the pools.

    Those of a shared network rest first, for the project.
    """
    with change.batch() as batch:
        released = queue_release(batch, removed, subnets, project_id, is_shared=is_shared)
    released.write(change)


def move(change: WriteTransaction, network_id: str, address: IPAddress, position: int) -> None:
    """Give a taken address another place among those of its port or group."""
    here = {"on_network": network_id, "taken": key(address), "place": position}
    change.write(_MOVE, here)


def usable(cidr: IPNetwork) -> tuple[IPAddress, IPAddress]:
    """The first and last address of a range that a port can have.

    IPv4: without the network and broadcast address, but for /31 (RFC 3021) and /32. IPv6:
    without the subnet-router anycast address (RFC 4291, 2.6.1), but for /127 and /128.
    """
    first, last = cidr[0], cidr[-1]
    if cidr.max_prefixlen - cidr.prefixlen < 2:
        return first, last
    return first + 1, last - 1 if cidr.version == 4 else last


def eui64(prefix: IPNetwork, mac: Mac) -> IPv6Address:
    """The address a guest forms from a /64 and its MAC (RFC 4291, appendix A)."""
    identifier = int(mac.link_local) & (2**64 - 1)
    return IPv6Address(int(prefix.network_address) | identifier)


def _subnet_of(taker: AddressOwner, wish: AddressRequest, subnets: Sequence[Subnet]) -> Subnet:
    if wish.subnet_id is not None:
        for subnet in subnets:
            if subnet.id == wish.subnet_id:
                return subnet
        raise WrongAddressError(
            f"Subnet {wish.subnet_id} is not a subnet of network {taker.network_id}."
        )
    for subnet in subnets:
        if wish.address is not None and _has(subnet, wish.address):
            return subnet
    raise OffNetworkError(
        f"IP address {wish.address} is not a valid IP for any of the subnets on the specified "
        f"network {taker.network_id}."
    )


def _has(subnet: Subnet, address: IPAddress) -> bool:
    """Whether a station of a subnet can have an address."""
    first, last = usable(subnet.cidr)
    return address in subnet.cidr and int(first) <= int(address) <= int(last)


def _require_usable(subnet: Subnet, address: IPAddress) -> None:
    if not _has(subnet, address):
        first, last = usable(subnet.cidr)
        raise OffSubnetError(
            f"IP address {address} is not a valid IP for the specified subnet {subnet.id}: "
            f"choose one from {first} to {last}."
        )
    if subnet.is_automatic:
        raise WrongAddressError(
            f"IPv6 address {address} cannot be directly assigned to a port on subnet {subnet.id} "
            f"as the subnet is configured for automatic addresses."
        )


def _address_of(taker: AddressOwner, subnet: Subnet, address: IPAddress | None) -> IPAddress | None:
    """The address to take of a subnet, where the wish or the subnet determines it."""
    if address is not None:
        _require_usable(subnet, address)
        return address
    if not subnet.is_automatic:
        return None
    if taker.mac is None:
        raise WrongAddressError(
            f"Subnet {subnet.id} is configured for automatic addresses; an IP group takes "
            f"its addresses from another subnet."
        )
    return eui64(subnet.cidr, taker.mac)


def _range_query(
    taker: AddressOwner, subnet: Subnet, address: IPAddress | None
) -> tuple[Statement, Values]:
    """The statement that finds the free range of an address, or the lowest, and its values."""
    values = {
        "subnet_id": subnet.id,
        "network_id": taker.network_id,
        "project_id": taker.project_id,
    }
    if address is None:
        return _LOWEST, values | {"at_least": key(subnet.cidr.network_address)}
    return _HOLDING, values | {"wanted": key(address)}


def _take_lowest(
    change: WriteTransaction, taker: AddressOwner, subnet: Subnet, rows: list[Record]
) -> Allocation:
    """Take the lowest address that is free and in no other project's pair."""
    statement, values = _range_query(taker, subnet, None)
    at_least: bytes = values["at_least"]
    covering = None
    of_hosts: dict[IPAddress, str] = {}
    if not rows or rows[0].has_rested:
        for address in resting.rested(change, subnet):
            pool_ranges.give_back(change, subnet, address)
        rows = change.rows(statement, values)
    while rows:
        row = rows[0]
        candidate = max(row.first, at_least)
        address = address_of(candidate)
        if row.has_hosts and (host := wiring.host_with(change, taker.network_id, address)):
            of_hosts[address] = host
            at_least = next_key(candidate)
        else:
            foreign = row.is_foreign and _covering(change, taker, address)
            if not foreign:
                pool_ranges.cut(change, subnet.id, row.first, row.last, candidate)
                return Allocation(subnet.id, address)
            covering = foreign
            at_least = next_key(key(foreign[-1]))
        rows = change.rows(statement, values | {"at_least": at_least})
    if (early := _resting(change, taker, subnet)) is not None:
        return early
    raise _none_left(subnet, covering, of_hosts)


def _none_left(
    subnet: Subnet, covering: IPNetwork | None, of_hosts: Mapping[IPAddress, str]
) -> NoAddressLeftError:
    """The error for pools without an address to give.

    `covering` is a pair that has free ones; `of_hosts` are those that hosts themselves have.
    """
    why = f"the pools of subnet {subnet.id} are empty."
    if covering is not None:
        why = (
            f"what is free in the pools of subnet {subnet.id} is in other projects' address pairs, "
            f"such as {covering}."
        )
    text = f"No more IP addresses available on network {subnet.network_id}: {why}"
    if not of_hosts:
        return NoAddressLeftError(text)
    named = [f"{each} of {host}" for each, host in islice(of_hosts.items(), _MOST_NAMED)]
    more = f" and {len(of_hosts) - len(named)} more" if len(of_hosts) > len(named) else ""
    own = f"{len(of_hosts)} of their addresses are hosts' own"
    return NoAddressLeftError(f"{text} {own}: {', '.join(named)}{more}.", f"{text} {own}.")


def _resting(change: WriteTransaction, taker: AddressOwner, subnet: Subnet) -> Allocation | None:
    """An address that still rests, for pools without a free one."""
    for address in resting.reclaimable_addresses(change, subnet, taker.project_id):
        is_inside = any(pool.start <= address <= pool.end for pool in subnet.pools)  # type: ignore[operator]
        is_hosts = wiring.host_with(change, taker.network_id, address)
        if is_inside and not is_hosts and _covering(change, taker, address) is None:
            resting.end_rest(change, subnet, address)
            return Allocation(subnet.id, address)
    return None


def _take_this(
    change: WriteTransaction,
    taker: AddressOwner,
    subnet: Subnet,
    address: IPAddress,
    rows: list[Record],
) -> Allocation:
    """Take one address, out of the free range that holds it.

    An address in a free range has no owner; one in none may lie beyond the pools.
    """
    wanted = key(address)
    row = rows[0] if rows else None
    is_free = row is not None and row.last >= wanted
    if not is_free:
        place = {"on_network": subnet.network_id, "taken": wanted}
        if change.rows(_IS_TAKEN, place)[0].taken:
            raise _taken_error(address, subnet.network_id)
        # On a shared network a port's address is the operator's choice, a group's is not.
        whose = taker.project_id if taker.port_id is None else None
        resting.claim_from_rest(change, subnet, address, whose)
    if row is None or row.has_hosts:
        _require_no_hosts(change, subnet.network_id, address)
    if (row is None or row.is_foreign) and _covering(change, taker, address) is not None:
        raise _taken_error(address, subnet.network_id)
    if row is not None and is_free:
        pool_ranges.cut(change, subnet.id, row.first, row.last, wanted)
    return Allocation(subnet.id, address)


def _covering(snapshot: Snapshot, taker: AddressOwner, address: IPAddress) -> IPNetwork | None:
    """Another project's address pair that holds `address`."""
    return covering_pair(snapshot, taker.network_id, taker.project_id, ip_network(address))


def _require_no_hosts(snapshot: Snapshot, network_id: str, address: IPAddress) -> None:
    if host := wiring.host_with(snapshot, network_id, address):
        head = f"IP address {address} already allocated in network {network_id}: it is"
        raise AddressTakenError(f"{head} host {host}'s own.", f"{head} a host's own.")


def _taken_error(address: IPAddress, network_id: str) -> AddressTakenError:
    return AddressTakenError(f"IP address {address} already allocated in network {network_id}.")


def covering_pair(
    snapshot: Snapshot, network_id: str, project_id: str, prefix: IPNetwork
) -> IPNetwork | None:
    """The widest address pair of another project that covers all of `prefix`.

    Looks up each prefix that could, by its exact key: the cost does not grow with the pairs.
    """
    firsts = {key(prefix.supernet(new_prefix=n).network_address) for n in range(prefix.prefixlen)}
    here = {
        "network_id": network_id,
        "project_id": project_id,
        "firsts": sorted(firsts | {key(prefix.network_address)}),
        "longest": prefix.prefixlen,
    }
    candidates = [prefix_of(row) for row in snapshot.connection.execute(_COVERING, here)]
    return next((wide for wide in candidates if prefix.subnet_of(wide)), None)  # type: ignore[arg-type]
