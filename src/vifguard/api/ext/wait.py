"""Waiting until a port's policy is in the kernel: a hypervisor asks before the guest runs."""

from __future__ import annotations

from anyio.to_thread import run_sync
from starlette.responses import Response

from vifguard.api.http.long_poll import wait_for
from vifguard.api.http.request import RequestContext
from vifguard.api.http.routes import Routes
from vifguard.api.port_status import is_enforced, status_reason
from vifguard.api.v2.ports import show
from vifguard.attributes.ports import PORTS
from vifguard.attributes.refusal import Refusal
from vifguard.store.notifier import host_ports_topic
from vifguard.store.queries import visibility
from vifguard.store.stored_nouns import StoredPort

router = Routes("ports")

MAX_WAIT = 300


@router.get("/ports/{port_id}/wait", name="wait_port")
async def wait_port(call: RequestContext, port_id: str) -> Response:
    """The port, once its host's kernel holds the wanted revision; 408 when it does not in time."""
    timeout = call.seconds("timeout", default=30, most=MAX_WAIT)

    topics = {port_id}

    async def look() -> Response | None:
        stored = await run_sync(_look, call, port_id, limiter=call.threads.reads)
        # The progress with rules is notified once per host, not per port.
        topics.add(host_ports_topic(stored.port.host))
        return (
            call.show_one(PORTS, show(stored, call.user)) if is_enforced(stored.progress) else None
        )

    with call.threads.waits.slot(call.share):
        answer = await wait_for(call.store.reports, topics, look, timeout)
    if answer is not None:
        return answer
    stored = await run_sync(_look, call, port_id, limiter=call.threads.reads)
    reason = status_reason(stored.progress, sees_hosts_and_others=call.user.sees_hosts_and_others)
    raise Refusal(
        408, "PortNotEnforced", f"Port {port_id} is not enforced after {timeout:g} s: {reason}"
    )


def _look(call: RequestContext, port_id: str) -> StoredPort:
    with call.store.autocommit() as snapshot:
        return visibility.port(snapshot, call.user, port_id)
