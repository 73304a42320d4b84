"""Ports."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final
from uuid import uuid4

import orjson
from starlette.responses import Response

from vifguard.api.access.quota import (
    QuotaCheck,
    check_own_addresses,
    queue_own_addresses,
    queue_quota,
)
from vifguard.api.http.request import RequestContext
from vifguard.api.http.responses import JsonResponse
from vifguard.api.http.routes import Routes
from vifguard.api.port_status import (
    desired_revision,
    enforced_revision,
    status,
    status_reason,
    why_uncounted,
)
from vifguard.api.schema.json_cache import Render
from vifguard.api.schema.stamp import show_stamp
from vifguard.api.schema.stored_list import StoredList
from vifguard.api.v2 import port_security_groups
from vifguard.api.v2.port_security_groups import RequestedGroups
from vifguard.attributes.ports import PORTS
from vifguard.attributes.refusal import Refusal, bad_request, conflict
from vifguard.attributes.rules import Subject, User
from vifguard.attributes.schema import ParsedBody
from vifguard.attributes.shared_attributes import moment, show_guards
from vifguard.attributes.values import address_pairs
from vifguard.attributes.values.dhcp_options import merged
from vifguard.model.address import Mac
from vifguard.model.network import Network, Subnet
from vifguard.model.noun import Noun
from vifguard.model.port import Port
from vifguard.resolve.policy import guards_of
from vifguard.store.addressing import ownership
from vifguard.store.addressing.addresses import usable
from vifguard.store.batch import Batch, Pending
from vifguard.store.nouns import hosts, ports, subnets
from vifguard.store.nouns.hosts import Host
from vifguard.store.nouns.ports import NewPort, PortContext
from vifguard.store.queries import lists, visibility
from vifguard.store.queries.port_pages import PortListEntry
from vifguard.store.stored_nouns import EnforcementProgress, StoredNetwork, StoredPort
from vifguard.store.transaction import WriteTransaction

router = Routes("ports")

MAX_SHARED = 5
"""Fixed addresses of a port on a shared network, but for what the operator gives it; Neutron's
max_fixed_ips_per_port."""

_LIST: Final = StoredList(PORTS, lists.PORTS)


@router.get("/ports", name="list_ports")
def list_ports(call: RequestContext) -> Response:
    """The ports of the user's project."""
    listing = call.listing(PORTS)
    with call.store.read() as snapshot:

        def make(ids: Sequence[str]) -> dict[str, dict[str, Any]]:
            found = ports.by_id(snapshot, ids)
            return {each.port.id: PORTS.shown_to(call.user, _show_port(each)) for each in found}

        entries, is_page = _LIST.find(snapshot, listing)
        found = _render_cached(call, entries, make)
    if not is_page:
        return JsonResponse(listing.answer([json.loads(each) for each in found.values()]))
    if listing.sort or listing.fields:
        return JsonResponse(listing.page([json.loads(each) for each in found.values()]))
    fragments = {ident: orjson.Fragment(each) for ident, each in found.items()}
    return JsonResponse(listing.cut_page(list(found), fragments))


def _render_cached(
    call: RequestContext, entries: Sequence[PortListEntry], make: Render
) -> dict[str, bytes]:
    """Ports as JSON: each port itself, which seldom changes, then the progress of its host."""
    user = call.user
    by_id = {each.id: each for each in entries}
    versions = {each.id: each.version for each in entries}
    kept = call.json_cache.rendered(PORTS.hidden_from(user), versions, make)
    progress = call.json_cache.rendered(
        ("progress", user.sees_hosts_and_others),
        {each.id: each.progress_key for each in entries},
        lambda ids: {each: _show_progress(by_id[each].progress, user) for each in ids},
    )
    return {ident: b"%b,%b" % (one[:-1], progress[ident][1:]) for ident, one in kept.items()}


@router.post("/ports", name="create_port", status_code=201)
def create_port(call: RequestContext) -> Response:
    """Create one port, or several at once."""
    given = PORTS.read_post(call.document)
    with call.store.change() as change:
        with change.batch() as batch:
            lookups = _look_up(batch, call.user, given)

        made = [_create(change, call.user, lookups, each) for each in given]
        lookups.require_address_quotas(change)
    return call.created(PORTS, [show(each, call.user) for each in made])


@router.get("/ports/{port_id}", name="show_port")
def show_port(call: RequestContext, port_id: str) -> Response:
    """One port."""
    with call.store.autocommit() as snapshot:
        found = visibility.port(snapshot, call.user, port_id)
    return call.show_one(PORTS, show(found, call.user))


@router.put("/ports/{port_id}", name="update_port")
def update_port(call: RequestContext, port_id: str) -> Response:
    """Change a port."""
    given = PORTS.read_put(call.document)
    with call.store.change() as change:
        with change.batch() as batch:
            beside = subnets.queue_of_port(batch, port_id) if _concerns_subnets(given) else None
            asked = visibility.queue_port(batch, call.user, port_id)

        before = asked.result()
        call.require_revision(before.stamp)
        PORTS.authorize_put(
            given, Subject(call.user, before.port.project_id, before.network, before.port)
        )
        changes = _requested_changes(change, before, given)
        after = replace(before.port, **changes)
        _validate(after, before.network, beside.result() if beside else (), given)
        _require_few(call.user, before.network, given, len(before.port.fixed_ips))
        stored = ports.update_port(change, before, changes, given.get("fixed_ips"))
        if given.get("fixed_ips"):
            check_own_addresses(change, call.user, before.port.project_id)
    return call.show_one(PORTS, show(stored, call.user))


@router.delete("/ports/{port_id}", name="delete_port", status_code=204)
def delete_port(call: RequestContext, port_id: str) -> Response:
    """Delete a port."""
    with call.store.change() as change:
        with change.batch() as batch:
            beside = subnets.queue_of_port(batch, port_id)
            asked = visibility.queue_port(batch, call.user, port_id)

        found = asked.result()
        call.require_revision(found.stamp)
        ports.delete_port(change, found, beside.result())
    return Response(status_code=204)


@dataclass(frozen=True, slots=True)
class _Lookups:
    """The objects that new ports are checked against, asked for all of them together.

    `quotas` are by project, without those that were required already.
    """

    hosts: Pending[list[Host]]
    networks: Mapping[str, Pending[StoredNetwork]]
    subnets: Mapping[str, Pending[list[Subnet]]]
    quotas: dict[str, QuotaCheck]
    address_quotas: Sequence[QuotaCheck]
    groups: Mapping[tuple[str, frozenset[str] | None], RequestedGroups]

    def port_context(self, network_id: str) -> PortContext:
        """The network of a port, its subnets, and the hosts; raises MissingError."""
        network = self.networks[network_id].result().network
        return PortContext(network, self.subnets[network_id].result(), self.hosts.result())

    def require_quota(self, change: WriteTransaction, project_id: str) -> None:
        """Raise Refusal (409) where a project may not have all the new ports that are its.

        Required before the first of them is written, once.
        """
        if check := self.quotas.pop(project_id, None):
            check.require(change)

    def require_address_quotas(self, change: WriteTransaction) -> None:
        """Raise Refusal (409) where a project may not have all the addresses it has."""
        for check in self.address_quotas:
            check.require(change)


def _look_up(batch: Batch, user: User, given: Sequence[ParsedBody]) -> _Lookups:
    """Ask for all that new ports depend on."""
    on = {each["network_id"] for each in given}
    owners = [each["project_id"] or user.project_id for each in given]
    named = {(owner, each["security_groups"]) for owner, each in zip(owners, given, strict=True)}
    return _Lookups(
        hosts.queue(batch),
        {each: visibility.queue_network(batch, user, each) for each in on},
        {each: subnets.queue(batch, each) for each in on},
        {
            owner: queue_quota(batch, user, Noun.PORT, owner, many)
            for owner, many in Counter(owners).items()
        },
        [queue_own_addresses(batch, user, each) for each in set(owners)],
        {(owner, ids): port_security_groups.queue(batch, owner, ids) for owner, ids in named},
    )


def _create(
    change: WriteTransaction, user: User, lookups: _Lookups, given: ParsedBody
) -> StoredPort:
    ground = lookups.port_context(given["network_id"])
    network = ground.network
    project_id = given["project_id"] or user.project_id
    PORTS.authorize_post(given, Subject(user, project_id, network))
    lookups.require_quota(change, project_id)
    usual: dict[str, Any] = {
        "mac": _CHOSEN_BY_SERVER,
        "port_security_enabled": network.port_security_enabled,
    }
    fields = usual | _changes(given, network)
    fields["dhcp_options"] = merged((), given["extra_dhcp_opts"])
    port = Port(id=str(uuid4()), project_id=project_id, **fields)
    _validate(port, network, ground.subnets, given)
    _require_few(user, network, given, 0)
    requested = lookups.groups[project_id, given["security_groups"]]
    groups = port_security_groups.for_new_port(change, port, given, requested)
    return ports.create(
        change,
        ground,
        NewPort(
            replace(port, security_groups=groups),
            given["mac_address"],
            given["fixed_ips"],
            given["tags"],
        ),
    )


_CHOSEN_BY_SERVER = Mac(bytes(6))


def _requested_changes(
    change: WriteTransaction, before: StoredPort, given: ParsedBody
) -> dict[str, Any]:
    """The changes of a request, with a free MAC where it is left to us; raises Refusal."""
    port = before.port
    changes = _changes(given, before.network)
    if "mac_address" in given and given["mac_address"] is None:
        changes["mac"] = ownership.free(change, port.network_id)
    if "extra_dhcp_opts" in given:
        changes["dhcp_options"] = merged(port.dhcp_options, given["extra_dhcp_opts"])
    return changes | port_security_groups.for_update(change, replace(port, **changes), given)


def _changes(given: ParsedBody, network: Network) -> dict[str, Any]:
    """The values of a request, by the model's names; addresses are the store's to take."""
    changes = PORTS.fields(given)
    if "mac_address" in given:
        changes["mac"] = given["mac_address"]
    if "port_security_enabled" in given:
        asked = given["port_security_enabled"]
        changes["port_security_enabled"] = network.port_security_enabled if asked is None else asked
    if "binding:profile" in given:
        changes["binding_profile"] = given["binding:profile"]
        changes["interface"] = given["binding:profile"].get("interface", "")
    return changes


def _concerns_subnets(given: ParsedBody) -> bool:
    return "fixed_ips" in given or "allowed_address_pairs" in given


def _validate(port: Port, network: Network, beside: Sequence[Subnet], given: ParsedBody) -> None:
    """Raise Refusal where the parts of a port contradict each other or its subnets."""
    if port.profile is not None and port.guards is not None:
        raise bad_request(
            "Invalid input for guards. Reason: guard_profile and guards are both set; set one "
            "of them to null."
        )
    if port.address_pairs and not port.port_security_enabled:
        raise conflict(
            "AddressPairAndPortSecurityRequired",
            "Port Security must be enabled in order to have allowed address pairs on a port.",
        )
    wished = given.get("fixed_ips") or ()
    chosen = [wish.address for wish in wished if wish.address is not None]
    hosts = [pair.prefix[0] for pair in port.address_pairs if pair.prefix.num_addresses == 1]
    for subnet in beside if chosen or hosts else ():
        if network.shared and subnet.gateway in chosen:
            raise conflict(
                "IpAddressAlreadyAllocated",
                f"IP address {subnet.gateway} already allocated in network {network.id}: it is "
                f"the gateway of subnet {subnet.id}.",
            )
        first, last = usable(subnet.cidr)
        for each in hosts:
            if each in subnet.cidr and not int(first) <= int(each) <= int(last):
                raise bad_request(
                    f"Invalid input for allowed_address_pairs. Reason: {each} is the network or "
                    f"broadcast address of subnet {subnet.cidr}."
                )


def _require_few(user: User, network: Network, given: ParsedBody, number_before: int) -> None:
    """Raise Refusal (400) where a port would take more of a shared network than one may."""
    wished = given.get("fixed_ips") or ()
    if network.shared and not user.is_operator and len(wished) > max(MAX_SHARED, number_before):
        raise Refusal(
            400,
            "InvalidInput",
            f"Invalid input for operation: Exceeded maximum amount of fixed ips per port: "
            f"{len(wished)} are more than the {MAX_SHARED} that a port on a shared network may "
            f"have; the operator may give it more.",
        )


def show(stored: StoredPort, user: User) -> dict[str, Any]:
    """A port as the API shows it."""
    return _show_port(stored) | _show_progress(stored.progress, user)


def _show_progress(port: EnforcementProgress, user: User) -> dict[str, Any]:
    reasons = (
        status_reason(port, sees_hosts_and_others=user.sees_hosts_and_others),
        why_uncounted(port),
    )
    progress = {
        "status": status(port),
        "status_reason": "; ".join(each for each in reasons if each),
        "policy_revision": desired_revision(port),
        "enforced_revision": enforced_revision(port),
    }
    return progress | _show_details(port) if user.sees_hosts_and_others else progress


def _show_details(port: EnforcementProgress) -> dict[str, Any]:
    """The driver that guards a port, where Neutron shows its mechanism drivers, and the wiring."""
    driver, wiring = port.enforcement.driver, port.enforcement.wiring
    details = {"bound_drivers": {"0": driver}} if driver else {}
    return {"binding:vif_details": details | ({"wiring": wiring} if wiring else {})}


def _show_port(stored: StoredPort) -> dict[str, Any]:
    port = stored.port
    others = {
        "fixed_ips": [
            {"subnet_id": fixed.subnet_id, "ip_address": str(fixed.address)}
            for fixed in port.fixed_ips
        ],
        "allowed_address_pairs": [
            address_pairs.show(pair, port.mac) for pair in port.address_pairs
        ],
        "security_groups": sorted(port.security_groups or ()),
        "security_groups_enabled": port.security_groups is not None,
        "binding:vif_type": "bridge" if port.host else "unbound",
        "learned_addresses": [
            {
                "ip_address": str(each.address),
                "mac_address": str(each.mac),
                "tentative": not each.proven,
                "since": moment(each.since),
            }
            for each in port.learned
        ],
        "effective_guards": show_guards(guards_of(stored.network, port)),
    }
    return PORTS.show(port, others | show_stamp(stored.stamp))
