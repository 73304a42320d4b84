"""How many addresses networks have left. For the operator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from fastapi import APIRouter
from starlette.responses import Response

from vifguard.api.answer import Json
from vifguard.api.attributes import Attribute, Resource
from vifguard.api.call import Caller
from vifguard.api.convert import Converter, project, text, uuid
from vifguard.model.network import Network
from vifguard.store import availability
from vifguard.store.availability import Availability
from vifguard.store.errors import MissingError

router = APIRouter(tags=["networks"])

_count = Converter({"type": "integer", "minimum": 0}, lambda value: value)
_subnets = Converter(
    {"type": "array", "items": {"type": "object", "properties": {}}}, lambda value: value
)

AVAILABILITY: Final = Resource(
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
    ),
    key="network_id",
)

_BY_VERSION = "ip_version"


@router.get("/network-ip-availabilities", name="list_network_ip_availabilities")
def list_network_ip_availabilities(call: Caller) -> Response:
    """Every network, or with `ip_version` those that have subnets of it, and these alone."""
    wanted = [value for name, value in call.query if name == _BY_VERSION]
    rest = tuple(each for each in call.query if each[0] != _BY_VERSION)
    listing = replace(call, query=rest).listing(AVAILABILITY)
    with call.store.read() as snapshot:
        found = availability.read(snapshot)
    if wanted:
        found = [(network, _of(subnets, wanted)) for network, subnets in found]
        found = [each for each in found if each[1]]
    return Json(listing.answer([_show(*each) for each in found]))


@router.get("/network-ip-availabilities/{network_id}", name="show_network_ip_availability")
def show_network_ip_availability(call: Caller, network_id: str) -> Response:
    """One network."""
    with call.store.read() as snapshot:
        found = availability.read(snapshot)
    for network, subnets in found:
        if network.id == network_id:
            return call.one(AVAILABILITY, _show(network, subnets))
    raise MissingError("network", network_id)


def _of(subnets: Sequence[Availability], versions: Sequence[str]) -> list[Availability]:
    return [each for each in subnets if str(each.subnet.cidr.version) in versions]


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
