"""A bell heard by an event loop: long polls wait without holding a thread."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TypeVar

from vifguard.store.bell import Bell

T = TypeVar("T")


async def first(
    bell: Bell, topic: str, look: Callable[[], Awaitable[T | None]], patience: float
) -> T | None:
    """What `look` first finds, looking again at each ring; None after `patience` seconds."""
    deadline = time.monotonic() + patience
    with _rung(bell, topic) as rung:
        while True:
            rung.clear()
            found = await look()
            left = deadline - time.monotonic()
            if found is not None or left <= 0:
                return found
            with suppress(TimeoutError):
                await asyncio.wait_for(rung.wait(), left)


@contextmanager
def _rung(bell: Bell, topic: str) -> Iterator[asyncio.Event]:
    loop = asyncio.get_running_loop()
    event = asyncio.Event()

    def ear() -> None:
        with suppress(RuntimeError):  # the loop was closed while the bell rang
            loop.call_soon_threadsafe(event.set)

    with bell.hearing(topic, ear):
        yield event
