"""Threads that do not end by a fault: it is logged, reported, and the work begins anew."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from vifguard.agent.reporting.health import Health
from vifguard.agent.reporting.report import pauses

log = logging.getLogger("vifguard")

STEADY = 30.0
"""Seconds of work after which a fault is taken for a first one again."""


class Supervised(threading.Thread):
    """Calls `work` until it returns; where it raises, it is called again after a pause.

    Until it has begun anew, the host is reported as degraded.
    """

    def __init__(
        self, name: str, work: Callable[[], None], health: Health, stop: threading.Event
    ) -> None:
        super().__init__(name=name, daemon=True)
        self._work = work
        self._health = health
        self._stop_event = stop

    def run(self) -> None:
        """Work, and begin anew after each fault, until stopped."""
        following = iter(pauses())
        while True:
            began = time.monotonic()
            try:
                self._work()
            except Exception as error:
                if self._stop_event.is_set():
                    return
                if time.monotonic() - began > STEADY:
                    following = iter(pauses())
                pause = next(following)
                log.exception("the %s failed and starts again in %.1f s", self.name, pause)
                self._health.degrade(self.name, f"it failed: {error or type(error).__name__}")
            else:
                return
            if self._stop_event.wait(pause):
                return
            self._health.recover(self.name)
