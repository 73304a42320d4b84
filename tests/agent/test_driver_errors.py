"""An OSError of one driver is a failure of its devices; the other driver goes on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
from tests.agent.host_facts import link, port, port_id, tap
from tests.agent.recorder import Recorder

from vifguard.agent.host_guards import HostGuards, by_ifindex
from vifguard.agent.placement import Placement
from vifguard.agent.reporting.health import Health
from vifguard.agent.state import AgentState
from vifguard.agent.verify import Verifier
from vifguard.enforce.driver.protocol import Loss, RulesetChange
from vifguard.enforce.driver.session import UNREAD, Session
from vifguard.model.guard import Guard

KINDS = {1: "tun", 2: "tun", 3: "veth"}
ALL = frozenset(KINDS)
GONE = "the backend is gone"
UNREADABLE = f"its guard cannot be read back: {GONE}"
EMPTY = RulesetChange(complete=True, groups={}, sets={})


class Host:
    """Ports 1 and 2 are guarded by `taps`, port 3 by `veths`; `revision` is that of all."""

    def __init__(self) -> None:
        self.taps, self.veths = Recorder("taps", "tun"), Recorder("veths", "veth")
        self.guards = HostGuards(Session(each) for each in (self.taps, self.veths))
        result = self.guards.apply(self.guards.plan(self.places(1), ALL))
        assert not result.failed
        self.one, self.two = (self.taps.device(tap(n)) for n in (1, 2))

    def places(self, revision: int, *, grouped: bool = False) -> Mapping[int, Placement]:
        more = {Guard.SECURITY_GROUPS} if grouped else set()
        ports = {n: port(n, revision=revision) for n in KINDS}
        policies = {n: x.policy for n, x in ports.items()}
        policies = {n: replace(x, guards=x.guards | more) for n, x in policies.items()}
        return by_ifindex(
            Placement(replace(ports[n], policy=policies[n]), link(n, tap(n), kind=kind))
            for n, kind in KINDS.items()
        )

    @property
    def revisions(self) -> dict[int, int]:
        """The revision of each port that has an open guard."""
        images = {**self.taps.images, **self.veths.images}.values()
        number = {port_id(n): n for n in KINDS}
        return {number[x[0].port_id]: x[2] for x in images if not x[0].closed}


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Host:
    monkeypatch.setattr("vifguard.agent.host_guards.interfaces", lambda: set(KINDS))
    return Host()


def test_what_cannot_be_read_fails_alone_and_counts_as_unguarded(host: Host) -> None:
    host.taps.unread = {host.one: GONE}
    result = host.guards.apply(host.guards.plan(host.places(2), ALL))
    assert result.failed == {1: UNREADABLE}
    assert result.unguarded == {1}
    assert host.revisions == {1: 1, 2: 2, 3: 2}
    assert set(host.guards.enforced) == {2, 3}
    host.taps.unread = {}
    assert not host.guards.apply(host.guards.plan(host.places(2), ALL)).failed
    assert host.revisions == {1: 2, 2: 2, 3: 2}


def test_a_change_that_fails_as_a_whole_leaves_its_ports_closed(host: Host) -> None:
    host.taps.errors = ["no memory"]
    result = host.guards.apply(host.guards.plan(host.places(2), ALL))
    assert result.failed == dict.fromkeys((1, 2), "its guard could not be put there: no memory")
    assert result.unguarded == frozenset()
    assert host.revisions == {3: 2}
    assert {x[0].closed for x in host.taps.images.values()} == set(result.failed.values())


def test_ports_that_cannot_even_be_closed_are_named(host: Host) -> None:
    host.taps.errors = ["no memory", "no memory"]
    result = host.guards.apply(host.guards.plan(host.places(2), ALL))
    assert result.unguarded == {1, 2}
    assert host.revisions == {1: 1, 2: 1, 3: 2}
    assert set(host.guards.enforced) == {3}


def test_one_that_leaves_and_cannot_be_read_is_cut_off(host: Host) -> None:
    host.taps.unread = {host.one: GONE}
    staying = {n: place for n, place in host.places(1).items() if n != 1}
    plan = host.guards.plan(staying, ALL)
    assert plan.detached == {1}
    assert not host.guards.apply(plan).failed
    kept = host.guards.apply(host.guards.keep_closed(plan, [link(1, tap(1))]))
    assert kept.failed == {1: UNREADABLE}
    assert host.revisions == {1: 1, 2: 1, 3: 1}


def test_the_others_are_swept(host: Host) -> None:
    host.taps.unread = {host.one: GONE}
    plan = host.guards.plan_sweep((), [link(n, tap(n), kind=kind) for n, kind in KINDS.items()])
    assert plan.detached == {3}
    host.guards.apply(plan)
    assert host.revisions == {1: 1, 2: 1}


def test_a_guard_that_cannot_be_read_may_be_there(host: Host) -> None:
    host.taps.unread = {host.one: GONE}
    assert host.guards.has(link(1, tap(1)))


class TestReadBack:
    """The heartbeats and repairs of the others go on."""

    @pytest.fixture
    def state(self) -> AgentState:
        state = AgentState({})
        state.ruleset.mark_applied()
        return state

    @pytest.fixture
    def verifier(self, host: Host, state: AgentState) -> Verifier:
        health = Health(lambda _degraded, _lost: None)
        return Verifier(host.guards, state, health, {n: port_id(n) for n in KINDS}, 60.0)

    def test_what_cannot_be_read_is_lost(self, host: Host, verifier: Verifier) -> None:
        host.taps.unread = {host.one: GONE}
        host.veths.lose(tap(3))
        assert host.guards.lost([1])[1] == Loss(UNREAD, UNREADABLE)
        checked = verifier.step(1.0)
        assert checked.is_round
        assert checked.lost == {port_id(1): UNREADABLE, port_id(3): "its image is gone"}
        assert checked.touched.links == {1, 3}

    def test_rules_that_cannot_be_read_are_loaded_again(
        self, host: Host, state: AgentState, verifier: Verifier
    ) -> None:
        host.taps.rules_error = GONE
        host.veths.lose(tap(3))
        checked = verifier.step(1.0)
        assert checked.is_round
        assert checked.lost.keys() == {port_id(3)}
        assert checked.touched.ruleset
        assert not state.ruleset.is_applied
        assert not all(host.guards.compare_rules({}))


def test_rules_that_a_driver_does_not_take_close_its_ports_with_groups(host: Host) -> None:
    host.taps.rules_error = GONE
    assert host.guards.load_ruleset(EMPTY) == frozenset()
    assert not host.guards.is_ruleset_loaded
    assert host.veths.loaded == [EMPTY]
    why = f"its security groups are not in force: {GONE}"
    result = host.guards.apply(host.guards.plan(host.places(2, grouped=True), ALL))
    assert result.failed == {1: why, 2: why}
    assert result.unguarded == frozenset()
    assert host.revisions == {3: 2}
    assert not host.guards.apply(host.guards.plan(host.places(3), ALL)).failed
    host.taps.rules_error = ""
    host.guards.load_ruleset(EMPTY)
    assert host.guards.is_ruleset_loaded
    assert not host.guards.apply(host.guards.plan(host.places(4, grouped=True), ALL)).failed
