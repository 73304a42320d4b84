"""Capabilities of this installation, with reasons for the missing: read before a refusal."""

from __future__ import annotations

from starlette.responses import JSONResponse, Response

import vifguard
from vifguard.api.http.request import RequestContext
from vifguard.api.http.routes import Routes
from vifguard.store.nouns import hosts

router = Routes("server")


@router.get("/vifguard/capabilities", name="show_capabilities")
def show_capabilities(call: RequestContext) -> Response:
    """Whether projects may have networks of their own, and security groups."""
    named = call.user.sees_hosts_and_others
    with call.store.read() as snapshot:
        reasons = {
            "project_networks": hosts.isolation_unsupported(snapshot, named=named),
            "security_groups": hosts.security_groups_unsupported(snapshot, named=named),
        }
    shown: dict[str, object] = {
        name: {"offered": not why, "reason": why} for name, why in reasons.items()
    }
    return JSONResponse({"capabilities": {"release": vifguard.__version__, **shown}})
