"""The versions document, the extensions, and the probe of the server's life."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from vifguard.api.http.links import link_to
from vifguard.api.http.request import RequestContext
from vifguard.api.http.responses import JsonResponse
from vifguard.api.http.routes import Routes
from vifguard.attributes.refusal import Refusal

root = Routes("server")
router = Routes("server")

# Neutron's names for its extensions, for those that are served here; then our own.
_EXTENSIONS: Final = {
    "agent": "agent",
    "allowed-address-pairs": "Allowed Address Pairs",
    "binding": "Port Binding",
    "empty-string-filtering": "Empty String Filtering Extension",
    "extra_dhcp_opt": "Neutron Extra DHCP options",
    "filter-validation": "Filter parameters validation",
    "ip-substring-filtering": "IP address substring filtering",
    "net-mtu": "Network MTU",
    "net-mtu-writable": "Network MTU (writable)",
    "network-ip-availability": "Network IP Availability",
    "pagination": "Pagination support",
    "port-security": "Port Security",
    "project-id": "project_id field enabled",
    "provider": "Provider Network",
    "port-mac-address-regenerate": "Mac address regenerate",
    "quota-check-limit": "Quota engine limit check",
    "quota-check-limit-default": "Quota engine limit check by default",
    "quota_details": "Quota details management support",
    "quotas": "Quota management support",
    "rbac-policies": "RBAC Policies",
    "rbac-subnetpool": "Add subnetpool type to RBAC",
    "sorting": "Sorting support",
    "revision-if-match": "If-Match constraints based on revision_number",
    "standard-attr-description": "standard-attr-description",
    "standard-attr-revisions": "Resource revision numbers",
    "standard-attr-tag": "Tag support for resources with standard attribute",
    "standard-attr-timestamp": "Resource timestamps",
    "default-subnetpools": "Default Subnetpools",
    "subnet-service-types": "Subnet service types",
    "subnet_allocation": "Subnet Allocation",
    "tag-creation": "Tag creation extension",
    "tag-ports-during-bulk-creation": "Tag Ports During Bulk Creation",
    "drops": "Dropped frames, with the reason",
    "guards": "Guards, guard profiles and roles of networks and ports",
    "hosts": "Hosts and what they can enforce",
    "learned-addresses": "IPv6 addresses that guests choose themselves",
    "ip-groups": "IP groups: addresses that several ports may answer for",
    "port-wait": "Waiting until a port's policy is enforced",
    "address-group": "Address group",
    "rbac-address-group": "Add address_group type to RBAC",
    "rbac-security-groups": "Add security_group type to network RBAC",
    "port-security-groups-filtering": "Port filtering on security groups",
    "security-group": "security-group",
    "security-groups-default-rules": "Default rules for security groups",
    "security-groups-normalized-cidr": "Normalized CIDR field for rules",
    "security-groups-remote-address-group": "Remote address group id field for rules",
    "security-groups-rules-belongs-to-default-sg": "Rules tell whether they are of a default group",
    "stateful-security-group": "Stateful security group",
}


COLLECTIONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "network": "networks",
        "subnet": "subnets",
        "subnetpool": "subnetpools",
        "port": "ports",
        "security_group": "security-groups",
        "security_group_rule": "security-group-rules",
        "default_security_group_rule": "default-security-group-rules",
        "address_group": "address-groups",
        "rbac_policy": "rbac-policies",
        "quota": "quotas",
        "network_ip_availability": "network-ip-availabilities",
        "agent": "agents",
        "extension": "extensions",
        "ip_group": "ip-groups",
        "host": "hosts",
    }
)
"""The path of each resource's list."""


@root.get("/", name="versions")
def versions(request: Request) -> Response:
    """The versions of the API that this server has."""
    return JsonResponse({"versions": [_version(request)]})


@root.get("/v2.0", name="version")
def version(request: Request) -> Response:
    """The versions of the API, for clients that begin at this path."""
    return JsonResponse({"versions": [_version(request)]})


@root.get("/v2.0/", name="version_slash")
def version_resources(request: Request) -> Response:
    """The versions of the API, and its collections."""
    resources = [
        {"name": one, "collection": many, "links": [_link(request, many)]}
        for one, many in COLLECTIONS.items()
    ]
    return JsonResponse({"versions": [_version(request)], "resources": resources})


@root.get("/openapi.json", name="openapi")
def openapi(request: Request) -> Response:
    """The OpenAPI document of this server."""
    return JsonResponse(request.app.openapi)


@root.get("/healthz", name="healthz")
async def healthz() -> Response:
    """The server answers."""
    return JsonResponse({"status": "ok"})


@router.get("/extensions", name="list_extensions")
def list_extensions(_: RequestContext) -> Response:
    """The extensions of the API that this server has."""
    return JsonResponse({"extensions": [_extension(*each) for each in _EXTENSIONS.items()]})


@router.get("/extensions/{alias}", name="show_extension")
def show_extension(_: RequestContext, alias: str) -> Response:
    """One extension of the API."""
    if alias not in _EXTENSIONS:
        raise Refusal(
            404, "ExtensionNotFound", f"Extension with alias {alias!r} could not be found."
        )
    return JsonResponse({"extension": _extension(alias, _EXTENSIONS[alias])})


def _version(request: Request) -> dict[str, Any]:
    return {"id": "v2.0", "status": "CURRENT", "links": [_link(request, "")]}


def _link(request: Request, path: str) -> dict[str, str]:
    return {"rel": "self", "href": link_to(request, f"/v2.0/{path}")}


def _extension(alias: str, name: str) -> dict[str, Any]:
    return {
        "alias": alias,
        "name": name,
        "description": name,
        "updated": "2026-11-23T00:00:00-00:00",
        "links": [],
    }
