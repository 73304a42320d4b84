"""Watchers of feed, links and quarantine: each puts its notices into the worker's queue."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, Protocol, TypeVar

from vifguard.agent.reporting.report import pauses
from vifguard.agent.state import Isolation
from vifguard.feed.messages import Feed, FeedError, Update
from vifguard.kernel.net.link import LinkNotification, LinkWatch, NotificationsLost
from vifguard.kernel.nftables.nft import DropTableWatch

log = logging.getLogger("vifguard")

POLL = 30.0
"""Seconds that the server may wait for a change before it answers."""

KNOWN = 0.5
"""Seconds between two checks whether the agent is to stop before the server knows it."""

AGAIN = 1.0
"""Seconds before everything is requested anew."""


class QuarantineLost:
    """The notice that somebody else removed something of the quarantine."""


class Stop:
    """The notice that the worker is to end."""


Notice = Update | LinkNotification | QuarantineLost | Isolation | Stop
Put = Callable[[Notice], None]


class Watch(Protocol):
    """A subscription to the kernel's notifications."""

    def stop(self) -> None:
        """End it; for another thread."""

    def close(self) -> None:
        """Close it, once it has ended."""


W = TypeVar("W", bound=Watch)


class FeedWatcher:
    """Requests the next update of the feed, again and again, also while the server is gone."""

    def __init__(
        self,
        feed: Feed,
        instance: str,
        put: Put,
        stop: threading.Event,
        is_known: threading.Event,
    ) -> None:
        """`is_known` is set once the server knows this run of the agent; no request goes before."""
        self._feed = feed
        self._is_known = is_known
        self._instance = instance
        self._put = put
        self._stop_event = stop
        self._again = threading.Event()

    def again(self) -> None:
        """Request everything the next time; for another thread."""
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
                # A repeated request follows a refusal: not as fast as the server answers.
                self._stop_event.wait(AGAIN)
            try:
                update = self._feed.next(self._instance, after, POLL)
            except FeedError as error:
                log.warning(
                    "the server cannot be reached; everything in force stays as it is: %s", error
                )
            except Exception:
                if self._stop_event.is_set():
                    return  # the feed was closed while we read it
                log.exception("an update could not be read; everything in force stays as it is")
            else:
                pause = iter(pauses())
                if update is not None:
                    after = update.revision
                    self._put(update)
                continue
            self._stop_event.wait(next(pause))


class KernelWatcher(Generic[W]):
    """Passes on the kernel's notices, in the network namespace of the caller that makes this.

    `open_watch` is called at once: any later read of the kernel follows the subscription.
    A watch that fails is opened anew, and the notice `lost` means that some may be missing.
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
        """End `work`; for another thread."""
        self._watch.stop()

    def close(self) -> None:
        """Close the watch; `work` must have ended."""
        self._watch.close()


def link_watcher(put: Put) -> KernelWatcher[LinkWatch]:
    """Make a watcher of changes to links, and to filters on them."""
    return KernelWatcher(LinkWatch, lambda watch: watch.notifications(), NotificationsLost(), put)


def quarantine_watcher(
    open_watch: Callable[[], DropTableWatch], put: Put
) -> KernelWatcher[DropTableWatch]:
    """Make a watcher that notices when somebody else removes something of the quarantine."""

    def notices(watch: DropTableWatch) -> Iterator[Iterable[Notice]]:
        return ((QuarantineLost(),) for _ in watch.losses())

    return KernelWatcher(open_watch, notices, QuarantineLost(), put)
