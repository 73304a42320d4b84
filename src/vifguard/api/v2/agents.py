"""Agents as Neutron shows them: one of ours on each host. For the operator."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID, uuid5

from starlette.responses import Response

from vifguard.api.http.request import RequestContext
from vifguard.api.http.responses import JsonResponse
from vifguard.api.http.routes import Routes
from vifguard.attributes.schema import Attribute, ResourceSchema
from vifguard.attributes.values.converters import Converter, boolean, nullable, text, uuid
from vifguard.store.errors import MissingError
from vifguard.store.nouns import hosts
from vifguard.store.nouns.hosts import Host, StoredHost
from vifguard.store.queries import visibility
from vifguard.store.transaction import Snapshot

router = Routes("hosts")

_HOSTS: Final = UUID("6f1d0a4e-6e0b-4a39-9d3b-5d0d4d6b9c11")
"""The name space of the ids of agents: a host's name is the same id on every server."""

_object = Converter({"type": "object"}, lambda value: value)

AGENTS: Final = ResourceSchema(
    "agent",
    "agents",
    (
        Attribute("id", uuid),
        Attribute("agent_type", text()),
        Attribute("binary", text()),
        Attribute("topic", text()),
        Attribute("host", text()),
        Attribute("availability_zone", nullable(text())),
        Attribute("admin_state_up", boolean),
        Attribute("alive", boolean),
        Attribute("created_at", text()),
        Attribute("started_at", text()),
        Attribute("heartbeat_timestamp", text()),
        Attribute("description", text()),
        Attribute("configurations", _object),
    ),
)


@router.get("/agents", name="list_agents")
def list_agents(call: RequestContext) -> Response:
    """The agent of every host that ever reported."""
    with call.store.read() as snapshot:
        found = hosts.read_stored(snapshot) if call.user.sees_all else []
    return JsonResponse(call.listing(AGENTS).answer([_show(each) for each in found]))


@router.get("/agents/{agent_id}", name="show_agent")
def show_agent(call: RequestContext, agent_id: str) -> Response:
    """One agent."""
    with call.store.read() as snapshot:
        found = hosts.get(snapshot, _find(snapshot, call, agent_id).name)
    return call.show_one(AGENTS, _show(found))


@router.delete("/agents/{agent_id}", name="delete_agent", status_code=204)
def delete_agent(call: RequestContext, agent_id: str) -> Response:
    """Forget the host of an agent that is silent, while no port is bound there."""
    with call.store.change() as change:
        hosts.delete(change, _find(change, call, agent_id).name, force=False)
    return Response(status_code=204)


@router.get("/agents/{agent_id}/dhcp-networks", name="list_dhcp_networks")
def list_dhcp_networks(call: RequestContext, agent_id: str) -> Response:
    """The networks whose DHCP an agent serves: none, as ours serve none."""
    with call.store.read() as snapshot:
        _find(snapshot, call, agent_id)
    return JsonResponse({"networks": []})


@router.get("/networks/{network_id}/dhcp-agents", name="list_dhcp_agents")
def list_dhcp_agents(call: RequestContext, network_id: str) -> Response:
    """The agents that serve a network's DHCP: none."""
    with call.store.read() as snapshot:
        visibility.network(snapshot, call.user, network_id)
    return JsonResponse({"agents": []})


@router.get("/availability_zones", name="list_availability_zones")
def list_availability_zones(_: RequestContext) -> Response:
    """The zones of agents: none has one."""
    return JsonResponse({"availability_zones": []})


def _find(snapshot: Snapshot, call: RequestContext, agent_id: str) -> Host:
    for host in hosts.read(snapshot) if call.user.sees_all else ():
        if _id(host) == agent_id:
            return host
    raise MissingError("agent", agent_id)


def _id(host: Host) -> str:
    return str(uuid5(_HOSTS, host.name))


def _show(host: StoredHost) -> dict[str, Any]:
    about = host.about
    return {
        "id": _id(host),
        "agent_type": "vifguard agent",
        "binary": "vifguard",
        "topic": "",
        "host": host.name,
        "availability_zone": None,
        "admin_state_up": True,
        "alive": host.is_alive,
        "created_at": _moment(host.seen_at),
        "started_at": _moment(host.seen_at),
        "heartbeat_timestamp": _moment(host.seen_at),
        "description": "",
        "configurations": {
            "kernel": about.kernel,
            "driver": about.driver,
            "features": sorted(about.features),
            "missing": list(about.missing),
            "quarantine": list(about.quarantine),
            "isolation": about.isolation,
            "degraded": list(about.degraded),
        },
    }


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%d %H:%M:%S")
