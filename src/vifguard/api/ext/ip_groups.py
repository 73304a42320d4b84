"""IP groups: addresses that several ports may answer for, one at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final
from uuid import uuid4

from starlette.responses import JSONResponse, Response

from vifguard.api.access.quota import check_own_addresses, check_quota
from vifguard.api.http.request import RequestContext
from vifguard.api.http.routes import Routes
from vifguard.api.schema.stamp import show_stamp
from vifguard.api.schema.stored_list import StoredList
from vifguard.attributes.ip_groups import IP_GROUPS
from vifguard.attributes.refusal import bad_request, conflict, forbidden
from vifguard.attributes.rules import Subject
from vifguard.attributes.schema import ParsedBody
from vifguard.model.address import LINK_LOCAL_64, IPAddress
from vifguard.model.address_request import AddressRequest
from vifguard.model.ip_group import IpGroup
from vifguard.model.network import Network, Subnet
from vifguard.model.noun import Noun
from vifguard.store.errors import MissingError
from vifguard.store.nouns import ip_groups, networks, ports, subnets
from vifguard.store.queries import lists, visibility
from vifguard.store.reports import holders
from vifguard.store.reports.holders import Event, Holder
from vifguard.store.stored_nouns import StoredIpGroup
from vifguard.store.transaction import Snapshot, WriteTransaction

router = Routes("ip-groups")

_LIST: Final = StoredList(IP_GROUPS, lists.IP_GROUPS)


@router.get("/ip-groups", name="list_ip_groups")
def list_ip_groups(call: RequestContext) -> Response:
    """The IP groups of the user's project."""
    listing = call.listing(IP_GROUPS)
    with call.store.read() as snapshot:

        def show(found: Sequence[StoredIpGroup]) -> list[dict[str, Any]]:
            return _shown(snapshot, found)

        return JSONResponse(_LIST.answer(snapshot, listing, show))


@router.post("/ip-groups", name="create_ip_group", status_code=201)
def create_ip_group(call: RequestContext) -> Response:
    """Create one IP group, or several at once."""
    given = IP_GROUPS.read_post(call.document)
    with call.store.change() as change:
        made = [_create(change, call, each) for each in given]
        shown = _shown(change, made)
    return call.created(IP_GROUPS, shown)


@router.get("/ip-groups/{group_id}", name="show_ip_group")
def show_ip_group(call: RequestContext, group_id: str) -> Response:
    """One IP group, and the holders of its addresses."""
    with call.store.read() as snapshot:
        found = visibility.ip_group(snapshot, call.user, group_id)
        return call.show_one(IP_GROUPS, _shown(snapshot, [found])[0])


@router.put("/ip-groups/{group_id}", name="update_ip_group")
def update_ip_group(call: RequestContext, group_id: str) -> Response:
    """Change an IP group."""
    given = IP_GROUPS.read_put(call.document)
    with call.store.change() as change:
        before = visibility.ip_group(change, call.user, group_id)
        call.require_revision(before.stamp)
        network = networks.get(change, before.group.network_id).network
        IP_GROUPS.authorize_put(given, Subject(call.user, before.group.project_id, network))
        changes = _changes(change, call, given, before)
        wished = given.get("addresses")
        _require_free_choice(change, call, network, wished or (), before)
        after = ip_groups.update_group(change, before, changes, wished)
        if wished:
            check_own_addresses(change, call.user, before.group.project_id)
        return call.show_one(IP_GROUPS, _shown(change, [after])[0])


@router.delete("/ip-groups/{group_id}", name="delete_ip_group", status_code=204)
def delete_ip_group(call: RequestContext, group_id: str) -> Response:
    """Delete an IP group; its addresses are free again."""
    with call.store.change() as change:
        found = visibility.ip_group(change, call.user, group_id)
        call.require_revision(found.stamp)
        ip_groups.delete_group(change, found)
    return Response(status_code=204)


@router.get("/ip-groups/{group_id}/events", name="list_ip_group_events")
def list_ip_group_events(call: RequestContext, group_id: str) -> Response:
    """The history of an IP group: moves, and two members claiming at once."""
    with call.store.read() as snapshot:
        visibility.ip_group(snapshot, call.user, group_id)
        found = holders.history(snapshot, group_id)
    return JSONResponse({"events": [_show_event(each) for each in found]})


def _create(change: WriteTransaction, call: RequestContext, given: ParsedBody) -> StoredIpGroup:
    user = call.user
    network = visibility.network(change, user, given["network_id"]).network
    project_id = given["project_id"] or user.project_id
    IP_GROUPS.authorize_post(given, Subject(user, project_id, network))
    check_quota(change, user, Noun.IP_GROUP, project_id, 1)
    group = IpGroup(id=str(uuid4()), project_id=project_id, **IP_GROUPS.fields(given))
    _require_members(change, call, group.project_id, group.network_id, group.members)
    _require_pin(group.pinned, group.members)
    _require_free_choice(change, call, network, given["addresses"], None)
    made = ip_groups.create(change, group, given["addresses"])
    check_own_addresses(change, user, project_id)
    return made


def _changes(
    change: WriteTransaction, call: RequestContext, given: ParsedBody, before: StoredIpGroup
) -> dict[str, Any]:
    changes = IP_GROUPS.fields(given)
    group = before.group
    if "members" in changes:
        _require_members(change, call, group.project_id, group.network_id, changes["members"])
    pinned = changes.get("pinned", before.pinned)
    _require_pin(pinned, changes.get("members", group.members))
    return changes


def _require_members(
    snapshot: Snapshot,
    call: RequestContext,
    project_id: str,
    network_id: str,
    members: frozenset[str],
) -> None:
    """Members are ports of the group's project on its network; others do not exist for it."""
    found = {each.port.id: each.port for each in ports.by_id(snapshot, sorted(members))}
    for member in sorted(members):
        port = found.get(member)
        if port is None or not call.user.sees(port.project_id):
            raise MissingError("port", member)
        if port.project_id != project_id:
            raise bad_request(
                f"Invalid input for members. Reason: port {member} is of project "
                f"{port.project_id}, and the IP group of project {project_id}."
            )
        if port.network_id != network_id:
            raise bad_request(
                f"Invalid input for members. Reason: port {member} is on network "
                f"{port.network_id}, and the IP group on network {network_id}."
            )


def _require_pin(pinned: str | None, members: frozenset[str]) -> None:
    if pinned is not None and pinned not in members:
        raise bad_request(
            f"Invalid input for pinned_port_id. Reason: {pinned} is no member of the IP group."
        )


def _require_free_choice(
    snapshot: Snapshot,
    call: RequestContext,
    network: Network,
    wished: Sequence[AddressRequest],
    before: StoredIpGroup | None,
) -> None:
    """Require pool addresses on a shared network: outside are the provider's machines."""
    if not network.shared:
        return
    has = before.subnet_of if before is not None else {}
    chosen = [each.address for each in wished if each.address and each.address not in has]
    foreign = [each for each in chosen if each in LINK_LOCAL_64]
    if foreign and not call.user.is_operator:
        raise forbidden(
            f"only the operator may choose {foreign[0]}: on a shared network link-local addresses "
            f"are the provider's machines' too."
        )
    for subnet in subnets.of_network(snapshot, network.id) if chosen else ():
        for address in chosen:
            if address == subnet.gateway:
                raise conflict(
                    "IpAddressAlreadyAllocated",
                    f"IP address {address} already allocated in network {network.id}: it is the "
                    f"gateway of subnet {subnet.id}.",
                )
            if address in subnet.cidr and not (call.user.is_operator or _pooled(subnet, address)):
                raise forbidden(
                    f"addresses of an ip_group on a shared network come from its allocation "
                    f"pools; only the operator may choose {address}."
                )


def _pooled(subnet: Subnet, address: Any) -> bool:
    return any(pool.start <= address <= pool.end for pool in subnet.pools)


def _shown(snapshot: Snapshot, found: Sequence[StoredIpGroup]) -> list[dict[str, Any]]:
    held = holders.of_groups(snapshot, [each.group.id for each in found])
    return [_show(each, held.get(each.group.id, [])) for each in found]


def _show(stored: StoredIpGroup, held: Sequence[Holder]) -> dict[str, Any]:
    others = {
        "addresses": [
            _show_address(address, subnet_id) for address, subnet_id in stored.subnet_of.items()
        ],
        "pinned_port_id": stored.pinned,
        "holders": [
            {
                "ip_address": str(each.address),
                "port_id": each.port_id,
                "since": each.since,
            }
            for each in held
        ],
        "held_until": stored.held_until,
    }
    return IP_GROUPS.show(stored.group, others | show_stamp(stored.stamp))


def _show_address(address: IPAddress, subnet_id: str | None) -> dict[str, str]:
    """An address as a request may have it: a link-local one is of no subnet."""
    subnet = {"subnet_id": subnet_id} if subnet_id is not None else {}
    return subnet | {"ip_address": str(address)}


def _show_event(event: Event) -> dict[str, Any]:
    return {
        "at": event.at,
        "kind": event.kind,
        "ip_address": str(event.address),
        "from_port_id": event.from_port_id,
        "to_port_id": event.to_port_id,
        "gap_seconds": event.gap,
    }
