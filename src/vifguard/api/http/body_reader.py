"""The bytes of a request's body: bounded in size and time, and charged as they come."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from anyio import CancelScope, fail_after
from starlette.requests import Request

from vifguard.api.auth.rate_limit import RateLimiter
from vifguard.api.http.body import MAX_BODY, too_large
from vifguard.api.http.shares import Share, given_way
from vifguard.attributes.refusal import Refusal, bad_request

BODY_SECONDS = 60.0
"""Seconds that a client may take to send the body of a request."""

_UNIT: Final = 4096
"""Bytes of a body that count as one more request."""


def charged(rate: RateLimiter, project_id: str) -> Callable[[int], None]:
    """A function that charges a project for so many more bytes of a body; raises Refusal (429)."""
    size = 0

    def charge(number: int) -> None:
        nonlocal size
        units = (size + number) // _UNIT - size // _UNIT
        if units and size < _UNIT:
            rate.require(project_id)
        rate.charge(project_id, units)
        size += number

    return charge


async def require_no_body(request: Request) -> None:
    """Raise Refusal (400, 408) where a request has a body that is not empty; none is read.

    Clients of Neutron send an empty one with a GET or DELETE, of length zero or in chunks.
    """
    refusal = bad_request(f"A {request.method} has no body; send it without one.")
    if request.headers.get("content-length", "").strip("0"):
        raise refusal
    try:
        await body_of(request, 0)
    except Refusal as too_large:
        if too_large.status != 413:
            raise
        raise refusal from None


async def shared_body_of(
    request: Request, share: Share, limit: int, charge: Callable[[int], None]
) -> bytes:
    """The body of a request, whose bytes are taken from a share while they come.

    A project that has fewer may get them until the body is complete. Raises Refusal (408, 413,
    429, 503).
    """
    with CancelScope() as reading, share.gives_way(reading.cancel):
        return await body_of(request, limit, charge, share.take)
    raise given_way()


async def body_of(request: Request, limit: int = MAX_BODY, *takers: Callable[[int], None]) -> bytes:
    """The body of a request; `takers` are called with the number of bytes that come.

    Raises Refusal (408, 413), and what a taker raises.
    """
    if not ("content-length" in request.headers or "transfer-encoding" in request.headers):
        return b""
    try:
        with fail_after(BODY_SECONDS):
            return await _read(request, limit, takers)
    except TimeoutError:
        message = f"The request body was not complete after {BODY_SECONDS:g} s."
        raise Refusal(408, "HTTPRequestTimeout", message) from None


async def _read(request: Request, limit: int, takers: tuple[Callable[[int], None], ...]) -> bytes:
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > limit:
            raise too_large(limit)
        for take in takers:
            take(len(part))
        parts.append(part)
    return b"".join(parts)
