"""The read-back of guards, over a driver that keeps them in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import pytest
from tests.agent.host_facts import link, port, port_id, tap
from tests.agent.recorder import Recorder

from vifguard.agent import verify
from vifguard.agent.host_guards import HostGuards, by_ifindex
from vifguard.agent.placement import Placement
from vifguard.agent.reporting.health import Health
from vifguard.agent.state import AgentState
from vifguard.agent.verify import Verifier
from vifguard.enforce.driver.session import Session


class Bench:
    """Two guarded ports, and their verifier."""

    def __init__(self) -> None:
        self.driver, self.state = Recorder(), AgentState({})
        self.degraded: tuple[str, ...] = ()
        self.lost: Mapping[str, int] = Counter()
        guards = HostGuards([Session(self.driver)])
        places = by_ifindex(Placement(port(n), link(n, tap(n))) for n in (1, 2))
        guards.apply(guards.plan(places, frozenset(places)))
        ports = {n: port_id(n) for n in (1, 2)}
        self.verifier = Verifier(guards, self.state, Health(self._changed), ports, 60.0)
        self.now = 0.0

    def _changed(self, degraded: tuple[str, ...], lost: Mapping[str, int]) -> None:
        self.degraded, self.lost = degraded, lost

    def step(self) -> verify.Checked:
        self.now = max(self.now + 1.0, self.verifier.due)
        return self.verifier.step(self.now)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_a_round_without_a_loss_is_a_heartbeat(bench: Bench) -> None:
    checked = bench.step()
    assert checked.is_round
    assert not checked.touched
    assert not checked.lost


def test_a_lost_guard_is_named_and_to_be_reconciled(bench: Bench) -> None:
    bench.driver.lose(tap(2))
    checked = bench.step()
    assert checked.lost == {port_id(2): "its image is gone"}
    assert checked.touched.ports == {port_id(2)}
    assert checked.touched.links == {2}


def test_a_round_takes_as_many_steps_as_there_are_parts(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verify, "AT_ONCE", 1)
    bench.driver.lose(tap(2))
    first, second = bench.step(), bench.step()
    assert (first.is_round, second.is_round) == (False, True)
    assert (first.lost, second.lost.keys()) == ({}, {port_id(2)})


def test_what_all_guards_share_is_put_back_and_counted(bench: Bench) -> None:
    bench.driver.broken = ["a table was gone", "a mark was gone"]
    bench.step()
    assert bench.driver.broken == []
    assert bench.lost == {"common": 2}
    assert bench.degraded == ()


def test_guards_are_read_back_although_what_they_share_cannot_be_put_back(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> tuple[str, ...]:
        raise OSError("another process holds the pins")

    with monkeypatch.context() as broken:
        broken.setattr(bench.driver, "repair", fail)
        bench.driver.lose(tap(1))
        for _ in range(2):
            assert bench.step().lost == {port_id(1): "its image is gone"}
        (why,) = bench.degraded
        assert why.startswith("read-back: the lost guards cannot be put back: another process")
    bench.step()
    assert bench.degraded == ()


def test_lost_rules_are_loaded_again(bench: Bench) -> None:
    bench.state.ruleset.mark_applied()
    assert not bench.step().touched
    bench.driver.rules_are_lost = True
    assert bench.step().touched.ruleset
    assert not bench.state.ruleset.is_applied
