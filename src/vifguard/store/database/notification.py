"""The notification of a commit: which hosts and ports it concerns."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Notification:
    """What a committed change means for those who wait, at whichever server.

    `hosts` have something new to hold, `ports` (by id, or as `ports_of` a host) were changed or
    reported; None means all of them. `release` is when the next hold of an IP group ends
    (seconds since the epoch).
    """

    hosts: frozenset[str] | None = frozenset()
    ports: frozenset[str] | None = frozenset()
    release: float | None = None
