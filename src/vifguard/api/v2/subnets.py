"""Subnets."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any, Final
from uuid import uuid4

from starlette.responses import Response

from vifguard.api.access.quota import check_own_addresses, check_quota
from vifguard.api.http.request import RequestContext
from vifguard.api.http.responses import JsonResponse
from vifguard.api.http.routes import Routes
from vifguard.api.schema.stamp import show_stamp
from vifguard.api.schema.stored_list import StoredList
from vifguard.api.v2.subnet_mtu import require_mtu
from vifguard.api.v2.subnet_prefix import range_of
from vifguard.attributes.refusal import Refusal, conflict, forbidden, invalid_input
from vifguard.attributes.rules import Subject
from vifguard.attributes.schema import ParsedBody
from vifguard.attributes.subnets import SUBNETS
from vifguard.model.network import Pool, Subnet
from vifguard.model.noun import Noun
from vifguard.store.addressing import automatic_addresses
from vifguard.store.addressing.addresses import usable
from vifguard.store.nouns import subnets
from vifguard.store.queries import lists, visibility
from vifguard.store.stored_nouns import StoredSubnet
from vifguard.store.transaction import WriteTransaction

router = Routes("subnets")


_LIST: Final = StoredList(SUBNETS, lists.SUBNETS)


@router.get("/subnets", name="list_subnets")
def list_subnets(call: RequestContext) -> Response:
    """The subnets of the networks that the user sees."""
    listing = call.listing(SUBNETS)
    with call.store.read() as snapshot:
        return JsonResponse(
            _LIST.answer(snapshot, listing, lambda found: [_show(each) for each in found])
        )


@router.post("/subnets", name="create_subnet", status_code=201)
def create_subnet(call: RequestContext) -> Response:
    """Create one subnet, or several at once."""
    given = SUBNETS.read_post(call.document)
    with call.store.change() as change:
        made = [_create(change, call, each) for each in given]
    return call.created(SUBNETS, [_show(each) for each in made])


@router.get("/subnets/{subnet_id}", name="show_subnet")
def show_subnet(call: RequestContext, subnet_id: str) -> Response:
    """One subnet."""
    with call.store.read() as snapshot:
        found, _ = visibility.subnet(snapshot, call.user, subnet_id)
    return call.show_one(SUBNETS, _show(found))


@router.put("/subnets/{subnet_id}", name="update_subnet")
def update_subnet(call: RequestContext, subnet_id: str) -> Response:
    """Change a subnet."""
    given = SUBNETS.read_put(call.document)
    with call.store.change() as change:
        before, network = visibility.subnet(change, call.user, subnet_id)
        call.require_revision(before.stamp)
        standing = Subject(call.user, before.subnet.project_id, network)
        _require_owner(standing, "update")
        SUBNETS.authorize_put(given, standing)
        after = replace(before.subnet, **SUBNETS.fields(given))
        after = _with_gateway(after, given)
        if "allocation_pools" in given:
            after = replace(after, pools=_sorted(given["allocation_pools"] or ()))
        _validate(after)
        changes = {name: getattr(after, name) for name in ("gateway", "pools")}
        kept = subnets.update_subnet(change, network, before, SUBNETS.fields(given) | changes)
    return call.show_one(SUBNETS, _show(kept))


@router.delete("/subnets/{subnet_id}", name="delete_subnet", status_code=204)
def delete_subnet(call: RequestContext, subnet_id: str) -> Response:
    """Delete a subnet that nobody has an address of but one that guests form themselves."""
    with call.store.change() as change:
        found, network = visibility.subnet(change, call.user, subnet_id)
        call.require_revision(found.stamp)
        _require_owner(Subject(call.user, found.subnet.project_id, network), "delete")
        automatic_addresses.release_automatic(change, found.subnet)
        subnets.delete_subnet(change, network, found.subnet)
    return Response(status_code=204)


def _create(change: WriteTransaction, call: RequestContext, given: ParsedBody) -> StoredSubnet:
    user = call.user
    network = visibility.network(change, user, given["network_id"]).network
    project_id = given["project_id"] or network.project_id
    standing = Subject(user, project_id, network)
    _require_owner(standing, "create")
    SUBNETS.authorize_post(given, standing)
    if given["cidr"] is not None and given["ip_version"] not in (None, given["cidr"].version):
        raise invalid_input(
            f"Invalid input for ip_version. Reason: {given['cidr']} is not of version "
            f"{given['ip_version']}."
        )
    check_quota(change, user, Noun.SUBNET, project_id, 1)
    found, pool_id = range_of(change, user, given, project_id)
    subnet = Subnet(
        id=str(uuid4()),
        project_id=project_id,
        cidr=found,
        subnet_pool_id=pool_id,
        **SUBNETS.fields(given),
    )
    subnet = _with_gateway(replace(subnet, gateway=_default_gateway(subnet)), given)
    pools = given["allocation_pools"]
    subnet = replace(subnet, pools=_default_pools(subnet) if pools is None else _sorted(pools))
    _validate(subnet)
    require_mtu(network, [subnet.cidr.version])
    stored = subnets.create(change, network, subnet)
    if subnet.is_automatic:
        for owner in automatic_addresses.assign_automatic(change, subnet):
            check_own_addresses(change, user, owner)
    return stored


def _with_gateway(subnet: Subnet, given: ParsedBody) -> Subnet:
    return replace(subnet, gateway=given["gateway_ip"]) if "gateway_ip" in given else subnet


def _default_gateway(subnet: Subnet) -> Any:
    first, last = usable(subnet.cidr)
    return first if first != last else None


def _default_pools(subnet: Subnet) -> tuple[Pool, ...]:
    """Everything usable, without the gateway."""
    first, last = usable(subnet.cidr)
    gateway = subnet.gateway
    if gateway is None or gateway.version != first.version or not first <= gateway <= last:  # type: ignore[operator]
        return (Pool(first, last),)
    sides = []
    if gateway > first:  # type: ignore[operator]
        sides.append(Pool(first, gateway - 1))
    if gateway < last:  # type: ignore[operator]
        sides.append(Pool(gateway + 1, last))
    return tuple(sides)


def _sorted(pools: tuple[Pool, ...]) -> tuple[Pool, ...]:
    return tuple(sorted(pools, key=lambda pool: (pool.start.version, int(pool.start))))


def _validate(subnet: Subnet) -> None:
    """Raise Refusal where the parts of a subnet contradict each other."""
    _require_gateway(subnet)
    _require_pools(subnet)
    _require_family(subnet)
    _require_modes(subnet)


def _require_gateway(subnet: Subnet) -> None:
    """Require a possible gateway: in IPv4 not the network or broadcast address of the range."""
    gateway, cidr = subnet.gateway, subnet.cidr
    if gateway is None:
        return
    if gateway.version != cidr.version:
        raise invalid_input(
            f"Invalid input for gateway_ip. Reason: {gateway} is not IPv{cidr.version}."
        )
    ends = {cidr[0], cidr[-1]} if cidr.version == 4 and cidr.prefixlen < 31 else set()
    if gateway in ends:
        raise invalid_input(
            f"Invalid input for gateway_ip. Reason: {gateway} is the network or broadcast address "
            f"of {cidr}."
        )


def _require_pools(subnet: Subnet) -> None:
    first, last = usable(subnet.cidr)
    for pool in subnet.pools:
        alike = pool.start.version == first.version
        if not (alike and int(first) <= int(pool.start) and int(pool.end) <= int(last)):
            raise Refusal(
                400,
                "OutOfBoundsAllocationPool" if alike else "InvalidAllocationPool",
                f"The allocation pool {pool.start}-{pool.end} is not valid: subnet {subnet.cidr} "
                f"has {first}-{last}.",
            )
        if subnet.gateway is not None and int(pool.start) <= int(subnet.gateway) <= int(pool.end):
            raise conflict(
                "GatewayConflictWithAllocationPools",
                f"Gateway ip {subnet.gateway} conflicts with allocation pool "
                f"{pool.start}-{pool.end}.",
            )
    for one, other in pairwise(subnet.pools):
        if int(other.start) <= int(one.end):
            raise conflict(
                "OverlappingAllocationPools",
                f"Found overlapping allocation pools: {one.start}-{one.end} "
                f"{other.start}-{other.end} for subnet {subnet.cidr}.",
            )


def _require_family(subnet: Subnet) -> None:
    for hop in subnet.host_routes:
        if {hop.destination.version, hop.nexthop.version} != {subnet.cidr.version}:
            raise invalid_input(
                f"Invalid input for host_routes. Reason: {hop.destination} via {hop.nexthop} is "
                f"not IPv{subnet.cidr.version}."
            )
    for server in subnet.nameservers:
        if server.version != subnet.cidr.version:
            raise invalid_input(
                f"Invalid input for dns_nameservers. Reason: {server} is not "
                f"IPv{subnet.cidr.version}."
            )


def _require_modes(subnet: Subnet) -> None:
    modes = {subnet.ipv6_ra_mode, subnet.ipv6_address_mode} - {None}
    if modes and subnet.cidr.version == 4:
        raise invalid_input(
            "Invalid input for ipv6_address_mode. Reason: an IPv4 subnet has neither "
            "ipv6_ra_mode nor ipv6_address_mode."
        )
    if modes and not subnet.enable_dhcp:
        raise invalid_input(
            "Invalid input for enable_dhcp. Reason: ipv6_ra_mode and ipv6_address_mode cannot be "
            "set while it is false."
        )
    if len(modes) > 1:
        raise invalid_input(
            f"Invalid input for ipv6_ra_mode. Reason: {subnet.ipv6_ra_mode!r} does not agree with "
            f"ipv6_address_mode {subnet.ipv6_address_mode!r}."
        )
    if modes & {"slaac", "dhcpv6-stateless"} and subnet.cidr.prefixlen != 64:
        raise invalid_input(
            f"Invalid input for cidr. Reason: guests form addresses in a /64 only, not in "
            f"{subnet.cidr}."
        )


def _require_owner(standing: Subject, verb: str) -> None:
    if not standing.owns_network:
        raise forbidden(
            f"{verb}_subnet is for the operator, or on an isolated network its owner; user "
            f"{standing.user.name!r} is neither."
        )


def _show(stored: StoredSubnet) -> dict[str, Any]:
    subnet = stored.subnet
    others = {"ip_version": subnet.cidr.version, "segment_id": None}
    return SUBNETS.show(subnet, others | show_stamp(stored.stamp))
