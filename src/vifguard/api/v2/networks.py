"""Networks."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import replace
from typing import Any, Final
from uuid import uuid4

from starlette.responses import Response

from vifguard.api.access.quota import check_quota
from vifguard.api.http.request import RequestContext
from vifguard.api.http.responses import JsonResponse
from vifguard.api.http.routes import Routes
from vifguard.api.schema.stamp import show_stamp
from vifguard.api.schema.stored_list import StoredList
from vifguard.api.v2.sharing_conditions import require_shareable
from vifguard.api.v2.subnet_mtu import require_mtu
from vifguard.attributes.networks import NETWORKS
from vifguard.attributes.refusal import bad_request, forbidden
from vifguard.attributes.rules import Subject, User
from vifguard.attributes.schema import ParsedBody
from vifguard.model.network import Network
from vifguard.model.noun import Noun
from vifguard.model.rbac_policy import EVERY_PROJECT
from vifguard.store.nouns import hosts, networks, rbac_policies, subnets
from vifguard.store.queries import lists, visibility
from vifguard.store.stored_nouns import StoredNetwork
from vifguard.store.transaction import Snapshot, WriteTransaction

router = Routes("networks")


_LIST: Final = StoredList(NETWORKS, lists.NETWORKS)


@router.get("/networks", name="list_networks")
def list_networks(call: RequestContext) -> Response:
    """The networks of the user's project, and the shared ones."""
    listing = call.listing(NETWORKS)
    with call.store.read() as snapshot:

        def show(found: Sequence[StoredNetwork]) -> list[dict[str, Any]]:
            return _shown(snapshot, call, found)

        return JsonResponse(_LIST.answer(snapshot, listing, show))


@router.post("/networks", name="create_network", status_code=201)
def create_network(call: RequestContext) -> Response:
    """Create one network, or several at once."""
    given = NETWORKS.read_post(call.document)
    with call.store.change() as change:
        made = [_create(change, call, each) for each in given]
        shown = _shown(change, call, made)
    return call.created(NETWORKS, shown)


@router.get("/networks/{network_id}", name="show_network")
def show_network(call: RequestContext, network_id: str) -> Response:
    """One network."""
    with call.store.read() as snapshot:
        found = visibility.network(snapshot, call.user, network_id)
        return call.show_one(NETWORKS, _shown(snapshot, call, [found])[0])


@router.put("/networks/{network_id}", name="update_network")
def update_network(call: RequestContext, network_id: str) -> Response:
    """Change a network."""
    given = NETWORKS.read_put(call.document)
    with call.store.change() as change:
        before = visibility.network(change, call.user, network_id)
        call.require_revision(before.stamp)
        standing = Subject(call.user, before.network.project_id, before.network)
        _require_owner(change, standing, "update")
        NETWORKS.authorize_put(given, standing)
        changes = NETWORKS.fields(given)
        others = rbac_policies.targets(change, network_id) - {EVERY_PROJECT}
        wanted = replace(before.network, **changes)
        _validate(wanted, shared=bool(others))
        if "mtu" in given:
            versions = (each.cidr.version for each in subnets.of_network(change, network_id))
            require_mtu(wanted, versions)
        if changes.get("shared"):
            require_shareable(change, NETWORKS, before.network, given.named)
        after = networks.update_network(change, before, changes)
        return call.show_one(NETWORKS, _shown(change, call, [after])[0])


@router.delete("/networks/{network_id}", name="delete_network", status_code=204)
def delete_network(call: RequestContext, network_id: str) -> Response:
    """Delete a network and its subnets."""
    with call.store.change() as change:
        found = visibility.network(change, call.user, network_id)
        call.require_revision(found.stamp)
        network = found.network
        _require_owner(change, Subject(call.user, network.project_id, network), "delete")
        networks.delete_network(change, network)
    return Response(status_code=204)


def _create(change: WriteTransaction, call: RequestContext, given: ParsedBody) -> StoredNetwork:
    user = call.user
    project_id = given["project_id"] or user.project_id
    network = Network(id=str(uuid4()), project_id=project_id, **NETWORKS.fields(given))
    NETWORKS.authorize_post(given, Subject(user, project_id, network))
    network = replace(network, physical=_physical(given))
    _validate(network, shared=False)
    if not user.is_operator and (
        why := hosts.isolation_unsupported(change, named=user.sees_hosts_and_others)
    ):
        raise forbidden(f"A network of a project's own cannot be offered: {why}.")
    check_quota(change, user, Noun.NETWORK, project_id, 1)
    return networks.create(change, network)


def _physical(given: ParsedBody) -> str:
    """The uplink's name, where the provider's attributes agree with each other."""
    kind, name = given["provider:network_type"], given["provider:physical_network"]
    if kind == "flat" and name is None:
        raise bad_request(
            "Invalid input for provider:physical_network. Reason: a flat network needs one."
        )
    if kind == "local" and name is not None:
        raise bad_request(
            f"Invalid input for provider:physical_network. Reason: a local network has none, "
            f"not {name!r}."
        )
    return name or ""


def _validate(network: Network, *, shared: bool) -> None:
    """Raise Refusal where attributes contradict; `shared` is whether single projects have it."""
    if network.profile is not None and network.guards is not None:
        raise bad_request(
            "Invalid input for guards. Reason: guard_profile and guards are both set; set one "
            "of them to null."
        )
    if network.physical and not (network.shared or shared):
        raise bad_request(
            f"Invalid input for shared. Reason: network {network.id} has the uplink "
            f"{network.physical!r}, and an isolated network has none; set shared to true."
        )


def _require_owner(change: WriteTransaction, standing: Subject, verb: str) -> None:
    # A shared network carries other projects' ports: whoever made it, it is the operator's.
    if standing.owns_network:
        return
    owned = standing.network if standing.owns else None
    hint = "" if owned is None else _who_shares(change, standing.user, owned)
    raise forbidden(
        f"{verb}_network is for the operator, or on an isolated network its owner; user "
        f"{standing.user.name!r} is neither.{hint}"
    )


def _shown(
    snapshot: Snapshot, call: RequestContext, found: Sequence[StoredNetwork]
) -> list[dict[str, Any]]:
    ids = [each.network.id for each in found]
    shared = rbac_policies.shared_of(snapshot, ids, call.user.project_id)
    subnet_ids = subnets.ids_by_network(snapshot, ids)
    return [_show(each, subnet_ids.get(each.network.id, []), shared) for each in found]


def _show(stored: StoredNetwork, subnet_ids: list[str], shared: Container[str]) -> dict[str, Any]:
    network = stored.network
    others = {
        "shared": network.id in shared,
        "provider:network_type": "flat" if network.physical else "local",
        "provider:physical_network": network.physical or None,
        "provider:segmentation_id": None,
        "status": "ACTIVE",
        "subnets": subnet_ids,
        "availability_zones": [],
    }
    return NETWORKS.show(network, others | show_stamp(stored.stamp))


def _who_shares(change: WriteTransaction, user: User, network: Network) -> str:
    """Why an owner cannot change a network: the projects it is shared with, and the policies."""
    policies = rbac_policies.of_object(change, network.id)
    said = [
        f"{policy.target} (delete RBAC policy {policy.id})"
        for policy in policies
        if user.sees(policy.project_id)
    ]
    if len(said) < len(policies):
        said.append("others (by the operator)")
    return f" It is shared with {', '.join(said)}." if said else ""
