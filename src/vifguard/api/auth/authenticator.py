"""Authenticators: each knows users by one request header; several may stand beside each other."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Protocol

from vifguard.api.access.principal import Principal

service_token: ContextVar[str] = ContextVar("service_token", default="")
"""X-Service-Token of the request that is being answered; empty where it has none.

One header identifies the caller, and this one may only vouch for that header.
"""


class Authenticator(Protocol):
    """Knows users by one request header. Threads share one."""

    @property
    def header(self) -> str:
        """The request header that identifies the caller, in lower case."""

    @property
    def challenge(self) -> str:
        """The challenge in a refusal's WWW-Authenticate header."""

    @property
    def hint(self) -> str:
        """The credentials that are needed, in words, for the message of a refusal."""

    @property
    def max_concurrent(self) -> int:
        """The number of verifications at the same time; the rest wait their turn."""

    def cached(self, value: str) -> Principal | None:
        """The user of a header that was verified lately; never slow."""

    def verify(self, value: str) -> Principal | None:
        """The principal of a header, or None. May be slow; raises Refusal where it cannot know."""
