"""Conversion from the kernel's monotonic clock to time since the epoch."""

from __future__ import annotations

import time

_SECOND = 1_000_000_000


def monotonic_to_epoch(ktime: int) -> float:
    """Seconds since the epoch of a moment on CLOCK_MONOTONIC in ns (bpf_ktime_get_ns).

    Computed back from now, so that a clock that was set meanwhile counts as it is now.
    """
    return time.time() - (time.monotonic_ns() - ktime) / _SECOND
