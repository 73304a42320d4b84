"""What only tells: each watcher puts what it learns into the worker's queue."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, Protocol, TypeVar

from vifguard.agent.reporting.report import pauses
from vifguard.feed.messages import Feed, FeedError, Update
from vifguard.kernel.net.link import LinkNotification, LinkWatch, NotificationsLost
from vifguard.kernel.nftables.nft import DropTableWatch

log = logging.getLogger("vifguard")

POLL = 30.0
"""Seconds that the server may wait for a change before it answers."""

KNOWN = 0.5
"""Seconds between two looks whether the agent is to stop before the server knows it."""

AGAIN = 1.0
"""Seconds before everything is asked for anew."""


class QuarantineLost:
    """Somebody took something of the quarantine away."""


class Stop:
    """The worker shall end."""


Notice = Update | LinkNotification | QuarantineLost | Stop
Put = Callable[[Notice], None]


class Watch(Protocol):
    """What listens to the kernel."""

    def stop(self) -> None:
        """Let it end; for another thread."""

    def close(self) -> None:
        """Close it, once it has ended."""


W = TypeVar("W", bound=Watch)


class FeedWatcher:
    """Asks the feed for the next update, again and again, whatever becomes of the server."""

    def __init__(
        self,
        feed: Feed,
        instance: str,
        put: Put,
        stop: threading.Event,
        is_known: threading.Event,
    ) -> None:
        """`is_known` is set once the server knows this run of the agent; it is not asked before."""
        self._feed = feed
        self._is_known = is_known
        self._instance = instance
        self._put = put
        self._stop_event = stop
        self._again = threading.Event()

    def again(self) -> None:
        """Ask for everything the next time; for another thread."""
        self._again.set()

    def work(self) -> None:
        """Watch until stopped."""
        after = 0
        pause = iter(pauses())
        while not self._stop_event.is_set():
            if not self._is_known.wait(KNOWN):
                continue
            if self._again.is_set():
                self._again.clear()
                after = 0
                # Who asks again was refused something: not as fast as the server answers.
                self._stop_event.wait(AGAIN)
            try:
                update = self._feed.next(self._instance, after, POLL)
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


class KernelWatcher(Generic[W]):
    """Passes on what the kernel tells, in the namespace of whoever makes this.

    `open_watch` makes what listens, at once: whatever is read afterwards is read after it.
    Where it fails it is made anew, and `lost` says that something may have been missed.
    """

    def __init__(
        self,
        open_watch: Callable[[], W],
        notices: Callable[[W], Iterable[Iterable[Notice]]],
        lost: Notice,
        put: Put,
    ) -> None:
        self._open = open_watch
        self._notices = notices
        self._lost = lost
        self._put = put
        self._watch = open_watch()

    def work(self) -> None:
        """Watch until stopped."""
        watch = self._watch
        try:
            for notices in self._notices(watch):
                for notice in notices:
                    self._put(notice)
        except Exception:
            self._watch = self._open()
            watch.close()
            self._put(self._lost)
            raise

    def stop(self) -> None:
        """Let `work` end; for another thread."""
        self._watch.stop()

    def close(self) -> None:
        """Close what listens; `work` must have ended."""
        self._watch.close()


def link_watcher(put: Put) -> KernelWatcher[LinkWatch]:
    """Passes on what becomes of links, and of filters on them."""
    return KernelWatcher(LinkWatch, lambda watch: watch.notifications(), NotificationsLost(), put)


def quarantine_watcher(
    open_watch: Callable[[], DropTableWatch], put: Put
) -> KernelWatcher[DropTableWatch]:
    """Tells when somebody else takes something of the quarantine away."""

    def notices(watch: DropTableWatch) -> Iterator[Iterable[Notice]]:
        return ((QuarantineLost(),) for _ in watch.losses())

    return KernelWatcher(open_watch, notices, QuarantineLost(), put)
