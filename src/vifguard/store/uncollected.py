"""Reading many rows without the cycle collector walking them over and over."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_lock = threading.Lock()
_within = 0
_was_on = False


@contextmanager
def uncollected() -> Iterator[None]:
    """Within, cycles are not looked for: ten thousand ports hold none, and take half the time.

    For the whole process, until the last of those that overlap ends: then it is as it was.
    """
    _enter()
    try:
        yield
    finally:
        _leave()


def _enter() -> None:
    global _within, _was_on  # noqa: PLW0603 - the process has one collector
    with _lock:
        if not _within:
            _was_on = gc.isenabled()
            gc.disable()
        _within += 1


def _leave() -> None:
    global _within  # noqa: PLW0603 - the process has one collector
    with _lock:
        _within -= 1
        if not _within and _was_on:
            gc.enable()
