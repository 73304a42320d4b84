"""The threads that only tell: each puts what it hears into the worker's queue."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from vifguard.agent.report import pauses
from vifguard.feed.messages import Feed, FeedError, Update
from vifguard.kernel.link import LinkNotice, LinkWatch
from vifguard.kernel.nft import DropTableWatch

log = logging.getLogger("vifguard")

POLL = 30.0
"""Seconds that the server may wait for a change before it answers."""


class FloorLost:
    """Somebody took something of the floor away."""


class Stop:
    """The worker shall end."""


Notice = Update | LinkNotice | FloorLost | Stop
Put = Callable[[Notice], None]


class FeedWatcher(threading.Thread):
    """Asks the feed for the next update, again and again, whatever becomes of the server."""

    def __init__(self, feed: Feed, put: Put, stop: threading.Event) -> None:
        super().__init__(name="feed-watcher", daemon=True)
        self._feed = feed
        self._put = put
        self._stop_event = stop

    def run(self) -> None:
        """Watch until stopped."""
        after = 0
        pause = iter(pauses())
        while not self._stop_event.is_set():
            try:
                update = self._feed.next(after, POLL)
            except FeedError as error:
                log.warning("the server cannot be asked; all stays as it is: %s", error)
            except Exception:
                if self._stop_event.is_set():
                    return  # what we asked was closed under our hands
                log.exception("an update could not be read; all stays as it is")
            else:
                pause = iter(pauses())
                if update is not None:
                    after = update.revision
                    self._put(update)
                continue
            self._stop_event.wait(next(pause))


class LinkWatcher(threading.Thread):
    """Passes on what becomes of links."""

    def __init__(self, watch: LinkWatch, put: Put) -> None:
        super().__init__(name="link-watcher", daemon=True)
        self._watch = watch
        self._put = put

    def run(self) -> None:
        """Watch until the watch is stopped."""
        for notices in self._watch.notices():
            for notice in notices:
                self._put(notice)


class FloorWatcher(threading.Thread):
    """Tells when somebody else takes the floor away."""

    def __init__(self, watch: DropTableWatch, put: Put) -> None:
        super().__init__(name="floor-watcher", daemon=True)
        self._watch = watch
        self._put = put

    def run(self) -> None:
        """Watch until the watch is stopped."""
        for _ in self._watch.losses():
            self._put(FloorLost())
