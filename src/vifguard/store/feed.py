"""The feed in one process: the agent's view of the server without a socket between."""

from __future__ import annotations

import threading
import time

from vifguard.feed.messages import FeedError, Report, ReportAnswer, Update
from vifguard.store.errors import StoreError
from vifguard.store.store import Store


class StoreFeed:
    """The Feed of one host, straight from the store."""

    def __init__(self, store: Store, host: str) -> None:
        self._store = store
        self._host = host

    def next(self, instance: str, after: int, timeout: float) -> Update | None:
        """The update after a revision, or None when nothing changed for `timeout` seconds."""
        deadline = time.monotonic() + timeout
        notified = threading.Event()
        with self._store.changes.subscribe(self._host, notified.set):
            while True:
                notified.clear()
                update = self._update(instance, after)
                left = deadline - time.monotonic()
                if update is not None or left <= 0:
                    return update
                notified.wait(left)

    def report(self, report: Report) -> ReportAnswer:
        """Deliver a report."""
        try:
            return self._store.record_report(report)
        except StoreError as error:
            raise FeedError(str(error)) from error

    def _update(self, instance: str, after: int) -> Update | None:
        try:
            self._store.require_own(self._host, instance)
            return self._store.update_after(self._host, after)
        except StoreError as error:
            raise FeedError(str(error)) from error
