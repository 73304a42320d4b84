"""The application: routes, and one shape for every refusal."""

from __future__ import annotations

import logging
from functools import partial
from typing import Any, Final

from anyio import CapacityLimiter
from fastapi import APIRouter, FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import ASGIApp

import vifguard
from vifguard.api import hearing, request_id
from vifguard.api.authenticator import Authenticator
from vifguard.api.call import Way
from vifguard.api.errors import Refusal, answer, refusal_of
from vifguard.api.ext import capabilities, drops, feed, health, hosts, ip_groups, wait
from vifguard.api.ext.hosts import HOSTS
from vifguard.api.ext.ip_groups import GROUPS
from vifguard.api.front import Front
from vifguard.api.metrics import Metrics
from vifguard.api.openapi import document
from vifguard.api.rate import Rate
from vifguard.api.settings import Settings
from vifguard.api.v2 import parts, versions
from vifguard.store.errors import StoreError
from vifguard.store.store import Store

_LOG = logging.getLogger(__name__)


class _App(FastAPI):
    """The framework's application, behind our front."""

    def build_middleware_stack(self) -> ASGIApp:
        """The framework's stack, and the front before all of it."""
        behind = super().build_middleware_stack()
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
    app.state.settings = settings
    app.state.rate = Rate(settings.requests_per_second)
    app.state.metrics = Metrics(lambda: app.state.store)
    app.state.ways = tuple(Way(each, CapacityLimiter(each.at_once)) for each in authenticators)
    for prefix, router in SERVED:
        app.include_router(router, prefix=prefix)
    app.add_exception_handler(Refusal, _refused)
    app.add_exception_handler(StoreError, _refused_by_store)
    app.add_exception_handler(HTTPException, _not_served)
    app.add_exception_handler(Exception, _failed)
    app.openapi = partial(_openapi, app)  # type: ignore[method-assign]
    return app


SERVED: Final[tuple[tuple[str, APIRouter], ...]] = (
    ("", versions.root),
    ("", health.router),
    *(("/v2.0", router) for router in parts.ROUTERS),
    *(("/v2.0", module.router) for module in (ip_groups, hosts, capabilities, drops, wait, feed)),
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


def _refused(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Refusal)  # noqa: S101 - how the handler is registered
    return answer(error)


def _refused_by_store(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, StoreError)  # noqa: S101 - how the handler is registered
    return answer(refusal_of(error))


def _not_served(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101 - how the handler is registered
    kinds = {404: "HTTPNotFound", 405: "HTTPMethodNotAllowed"}
    kind = kinds.get(error.status_code, "HTTPBadRequest")
    message = f"{request.method} {request.url.path[:200]!r}: {error.detail}"
    return answer(Refusal(error.status_code, kind, message, error.headers))


def _failed(request: Request, error: Exception) -> JSONResponse:
    ident = request_id.current.get()
    _LOG.error("%s %s %r failed", ident, request.method, request.url.path[:200], exc_info=error)
    message = "The server failed on this request; its log says why."
    return answer(Refusal(500, "HTTPInternalServerError", message))
