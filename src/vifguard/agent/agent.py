"""The agent of one host: threads that only report, and one that acts.

The watchers of feed, links and quarantine put notices into the worker's queue. Ending the agent
ends nothing that is in force.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from queue import SimpleQueue
from uuid import uuid4

from vifguard.agent.host import capabilities
from vifguard.agent.host.capabilities import BridgeFeatures
from vifguard.agent.host.capability_watch import CapabilityWatcher
from vifguard.agent.host.no_driver import NoDriver, NothingEnforced
from vifguard.agent.host.only_agent import only_agent
from vifguard.agent.host.saved_state import SavedState
from vifguard.agent.host.store_ownership import StoreOwnership
from vifguard.agent.host_guards import HostGuards
from vifguard.agent.kernel_events.events import EventReader
from vifguard.agent.kernel_events.port_events import PortEvents
from vifguard.agent.reconcile import Reconciler
from vifguard.agent.reporting.health import Health
from vifguard.agent.reporting.report import Outbox, Reporter
from vifguard.agent.reporting.run_file import RunFile
from vifguard.agent.settings import Settings
from vifguard.agent.state import AgentState
from vifguard.agent.supervise import Supervised
from vifguard.agent.verify import Verifier
from vifguard.agent.watch import FeedWatcher, Notice, Stop, link_watcher, quarantine_watcher
from vifguard.agent.wiring.adopted_bridges import AdoptedBridges, HostLinks
from vifguard.agent.wiring.adoption import Adoption
from vifguard.agent.wiring.linux import linux_wirings
from vifguard.agent.wiring.sysctl_watch import SysctlWatcher
from vifguard.agent.wiring.wiring_report import WiringWatcher
from vifguard.agent.worker import Actors, Startup, Worker
from vifguard.bridging.bridge_applier import BridgeApplier
from vifguard.bridging.member_filters import TABLE, MemberFilter, NftFilter, VlanFilter
from vifguard.bridging.quarantine import Quarantine
from vifguard.enforce import drivers
from vifguard.enforce.drivers import Drivers, DriverSettings
from vifguard.feed.messages import Feed, HostReport, Instance, SecondAgentError
from vifguard.kernel.net.bridge import Bridges
from vifguard.kernel.net.link import Link, Links
from vifguard.kernel.nftables.nft_members import MembersTable

log = logging.getLogger("vifguard")

PATIENCE = 1.0
"""Seconds that each thread has to end."""


class Agent:
    """Enforces the policies of a host's feed, in the network namespace of `run`'s thread."""

    def __init__(
        self,
        feed: Feed,
        host: str,
        settings: Settings,
        open_drivers: Callable[[DriverSettings], Drivers] = drivers.open_drivers,
    ) -> None:
        """`open_drivers` opens those that this host can use; it raises HeldError."""
        self._feed = feed
        self._host = host
        self._settings = settings
        self._open_drivers = open_drivers

    def run(self, stop: threading.Event, ready: Callable[[], None] = lambda: None) -> None:
        """Work until `stop`; the guards and wiring in the kernel then stay in force.

        `ready` is called once the first complete update is taken in. Raises HeldError where
        another process holds this network namespace or the guards, before anything is touched,
        and SecondAgentError where another agent is this host's at the server.
        """
        with only_agent(), ExitStack() as cleanup:
            opened = self._open(cleanup)
            guards = HostGuards(opened.sessions)
            instance = Instance(str(uuid4()), guards.holder)
            run_file = cleanup.enter_context(RunFile(self._settings.drivers.state_dir, self._host))
            outbox = Outbox(self._host, instance, run_file.write)
            wire = capabilities.probe_bridges()
            look = partial(capabilities.report, wire, opened.capabilities, opened.missing)
            outbox.put_host_report(about := look())
            health = Health(outbox.put_health)
            refused: list[SecondAgentError] = []

            def refuse(error: SecondAgentError) -> None:
                refused.append(error)
                stop.set()

            def start(name: str, work: Callable[[], None], end: Callable[[], None]) -> None:
                """Start a thread, and have the cleanup wait for its end."""
                thread = Supervised(name, work, health, stop)
                thread.start()
                cleanup.callback(thread.join, PATIENCE)
                cleanup.callback(end)

            links, quarantine = cleanup.enter_context(Links()), _open_quarantine(cleanup)
            events: SimpleQueue[Notice] = SimpleQueue()
            put = events.put
            tools = _Tools(links, quarantine, wire, cleanup, start)
            tools.watch(put)
            reporter = Reporter(outbox, self._feed, stop, health, refuse)
            feed = FeedWatcher(self._feed, instance.id, put, stop, reporter.is_known)
            start("reporter", reporter.work, outbox.close)
            # It may be waiting for the server's answer when all else ends: nobody waits for it.
            Supervised("feed watcher", feed.work, health, stop).start()
            _when(stop, lambda: put(Stop()))
            state = _state(self._settings, about)
            channels = _Channels(outbox, health, put, stop)
            nothing = _without_driver(state, opened.missing, tools)
            acting = self._acting(state, guards, tools, channels) if opened.sessions else nothing
            watching = CapabilityWatcher(look, about, outbox, put, stop)
            start("capability watcher", watching.work, stop.set)
            intake, every = Startup(events, feed.again, ready), self._settings.compare_every
            Worker(state, acting, intake, outbox, health, every).run()
        if refused:
            raise refused[0]

    def _open(self, cleanup: ExitStack) -> Drivers:
        """Open the drivers that this host can use. Raises HeldError."""
        opened = self._open_drivers(self._settings.drivers)
        cleanup.callback(opened.close)
        for why in opened.unusable:
            log.warning("a driver cannot be used on this host: %s", why)
        return opened

    def _acting(
        self, state: AgentState, guards: HostGuards, tools: _Tools, channels: _Channels
    ) -> Actors:
        """Make the worker's actors, and start the threads that watch for it."""
        settings = self._settings
        bridges = tools.cleanup.enter_context(Bridges())
        links = HostLinks(tools.links, bridges, _member_filter(tools.cleanup, bridges, tools.wire))
        former = SavedState(settings.record, bridges)
        adoption = Adoption(state, former, tools.links, bridges)
        adopted = AdoptedBridges(state, settings, adoption, links, channels.health.lost)
        applier = BridgeApplier(
            tools.links, bridges, tools.quarantine, vlan_quarantine=tools.wire.vlan_quarantine
        )
        by_name = tools.wire.by_name
        wirings = linux_wirings(
            state, applier, tools.quarantine, adopted, adoption, by_name=by_name
        )
        reconciler = Reconciler(state, guards, wirings, applier.link)
        reading = Verifier(
            guards, state, channels.health, reconciler.port_by_ifindex, settings.compare_every
        )
        watching = WiringWatcher(
            adopted, reconciler, channels.outbox, guards.connections, channels.put, channels.stop
        )
        tools.start("wiring watcher", watching.work, channels.stop.set)
        quiet = SysctlWatcher(wirings, channels.health, channels.stop)
        tools.start("settings watcher", quiet.work, channels.stop.set)
        listener = EventReader(PortEvents(guards), channels.outbox, channels.stop, reconciler)
        tools.start("listener", listener.work, channels.stop.set)
        owner = StoreOwnership(guards, tools.links.all, take_over=settings.take_over)
        return Actors(reconciler, reading, owner, tools.look)


@dataclass(frozen=True, slots=True)
class _Tools:
    """Handles of the worker's thread; `start` begins another thread: name, work, end."""

    links: Links
    quarantine: Quarantine
    wire: BridgeFeatures
    cleanup: ExitStack
    start: Callable[[str, Callable[[], None], Callable[[], None]], None]

    def look(self) -> list[Link]:
        """Read the host anew: all links, and the chains of the quarantine."""
        self.quarantine.read_back()
        return self.links.all()

    def watch(self, put: Callable[[Notice], None]) -> None:
        """Watch links and quarantine from now on; a read afterwards misses nothing."""
        for name, watcher in (
            ("link watcher", link_watcher(put)),
            ("quarantine watcher", quarantine_watcher(self.quarantine.watch, put)),
        ):
            self.cleanup.callback(watcher.close)
            self.start(name, watcher.work, watcher.stop)


@dataclass(frozen=True, slots=True)
class _Channels:
    """The outputs of the agent's threads: outbox, health, the worker's queue, the stop event."""

    outbox: Outbox
    health: Health
    put: Callable[[Notice], None]
    stop: threading.Event


def _state(settings: Settings, about: HostReport) -> AgentState:
    """The state of a host of which nothing is known yet but its mapping and its kernel."""
    no_isolation = capabilities.isolation_unsupported(about)
    return AgentState(settings.physical, no_isolation, settings.hands_off)


def _without_driver(state: AgentState, missing: tuple[str, ...], tools: _Tools) -> Actors:
    """Actors on a host that lacks what a driver needs: they act on nothing."""
    nothing = NothingEnforced()
    return Actors(NoDriver(state, "; ".join(missing)), nothing, nothing, tools.look)


def _open_quarantine(cleanup: ExitStack) -> Quarantine:
    """Open the quarantine; devices that an earlier release blocks stay blocked."""
    quarantine = cleanup.enter_context(Quarantine())
    quarantine.take_over()
    return quarantine


def _member_filter(
    cleanup: ExitStack, bridges: Bridges, wire: BridgeFeatures
) -> MemberFilter | None:
    if wire.members == VlanFilter.name:
        return VlanFilter(bridges)
    if wire.members == NftFilter.name:
        return NftFilter(cleanup.enter_context(MembersTable(TABLE)))
    return None


def _when(stop: threading.Event, do: Callable[[], None]) -> None:
    def wait() -> None:
        stop.wait()
        do()

    threading.Thread(target=wait, name="stop-watcher", daemon=True).start()
