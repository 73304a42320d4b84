"""One timer whose deadline can be replaced."""

from __future__ import annotations

import threading
from collections.abc import Callable


class DeadlineTimer:
    """A timer that calls `callback`, in a thread of its own, at the time last set."""

    def __init__(self, clock: Callable[[], float], callback: Callable[[], None]) -> None:
        self._clock = clock
        self._callback = callback
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None
        self._stopped = False

    def schedule(self, at: float) -> None:
        """Call at `at` (seconds since the epoch), at once if that is past, and not earlier."""
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
            if not self._stopped:
                self._timer = threading.Timer(max(0.0, at - self._clock()), self._callback)
                self._timer.daemon = True
                self._timer.start()

    def stop(self) -> None:
        """Cancel the call, and take no other."""
        with self._lock:
            self._stopped = True
            if self._timer is not None:
                self._timer.cancel()
