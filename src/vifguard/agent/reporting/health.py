"""Troubles of an agent and losses of its guards: logged once, reported, counted."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping

log = logging.getLogger("vifguard")

Changed = Callable[[tuple[str, ...], Mapping[str, int]], None]
"""Takes the agent's troubles, and the number of losses by cause."""


class Health:
    """The agent's troubles, one for each part, and its losses since it started. Safe for threads.

    `changed` is called with all of both whenever one of them changes.
    """

    def __init__(self, changed: Changed) -> None:
        self._changed = changed
        self._lock = threading.Lock()
        self._troubles: dict[str, str] = {}
        self._lost: Counter[str] = Counter()

    def degrade(self, part: str, why: str) -> None:
        """Note that a part of the agent cannot do its work; `why` is the reason and the remedy."""
        with self._lock:
            if self._troubles.get(part) == why:
                return
            self._troubles[part] = why
            log.error("this host is degraded: %s: %s", part, why)
            self._publish()

    def recover(self, part: str) -> None:
        """Note that a part of the agent does its work; nothing is logged where it did before."""
        with self._lock:
            why = self._troubles.pop(part, None)
            if why is not None:
                log.warning("this host has recovered: %s (%s)", part, why)
                self._publish()

    def lost(self, causes: Iterable[str]) -> None:
        """Count losses, each by its cause."""
        with self._lock:
            before = self._lost.total()
            self._lost.update(causes)
            if self._lost.total() > before:
                self._publish()

    def _publish(self) -> None:
        degraded = tuple(f"{part}: {why}" for part, why in sorted(self._troubles.items()))
        self._changed(degraded, dict(self._lost))
