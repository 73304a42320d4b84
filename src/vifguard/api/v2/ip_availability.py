"""The number of addresses that networks have left. For the operator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from sqlalchemy import ColumnElement, false, or_, select, true
from starlette.responses import Response

from vifguard.api.http.request import RequestContext
from vifguard.api.http.responses import JsonResponse
from vifguard.api.http.routes import Routes
from vifguard.api.schema.sql_filters import SqlFilters, columns
from vifguard.attributes.schema import Attribute, ResourceSchema
from vifguard.attributes.values.converters import Converter, project, text, uuid
from vifguard.model.network import Network
from vifguard.store.addressing import availability
from vifguard.store.addressing.availability import Availability
from vifguard.store.errors import MissingError
from vifguard.store.schema.tables import networks as table
from vifguard.store.schema.tables import subnets as subnet_table

router = Routes("networks")

_count = Converter({"type": "integer", "minimum": 0}, lambda value: value)
_subnets = Converter(
    {"type": "array", "items": {"type": "object", "properties": {}}}, lambda value: value
)

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
    ),
    key="network_id",
)

_BY_VERSION = "ip_version"
_SQL_FILTERS: Final = SqlFilters(
    AVAILABILITY,
    table,
    columns(table, "project_id", network_id="id", network_name="name"),
)


@router.get("/network-ip-availabilities", name="list_network_ip_availabilities")
def list_network_ip_availabilities(call: RequestContext) -> Response:
    """Every network, or with `ip_version` those that have subnets of it, and these alone."""
    wanted = [value for name, value in call.query if name == _BY_VERSION]
    rest = tuple(each for each in call.query if each[0] != _BY_VERSION)
    listing = replace(call, query=rest).listing(AVAILABILITY)
    seen: ColumnElement[bool] = true() if call.user.sees_all else false()
    if wanted:
        having = select(subnet_table.c.network_id).where(_is_of(wanted))
        seen &= table.c.id.in_(having)
    with call.store.read() as snapshot:

        def show(which: ColumnElement[bool]) -> list[dict[str, Any]]:
            found = availability.read(snapshot, which)
            return [_show(network, _of(subnets, wanted)) for network, subnets in found]

        return JsonResponse(_SQL_FILTERS.answer(snapshot, listing, seen, show))


@router.get("/network-ip-availabilities/{network_id}", name="show_network_ip_availability")
def show_network_ip_availability(call: RequestContext, network_id: str) -> Response:
    """One network."""
    with call.store.read() as snapshot:
        seen: ColumnElement[bool] = true() if call.user.sees_all else false()
        for network, subnets in availability.read(snapshot, seen & (table.c.id == network_id)):
            return call.show_one(AVAILABILITY, _show(network, subnets))
    raise MissingError("network", network_id)


def _of(subnets: Sequence[Availability], versions: Sequence[str]) -> list[Availability]:
    """The subnets of some IP versions; all where none is given."""
    return [each for each in subnets if not versions or str(each.subnet.cidr.version) in versions]


def _is_of(versions: Sequence[str]) -> ColumnElement[bool]:
    """Subnets of these IP versions; an IPv6 range is the one written with colons."""
    six = subnet_table.c.cidr.contains(":")
    return or_(false(), *(six if each == "6" else ~six for each in versions if each in {"4", "6"}))


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
