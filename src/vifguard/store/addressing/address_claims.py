"""Address claims: the first port gets an address, unless the model contradicts it."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv6Address
from typing import TypeVar

from sqlalchemy import exists, select

from vifguard.feed.messages import AddressClaim, Detection, RefusedClaim
from vifguard.model.address import IPAddress, host_prefix
from vifguard.model.learned import LearnedAddress, LearnedLimits, may_be_claimed
from vifguard.model.network import Network, Subnet
from vifguard.model.port import Port
from vifguard.resolve.policy import claimable_of, guards_of
from vifguard.store.addressing import addresses, learned
from vifguard.store.nouns import ports, subnets
from vifguard.store.reports import port_reports, wiring
from vifguard.store.schema.mapping import key
from vifguard.store.schema.tables import allocations
from vifguard.store.stored_nouns import StoredPort
from vifguard.store.transaction import WriteTransaction

FactT = TypeVar("FactT", bound=AddressClaim | Detection)

_ANYBODY = ""
"""No project: the pairs of every project are another's."""


def decide(
    change: WriteTransaction, host: str, claims: Iterable[AddressClaim], now: float
) -> list[RefusedClaim]:
    """Give claimed addresses to their ports, tentatively; return the refused claims.

    Claims from a host count for its own ports only.
    """
    refused = []
    for claim in _of_host(change, host, claims):
        for stored in ports.by_id(change, [claim.port_id]):
            refused += _decide(change, stored, claim, now)
    return refused


def conclude(change: WriteTransaction, host: str, detections: Iterable[Detection]) -> None:
    """Prove tentative addresses that duplicate address detection found unique; release others."""
    for found in _of_host(change, host, detections):
        for stored in ports.by_id(change, [found.port_id]):
            tentative = {each.address for each in stored.port.learned if not each.proven}
            if found.address not in tentative:
                continue
            if found.unique:
                learned.prove(change, found.port_id, found.address)
            else:
                learned.release(change, stored.network.id, host_prefix(found.address))


def _of_host(change: WriteTransaction, host: str, facts: Iterable[FactT]) -> list[FactT]:
    """The facts that are of ports of the host."""
    named = [*facts]
    own = port_reports.own(change, host, (each.port_id for each in named)) if named else ()
    return [each for each in named if each.port_id in own]


def _decide(
    change: WriteTransaction, stored: StoredPort, claim: AddressClaim, now: float
) -> list[RefusedClaim]:
    port, network, address = stored.port, stored.network, claim.address
    if any(each.address == address for each in port.learned):
        return []  # a repeated claim: the answer was lost
    beside = subnets.of_network(change, network.id)
    if not isinstance(address, IPv6Address) or not _may_claim(port, network, beside, claim):
        return [RefusedClaim(port.id, address, taken=False)]
    if _is_taken(change, network, beside, address):
        return [RefusedClaim(port.id, address, taken=True)]
    wanted = LearnedAddress(address, claim.mac, since=now)
    if not _release_oldest(change, port, network.learned_limits, wanted, claim.unused):
        return [RefusedClaim(port.id, address, taken=False)]
    learned.add(change, port.id, network.id, wanted)
    return []


def _may_claim(port: Port, network: Network, beside: Iterable[Subnet], claim: AddressClaim) -> bool:
    automatic = frozenset(subnet.cidr for subnet in beside if subnet.is_automatic)
    claimable = claimable_of(network, automatic, guards_of(network, port))
    macs = {port.mac, *(pair.mac for pair in port.address_pairs)}
    return claim.mac in macs and may_be_claimed(claim.address, claimable)


def _is_taken(
    change: WriteTransaction, network: Network, beside: Iterable[Subnet], address: IPAddress
) -> bool:
    """Whether the model gave the address to another, or another port claimed it."""
    allocated = exists().where(
        allocations.c.network_id == network.id, allocations.c.address == key(address)
    )
    return (
        any(subnet.gateway == address for subnet in beside)
        or bool(change.connection.scalar(select(allocated)))
        or bool(wiring.host_with(change, network.id, address))
        or learned.port_with(change, network.id, address) is not None
        or addresses.covering_pair(change, network.id, _ANYBODY, host_prefix(address)) is not None
    )


def _release_oldest(
    change: WriteTransaction,
    port: Port,
    limits: LearnedLimits,
    wanted: LearnedAddress,
    unused: Iterable[IPAddress],
) -> bool:
    """Release an unused address of its kind if the limit is reached; return whether it fits."""
    alike = {each.address for each in port.learned if _is_same_prefix(each, wanted)}
    limit = limits.link_local if wanted.address.is_link_local else limits.others
    if len(alike) < limit:
        return True
    spare = next((address for address in unused if address in alike), None)
    if spare is None:
        return False
    learned.release(change, port.network_id, host_prefix(spare))
    return True


def _is_same_prefix(each: LearnedAddress, other: LearnedAddress) -> bool:
    """Whether two addresses share a limit: link-local ones of one MAC, or neither is such."""
    if each.address.is_link_local or other.address.is_link_local:
        both = each.address.is_link_local and other.address.is_link_local
        return both and each.mac == other.mac
    return True
