"""Reading many rows without the cycle collector walking them over and over."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Iterator[None]:
    """Within, cycles are not looked for: ten thousand ports hold none, and take half the time.

    For the whole process, and short; two that overlap end with the first.
    """
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()
