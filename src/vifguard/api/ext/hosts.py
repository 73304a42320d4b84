"""Hosts: the properties of each, its features, and the state of its agent. For the operator."""

from __future__ import annotations

from typing import Any, Final

from starlette.responses import JSONResponse, Response

from vifguard.api.http.request import RequestContext
from vifguard.api.http.routes import Routes
from vifguard.attributes.schema import Attribute, ResourceSchema
from vifguard.attributes.shared_attributes import seconds, strings
from vifguard.attributes.values.converters import (
    Converter,
    boolean,
    integer,
    list_of,
    nullable,
    record,
    text,
)
from vifguard.store.nouns import hosts
from vifguard.store.nouns.hosts import StoredHost

router = Routes("hosts")

_MOST = 10_000
"""Devices of a host of which something is shown."""

_number = integer(0, 2**63)
_bridges = list_of(
    record(
        {
            "name": text(),
            "physical": text(),
            "addresses": strings,
            "unguarded": strings,
            "dropped": nullable(_number),
        },
        {"forwarding": strings},
    ),
    _MOST,
)
_held = list_of(record({"device": text(), "dropped": _number}, {}), _MOST)
_connections = record({"room": _number, "used_percent": _number}, {})
_counts = Converter(
    {"type": "object", "additionalProperties": {"type": "integer"}}, lambda value: value
)

HOSTS: Final = ResourceSchema(
    "host",
    "hosts",
    (
        Attribute("id", text()),
        Attribute("name", text()),
        Attribute("alive", boolean),
        Attribute("kernel", text()),
        Attribute("driver", text()),
        Attribute("features", strings),
        Attribute("missing", strings),
        Attribute("quarantine", strings, former="floor"),
        Attribute("isolation", boolean),
        Attribute("refused_guards", strings),
        Attribute("seen_at", seconds),
        Attribute("bridges", _bridges),
        Attribute("held", _held),
        Attribute("connections", nullable(_connections)),
        Attribute("degraded", strings),
        Attribute("lost", _counts),
        Attribute("instance", text()),
    ),
)


@router.get("/hosts", name="list_hosts")
def list_hosts(call: RequestContext) -> Response:
    """Every host that ever reported."""
    with call.store.read() as snapshot:
        found = hosts.read_stored(snapshot)
    return JSONResponse(call.listing(HOSTS).answer([_show(each) for each in found]))


@router.get("/hosts/{name}", name="show_host")
def show_host(call: RequestContext, name: str) -> Response:
    """One host."""
    with call.store.read() as snapshot:
        found = hosts.get(snapshot, name)
    return call.show_one(HOSTS, _show(found))


@router.delete("/hosts/{name}", name="delete_host", status_code=204)
def delete_host(call: RequestContext, name: str) -> Response:
    """Forget a host that is silent; with `force`, one that still has ports."""
    force = call.flag("force")
    with call.store.change() as change:
        hosts.delete(change, name, force=force)
    return Response(status_code=204)


def _show(host: StoredHost) -> dict[str, Any]:
    about = host.about
    return {
        "id": host.name,
        "name": host.name,
        "alive": host.is_alive,
        "kernel": about.kernel,
        "driver": about.driver,
        "features": sorted(about.features),
        "missing": list(about.missing),
        "quarantine": list(about.quarantine),
        "isolation": about.isolation,
        "refused_guards": list(about.refused_guards),
        "seen_at": host.seen_at,
        "bridges": host.wiring.get("bridges", []),
        "held": host.wiring.get("held", []),
        "connections": host.wiring.get("connections"),
        "degraded": list(about.degraded),
        "lost": dict(about.lost),
        "instance": host.instance.id,
    }
