"""Middleware around every request: its id, limits on headers, metrics and the access log.

One layer, and below the framework's own: failures in there are answered and counted too.
"""

from __future__ import annotations

import logging
import time
from typing import Any, Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vifguard.api.auth.authenticator import service_token
from vifguard.api.errors import answer
from vifguard.api.http import request_id
from vifguard.api.metrics import Metrics
from vifguard.attributes.refusal import Refusal

MAX_HEADERS: Final = 100
MAX_HEADER_BYTES: Final = 16 * 1024
"""Names and values of all headers of a request; a token of Keystone has some hundreds."""

_ACCESS = logging.getLogger("vifguard.access")
_LOG = logging.getLogger(__name__)


class RequestMiddleware:
    """The outermost ASGI application."""

    def __init__(self, app: ASGIApp, metrics: Metrics, *, access_log: bool) -> None:
        self._app = app
        self._metrics = metrics
        self._access_log = access_log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        ident = request_id.new()
        status = 0
        noted = False

        def note() -> None:
            nonlocal noted
            if not noted:
                noted = True
                self._record(scope, status, time.perf_counter() - began, ident)

        async def tell(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [
                    *message.get("headers", ()),
                    (request_id.HEADER, ident.encode()),
                ]
            elif not message.get("more_body", False):
                # Before the end is sent: a client that has the answer is sure to be counted.
                note()
            await send(message)

        token = request_id.current.set(ident)
        vouching = service_token.set(Headers(scope=scope).get("x-service-token", ""))
        try:
            refusal = _too_many_headers(scope)
            await (answer(refusal) if refusal else self._app)(scope, receive, tell)
        except Exception:
            # Answered and logged within, where there was still somebody to answer.
            if status == 0:
                _LOG.exception("request %s ended without an answer", ident)
                raise
        finally:
            request_id.current.reset(token)
            service_token.reset(vouching)
            note()

    def _record(self, scope: Scope, status: int, seconds: float, ident: str) -> None:
        action = getattr(scope.get("route"), "name", "none")
        self._metrics.answered(action, status, seconds)
        if self._access_log:
            _ACCESS.info(
                "%s", *_access_log_line(scope, status, seconds), extra=_fields(scope, action, ident)
            )


def _too_many_headers(scope: Scope) -> Refusal | None:
    headers = scope["headers"]
    size = sum(len(name) + len(value) for name, value in headers)
    if size <= MAX_HEADER_BYTES and len(headers) <= MAX_HEADERS:
        return None
    return Refusal(
        431,
        "HTTPRequestHeaderFieldsTooLarge",
        f"The headers are larger than {MAX_HEADER_BYTES} bytes, or more than {MAX_HEADERS}.",
    )


def _access_log_line(scope: Scope, status: int, seconds: float) -> tuple[str]:
    return (f"{scope['method']} {_path(scope)!r} {status} {seconds * 1000:.1f} ms",)


def _path(scope: Scope) -> str:
    # Never the query: it may hold a secret that was meant for a header.
    return str(scope["path"])[:200]


def _fields(scope: Scope, action: str, ident: str) -> dict[str, Any]:
    """The fields of a structured log beside its line; no header and no body is among them."""
    user = scope.get("vifguard.user")
    return {
        "request_id": ident,
        "global_request_id": request_id.sent(scope["headers"]),
        "action": action,
        "user": user.name if user else "",
        "project": user.project_id if user else "",
    }
