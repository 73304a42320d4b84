"""The rate limit of each project, so that one of many does not take the server from the others.

The operator is not counted, nor is a service: repairs of the cloud, and the agents that hold
its guards, must get through whatever a tenant does.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable

from vifguard.api.access.principal import Principal, UserRole
from vifguard.attributes.refusal import Refusal

BURST_SECONDS = 10.0
"""Seconds whose share of requests a project may save up while it sends none."""

_MAX_PROJECTS = 10_000
_UNCOUNTED = {UserRole.ADMIN, UserRole.SERVICE, UserRole.AGENT}


def project_to_charge(who: Principal) -> str:
    """The project whose share a request takes; empty where it is not counted."""
    return who.project_id if who.roles.isdisjoint(_UNCOUNTED) else ""


class RateLimiter:
    """A bucket of requests, and of the objects in them, for each project. Safe for threads."""

    def __init__(
        self, per_second: float | None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._per_second = per_second
        self._clock = clock
        self._left: dict[str, tuple[float, float]] = {}
        self._lock = threading.Lock()

    def check(self, who: Principal) -> None:
        """Count one request; raises Refusal (429) where its project has none left."""
        project_id = project_to_charge(who)
        if self._per_second is not None and project_id:
            self._spend(project_id, 1, self._per_second, least=1.0)

    def require(self, project_id: str) -> None:
        """Raise Refusal (429) where a project has taken more than it has."""
        if self._per_second is not None and project_id:
            self._spend(project_id, 0, self._per_second, least=0.0)

    def charge(self, project_id: str, more: int) -> None:
        """Count the further objects of a request that was let through.

        A project that has not so many left waits the longer for its next one.
        """
        if self._per_second is not None and project_id:
            self._spend(project_id, more, self._per_second, least=-math.inf)

    def _spend(self, project_id: str, many: int, rate: float, *, least: float) -> None:
        """Raises Refusal (429) where less than `least` is left."""
        most = rate * BURST_SECONDS
        with self._lock:
            now = self._clock()
            left, since = self._left.get(project_id, (most, now))
            left = min(most, left + (now - since) * rate)
            if left < least:
                raise _too_many(project_id, rate, left)
            if len(self._left) >= _MAX_PROJECTS:
                self._forget_idle(now, most, rate)
            self._left[project_id] = (left - many, now)

    def _forget_idle(self, now: float, most: float, rate: float) -> None:
        """Forget projects whose bucket is full again: they are as if they had sent nothing."""
        self._left = {
            project: (left, since)
            for project, (left, since) in self._left.items()
            if left + (now - since) * rate < most
        }


def _too_many(project_id: str, rate: float, left: float) -> Refusal:
    wait = 3600 if rate == 0 else math.ceil((1.0 - left) / rate)
    message = f"Project {project_id} asks more often than {rate:g} times a second; wait {wait} s."
    return Refusal(429, "HTTPTooManyRequests", message, {"Retry-After": str(wait)})
