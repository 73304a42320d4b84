"""The id of a request, as OpenStack has it: `req-` and a UUID.

Each request has one of its own, which is in the answer. A caller that is itself a service may
send the id of the request that it serves; it goes to the log, and connects the two.
"""

from __future__ import annotations

import re
from contextvars import ContextVar
from typing import Final
from uuid import uuid4

HEADER: Final = b"x-openstack-request-id"

current: ContextVar[str] = ContextVar("current", default="")
"""The id of the request that is being answered; empty between requests."""

# The ids that others send go into logs: only those of this shape do.
_SENT = re.compile(rb"req-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def new() -> str:
    """An id for a request."""
    return f"req-{uuid4()}"


def sent(headers: list[tuple[bytes, bytes]]) -> str:
    """The id that a caller sent; empty where it sent none, or no id."""
    for name, value in headers:
        if name == HEADER:
            return value.decode("ascii") if _SENT.fullmatch(value) else ""
    return ""
