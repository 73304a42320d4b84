"""Authenticators: each knows users by one request header; several may stand beside each other."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Protocol

from vifguard.api.access.attribute_policy import Principal

service_token: ContextVar[str] = ContextVar("service_token", default="")
"""X-Service-Token of the request that is being answered; empty where it has none.

Who asks is said by one header, and this one may only vouch for what that says.
"""


class Authenticator(Protocol):
    """Knows users by one request header. Threads share one."""

    @property
    def header(self) -> str:
        """The request header that says who asks, in lower case."""

    @property
    def challenge(self) -> str:
        """What a refusal's WWW-Authenticate header asks for."""

    @property
    def hint(self) -> str:
        """What is needed, for the message of a refusal."""

    @property
    def max_concurrent(self) -> int:
        """How many may be verified at the same time; the rest wait their turn."""

    def cached(self, value: str) -> Principal | None:
        """The user of a header that was verified lately; never slow."""

    def verify(self, value: str) -> Principal | None:
        """The user of a header, or None. May be slow; raises Refusal where it cannot be told."""
