"""The router: from a request to its handler, and from its errors to an answer.

Paths are looked up in a tree: to try the expression of each of a hundred routes in turn took a
third of the time of a request for one port.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from anyio.to_thread import run_sync
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from vifguard.api.errors import answer, refusal_of
from vifguard.api.http import request_id
from vifguard.api.http.request import RequestContext, context_of
from vifguard.api.http.routes import Route
from vifguard.api.http.worker_threads import WorkerThreads
from vifguard.attributes.refusal import Refusal
from vifguard.attributes.rules import User
from vifguard.store.errors import StoreError

_READ_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_LOG = logging.getLogger(__name__)


_ERROR_BODY_PREFIX: Final = "/v2.0/"
_FREE_NAMES: Final = frozenset({"tags", "hosts", "feed", "quotas"})
"""Below these is a name that somebody chose, and not an id."""


@dataclass(frozen=True, slots=True)
class BoundRoute:
    """A route: its name, its handler, and the parameters of the handler."""

    name: str
    handler: Callable[..., Any]
    path_parameters: tuple[str, ...]
    context_parameter: str | None
    request_parameter: str | None
    is_async: bool

    @classmethod
    def of(cls, route: Route) -> BoundRoute:
        """Bind a route; the types of its handler's parameters show which of them it has."""
        wanted = inspect.signature(route.handler, eval_str=True).parameters.values()
        by_type = {each.annotation: each.name for each in wanted}
        return cls(
            route.name,
            route.handler,
            route.variables,
            by_type.get(RequestContext),
            by_type.get(Request),
            inspect.iscoroutinefunction(route.handler),
        )

    async def run(self, request: Request, values: Iterable[str]) -> Response:
        """The handler's answer; raises what it raises."""
        with ExitStack() as until_answered:
            return await self._run(request, values, until_answered)

    async def _run(
        self, request: Request, values: Iterable[str], until_answered: ExitStack
    ) -> Response:
        arguments: dict[str, Any] = dict(zip(self.path_parameters, values, strict=True))
        share, call = "", None
        if self.context_parameter is not None:
            arguments[self.context_parameter] = call = await context_of(request, until_answered)
            share = call.share
        if self.request_parameter is not None:
            arguments[self.request_parameter] = request
        if self.is_async:
            response: Response = await self.handler(**arguments)
            return response
        handler = partial(self.handler, **arguments)
        threads: WorkerThreads = request.app.state.threads
        if request.method in _READ_METHODS:
            return await run_sync(handler, limiter=threads.reads)
        if call is not None:
            await call.count()
        return await threads.changes.run(share, handler)


@dataclass(slots=True)
class _Node:
    """A node in the tree of paths: its children, and the routes that end here."""

    children: dict[str, _Node] = field(default_factory=dict)
    wildcard: _Node | None = None
    routes: dict[str, BoundRoute] = field(default_factory=dict)

    @property
    def allowed(self) -> dict[str, str]:
        """The header that lists the methods of this path."""
        reading = {"HEAD"} if "GET" in self.routes else set()
        return {"Allow": ", ".join(sorted({*self.routes, *reading, "OPTIONS"}))}

    def insert(self, parts: list[str]) -> _Node:
        """The node at the end of a path, made where there was none."""
        here = self
        for part in parts:
            if not part.startswith("{"):
                here = here.children.setdefault(part, _Node())
                continue
            if here.wildcard is None:
                here.wildcard = _Node()
            here = here.wildcard
        return here

    def find(self, parts: list[str], at: int, values: tuple[str, ...]) -> _Found | None:
        """The node of a path, and the values in it; a named part goes before a variable."""
        if at == len(parts):
            return (self, values) if self.routes else None
        part = parts[at]
        named = self.children.get(part)
        found = named.find(parts, at + 1, values) if named is not None else None
        if found is None and self.wildcard is not None and part:
            found = self.wildcard.find(parts, at + 1, (*values, part))
        return found


_Found = tuple[_Node, tuple[str, ...]]


class PathRouter:
    """An ASGI application that serves routes."""

    def __init__(self, served: Iterable[Route], otherwise: ASGIApp) -> None:
        """`otherwise` serves everything but HTTP requests: the server's start and end."""
        self._otherwise = otherwise
        self._root = _Node()
        for route in served:
            self._root.insert(route.path.split("/")).routes[route.method] = BoundRoute.of(route)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._otherwise(scope, receive, send)
            return
        response = await self._answer(Request(scope, receive))
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        try:
            place, values = self._find(request)
            if request.method == "OPTIONS":
                return Response(status_code=204, headers=place.allowed)
            action = _wanted(request, place)
            request.scope["route"] = action
            return await action.run(request, values)
        except Refusal as refusal:
            return answer(refusal)
        except StoreError as error:
            user: User | None = request.scope.get("vifguard.acting")
            return answer(
                refusal_of(error, discreet=user is None or not user.sees_hosts_and_others)
            )
        except ClientDisconnect:
            return Response(status_code=400)  # nobody receives it; it is counted
        except Exception as error:  # noqa: BLE001  a handler's end is answered, whatever it is
            return answer(_failure(request, error))

    def _find(self, request: Request) -> _Found:
        """The node of the request's path; raises Refusal (404)."""
        request.scope["path"] = _without_suffix(request.scope["path"])
        found = self._root.find(request.scope["path"].split("/"), 0, ())
        if found is None:
            raise _not_served(request, 404, "HTTPNotFound", "Not Found")
        return found


def _wanted(request: Request, place: _Node) -> BoundRoute:
    """The route of the request's method; raises Refusal (405). The server sends no body to HEAD."""
    action = place.routes.get("GET" if request.method == "HEAD" else request.method)
    if action is None:
        why = "Method Not Allowed"
        raise _not_served(request, 405, "HTTPMethodNotAllowed", why, place.allowed)
    return action


def _without_suffix(path: str) -> str:
    """A path without the ending that some clients of Neutron add: a slash, or `.json`."""
    if not path.startswith(_ERROR_BODY_PREFIX) or path == _ERROR_BODY_PREFIX:
        return path
    plain = path.removesuffix("/")
    above = plain.rpartition("/")[0].rpartition("/")[2]
    return plain if above in _FREE_NAMES else plain.removesuffix(".json")


def _not_served(
    request: Request, status: int, kind: str, why: str, headers: dict[str, str] | None = None
) -> Refusal:
    where = request.scope["path"][:200]
    return Refusal(status, kind, f"{request.method} {where!r}: {why}", headers)


def _failure(request: Request, error: Exception) -> Refusal:
    ident, where = request_id.current.get(), request.scope["path"][:200]
    _LOG.error("%s %s %r failed", ident, request.method, where, exc_info=error)
    message = "The server failed on this request; its log says why."
    return Refusal(500, "HTTPInternalServerError", message)
