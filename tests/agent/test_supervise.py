"""K3.4: no thread of the agent ends by a fault; while one is down its host says so."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from tests.agent.host_facts import complete, link, port, port_id, tap, update
from tests.agent.recorder import Recorder

from vifguard.agent import supervise, watch, worker
from vifguard.agent.host.no_driver import NothingEnforced
from vifguard.agent.host.store_ownership import StoreOwnership
from vifguard.agent.host_guards import HostGuards, by_ifindex
from vifguard.agent.placement import Placement
from vifguard.agent.reconcile import ReconcileResult
from vifguard.agent.reporting.health import Health
from vifguard.agent.reporting.report import Outbox
from vifguard.agent.state import AgentState, Dirty
from vifguard.agent.supervise import Supervised
from vifguard.agent.verify import Checked
from vifguard.agent.watch import KernelWatcher, QuarantineLost, Stop
from vifguard.agent.worker import Actors, Startup, Worker
from vifguard.enforce.driver.session import Session
from vifguard.feed.messages import PortReport, Report
from vifguard.model.port import PortState

PATIENCE = 10.0


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (supervise, worker):
        monkeypatch.setattr(module, "pauses", lambda: iter([0.0] * 100))


class Said:
    """What was said of an agent's health, in order."""

    def __init__(self) -> None:
        self.degraded: list[tuple[str, ...]] = []
        self.health = Health(self._changed)

    def _changed(self, degraded: tuple[str, ...], _: Mapping[str, int]) -> None:
        self.degraded.append(degraded)


def test_a_thread_that_fails_begins_anew_and_its_host_says_so() -> None:
    said, runs = Said(), iter([RuntimeError("a bug"), OSError(5, "I/O"), None])

    def once() -> None:
        fault = next(runs)
        if fault:
            raise fault

    thread = Supervised("listener", once, said.health, threading.Event())
    thread.start()
    thread.join(PATIENCE)
    assert not thread.is_alive()
    assert next(runs, "all were run") == "all were run"
    assert said.degraded == [
        ("listener: it failed: a bug",),
        (),
        ("listener: it failed: [Errno 5] I/O",),
        (),
    ]


def test_a_watch_that_fails_is_made_anew_and_says_that_something_may_be_missed() -> None:
    class Watch:
        def __init__(self) -> None:
            self.closed = False

        def stop(self) -> None:
            raise NotImplementedError

        def close(self) -> None:
            self.closed = True

    made: list[Watch] = []
    put: queue.SimpleQueue[watch.Notice] = queue.SimpleQueue()

    def notices(_: Watch) -> Iterator[list[watch.Notice]]:
        if len(made) == 1:
            raise OSError(105, "no buffer")
        yield [Stop()]

    def opened() -> Watch:
        made.append(Watch())
        return made[-1]

    watcher = KernelWatcher(opened, notices, QuarantineLost(), put.put)
    with pytest.raises(OSError, match="no buffer"):
        watcher.work()
    watcher.work()
    assert [type(put.get_nowait()) for _ in range(2)] == [QuarantineLost, Stop]
    assert [each.closed for each in made] == [True, False]


class Hands:
    """Settles everything but what is `failing`."""

    def __init__(self, state: AgentState) -> None:
        self._state = state
        self.failing: set[str] = set()
        self.settled: queue.SimpleQueue[str] = queue.SimpleQueue()

    def reconcile(self, touched: Dirty) -> ReconcileResult:
        for each in touched.ports:
            self.settled.put(each)
        here = [i for i in touched.ports if i in self._state.ports]
        reports = tuple(PortReport(i, 1, PortState.ENFORCED, tap(1)) for i in here)
        return ReconcileResult(reports, frozenset(touched.ports & self.failing))

    def sweep(self) -> frozenset[int]:
        return frozenset()


class Bench:
    """A worker whose looks at the host do what a test says."""

    def __init__(self, reading: Any = None, owner: Any = None) -> None:
        self.said = Said()
        self.state = AgentState({})
        self.hands = Hands(self.state)
        self.look: Callable[[], list[Any]] = list
        self.asked_again = threading.Event()
        self.outbox = Outbox("h")
        nothing = NothingEnforced()
        acting = Actors(self.hands, reading or nothing, owner or nothing, self._look)
        self.intake = Startup(again=self.asked_again.set)
        self.worker = Worker(self.state, acting, self.intake, self.outbox, self.said.health, 3600)

    def _look(self) -> list[Any]:
        return self.look()

    def run(self) -> threading.Thread:
        thread = threading.Thread(target=self.worker.run)
        thread.start()
        return thread

    def end(self, thread: threading.Thread) -> None:
        self.intake.events.put(Stop())
        thread.join(PATIENCE)
        assert not thread.is_alive()


def test_links_that_cannot_be_read_do_not_end_the_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "RETRY", 0.0)
    bench, errors = Bench(), iter([OSError(11, "interrupted"), OSError(105, "no buffer")])

    def look() -> list[Any]:
        error = next(errors, None)
        if error:
            raise error
        return [link(3, tap(1))]

    bench.look = look
    thread = bench.run()
    bench.intake.events.put(complete(port(1)))
    assert bench.hands.settled.get(timeout=PATIENCE) == port_id(1)
    bench.end(thread)
    assert any("links: " in each for told in bench.said.degraded for each in told)
    assert bench.said.degraded[-1] == ()


def test_an_update_that_cannot_be_taken_in_is_asked_for_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench, faults = Bench(), iter([RuntimeError("a bug")])
    take = bench.state.take

    def taken(event: Any) -> Dirty:
        if isinstance(event, type(complete())) and (fault := next(faults, None)):
            raise fault
        return take(event)

    monkeypatch.setattr(bench.state, "take", taken)
    thread = bench.run()
    bench.intake.events.put(complete(port(1)))
    assert bench.asked_again.wait(PATIENCE)
    bench.intake.events.put(complete(port(1)))
    assert bench.hands.settled.get(timeout=PATIENCE) == port_id(1)
    bench.end(thread)
    assert ("worker: it failed: a bug",) in bench.said.degraded
    assert bench.said.degraded[-1] == ()


def test_each_port_is_tried_again_in_its_own_time() -> None:
    """K3.2: one that failed every few seconds put off the others for ever."""
    bench = begun()
    bench.worker.reconcile(bench.worker._take(complete(port(1), port(2))))
    bench.hands.failing = {port_id(1), port_id(2)}
    bench.worker.reconcile(bench.worker._take(update(port(2, revision=2), revision=2)))
    due = bench.worker._retries[port_id(2)]
    for revision in (3, 4):
        changed = update(port(1, revision=revision), revision=revision)
        bench.worker.reconcile(bench.worker._take(changed))
    assert bench.worker._retries[port_id(2)] == due < bench.worker._retries[port_id(1)]


def begun(**how: Any) -> Bench:
    """A bench whose worker has read the host's links."""
    bench = Bench(**how)
    bench.worker._compare()
    return bench


def reports(bench: Bench) -> list[Report]:
    """What the outbox has by now, of a worker that does not run."""
    bench.outbox.close()
    return list(iter(bench.outbox.take, None))


def test_a_heartbeat_says_that_every_guard_was_read_back() -> None:
    bench = begun()
    bench.worker._read_back()
    bench.worker.reconcile(bench.worker._take(complete(port(1))))
    assert [report.read_back for report in reports(bench)] == [True]


def test_guards_that_are_not_read_back_are_no_heartbeat() -> None:
    reading = SimpleNamespace(due=0.0, step=lambda _: Checked())
    bench = begun(reading=reading)
    bench.worker.reconcile(bench.worker._take(complete(port(1))))
    assert [report.read_back for report in reports(bench)] == [False]


def test_a_lost_guard_is_down_before_it_is_put_back() -> None:
    found = iter([Checked(lost={port_id(1): "its pin is gone"}, is_round=True)])
    reading = SimpleNamespace(due=0.0, step=lambda _: next(found, Checked()))
    bench = begun(reading=reading)
    bench.worker._reported[port_id(1)] = PortReport(port_id(1), 1, PortState.ENFORCED, tap(1))
    bench.state.take(complete(port(1)))
    bench.worker._read_back()
    (report,) = reports(bench)
    (told,) = report.ports
    assert (told.state, told.reason) == (
        PortState.HELD_CLOSED,
        "its guard was lost: its pin is gone",
    )


def guards(*numbers: int, store: str = "s1") -> HostGuards:
    """Guards of these ports, which were put there for a store."""
    found = HostGuards([Session(Recorder())])
    places = by_ifindex(Placement(port(n), link(n, tap(n))) for n in numbers)
    found.apply(found.plan(places, frozenset(places)))
    found.set_store(store)
    return found


@pytest.mark.parametrize(
    ("known", "store", "why"),
    [
        ((1, 2, 3), "s1", ""),
        ((1, 2), "s1", ""),
        ((1, 2), "", ""),
        ((1, 2, 3, 4), "s2", "are guarded for the store s1"),
        ((), "s2", "are guarded for the store s1"),
        ((1,), "s1", "knows only 1 of the 4 ports"),
        ((), "s1", "knows only 0 of the 4 ports"),
    ],
)
def test_an_update_that_takes_most_away_or_is_anothers_is_refused(
    known: tuple[int, ...], store: str, why: str
) -> None:
    said = replace(complete(*map(port, known)), store=store)
    held = guards(1, 2, 3, 4)
    owner = StoreOwnership(held, tuple, take_over=False)
    assert why in owner.why_not(said)
    assert bool(owner.why_not(said)) == bool(why)
    assert owner.why_not(update()) == ""
    assert StoreOwnership(guards(), tuple, take_over=False).why_not(said) == ""
    taking = StoreOwnership(held, tuple, take_over=True)
    assert taking.why_not(said) == ""
    taking.accept(said)
    assert held.stores == {store or "s1"}
    next_one = replace(complete(*map(port, (1, 2, 3, 4))), store="s9")
    assert "are guarded for the store" in taking.why_not(next_one)


def test_while_an_update_is_refused_nothing_changes_and_nothing_beats() -> None:
    bench = begun(owner=StoreOwnership(guards(1, 2), tuple, take_over=False))
    bench.worker.reconcile(bench.worker._take(replace(complete(port(1), port(2)), store="s1")))
    bench.worker._take(replace(complete(port(3)), store="s2", revision=9))
    bench.worker._take(update(port(3), revision=10))
    assert bench.asked_again.is_set()
    assert bench.state.ports.keys() == {port_id(1), port_id(2)}
    assert "store: " in bench.said.degraded[-1][0]
    reports(bench)
    bench.worker._acting.reading.due = 0.0
    bench.worker._read_back()
    assert not bench.outbox._read_back
    bench.worker._take(replace(complete(port(1), port(2)), store="s1", revision=11))
    assert bench.said.degraded[-1] == ()
