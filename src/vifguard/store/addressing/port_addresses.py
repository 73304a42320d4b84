"""The addresses that a port takes and keeps, of those that its network's subnets offer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from vifguard.model.address_request import AddressRequest
from vifguard.model.network import Subnet
from vifguard.model.port import FixedIp, Port
from vifguard.store.addressing import addresses
from vifguard.store.addressing.address_requests import with_automatic
from vifguard.store.addressing.addresses import PendingAllocation
from vifguard.store.addressing.allocation import AddressOwner, Allocation
from vifguard.store.batch import Batch
from vifguard.store.errors import NoAddressLeftError
from vifguard.store.stored_nouns import StoredPort
from vifguard.store.transaction import WriteTransaction


@dataclass(frozen=True, slots=True)
class PortChoices:
    """The addresses that a new port takes, each with the subnets to try where its own has none."""

    choices: Sequence[tuple[PendingAllocation, Sequence[Subnet]]]

    def take(self, change: WriteTransaction) -> list[Allocation]:
        """Take the addresses; raises AddressTakenError or NoAddressLeftError."""
        return [_take_first(change, choice, others) for choice, others in self.choices]


def queue(
    batch: Batch,
    port: Port,
    wishes: tuple[AddressRequest, ...] | None,
    choice: Sequence[Subnet],
) -> PortChoices:
    """Queue reading a new port's addresses; `wishes` None: one of each family offered."""
    if wishes is None:
        return _queue_usual(
            batch, port, [each for each in choice if each.serves(port.device_owner)]
        )
    wished = with_automatic(wishes, choice, port)
    return PortChoices([(each, ()) for each in addresses.queue(batch, taker(port), wished, choice)])


def _queue_usual(batch: Batch, port: Port, choice: Sequence[Subnet]) -> PortChoices:
    """Ask for an address of each family, of the first subnet that has one, and automatic ones."""
    automatic = [subnet for subnet in choice if subnet.is_automatic]
    offered = [
        [s for s in choice if s.cidr.version == family and s not in automatic] for family in (4, 6)
    ]
    # By address: the subnet to take it of, and those to try behind it.
    ordered = [*((subnet, []) for subnet in automatic), *((s[0], s[1:]) for s in offered if s)]
    wished = [AddressRequest(subnet.id) for subnet, _ in ordered]
    asked = addresses.queue(batch, taker(port), wished, choice)
    return PortChoices([(each, others) for each, (_, others) in zip(asked, ordered, strict=True)])


def _take_first(
    change: WriteTransaction, choice: PendingAllocation, others: Sequence[Subnet]
) -> Allocation:
    try:
        return choice.take(change)
    except NoAddressLeftError:
        if not others:
            raise
        following = replace(choice, subnet=others[0], ranges=None)
        return _take_first(change, following, others[1:])


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
    choice: Sequence[Subnet],
) -> tuple[FixedIp, ...]:
    """Keep the addresses that are still requested, release the others, take the new ones.

    `choice` are the subnets of its network.
    """
    before = stored.port
    by_id = {subnet.id: subnet for subnet in choice}
    if wishes is None:
        wishes = tuple(AddressRequest(each.subnet_id) for each in before.fixed_ips)
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
