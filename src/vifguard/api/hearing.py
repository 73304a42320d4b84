"""A bell heard by an event loop: long polls wait without holding a thread."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from collections.abc import Set as AbstractSet
from contextlib import ExitStack, contextmanager, suppress
from typing import TypeVar
from weakref import WeakSet

from vifguard.api.errors import Refusal
from vifguard.store.notifier import Notifier

T = TypeVar("T")


async def first(
    bell: Notifier,
    topics: AbstractSet[str],
    look: Callable[[], Awaitable[T | None]],
    patience: float,
) -> T | None:
    """What `look` first finds, looking again at each ring; None after `patience` seconds.

    `look` may find that there is more to hear, and add it to the topics. Raises Refusal (503)
    where the bell is silenced.
    """
    deadline = time.monotonic() + patience
    while True:
        heard = frozenset(topics)
        with _rung(bell, heard) as rung:
            found = await look()
            left = deadline - time.monotonic()
            if found is not None or left <= 0:
                return found
            if is_silenced(bell):
                raise Refusal(503, "HTTPServiceUnavailable", _ENDING, {"Retry-After": "1"})
            if topics == heard:
                with suppress(TimeoutError):
                    await asyncio.wait_for(rung.wait(), left)


_ENDING = "The server is ending; nothing is lost, ask again."
_silenced: WeakSet[Notifier] = WeakSet()


def silence(bell: Notifier) -> None:
    """Let everybody go who waits for a bell, now and later: the server ends."""
    _silenced.add(bell)
    bell.notify(None)


def is_silenced(bell: Notifier) -> bool:
    """Whether nobody waits for a bell any more."""
    return bell in _silenced


@contextmanager
def _rung(bell: Notifier, topics: Iterable[str]) -> Iterator[asyncio.Event]:
    loop = asyncio.get_running_loop()
    event = asyncio.Event()

    def ear() -> None:
        with suppress(RuntimeError):  # the loop was closed while the bell rang
            loop.call_soon_threadsafe(event.set)

    with ExitStack() as heard:
        for topic in topics:
            heard.enter_context(bell.subscribe(topic, ear))
        yield event
