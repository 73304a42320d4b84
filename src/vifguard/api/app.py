"""The application: its routes, its state and its parts."""

from __future__ import annotations

from functools import cached_property
from typing import Final

from starlette.datastructures import State
from starlette.routing import Router
from starlette.types import Receive, Scope, Send

from vifguard.api.auth.authenticator import Authenticator
from vifguard.api.auth.rate_limit import RateLimiter
from vifguard.api.auth.verification import Verification
from vifguard.api.ext import (
    capabilities,
    drops,
    feed,
    health,
    hosts,
    ip_groups,
    learned_addresses,
    wait,
)
from vifguard.api.ext.hosts import HOSTS
from vifguard.api.http import long_poll
from vifguard.api.http.middleware import RequestMiddleware
from vifguard.api.http.router import PathRouter
from vifguard.api.http.routes import Route
from vifguard.api.http.worker_threads import WorkerThreads
from vifguard.api.metrics import Metrics
from vifguard.api.openapi import Document, document
from vifguard.api.schema.json_cache import JsonCache
from vifguard.api.settings import Settings
from vifguard.api.v2 import registry, versions
from vifguard.attributes.ip_groups import IP_GROUPS
from vifguard.store.readiness import WriteProbe
from vifguard.store.store import Store


class Application:
    """The server as an ASGI application. All its requests share `state`."""

    def __init__(self, state: State) -> None:
        self.state = state
        # Start and end of the server are no requests: a router without routes answers them.
        behind = PathRouter(SERVED, Router())
        self._middleware = RequestMiddleware(
            behind, state.metrics, access_log=state.settings.access_log
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        scope["app"] = self
        await self._middleware(scope, receive, send)

    @cached_property
    def openapi(self) -> Document:
        """The OpenAPI document."""
        return document(SERVED, RESOURCES)


_DEFAULTS: Final = Settings()


def create_app(
    store: Store, *authenticators: Authenticator, settings: Settings = _DEFAULTS
) -> Application:
    """Make the server over a store, for the users that the authenticators know.

    Of several, the first one whose header a request has counts.
    """
    state = State()
    state.store = store
    state.json_cache = JsonCache()
    state.settings = settings
    state.rate = RateLimiter(settings.requests_per_second)
    state.threads = WorkerThreads()
    state.trial = WriteProbe()
    state.metrics = Metrics(lambda: state.store)
    state.ways = tuple(Verification(each) for each in authenticators)
    return Application(state)


_OURS: Final = (ip_groups, hosts, capabilities, drops, learned_addresses, wait, feed)

SERVED: Final[tuple[Route, ...]] = (
    *versions.root.under(""),
    *health.router.under(""),
    *(route for router in registry.ROUTERS for route in router.under("/v2.0")),
    *(route for module in _OURS for route in module.router.under("/v2.0")),
)
"""Every route."""


def drain(app: Application) -> None:
    """Answer all requests that wait for an event: the server is about to end. From any thread."""
    long_poll.close(app.state.store.changes)
    long_poll.close(app.state.store.reports)


RESOURCES: Final = {
    name: resource
    for resource in (*registry.RESOURCES, IP_GROUPS, HOSTS)
    for name in (resource.one, resource.many)
}
