"""The agent of one host: threads that only tell, and one that acts.

The watchers of feed, links and floor put notices into the worker's queue. Ending the agent
ends nothing that is in force.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import ExitStack
from typing import TypeVar

from vifguard.agent import check
from vifguard.agent.check import Wire
from vifguard.agent.guards import Guards
from vifguard.agent.listen import Listener
from vifguard.agent.reconcile import Reconciler
from vifguard.agent.report import Outbox, Reporter
from vifguard.agent.settings import Settings
from vifguard.agent.state import State
from vifguard.agent.watch import FeedWatcher, FloorWatcher, LinkWatcher, Stop
from vifguard.agent.work import Hands, Unable, Worker
from vifguard.enforce.driver import DriverError
from vifguard.enforce.ebpf import EbpfDriver
from vifguard.feed.messages import Feed
from vifguard.kernel.link import Link, Links, LinkWatch
from vifguard.wire.floor import Floor
from vifguard.wire.wirer import Wirer

log = logging.getLogger("vifguard")

PATIENCE = 1.0
"""Seconds that each thread has to end."""

T = TypeVar("T", bound=threading.Thread)


class Agent:
    """Holds a host's ports as its feed says, in the network namespace of `run`'s thread."""

    def __init__(self, feed: Feed, host: str, settings: Settings) -> None:
        self._feed = feed
        self._host = host
        self._settings = settings

    def run(self, stop: threading.Event) -> None:
        """Work until `stop`; what the kernel holds then stays in force."""
        wire = check.try_wire()
        outbox = Outbox(self._host)
        with ExitStack() as cleanup:
            driver, missing = self._open_driver(cleanup)
            features = driver.features if driver else frozenset()
            outbox.say(check.report(wire, features, missing))
            # Heard from now on, read afterwards: nothing falls in between.
            link_watch = LinkWatch()
            cleanup.callback(link_watch.close)
            links, floor = cleanup.enter_context(Links()), cleanup.enter_context(Floor())
            floor_watch = floor.watch()
            cleanup.callback(floor_watch.close)
            state = State(self._settings.physical)

            def look() -> list[Link]:
                floor.look()
                return links.all()

            hands: Hands = Unable(state, "; ".join(missing))
            if driver:
                hands = reconciler = self._reconciler(state, driver, links, floor, wire)
                _started(cleanup, Listener(driver, outbox, stop, reconciler))
            worker = Worker(state, hands, outbox, look, self._settings.compare_every)
            put = worker.events.put
            _started(cleanup, LinkWatcher(link_watch, put))
            cleanup.callback(link_watch.stop)
            _started(cleanup, FloorWatcher(floor_watch, put))
            cleanup.callback(floor_watch.stop)
            _started(cleanup, Reporter(outbox, self._feed, stop))
            cleanup.callback(outbox.close)
            # It may be waiting for the server's answer when all else ends; let it wait.
            FeedWatcher(self._feed, put, stop).start()
            _when(stop, lambda: put(Stop()))
            worker.run()

    def _open_driver(self, cleanup: ExitStack) -> tuple[EbpfDriver | None, tuple[str, ...]]:
        try:
            driver = EbpfDriver(self._settings.bpf_dir, tcx=self._settings.tcx)
        except (DriverError, OSError) as error:
            log.warning("no guard can be put on this host: %s", error)
            return None, (f"guards: {error}",)
        cleanup.callback(driver.close)
        return driver, ()

    def _reconciler(
        self, state: State, driver: EbpfDriver, links: Links, floor: Floor, wire: Wire
    ) -> Reconciler:
        wirer = Wirer(links, floor, vlan_floor=wire.vlan_floor)
        return Reconciler(state, Guards(driver), wirer, floor, by_name=wire.by_name)


def _started(cleanup: ExitStack, thread: T) -> T:
    """The thread, running; the cleanup waits for its end."""
    thread.start()
    cleanup.callback(thread.join, PATIENCE)
    return thread


def _when(stop: threading.Event, do: Callable[[], None]) -> None:
    def wait() -> None:
        stop.wait()
        do()

    threading.Thread(target=wait, name="stop-watcher", daemon=True).start()
