"""The last heartbeat of each host, and the start of its silence.

A host's agent reports, every few seconds, that it has read back its guards. The age of that
counts by the monotonic clock: a calendar that is set does not silence a host, nor keep a dead
one alive.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

SILENT_AFTER = 10.0
"""Seconds without a heartbeat after which a host is silent: three are missed."""

_SAVED_EVERY = 3.0
"""Seconds between two writes of heartbeats into rows, for other servers to see."""


class Heartbeats:
    """The heartbeats of all hosts, received here or read from rows. Safe for threads."""

    def __init__(self, clock: Callable[[], float], monotonic: Callable[[], float]) -> None:
        """`clock` returns seconds since the epoch, `monotonic` seconds since some moment."""
        self._clock = clock
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._heard: dict[str, tuple[float, float]] = {}
        self._rows: dict[str, float] = {}
        self._unsaved: dict[str, float] = {}
        self._saved_at = float("-inf")

    def record(self, host: str) -> None:
        """Record a heartbeat of the host, now."""
        with self._lock:
            now = self._clock()
            self._heard[host] = self._monotonic(), now
            self._unsaved[host] = now

    def forget(self, host: str) -> None:
        """Forget a deleted host."""
        with self._lock:
            for each in (self._heard, self._rows, self._unsaved):
                each.pop(host, None)

    def last(self, host: str, row: float) -> float:
        """The last heartbeat of the host (seconds since the epoch); `row` is the saved one."""
        with self._lock:
            return self._latest(host, row)[1]

    def silent_since(self, host: str, row: float) -> float:
        """The last heartbeat of a silent host (seconds since the epoch); 0 for one that lives."""
        with self._lock:
            at, heard = self._latest(host, row)
            return heard if self._monotonic() - at > SILENT_AFTER else 0.0

    def take_unsaved(self) -> Mapping[str, float]:
        """Take the heartbeats to be saved now, by host; none where some were a moment ago."""
        with self._lock:
            if not self._unsaved or self._monotonic() - self._saved_at < _SAVED_EVERY:
                return {}
            self._saved_at = self._monotonic()
            unsaved, self._unsaved = self._unsaved, {}
            return unsaved

    def _latest(self, host: str, row: float) -> tuple[float, float]:
        """The last heartbeat of the host, on both clocks."""
        if self._rows.get(host) != row:
            # Another server received and saved it; no later than now, whatever its clock shows.
            self._rows[host] = row
            at = self._monotonic() - max(0.0, self._clock() - row)
            if host not in self._heard or at > self._heard[host][0]:
                self._heard[host] = at, row
        return self._heard[host]
