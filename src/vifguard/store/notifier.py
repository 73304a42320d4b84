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
        self._ears: dict[str, set[Callback]] = {}

    @contextmanager
    def subscribe(self, topic: str, callback: Callback) -> Iterator[None]:
        """Call `callback` whenever `topic` is notified, until the block ends."""
        with self._lock:
            self._ears.setdefault(topic, set()).add(callback)
        try:
            yield
        finally:
            with self._lock:
                self._ears[topic].discard(callback)
                if not self._ears[topic]:
                    del self._ears[topic]

    def notify(self, topics: Iterable[str] | None) -> None:
        """Call the subscribers of these topics; None calls all."""
        with self._lock:
            chosen = self._ears.keys() if topics is None else set(topics) & self._ears.keys()
            ears = [ear for topic in chosen for ear in self._ears[topic]]
        for ear in ears:
            ear()
