"""Owners of addresses: allocation from pools, and the prefixes that others may use.

`allocations` holds the taken addresses, unique on a network; `free_ranges` the free ones of
the pools, so that the lowest free address is one row away however many are taken.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import IPv6Address, ip_network

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
    union,
    update,
)

from vifguard.model.address import IPAddress, IPNetwork, Mac, host_prefix
from vifguard.model.address_request import AddressRequest
from vifguard.model.network import Subnet
from vifguard.store.addressing import resting, wide_pair_owners
from vifguard.store.addressing.allocation import AddressOwner, Allocation
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
from vifguard.store.transaction import Deferred, Snapshot, WriteTransaction

_THIS = and_(
    free_ranges.c.subnet_id == bindparam("this_subnet"),
    free_ranges.c.first == bindparam("this_first"),
)
_REMOVE = Statement(delete(free_ranges).where(_THIS))
_CUT = Statement(update(free_ranges).where(_THIS))
_ADD = Statement(insert(free_ranges))
_ALLOCATE = Statement(insert(allocations))
_TAKEN = and_(
    allocations.c.network_id == bindparam("on_network"),
    allocations.c.address == bindparam("taken"),
)
_RELEASE = Statement(delete(allocations).where(_TAKEN))
_MOVE = Statement(update(allocations).where(_TAKEN).values(position=bindparam("place")))
_NEIGHBOURING = Statement(
    select(free_ranges.c.first, free_ranges.c.last)
    .where(
        free_ranges.c.subnet_id == bindparam("subnet_id"),
        free_ranges.c.first <= bindparam("beyond"),
    )
    .order_by(free_ranges.c.first.desc())
    .limit(2)
)
_HERE = address_pairs.c.network_id == bindparam("network_id")
_PROJECT = bindparam("project_id", type_=String)
# The ends of an index: a test for another project would walk along all of the project's own.
ANY_FOREIGN_PAIR = or_(
    select(func.min(address_pairs.c.project_id)).where(_HERE).scalar_subquery() < _PROJECT,
    select(func.max(address_pairs.c.project_id)).where(_HERE).scalar_subquery() > _PROJECT,
)
"""Whether another project has an address pair on the network."""

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
    _FREE.where(free_ranges.c.first <= bindparam("this_address"))
    .order_by(free_ranges.c.first.desc())
    .limit(1)
)
_IS_TAKEN = Statement(select(exists().where(_TAKEN).label("taken")))


def open_pools(change: WriteTransaction, subnet: Subnet) -> None:
    """Write the free ranges of the pools, without the taken addresses."""
    change.connection.execute(delete(free_ranges).where(free_ranges.c.subnet_id == subnet.id))
    rows = [
        {"subnet_id": subnet.id, "first": first, "last": last}
        for pool in subnet.pools
        for first, last in _without_taken(change, subnet, key(pool.start), key(pool.end))
    ]
    if rows:
        change.connection.execute(insert(free_ranges), rows)


def _without_taken(
    change: WriteTransaction, subnet: Subnet, first: bytes, last: bytes
) -> list[tuple[bytes, bytes]]:
    known = (
        select(each.c.address).where(
            each.c.subnet_id == subnet.id, each.c.address.between(first, last)
        )
        for each in (allocations, resting_table)
    )
    taken = sorted(change.connection.scalars(union(*known)))
    left = []
    for address in taken:
        if first < address:
            left.append((first, next_key(address, -1)))
        if address == last:
            return left
        first = next_key(address)
    return [*left, (first, last)]


def allocate(
    change: WriteTransaction,
    taker: AddressOwner,
    wish: AddressRequest,
    subnets: Sequence[Subnet],
    position: int,
) -> Allocation:
    """Take one address, as `choose` does, and write its owner."""
    (taken,) = choose(change, taker, (wish,), subnets)
    assign(change, taker, taken(), position)
    return taken()


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
        wide_pair_owners.disown(change, network_id, project_id, [host_prefix(address)])


def choose(
    change: WriteTransaction,
    taker: AddressOwner,
    wishes: Iterable[AddressRequest],
    subnets: Sequence[Subnet],
) -> list[Deferred[Allocation]]:
    """Queue the choice of free addresses; calling a result takes its address.

    `subnets` are the network's. Raises WrongAddressError; a result may raise that too,
    AddressTakenError or NoAddressLeftError.
    """
    wide_pair_owners.expect(change, taker.network_id)
    asked: list[tuple[Subnet, Deferred[Allocation]]] = []
    for wish in wishes:
        subnet = _subnet_of(taker, wish, subnets)
        for other, answer in asked:
            if other == subnet:
                answer()  # an address taken before is not free
        asked.append((subnet, _queue_choice(change, taker, subnet, wish.address)))
    return [answer for _, answer in asked]


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
    wide_pair_owners.own(change, taker.network_id, taker.project_id, [host_prefix(address)])


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
    by_id = {subnet.id: subnet for subnet in subnets}
    for subnet_id, address in removed:
        subnet = by_id[subnet_id]
        wide_pair_owners.disown(change, subnet.network_id, project_id, [host_prefix(address)])
        if is_shared and change.rest and not subnet.is_automatic:
            resting.rest(change, subnet, address, project_id)
        else:
            _give_back(change, subnet, address)
        change.write(_RELEASE, {"on_network": subnet.network_id, "taken": key(address)})


def _give_back(change: WriteTransaction, subnet: Subnet, address: IPAddress) -> None:
    if any(key(pool.start) <= key(address) <= key(pool.end) for pool in subnet.pools):
        _merge_free_range(change, subnet, key(address))


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


def _queue_choice(
    change: WriteTransaction, taker: AddressOwner, subnet: Subnet, address: IPAddress | None
) -> Deferred[Allocation]:
    if address is not None:
        _require_usable(subnet, address)
    elif subnet.is_automatic:
        if taker.mac is None:
            raise WrongAddressError(
                f"Subnet {subnet.id} is configured for automatic addresses; an IP group takes "
                f"its addresses from another subnet."
            )
        address = eui64(subnet.cidr, taker.mac)
    if address is None:
        return _queue_lowest(change, taker, subnet)
    return _queue_this(change, taker, subnet, address)


def _queue_lowest(
    change: WriteTransaction, taker: AddressOwner, subnet: Subnet
) -> Deferred[Allocation]:
    """Queue the choice of the lowest address that is free and in no other project's pair."""
    here = _of(taker, subnet) | {"at_least": key(subnet.cidr.network_address)}

    def read(rows: list[Record]) -> Allocation:
        at_least: bytes = here["at_least"]
        covering = None
        if not rows or rows[0].has_rested:
            for address in resting.rested(change, subnet):
                _give_back(change, subnet, address)
            rows = change.rows(_LOWEST, here)
        while rows:
            row = rows[0]
            candidate = max(row.first, at_least)
            if row.has_hosts and wiring.host_with(change, taker.network_id, address_of(candidate)):
                at_least = next_key(candidate)
                rows = change.rows(_LOWEST, here | {"at_least": at_least})
                continue
            foreign = row.is_foreign and _covering(change, taker, address_of(candidate))
            if not foreign:
                _cut_free_range(change, subnet.id, row.first, row.last, candidate)
                return Allocation(subnet.id, address_of(candidate))
            covering = foreign
            at_least = next_key(key(foreign[-1]))
            rows = change.rows(_LOWEST, here | {"at_least": at_least})
        if (early := _resting(change, taker, subnet)) is not None:
            return early
        raise _none_left(subnet, covering)

    return change.queue(_LOWEST, here, read)


def _none_left(subnet: Subnet, covering: IPNetwork | None) -> NoAddressLeftError:
    """The error for pools without an address to give; `covering` is a pair that has free ones."""
    why = f"the pools of subnet {subnet.id} are empty."
    if covering is not None:
        why = (
            f"what is free in the pools of subnet {subnet.id} is in other projects' address pairs, "
            f"such as {covering}."
        )
    head = f"No more IP addresses available on network {subnet.network_id}:"
    return NoAddressLeftError(f"{head} {why}")


def _resting(change: WriteTransaction, taker: AddressOwner, subnet: Subnet) -> Allocation | None:
    """An address that still rests, for pools without a free one."""
    for address in resting.first(change, subnet, taker.project_id):
        is_inside = any(pool.start <= address <= pool.end for pool in subnet.pools)  # type: ignore[operator]
        is_hosts = wiring.host_with(change, taker.network_id, address)
        if is_inside and not is_hosts and _covering(change, taker, address) is None:
            resting.wake(change, subnet, address)
            return Allocation(subnet.id, address)
    return None


def _queue_this(
    change: WriteTransaction, taker: AddressOwner, subnet: Subnet, address: IPAddress
) -> Deferred[Allocation]:
    """Queue the choice of one address, out of the free range that holds it.

    An address in a free range has no owner; one in none may lie beyond the pools.
    """
    this = key(address)

    def read(rows: list[Record]) -> Allocation:
        row = rows[0] if rows else None
        is_free = row is not None and row.last >= this
        here = {"on_network": subnet.network_id, "taken": this}
        if not is_free:
            if change.rows(_IS_TAKEN, here)[0].taken:
                raise _taken_error(address, subnet.network_id)
            # On a shared network a port's address is the operator's choice, a group's is not.
            whose = taker.project_id if taker.port_id is None else None
            resting.require_given(change, subnet, address, whose)
        if row is None or row.has_hosts:
            _require_no_hosts(change, subnet.network_id, address)
        if (row is None or row.is_foreign) and _covering(change, taker, address) is not None:
            raise _taken_error(address, subnet.network_id)
        if row is not None and is_free:
            _cut_free_range(change, subnet.id, row.first, row.last, this)
        return Allocation(subnet.id, address)

    return change.queue(_HOLDING, _of(taker, subnet) | {"this_address": this}, read)


def _of(taker: AddressOwner, subnet: Subnet) -> Values:
    return {
        "subnet_id": subnet.id,
        "network_id": taker.network_id,
        "project_id": taker.project_id,
    }


def _covering(snapshot: Snapshot, taker: AddressOwner, address: IPAddress) -> IPNetwork | None:
    """Another project's address pair that holds `address`."""
    return covering_pair(snapshot, taker.network_id, taker.project_id, ip_network(address))


def _require_no_hosts(snapshot: Snapshot, network_id: str, address: IPAddress) -> None:
    if host := wiring.host_with(snapshot, network_id, address):
        head = f"IP address {address} already allocated in network {network_id}: it is"
        raise AddressTakenError(f"{head} host {host}'s own.", f"{head} a host's own.")


def _cut_free_range(
    change: WriteTransaction, subnet_id: str, first: bytes, last: bytes, address: bytes
) -> None:
    this = {"this_subnet": subnet_id, "this_first": first}
    if first == address == last:
        change.write(_REMOVE, this)
    elif first == address:
        change.write(_CUT, this | {"first": next_key(address)})
    else:
        change.write(_CUT, this | {"last": next_key(address, -1)})
        if address < last:
            rest = {"subnet_id": subnet_id, "first": next_key(address), "last": last}
            change.write(_ADD, rest)


def _merge_free_range(change: WriteTransaction, subnet: Subnet, address: bytes) -> None:
    """Make an address free, joining the free ranges beside it."""
    near = change.rows(_NEIGHBOURING, {"subnet_id": subnet.id, "beyond": next_key(address)})
    beside = [
        row for row in near if row.first == next_key(address) or row.last == next_key(address, -1)
    ]
    for row in beside:
        change.write(_REMOVE, {"this_subnet": subnet.id, "this_first": row.first})
    first = min([address, *(row.first for row in beside)])
    last = max([address, *(row.last for row in beside)])
    change.write(_ADD, {"subnet_id": subnet.id, "first": first, "last": last})


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
