"""The health of the server, and its metrics."""

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

# Headers of a proxy on this machine, behind which every client seems to be on this machine.
_FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip", "via")


@router.get("/readyz", name="readyz")
async def readyz(request: Request) -> Response:
    """The server can serve: it is not ending, and its database answers and takes a write."""
    state = request.app.state
    why = "the server is shutting down"
    if not long_poll.is_closed(state.store.changes):
        why = await run_sync(why_not_ready, state.store, state.trial, limiter=state.threads.probes)
    if why:
        return JSONResponse({"status": "not ready", "reason": why}, status_code=503)
    return JSONResponse({"status": "ok"})


@router.get("/metrics", name="metrics")
async def metrics(request: Request) -> Response:
    """The server's metrics, for Prometheus: for clients on this machine, and for the operator."""
    state = request.app.state
    if not _is_local(request):
        await require_user(request)
    text = await run_sync(state.metrics.text, limiter=state.threads.reads)
    return Response(text, media_type=CONTENT_TYPE_LATEST)


def _is_local(request: Request) -> bool:
    # Not every proxy sends one: a public URL means that there is one, or something like it.
    if request.app.state.settings.behind_proxy or any(
        name in request.headers for name in _FORWARDED
    ):
        return False
    client = request.client
    # No client: a unix socket.
    return client is None or not client.host or ip_address(client.host).is_loopback
