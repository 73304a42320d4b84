"""The application: its routes, its state, and what it is made of."""

from __future__ import annotations

from functools import partial
from typing import Any, Final

from fastapi import APIRouter, FastAPI
from starlette.types import ASGIApp

import vifguard
from vifguard.api import hearing
from vifguard.api.authenticator import Authenticator
from vifguard.api.dispatch import Dispatch
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
from vifguard.api.ext.ip_groups import GROUPS
from vifguard.api.front import Front
from vifguard.api.metrics import Metrics
from vifguard.api.openapi import document
from vifguard.api.rate import Rate
from vifguard.api.remembered import Remembered
from vifguard.api.settings import Settings
from vifguard.api.threads import Threads
from vifguard.api.v2 import parts, versions
from vifguard.api.verifying import Verification
from vifguard.store.readiness import Trial
from vifguard.store.store import Store


class _App(FastAPI):
    """The framework's application, whose requests go our way."""

    def build_middleware_stack(self) -> ASGIApp:
        """The front, and our way to the handlers behind it."""
        behind = Dispatch(SERVED, super().build_middleware_stack())
        return Front(behind, self.state.metrics, access_log=self.state.settings.access_log)


_DEFAULTS: Final = Settings()


def create_app(
    store: Store, *authenticators: Authenticator, settings: Settings = _DEFAULTS
) -> FastAPI:
    """The server over a store, for the users that the authenticators know.

    Of several, the first counts whose header a request has.
    """
    app = _App(
        title="vifguard",
        version=vifguard.__version__,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=lambda route: route.name,
    )
    app.state.store = store
    app.state.remembered = Remembered()
    app.state.settings = settings
    app.state.rate = Rate(settings.requests_per_second)
    app.state.threads = Threads()
    app.state.trial = Trial()
    app.state.metrics = Metrics(lambda: app.state.store)
    app.state.ways = tuple(Verification(each) for each in authenticators)
    for prefix, router in SERVED:
        app.include_router(router, prefix=prefix)
    app.openapi = partial(_openapi, app)  # type: ignore[method-assign]
    return app


SERVED: Final[tuple[tuple[str, APIRouter], ...]] = (
    ("", versions.root),
    ("", health.router),
    *(("/v2.0", router) for router in parts.ROUTERS),
    *(
        ("/v2.0", module.router)
        for module in (ip_groups, hosts, capabilities, drops, learned_addresses, wait, feed)
    ),
)
"""Every router, under its prefix."""


def drain(app: FastAPI) -> None:
    """Let those go who wait for an event: the server is about to end. From any thread."""
    hearing.silence(app.state.store.changes)
    hearing.silence(app.state.store.reports)


RESOURCES: Final = {
    name: resource
    for resource in (*parts.RESOURCES, GROUPS, HOSTS)
    for name in (resource.one, resource.many)
}


def _openapi(app: FastAPI) -> dict[str, Any]:
    if app.openapi_schema is None:
        app.openapi_schema = document(app, RESOURCES)
    return app.openapi_schema
