"""The links of the server's answers, by the URL at which clients reach it."""

from __future__ import annotations

from starlette.requests import Request

from vifguard.api.settings import Settings


def link_to(request: Request, path: str) -> str:
    """The URL of a path, as the operator's public URL has it; else as the request came.

    Where a public URL is set, no answer has the host that a client sent.
    """
    settings: Settings = request.app.state.settings
    if settings.public_url:
        return settings.public_url.rstrip("/") + path
    return str(request.url.replace(path=path, query=""))
