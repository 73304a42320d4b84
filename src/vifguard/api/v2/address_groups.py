"""Address groups: prefixes under one name, for rules to refer to."""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import Any, Final
from uuid import uuid4

from starlette.responses import Response

from vifguard.api.access import ownership
from vifguard.api.access.quota import check_address_quota, check_quota
from vifguard.api.http.request import RequestContext
from vifguard.api.http.responses import JsonResponse
from vifguard.api.http.routes import Routes
from vifguard.api.schema.stamp import show_stamp
from vifguard.api.schema.stored_list import StoredList
from vifguard.attributes.address_groups import ADDRESS_GROUPS, ADDRESSES, in_order
from vifguard.attributes.refusal import Refusal, bad_request
from vifguard.attributes.rules import Subject
from vifguard.attributes.schema import ParsedBody
from vifguard.model.address import IPNetwork
from vifguard.model.noun import Noun
from vifguard.model.security_group import AddressGroup
from vifguard.store.nouns import address_groups, rbac_policies
from vifguard.store.queries import lists, visibility
from vifguard.store.stored_nouns import StoredAddressGroup
from vifguard.store.transaction import WriteTransaction

router = Routes("security groups")

_LIST: Final = StoredList(ADDRESS_GROUPS, lists.ADDRESS_GROUPS)


@router.get("/address-groups", name="list_address_groups")
def list_address_groups(call: RequestContext) -> Response:
    """The address groups of the user's project."""
    listing = call.listing(ADDRESS_GROUPS)
    with call.store.read() as snapshot:

        def show(found: Sequence[StoredAddressGroup]) -> list[dict[str, Any]]:
            ids = [each.group.id for each in found]
            shared = rbac_policies.shared_of(snapshot, ids, call.user.project_id)
            return [_show(each, shared) for each in found]

        return JsonResponse(_LIST.answer(snapshot, listing, show))


@router.post("/address-groups", name="create_address_group", status_code=201)
def create_address_group(call: RequestContext) -> Response:
    """Create one address group, or several at once."""
    given = ADDRESS_GROUPS.read_post(call.document)
    with call.store.change() as change:
        made = [_create(change, call, each) for each in given]
    return call.created(ADDRESS_GROUPS, [_show(each) for each in made])


@router.get("/address-groups/{group_id}", name="show_address_group")
def show_address_group(call: RequestContext, group_id: str) -> Response:
    """One address group."""
    with call.store.read() as snapshot:
        found = visibility.address_group(snapshot, call.user, group_id)
        shared = rbac_policies.shared_of(snapshot, [group_id], call.user.project_id)
    return call.show_one(ADDRESS_GROUPS, _show(found, shared))


@router.put("/address-groups/{group_id}", name="update_address_group")
def update_address_group(call: RequestContext, group_id: str) -> Response:
    """Change an address group's name or description."""
    given = ADDRESS_GROUPS.read_put(call.document)
    with call.store.change() as change:
        before = ownership.own_address_group(change, call.user, group_id)
        call.require_revision(before.stamp)
        ADDRESS_GROUPS.authorize_put(given, Subject(call.user, before.group.project_id))
        after = address_groups.update_group(change, before, ADDRESS_GROUPS.fields(given))
        shared = rbac_policies.shared_of(change, [group_id], call.user.project_id)
    return call.show_one(ADDRESS_GROUPS, _show(after, shared))


@router.put("/address-groups/{group_id}/add_addresses", name="add_addresses")
def add_addresses(call: RequestContext, group_id: str) -> Response:
    """Add addresses; every host whose rules name the group receives these alone."""
    given = _given_addresses(call)
    with call.store.change() as change:
        before = ownership.own_address_group(change, call.user, group_id)
        call.require_revision(before.stamp)
        held = before.group.addresses
        if known := held & given:
            raise Refusal(
                400,
                "AddressesAlreadyExist",
                f"Addresses {_listed(known)} already exist in the address group {group_id}.",
            )
        check_address_quota(change, call.user, before.group.project_id, len(given))
        after = address_groups.update_group(change, before, {"addresses": held | given})
        shared = rbac_policies.shared_of(change, [group_id], call.user.project_id)
    return call.show_one(ADDRESS_GROUPS, _show(after, shared))


@router.put("/address-groups/{group_id}/remove_addresses", name="remove_addresses")
def remove_addresses(call: RequestContext, group_id: str) -> Response:
    """Remove addresses; connections that they alone allowed end."""
    given = _given_addresses(call)
    with call.store.change() as change:
        before = ownership.own_address_group(change, call.user, group_id)
        call.require_revision(before.stamp)
        held = before.group.addresses
        if unknown := given - held:
            raise Refusal(
                404,
                "AddressesNotFound",
                f"Addresses {_listed(unknown)} not found in the address group {group_id}.",
            )
        after = address_groups.update_group(change, before, {"addresses": held - given})
        shared = rbac_policies.shared_of(change, [group_id], call.user.project_id)
    return call.show_one(ADDRESS_GROUPS, _show(after, shared))


@router.delete("/address-groups/{group_id}", name="delete_address_group", status_code=204)
def delete_address_group(call: RequestContext, group_id: str) -> Response:
    """Delete an address group that no rule names."""
    with call.store.change() as change:
        found = ownership.own_address_group(change, call.user, group_id)
        call.require_revision(found.stamp)
        address_groups.delete_group(change, found.group)
    return Response(status_code=204)


def _create(
    change: WriteTransaction, call: RequestContext, given: ParsedBody
) -> StoredAddressGroup:
    project_id = given["project_id"] or call.user.project_id
    ADDRESS_GROUPS.authorize_post(given, Subject(call.user, project_id))
    check_quota(change, call.user, Noun.ADDRESS_GROUP, project_id, 1)
    check_address_quota(change, call.user, project_id, len(given["addresses"]))
    group = AddressGroup(id=str(uuid4()), project_id=project_id, **ADDRESS_GROUPS.fields(given))
    return address_groups.create(change, group)


def _given_addresses(call: RequestContext) -> frozenset[IPNetwork]:
    if set(call.document) != {"addresses"}:
        raise bad_request("Unable to find 'addresses' in request body")
    try:
        found: frozenset[IPNetwork] = ADDRESSES.read(call.document["addresses"])
    except ValueError as error:
        raise bad_request(f"Invalid input for addresses. Reason: {error}.") from None
    return found


def _listed(prefixes: frozenset[IPNetwork]) -> str:
    shown = [str(each) for each in in_order(prefixes)]
    return ", ".join(shown[:10]) + (" and others" if len(shown) > 10 else "")


def _show(stored: StoredAddressGroup, shared: Container[str] = ()) -> dict[str, Any]:
    others = {"shared": stored.group.id in shared, **show_stamp(stored.stamp)}
    return ADDRESS_GROUPS.show(stored.group, others)
