"""How often a project may ask, so that one of many does not take the server from the others.

The operator is not counted, nor a service: who mends the cloud, and the agents that hold its
guards, must get through whatever a tenant does.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from vifguard.api.errors import Refusal
from vifguard.api.who import Principal, UserRole

BURST_SECONDS = 10.0
"""Of what it may ask in so long, a project may save up what it did not."""

_MAX_PROJECTS = 10_000
_UNCOUNTED = {UserRole.ADMIN, UserRole.SERVICE}


class Rate:
    """A bucket of requests for each project. One event loop uses one."""

    def __init__(
        self, per_second: float | None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._per_second = per_second
        self._clock = clock
        self._left: dict[str, tuple[float, float]] = {}

    def take(self, who: Principal) -> None:
        """Count one request; raises Refusal (429) where its project has none left."""
        rate = self._per_second
        if rate is None or not who.roles.isdisjoint(_UNCOUNTED):
            return
        now = self._clock()
        most = rate * BURST_SECONDS
        left, since = self._left.get(who.project_id, (most, now))
        left = min(most, left + (now - since) * rate)
        if left < 1.0:
            raise _too_many(who.project_id, rate, left)
        if len(self._left) >= _MAX_PROJECTS:
            self._forget_idle(now)
        self._left[who.project_id] = (left - 1.0, now)

    def _forget_idle(self, now: float) -> None:
        """A project whose bucket is full again is as one that never asked."""
        self._left = {
            project: (left, since)
            for project, (left, since) in self._left.items()
            if now - since < BURST_SECONDS
        }


def _too_many(project_id: str, rate: float, left: float) -> Refusal:
    wait = 3600 if rate == 0 else math.ceil((1.0 - left) / rate)
    message = f"Project {project_id} asks more often than {rate:g} times a second; wait {wait} s."
    return Refusal(429, "HTTPTooManyRequests", message, {"Retry-After": str(wait)})
