"""Hosts: what each is, what it can enforce, and whether it is alive. For the operator."""

from __future__ import annotations

from typing import Any, Final

from fastapi import APIRouter
from starlette.responses import JSONResponse, Response

from vifguard.api.attributes import Attribute, Resource
from vifguard.api.call import Call, Caller
from vifguard.api.convert import boolean, text
from vifguard.api.shapes import seconds, strings
from vifguard.store import hosts
from vifguard.store.hosts import StoredHost

router = APIRouter(tags=["hosts"])

HOSTS: Final = Resource(
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
        Attribute("floor", strings),
        Attribute("isolation", boolean),
        Attribute("seen_at", seconds),
    ),
)


@router.get("/hosts", name="list_hosts")
def list_hosts(call: Caller) -> Response:
    """Every host that ever reported."""
    with call.store.read() as snapshot:
        found = hosts.read(snapshot)
    return JSONResponse(call.listing(HOSTS).answer([_show(call, each) for each in found]))


@router.get("/hosts/{name}", name="show_host")
def show_host(call: Caller, name: str) -> Response:
    """One host."""
    with call.store.read() as snapshot:
        found = hosts.get(snapshot, name)
    return call.one(HOSTS, _show(call, found))


def _show(call: Call, host: StoredHost) -> dict[str, Any]:
    about = host.about
    return {
        "id": host.name,
        "name": host.name,
        "alive": call.store.is_alive(host),
        "kernel": about.kernel,
        "driver": about.driver,
        "features": sorted(about.features),
        "missing": list(about.missing),
        "floor": list(about.floor),
        "isolation": about.isolation,
        "seen_at": call.store.last_heard(host),
    }
