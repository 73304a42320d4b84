"""Quotas of a project, and their use. The operator sets them."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from vifguard.api.access import quota
from vifguard.api.http.request import RequestContext
from vifguard.api.http.responses import JsonResponse
from vifguard.api.http.routes import Routes
from vifguard.attributes.quotas import QUOTAS, RESOURCES, UNLIMITED
from vifguard.attributes.refusal import Refusal, bad_request, forbidden
from vifguard.attributes.rules import Subject
from vifguard.attributes.values.converters import project
from vifguard.store.nouns import quotas
from vifguard.store.queries import usage
from vifguard.store.transaction import WriteTransaction

router = Routes("quotas")


@router.get("/quotas", name="list_quotas")
def list_quotas(call: RequestContext) -> Response:
    """The projects that have quotas of their own."""
    with call.store.read() as snapshot:
        found = quotas.read(snapshot)
    shown = [
        {**quota.default_quotas(), **own, "project_id": project_id, "tenant_id": project_id}
        for project_id, own in found.items()
    ]
    return JsonResponse({"quotas": shown})


@router.get("/quotas/project", name="show_quota_project")
def show_quota_project(call: RequestContext) -> Response:
    """The project whose quotas are the user's own."""
    return JsonResponse({"project": {"project_id": call.user.project_id}})


@router.get("/quotas/tenant", name="show_quota_tenant")
def show_quota_tenant(call: RequestContext) -> Response:
    """The project whose quotas are the user's own, under its old name `tenant`."""
    return JsonResponse({"tenant": {"tenant_id": call.user.project_id}})


@router.get("/quotas/{project_id}", name="show_quota")
def show_quota(call: RequestContext, project_id: str) -> Response:
    """The quotas of a project."""
    _require_own(call, project_id)
    with call.store.read() as snapshot:
        return JsonResponse({"quota": quota.of_project(snapshot, project_id)})


@router.get("/quotas/{project_id}/default", name="show_quota_default")
def show_quota_default(call: RequestContext, project_id: str) -> Response:
    """The quotas of a project for which the operator set none."""
    _require_own(call, project_id)
    return JsonResponse({"quota": quota.default_quotas()})


@router.get("/quotas/{project_id}/details", name="show_quota_details")
def show_quota_details(call: RequestContext, project_id: str) -> Response:
    """The quotas of a project, and their use. Nothing is ever reserved."""
    _require_own(call, project_id)
    with call.store.read() as snapshot:
        used = usage.all_used(snapshot, project_id)
        shown = {
            name: {"limit": most, "used": used[name], "reserved": 0}
            for name, most in quota.of_project(snapshot, project_id).items()
        }
    return JsonResponse({"quota": shown})


@router.put("/quotas/{project_id}", name="update_quota")
def update_quota(call: RequestContext, project_id: str) -> Response:
    """Give a project quotas of its own."""
    given = QUOTAS.read_put(call.document)
    if given.get("project_id") not in (None, project_id):
        raise bad_request(f"'project_id' does not match: the path says {project_id!r}")
    with call.store.change() as change:
        QUOTAS.authorize_put(given, Subject(call.user, project_id))
        limits = {name: given[name] for name in RESOURCES if name in given}
        if not given.get("force"):
            _require_enough(change, project_id, limits)
        quotas.write(change, _known(project_id), limits)
        return JsonResponse({"quota": quota.of_project(change, project_id)})


@router.delete("/quotas/{project_id}", name="delete_quota", status_code=204)
def delete_quota(call: RequestContext, project_id: str) -> Response:
    """Give a project the usual quotas again."""
    with call.store.change() as change:
        if not quotas.drop(change, project_id):
            raise Refusal(
                404, "TenantQuotaNotFound", f"Quota for project {project_id} could not be found."
            )
    return Response(status_code=204)


def _known(project_id: str) -> str:
    try:
        return str(project.read(project_id))
    except ValueError as error:
        raise bad_request(f"Invalid input for project_id. Reason: {error}.") from None


def _require_enough(change: WriteTransaction, project_id: str, limits: dict[str, Any]) -> None:
    used = usage.all_used(change, project_id)
    for name, most in limits.items():
        has = used[name]
        if most != UNLIMITED and has > most:
            raise bad_request(
                f"Quota limit {most} for {name} must be greater than or equal to already used {has}"
            )


def _require_own(call: RequestContext, project_id: str) -> None:
    if not call.user.sees(project_id):
        raise forbidden(
            f"Only the operator may see the quotas of project {project_id}; user "
            f"{call.user.name!r} may see those of {call.user.project_id}."
        )
