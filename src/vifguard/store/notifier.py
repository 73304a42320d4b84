"""Publish and subscribe in one process: subscribers are called after a commit, by topic."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager


def host_ports_topic(host: str) -> str:
    """The topic of all ports of a host, beside those of single ones."""
    return f"host:{host}"


Callback = Callable[[], None]


class Notifier:
    """Callbacks by topic, called in the thread that notifies. They must not block."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._callbacks: dict[str, set[Callback]] = {}

    @contextmanager
    def subscribe(self, topic: str, callback: Callback) -> Iterator[None]:
        """Call `callback` whenever `topic` is notified, until the block ends."""
        with self._lock:
            self._callbacks.setdefault(topic, set()).add(callback)
        try:
            yield
        finally:
            with self._lock:
                self._callbacks[topic].discard(callback)
                if not self._callbacks[topic]:
                    del self._callbacks[topic]

    def notify(self, topics: Iterable[str] | None) -> None:
        """Call the subscribers of these topics; None calls all."""
        with self._lock:
            chosen = (
                self._callbacks.keys() if topics is None else set(topics) & self._callbacks.keys()
            )
            callbacks = [callback for topic in chosen for callback in self._callbacks[topic]]
        for callback in callbacks:
            callback()
