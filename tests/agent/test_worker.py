"""The worker: one bad port never stops another, and what failed is tried again."""

from __future__ import annotations

from typing import Any

import pytest
from tests.agent.host_facts import complete, link, port, port_id, tap, update

from vifguard.agent import worker
from vifguard.agent.host.no_driver import NoDriver, NothingEnforced
from vifguard.agent.reconcile import ReconcileResult
from vifguard.agent.reporting.health import Health
from vifguard.agent.reporting.report import Outbox
from vifguard.agent.state import AgentState, Dirty
from vifguard.agent.watch import QuarantineLost
from vifguard.agent.worker import Actors, Startup, Worker
from vifguard.feed.messages import PortReport
from vifguard.kernel.net.link import FilterRemoved, NotificationsLost
from vifguard.model.port import PortState


class Hands:
    """Settles all but the ports in `broken`; those in `failing` want another try."""

    def __init__(self, state: AgentState) -> None:
        self.state = state
        self.broken: set[str] = set()
        self.failing: set[str] = set()
        self.settled: list[str] = []
        self.swept = 0

    def reconcile(self, touched: Dirty) -> ReconcileResult:
        if touched.ports & self.broken:
            raise RuntimeError("a bug")
        self.settled += sorted(touched.ports)
        reports = (
            PortReport(i, self.state.ports[i].revision, PortState.ENFORCED)
            for i in touched.ports
            if i in self.state.ports
        )
        failing, self.failing = touched.ports & self.failing, set()
        return ReconcileResult(tuple(reports), frozenset(failing))

    def sweep(self) -> frozenset[int]:
        self.swept += 1
        return frozenset()


class Bench:
    """A worker in a thread, and what it did."""

    def __init__(self) -> None:
        self.state = AgentState({})
        self.hands = Hands(self.state)
        self.outbox = Outbox("h")
        self.health = Health(self.outbox.put_health)
        self.nothing = NothingEnforced()
        self.links: list[Any] = []
        self.looks = 0
        acting = Actors(self.hands, self.nothing, self.nothing, self._look)
        self.worker = Worker(self.state, acting, Startup(), self.outbox, self.health, 3600)
        self.worker._compare()
        self.looks = 0

    def _look(self) -> list[Any]:
        self.looks += 1
        return self.links

    def settle(self, *events: Any) -> None:
        for event in events:
            self.worker.reconcile(self.state.take(event))

    def told(self) -> set[str]:
        report = self.outbox.take()
        assert report
        return {each.port_id for each in report.ports}


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_nothing_is_done_before_one_complete_update(bench):
    bench.settle(link(3, tap(1)), update(port(1)))
    assert (bench.hands.settled, bench.hands.swept) == ([], 0)
    bench.settle(complete(port(1)))
    assert (bench.hands.settled, bench.hands.swept) == ([port_id(1)], 1)


def test_a_port_that_cannot_be_settled_leaves_the_others_alone(bench):
    bench.hands.broken = {port_id(2)}
    bench.settle(complete(port(1), port(2), port(3)))
    assert sorted(bench.hands.settled) == [port_id(1), port_id(3)]
    assert bench.hands.swept == 1
    assert bench.told() == {port_id(1), port_id(3)}


def test_everything_is_settled_in_portions_and_swept_once(bench, monkeypatch):
    monkeypatch.setattr(worker, "BATCH", 2)
    bench.settle(complete(*(port(n) for n in range(1, 6))))
    assert sorted(bench.hands.settled) == [port_id(n) for n in range(1, 6)]
    assert bench.hands.swept == 1


def test_only_news_is_told(bench):
    bench.settle(complete(port(1), port(2)))
    assert bench.told() == {port_id(1), port_id(2)}
    bench.settle(update(port(1, revision=2), port(2), revision=2))
    assert bench.told() == {port_id(1)}


def test_what_failed_is_tried_again(bench, monkeypatch):
    monkeypatch.setattr(worker, "RETRY", 0.0)
    bench.settle(complete(port(1), port(2)))
    bench.hands.failing = {port_id(2)}
    bench.settle(update(port(2, revision=2), revision=2))
    bench.hands.settled.clear()
    assert bench.worker._due().ports == {port_id(2)}
    assert bench.worker._due().ports == frozenset()


def test_lost_notices_and_a_lost_quarantine_are_answered_by_one_look(bench, monkeypatch):
    monkeypatch.setattr(worker, "MIN_INTERVAL", 0.0)
    bench.settle(complete(port(1)))
    bench.links = [link(3, tap(1))]
    for notice in (NotificationsLost(), QuarantineLost()):
        assert not bench.worker._take(notice)
    assert bench.worker._due().everything
    assert not bench.worker._due()
    assert bench.looks == 1
    assert bench.state.named(tap(1)) == link(3, tap(1))


def test_a_lost_filter_touches_its_interface_and_whose_it_is(bench):
    assert bench.worker._take(FilterRemoved(7)) == Dirty(links=frozenset({7}))
    bench.settle(complete(port(1)))
    bench.state.take(link(7, tap(1)))
    assert bench.worker._take(FilterRemoved(7)) == Dirty(frozenset({port_id(1)}), frozenset({7}))


def test_a_host_that_can_hold_nothing_says_why(bench):
    bench.state.take(complete(port(1)))
    bench.state.take(link(3, tap(1)))
    (report,) = NoDriver(bench.state, "no BPF").reconcile(Dirty(frozenset({port_id(1)}))).reports
    assert report == PortReport(port_id(1), 1, PortState.HELD_CLOSED, tap(1), "no BPF")
