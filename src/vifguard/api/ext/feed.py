"""The feed over HTTP: updates for a host's agent, reports from it."""

from __future__ import annotations

from functools import partial

from anyio.to_thread import run_sync
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from vifguard.api.http.body import MAX_REPORT, parse_body
from vifguard.api.http.body_reader import body_of
from vifguard.api.http.long_poll import wait_for
from vifguard.api.http.request import REPORTS, RequestContext
from vifguard.api.http.routes import Routes
from vifguard.attributes.refusal import Refusal, bad_request, conflict, forbidden
from vifguard.attributes.values.converters import host_name
from vifguard.feed.codec import CodecError, decode, encode
from vifguard.feed.messages import SECOND_AGENT, Report, SecondAgentError

router = Routes("feed")

MAX_POLL = 60


@router.get("/feed/{host}", name="next_update")
async def next_update(call: RequestContext, host: str) -> Response:
    """The host's update after the revision `after`; 204 when nothing changed in time.

    A later request of the host ends the wait of one before: that is answered 204.
    """
    _require_host(call, host)
    after = call.number("after", default=0)
    instance = call.word("instance")
    timeout = call.seconds("timeout", default=30, most=MAX_POLL)

    turns, changes = call.threads.feed_turns, call.store.changes

    async def look() -> Response | None:
        found = await run_sync(_look, call, host, instance, after, limiter=call.threads.feeds)
        return Response(status_code=204) if found is None and turns.is_awaited(host) else found

    # A request that waits is mostly that of an agent which has been started again since.
    async with turns.turn(host, displace=lambda: changes.notify({host})):
        answer = await wait_for(changes, {host}, look, timeout)
    return answer or Response(status_code=204)


@router.post("/feed/{host}/reports", name=REPORTS)
async def deliver_report(call: RequestContext, request: Request, host: str) -> Response:
    """Store a report of the host's agent. The answer names the address claims that are refused."""
    _require_host(call, host)
    async with call.threads.report_turns.turn(host):
        body = await body_of(request, MAX_REPORT)
        # Not among the changes: a heartbeat must be taken in however many changes wait.
        return await call.threads.reports.run(len(body), partial(_take_in, call, host, body))


def _take_in(call: RequestContext, host: str, body: bytes) -> Response:
    try:
        report = decode(Report, parse_body(body))
    except CodecError as error:
        raise bad_request(f"Invalid input for report. Reason: {error}.") from None
    if report.host != host:
        raise bad_request(f"Invalid input for host. Reason: {report.host!r} is not {host!r}.")
    try:
        return JSONResponse(encode(call.store.record_report(report)))
    except SecondAgentError as error:
        raise conflict(SECOND_AGENT, str(error)) from None


def _look(call: RequestContext, host: str, instance: str, after: int) -> Response | None:
    try:
        call.store.require_own(host, instance)
    except SecondAgentError as error:
        raise conflict(SECOND_AGENT, str(error)) from None
    update = call.store.update_after(host, after)
    return None if update is None else JSONResponse(encode(update))


def _require_host(call: RequestContext, name: str) -> None:
    """Raise Refusal where it is no host's name, or a host that the user is not the agent of."""
    try:
        host_name.read(name)
    except ValueError:
        raise Refusal(
            404,
            "HostNotFound",
            f"{name[:100]!r} is not a host name: use labels of letters, digits and '-'.",
        ) from None
    user = call.user
    if not user.is_on_host(name):
        raise forbidden(
            f"Only the agent of host {name} may read its feed and send its reports; user "
            f"{user.name!r} is the agent of host {user.host}. Give each host a user of its "
            "own, with the role agent."
        )
