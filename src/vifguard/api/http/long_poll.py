"""Long polling over the notifier: a request waits in the event loop and holds no thread."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from collections.abc import Set as AbstractSet
from contextlib import ExitStack, contextmanager, suppress
from typing import TypeVar
from weakref import WeakSet

from vifguard.attributes.refusal import Refusal
from vifguard.store.notifier import Notifier

T = TypeVar("T")


async def wait_for(
    notifier: Notifier,
    topics: AbstractSet[str],
    look: Callable[[], Awaitable[T | None]],
    patience: float,
) -> T | None:
    """The first result of `look`, repeated at each notification; None after `patience` seconds.

    `look` may add topics. Raises Refusal (503) where the notifier is closed.
    """
    deadline = time.monotonic() + patience
    while True:
        subscribed = frozenset(topics)
        with _notified(notifier, subscribed) as notified:
            found = await look()
            left = deadline - time.monotonic()
            if found is not None or left <= 0:
                return found
            if is_closed(notifier):
                raise Refusal(503, "HTTPServiceUnavailable", _ENDING, {"Retry-After": "1"})
            if topics == subscribed:
                with suppress(TimeoutError):
                    await asyncio.wait_for(notified.wait(), left)


_ENDING = "The server is shutting down. Nothing is lost; ask again."
_closed: WeakSet[Notifier] = WeakSet()


def close(notifier: Notifier) -> None:
    """Answer all waiting requests, now and later: the server ends."""
    _closed.add(notifier)
    notifier.notify(None)


def is_closed(notifier: Notifier) -> bool:
    """Whether waiting for a notifier has ended."""
    return notifier in _closed


@contextmanager
def _notified(notifier: Notifier, topics: Iterable[str]) -> Iterator[asyncio.Event]:
    loop = asyncio.get_running_loop()
    event = asyncio.Event()

    def callback() -> None:
        with suppress(RuntimeError):  # the loop was closed meanwhile
            loop.call_soon_threadsafe(event.set)

    with ExitStack() as subscriptions:
        for topic in topics:
            subscriptions.enter_context(notifier.subscribe(topic, callback))
        yield event
