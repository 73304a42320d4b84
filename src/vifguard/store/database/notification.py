"""The notification of a commit: the hosts and ports that it concerns."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Notification:
    """Hosts and ports that a commit concerns, for subscribers at every server.

    `hosts` have something new to enforce. `ports`, by id or as `host_ports_topic` of a host, were
    changed or reported. None means all. `release` is the time at which the next freeze of an IP
    group ends (seconds since the epoch).
    """

    hosts: frozenset[str] | None = frozenset()
    ports: frozenset[str] | None = frozenset()
    release: float | None = None
