"""An agent with two drivers at once: eBPF, and one in memory for interfaces of one kind."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import pytest
from tests.agent.host import Host, hosts
from tests.agent.netns import PATIENCE, eventually, within
from tests.agent.ports import bridge_of, forged, legal, port, port_id, tap_of
from tests.agent.recorder import Recorder

from vifguard.agent.agent import Agent
from vifguard.enforce import drivers
from vifguard.enforce.driver.events import Dropped
from vifguard.enforce.driver.session import Session
from vifguard.enforce.drivers import Drivers, DriverSettings
from vifguard.enforce.ebpf.maps.connection_table import memory, usual
from vifguard.feed.messages import PortReport, Report, ReportAnswer, Update
from vifguard.kernel.bpf import tcx
from vifguard.kernel.bpf.bpf_syscall import Program
from vifguard.kernel.bpf.tcx import AttachType
from vifguard.model.guard import Guard
from vifguard.model.port import PortState
from vifguard.model.verdict import Direction, Reason

pytestmark = pytest.mark.kernel

OTHER = "tap-other"


class Feed:
    """Updates of a test, and what is reported."""

    def __init__(self) -> None:
        self.updates: queue.SimpleQueue[Update] = queue.SimpleQueue()
        self._reported = threading.Condition()
        self._reports: list[Report] = []
        self.ports: dict[str, PortReport] = {}

    def next(self, _instance: str, _after: int, timeout: float) -> Update | None:
        try:
            return self.updates.get(timeout=min(timeout, 0.1))
        except queue.Empty:
            return None

    def report(self, report: Report) -> ReportAnswer:
        with self._reported:
            self._reports.append(report)
            self.ports.update((each.port_id, each) for each in report.ports)
            self._reported.notify_all()
        return ReportAnswer()

    def until(self, holds: Callable[[Report], object]) -> Report:
        """The first report of which that is true."""
        with self._reported:
            assert self._reported.wait_for(lambda: any(map(holds, self._reports)), PATIENCE)
            return next(report for report in self._reports if holds(report))

    def until_next(self, holds: Callable[[Report], object]) -> None:
        """Wait for a report to come of which that is true."""
        with self._reported:
            known = len(self._reports)
            assert self._reported.wait_for(lambda: any(map(holds, self._reports[known:])), PATIENCE)

    def until_port(self, number: int, holds: Callable[[PortReport], bool]) -> PortReport:
        """The last report of a port, once that is true of it."""
        with self._reported:
            ports, ident = self.ports, port_id(number)
            assert self._reported.wait_for(lambda: ident in ports and holds(ports[ident]), PATIENCE)
            return ports[ident]


class Bench:
    """A host whose agent runs in this process."""

    def __init__(self, host: Host) -> None:
        self.host, self.feed, self.recorder = host, Feed(), Recorder("recorder", "tun")
        self._stop = threading.Event()
        agent = Agent(self.feed, "here", host.settings, self._open)
        run = partial(agent.run, self._stop)
        self._thread = threading.Thread(target=within, args=(host.name, run))
        self._thread.start()

    def _open(self, settings: DriverSettings) -> Drivers:
        recorder = Session(self.recorder)
        usual = drivers.open_drivers(settings)
        return replace(usual, sessions=(recorder, *usual.sessions))

    def programs(self, interface: str) -> int:
        """The programs that the kernel has at an interface."""
        index = self.host.links()[interface].index
        found: int = within(
            self.host.name, lambda: sum(len(tcx.attached(index, where)) for where in AttachType)
        )
        return found

    def close(self) -> None:
        self._stop.set()
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()


def take_off(index: int) -> None:
    """Take an interface's programs off, as root may."""
    for where in AttachType:
        for number, _ in tcx.attached(index, where):
            with Program.by_id(number) as program:
                tcx.detach(program, index, where)


@pytest.fixture
def bench() -> Iterator[Bench]:
    """Port 2 is at an interface of the other driver's kind, 1 and 3 are guests'."""
    with hosts() as host:
        host.guest(1).plug()
        host.guest(3).plug()
        host.ip("tuntap", "add", "dev", OTHER, "mode", "tap")
        bench = Bench(host)
        try:
            ports = (port(1), port(2, interface=OTHER), port(3))
            bench.feed.updates.put(Update(7, complete=True, ports=ports))
            for number in (1, 2, 3):
                bench.feed.until_port(number, lambda told: told.state is PortState.ENFORCED)
            yield bench
        finally:
            bench.close()


def test_each_port_has_its_driver_and_says_so(bench: Bench) -> None:
    told = {number: bench.feed.ports[port_id(number)].driver for number in (1, 2, 3)}
    assert told == {1: "ebpf", 2: "recorder", 3: "ebpf"}
    assert bench.feed.until(lambda report: report.about).about.driver.startswith(
        "recorder (memory), ebpf ("
    )
    assert set(bench.recorder.images) == {bench.recorder.device(OTHER)}
    assert (bench.programs(tap_of(1)), bench.programs(OTHER)) == (2, 0)
    assert bench.host.members(bridge_of(1)) == {tap_of(1), OTHER, tap_of(3)}
    one, three = bench.host.guests
    assert one.heard_by(three, forged(1), legal(1)) == [legal(1)]


def test_the_table_of_the_driver_that_has_one_is_reported(bench: Bench) -> None:
    wiring = bench.feed.until(lambda report: report.wiring).wiring
    assert wiring.connections.room == usual(memory())


def test_what_either_loses_is_put_back(bench: Bench) -> None:
    bench.recorder.lose(OTHER)
    told = bench.feed.until_port(2, lambda told: "put back" in told.reason)
    assert "its image is gone" in told.reason
    assert bench.recorder.images
    assert bench.feed.ports[port_id(1)].reason == ""


def test_a_port_whose_driver_fails_is_closed_and_the_others_are_not(bench: Bench) -> None:
    bench.recorder.failing = {bench.recorder.device(OTHER): "no memory"}
    changed = replace(port(2, interface=OTHER), revision=8)
    bench.feed.updates.put(Update(8, complete=False, ports=(changed,)))
    told = bench.feed.until_port(2, lambda told: told.revision == 8)
    assert (told.state, told.reason) == (PortState.HELD_CLOSED, "no memory")
    assert OTHER not in bench.host.members(bridge_of(1))
    one, three = bench.host.guests
    assert one.heard_by(three, forged(1), legal(1)) == [legal(1)]


@pytest.mark.parametrize("part", ["observe", "apply"])
def test_an_error_of_one_driver_closes_its_ports_and_no_others(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    def fail(_: object) -> None:
        raise OSError("the backend is gone")

    one, three = bench.host.guests
    with monkeypatch.context() as broken:
        broken.setattr(bench.recorder, part, fail)
        both = (replace(port(2, interface=OTHER), revision=8), replace(port(1), revision=8))
        bench.feed.updates.put(Update(8, complete=False, ports=both))
        told = bench.feed.until_port(2, lambda told: told.state is PortState.HELD_CLOSED)
        assert "the backend is gone" in told.reason
        told = bench.feed.until_port(1, lambda told: told.revision == 8)
        assert told.state is PortState.ENFORCED
        assert OTHER not in bench.host.members(bridge_of(1))
        within(bench.host.name, lambda: take_off(bench.host.links()[tap_of(3)].index))
        eventually(lambda: bench.programs(tap_of(3)) == 2)
        bench.feed.until_port(3, lambda told: "put back" in told.reason)
        assert one.heard_by(three, forged(1), legal(1)) == [legal(1)]
        bench.feed.until_next(lambda report: report.read_back)
    bench.feed.until_port(2, lambda told: told.state is PortState.ENFORCED)
    eventually(lambda: OTHER in bench.host.members(bridge_of(1)))


def test_drops_of_both_are_reported(bench: Bench) -> None:
    bench.recorder.events.put(
        Dropped(
            bench.recorder.device(OTHER),
            port_id(2),
            1,
            Direction.FROM_GUEST,
            Guard.IP,
            Reason.IPV4_SOURCE,
            60,
            forged(2),
        )
    )
    bench.host.guests[0].send(forged(1))
    for number in (1, 2):
        ident = port_id(number)
        bench.feed.until(lambda report, ident=ident: any(d.port_id == ident for d in report.drops))


def test_a_port_that_ends_is_taken_off_its_driver(bench: Bench) -> None:
    gone = frozenset({port_id(2)})
    bench.feed.updates.put(Update(8, complete=False, ports=(), gone=gone))
    eventually(lambda: not bench.recorder.images)
    assert not bench.host.links()[OTHER].master
    assert bench.programs(tap_of(1)) == 2
