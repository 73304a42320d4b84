"""The addresses that a port takes and keeps, of those that its network's subnets offer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from vifguard.model.address_request import AddressRequest
from vifguard.model.network import Subnet
from vifguard.model.port import FixedIp, Port
from vifguard.store.addressing import addresses
from vifguard.store.addressing.address_requests import with_automatic
from vifguard.store.addressing.allocation import AddressOwner, Allocation
from vifguard.store.errors import NoAddressLeftError
from vifguard.store.nouns import subnets
from vifguard.store.stored_nouns import StoredPort
from vifguard.store.transaction import Deferred, WriteTransaction


def ask(
    change: WriteTransaction,
    port: Port,
    wishes: tuple[AddressRequest, ...] | None,
    choice: Sequence[Subnet],
) -> Callable[[], list[Allocation]]:
    """Queue the choice of a new port's addresses; calling the result takes them."""
    if wishes is None:
        served = [subnet for subnet in choice if subnet.serves(port.device_owner)]
        return _ask_usual(change, port, served)
    wished = with_automatic(wishes, choice, port)
    asked = addresses.choose(change, taker(port), wished, choice)
    return lambda: [answer() for answer in asked]


def _ask_usual(
    change: WriteTransaction, port: Port, choice: Sequence[Subnet]
) -> Callable[[], list[Allocation]]:
    """Queue an address of each family, of the first subnet that has one, and the automatic ones."""
    automatic = [subnet for subnet in choice if subnet.is_automatic]
    offered = [
        [s for s in choice if s.cidr.version == family and s not in automatic] for family in (4, 6)
    ]
    families = [family for family in offered if family]
    wished = [*automatic, *(first for first, *_ in families)]
    take = partial(addresses.choose, change, taker(port), subnets=choice)
    asked = take([AddressRequest(subnet.id) for subnet in wished])

    def hear() -> list[Allocation]:
        taken = [answer() for answer in asked[: len(automatic)]]
        for answer, (_, *others) in zip(asked[len(automatic) :], families, strict=True):
            taken.append(
                _first_of(answer, (take([AddressRequest(other.id)])[0] for other in others))
            )
        return taken

    return hear


def _first_of(answer: Deferred[Allocation], others: Iterator[Deferred[Allocation]]) -> Allocation:
    while True:
        try:
            return answer()
        except NoAddressLeftError:
            another = next(others, None)
            if another is None:
                raise
            answer = another


def fixed(taken: Allocation) -> FixedIp:
    """A taken address as one of its port."""
    return FixedIp(taken.subnet_id, taken.address)


def taker(port: Port) -> AddressOwner:
    """The owner of a port's addresses."""
    return AddressOwner(port.network_id, port.project_id, port_id=port.id, mac=port.mac)


def retake(
    change: WriteTransaction,
    stored: StoredPort,
    after: Port,
    wishes: tuple[AddressRequest, ...] | None,
) -> tuple[FixedIp, ...]:
    """Keep the addresses that are still requested, release the others, take the new ones."""
    before = stored.port
    choice = subnets.of_network(change, after.network_id)
    by_id = {subnet.id: subnet for subnet in choice}
    if wishes is None:
        wishes = tuple(AddressRequest(had.subnet_id) for had in before.fixed_ips)
    spare = list(before.fixed_ips)
    if after.mac != before.mac:  # an address formed from the old MAC is no longer the port's
        spare = [f for f in spare if not by_id[f.subnet_id].is_automatic]
    wishes = with_automatic(wishes, choice, after)
    kept = [_keep(spare, wish) for wish in wishes]
    removed = ((f.subnet_id, f.address) for f in before.fixed_ips if f not in kept)
    is_shared = stored.network.shared
    addresses.release(change, removed, choice, before.project_id, is_shared=is_shared)
    for position, still in enumerate(kept):
        if still is not None:
            addresses.move(change, after.network_id, still.address, position)
    pairs = zip(kept, wishes, strict=True)
    return tuple(
        still or fixed(addresses.allocate(change, taker(after), wish, choice, position))
        for position, (still, wish) in enumerate(pairs)
    )


def _keep(spare: list[FixedIp], wish: AddressRequest) -> FixedIp | None:
    for fixed in spare:
        if wish.subnet_id in (None, fixed.subnet_id) and wish.address in (None, fixed.address):
            spare.remove(fixed)
            return fixed
    return None
