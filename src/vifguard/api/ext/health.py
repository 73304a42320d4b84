"""Whether the server can serve, and what it counts."""

from __future__ import annotations

from ipaddress import ip_address

from anyio.to_thread import run_sync
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from vifguard.api.http import long_poll
from vifguard.api.http.request import require_user
from vifguard.api.http.routes import Routes
from vifguard.store.readiness import why_not_ready

router = Routes("server")

# A proxy on this machine, to which everybody seems to be on this machine, says one of these.
_FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip", "via")


@router.get("/readyz", name="readyz")
async def readyz(request: Request) -> Response:
    """The server can serve: it is not ending, and its database answers and takes a write."""
    state = request.app.state
    why = "the server is ending"
    if not long_poll.is_closed(state.store.changes):
        why = await run_sync(why_not_ready, state.store, state.trial, limiter=state.threads.probes)
    if why:
        return JSONResponse({"status": "not ready", "reason": why}, status_code=503)
    return JSONResponse({"status": "ok"})


@router.get("/metrics", name="metrics")
async def metrics(request: Request) -> Response:
    """What the server counts, for Prometheus: for this machine itself, or the operator."""
    state = request.app.state
    if not _is_local(request):
        await require_user(request)
    text = await run_sync(state.metrics.text, limiter=state.threads.reads)
    return Response(text, media_type=CONTENT_TYPE_LATEST)


def _is_local(request: Request) -> bool:
    # Not every proxy says one: who gives clients another URL has one, or something like it.
    if request.app.state.settings.behind_proxy or any(
        name in request.headers for name in _FORWARDED
    ):
        return False
    client = request.client
    # No client: a unix socket.
    return client is None or not client.host or ip_address(client.host).is_loopback
