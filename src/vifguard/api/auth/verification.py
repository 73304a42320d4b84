"""The queue of passwords and tokens to be verified: bounded, in all and for each client.

Verification is slow on purpose, and is open to unauthenticated callers: their guesses must not
delay a caller that knows its password. One that was verified lately does not wait.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

from anyio import CapacityLimiter
from anyio.to_thread import run_sync

from vifguard.api.access.principal import Principal
from vifguard.api.auth.authenticator import Authenticator
from vifguard.attributes.refusal import Refusal

MAX_QUEUED: Final = 64
MAX_QUEUED_PER_CLIENT: Final = 8
"""Each times what an authenticator verifies at once."""


class Verification:
    """An authenticator, and the queue of its verifications. One event loop uses one."""

    def __init__(self, authenticator: Authenticator) -> None:
        self.authenticator = authenticator
        self._threads = CapacityLimiter(authenticator.max_concurrent)
        self._waiting: Counter[str] = Counter()

    async def principal(self, value: str, client: str) -> Principal | None:
        """The principal of a header, or None; `client` is the sender's address, empty for none.

        Raises Refusal (429, 503) where too many wait already, and what the authenticator raises.
        """
        known = self.authenticator.cached(value)
        if known is not None:
            return known
        self._require_place(client)
        self._waiting[client] += 1
        try:
            return await run_sync(self.authenticator.verify, value, limiter=self._threads)
        finally:
            self._waiting[client] -= 1
            if not self._waiting[client]:
                del self._waiting[client]

    def _require_place(self, client: str) -> None:
        at_once, its = self.authenticator.max_concurrent, self._waiting[client]
        if client and its >= MAX_QUEUED_PER_CLIENT * at_once:
            raise _refusal(429, "HTTPTooManyRequests", f"of client {client} ", its)
        if self._waiting.total() >= MAX_QUEUED * at_once:
            raise _refusal(503, "HTTPServiceUnavailable", "", self._waiting.total())


def _refusal(status: int, kind: str, whose: str, many: int) -> Refusal:
    message = f"{many} requests {whose}already wait for authentication; try again."
    return Refusal(status, kind, message, {"Retry-After": "1"})
