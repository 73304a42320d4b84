"""The number of addresses that networks have left. For the operator."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from starlette.responses import Response

from vifguard.api.http.request import RequestContext
from vifguard.api.http.responses import JsonResponse
from vifguard.api.http.routes import Routes
from vifguard.api.schema.stored_list import StoredList
from vifguard.attributes.schema import Attribute, ResourceSchema
from vifguard.attributes.values.converters import Converter, integer, project, text, uuid
from vifguard.model.network import Network
from vifguard.store.addressing import availability
from vifguard.store.addressing.availability import Availability
from vifguard.store.errors import MissingError
from vifguard.store.queries import lists

router = Routes("networks")

_count = Converter({"type": "integer", "minimum": 0}, lambda value: value)
_subnets = Converter(
    {"type": "array", "items": {"type": "object", "properties": {}}}, lambda value: value
)

_BY_VERSION: Final = "ip_version"

AVAILABILITY: Final = ResourceSchema(
    "network_ip_availability",
    "network_ip_availabilities",
    (
        Attribute("network_id", uuid),
        Attribute("network_name", text()),
        Attribute("project_id", project),
        Attribute("tenant_id", project),
        Attribute("total_ips", _count),
        Attribute("used_ips", _count),
        Attribute("subnet_ip_availability", _subnets),
        Attribute(_BY_VERSION, integer(4, 6), is_filter=True),
    ),
    key="network_id",
)

_LIST: Final = StoredList(AVAILABILITY, lists.AVAILABILITIES)


@router.get("/network-ip-availabilities", name="list_network_ip_availabilities")
def list_network_ip_availabilities(call: RequestContext) -> Response:
    """Every network, or with `ip_version` those that have subnets of it, and these alone."""
    listing = call.listing(AVAILABILITY)
    versions = listing.filters.get(_BY_VERSION, ())
    with call.store.read() as snapshot:

        def show(found: Sequence[tuple[Network, list[Availability]]]) -> list[dict[str, Any]]:
            return [_show(network, _of(subnets, versions)) for network, subnets in found]

        return JsonResponse(_LIST.answer(snapshot, listing, show))


@router.get("/network-ip-availabilities/{network_id}", name="show_network_ip_availability")
def show_network_ip_availability(call: RequestContext, network_id: str) -> Response:
    """One network."""
    with call.store.read() as snapshot:
        network, subnets = availability.get(snapshot, network_id)
    if not call.user.sees_all:
        raise MissingError("network", network_id)
    return call.show_one(AVAILABILITY, _show(network, subnets))


def _of(subnets: Sequence[Availability], versions: Sequence[str]) -> list[Availability]:
    """The subnets of some IP versions; all where none is given."""
    return [each for each in subnets if not versions or str(each.subnet.cidr.version) in versions]


def _show(network: Network, subnets: Sequence[Availability]) -> dict[str, Any]:
    return {
        "network_id": network.id,
        "network_name": network.name,
        "project_id": network.project_id,
        "tenant_id": network.project_id,
        "total_ips": sum(each.total for each in subnets),
        "used_ips": sum(each.used for each in subnets),
        "subnet_ip_availability": [
            {
                "subnet_id": each.subnet.id,
                "subnet_name": each.subnet.name,
                "cidr": str(each.subnet.cidr),
                "ip_version": each.subnet.cidr.version,
                "total_ips": each.total,
                "used_ips": each.used,
            }
            for each in subnets
        ],
    }
