"""The guards of a host by whatever driver: chosen by port, read back, closed, put back, removed."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace

import pytest
from tests.agent.host_facts import link, port, port_id, tap
from tests.agent.recorder import Recorder

from vifguard.agent.host_guards import HostGuards, by_ifindex
from vifguard.agent.placement import Placement
from vifguard.enforce.driver.device import Interface, NamedDevice, ifindex_of
from vifguard.enforce.driver.protocol import Change, Desired, Loss, Observed
from vifguard.enforce.driver.session import Session
from vifguard.kernel.net.link import Link
from vifguard.model.guard import Guard

ALL = frozenset(range(1, 10))


def place(number: int, kind: str = "tun", **more: object) -> Placement:
    """Port `number` at an interface of that index."""
    return Placement(port(number), link(number, tap(number), kind=kind), **more)


def places(*which: Placement) -> Mapping[int, Placement]:
    return by_ifindex(which)


def guards(*drivers: Recorder) -> HostGuards:
    return HostGuards(Session(each) for each in drivers)


@pytest.fixture
def driver() -> Recorder:
    return Recorder()


@pytest.fixture
def held(driver: Recorder) -> HostGuards:
    """Ports 1 and 2 are guarded."""
    held = guards(driver)
    result = held.apply(held.plan(places(place(1), place(2)), ALL))
    assert (result.failed, result.unguarded) == ({}, frozenset())
    return held


def test_what_differs_is_changed_and_what_is_not_desired_is_removed(driver: Recorder) -> None:
    one, two = (NamedDevice("recorder", name) for name in "ab")
    desired = Desired({one: "a", two: "b"}, {})
    for observed, change in (
        (Observed({one: "a", two: "b"}), None),
        (Observed({one: "a", two: "c"}), Change({two: "b"}, {two: "c"})),
        (Observed({one: "a"}), Change({two: "b"}, {})),
        (
            Observed({one: "a", two: "b", Interface(9): "c"}),
            Change({}, {}, frozenset({Interface(9)})),
        ),
        (Observed({one: "a", two: "b"}, frozenset({"an object"})), Change({}, {}, sweep=True)),
    ):
        assert driver.diff(desired, observed) == change


def test_a_device_is_known_by_what_it_is() -> None:
    assert ifindex_of(Interface(7)) == 7
    assert NamedDevice("ovn", "7") != NamedDevice("openvswitch", "7")
    with pytest.raises(TypeError, match="ovn:lsp1 is no kernel interface"):
        ifindex_of(NamedDevice("ovn", "lsp1"))


def test_what_was_put_there_is_not_put_there_again(held: HostGuards, driver: Recorder) -> None:
    before = len(driver.applied)
    assert held.apply(held.plan(places(place(1), place(2)), ALL)).failed == {}
    assert len(driver.applied) == before
    assert set(held.enforced) == {1, 2}


def test_a_port_that_ends_is_cut_off_before_it_loses_its_guard(
    held: HostGuards, driver: Recorder
) -> None:
    plan = held.plan(places(place(1)), ALL)
    assert plan.detached == {2}
    assert driver.device(tap(2)) in driver.images
    held.apply(plan)
    assert set(driver.images) == {driver.device(tap(1))}
    assert set(held.enforced) == {1}


def test_one_that_cannot_be_cut_off_keeps_its_guard_closed(
    held: HostGuards, driver: Recorder
) -> None:
    plan = held.plan(places(place(1)), ALL)
    held.apply(held.keep_closed(plan, [link(2, tap(2))]))
    policy, _, _ = driver.images[driver.device(tap(2))]
    assert policy.closed
    assert not policy.macs


def test_a_lost_guard_is_found_and_put_back(held: HostGuards, driver: Recorder) -> None:
    driver.lose(tap(2))
    assert held.lost([1, 2]) == {2: Loss("forgotten", "its image is gone")}
    plan = held.plan(places(place(2)), frozenset({2}))
    assert plan.lost.keys() == {2}
    held.apply(plan)
    assert held.lost([1, 2]) == {}


def test_a_port_that_fails_is_closed_and_leaves_the_others_alone(driver: Recorder) -> None:
    refused = driver.device(tap(1))
    driver.refused = {refused: "too many addresses"}
    held = guards(driver)
    result = held.apply(held.plan(places(place(1), place(2)), ALL))
    assert result.failed == {1: "too many addresses"}
    assert result.unguarded == frozenset()


def test_a_port_without_any_guard_is_named(
    driver: Recorder, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vifguard.agent.host_guards.interfaces", lambda: {1, 2})
    driver.failing = {driver.device(tap(1)): "no memory"}
    held = guards(driver)
    with caplog.at_level(logging.ERROR):
        result = held.apply(held.plan(places(place(1), place(2)), ALL))
    assert result.failed == {1: "no memory"}
    assert result.unguarded == {1}
    assert f"at interface {tap(1)} of port {port_id(1)}: no memory" in caplog.text
    assert set(held.enforced) == {2}


def test_a_guard_that_the_driver_does_not_have_closes_the_port() -> None:
    """Law 4: what a driver cannot enforce is held closed and reported."""
    driver = Recorder(refused={Guard.STORM: "it cannot count"})
    held = guards(driver)
    without = port(2)
    without = replace(without, policy=replace(without.policy, guards=frozenset({Guard.MAC})))
    other = Placement(without, link(2, tap(2)))
    result = held.apply(held.plan(places(place(1), other), ALL))
    assert result.failed == {1: "the driver recorder has no storm: it cannot count"}
    closed = {
        name: driver.images[driver.device(tap(n))][0].closed for n, name in ((1, "a"), (2, "b"))
    }
    assert closed == {"a": result.failed[1], "b": ""}


def test_a_driver_is_told_how_frames_go_and_that_a_guest_was_there(driver: Recorder) -> None:
    """A guest's frames leave a macvtap; one that ran before may have connections."""
    held = guards(driver)
    held.apply(held.plan(places(place(1, "macvtap"), place(2)), ALL, running=[2]))
    swapped = {device: image[1] for device, image in driver.images.items()}
    assert swapped == {driver.device(tap(1)): True, driver.device(tap(2)): False}
    (change,) = driver.applied
    assert change.running == {driver.device(tap(2))}


def test_a_renamed_interface_has_one_guard(held: HostGuards, driver: Recorder) -> None:
    """A driver that knows devices by name takes it for another device."""
    renamed = Placement(port(1), link(1, "other"))
    plan = held.plan(places(renamed), frozenset({1}))
    assert plan.detached == frozenset()
    held.apply(plan)
    assert set(driver.images) == {driver.device("other"), driver.device(tap(2))}
    assert set(held.enforced) == {1, 2}


def at(number: int, index: int, name: str) -> Placement:
    """Port `number` at an interface of that index and name."""
    return Placement(port(number), link(index, name))


def ports_by_name(driver: Recorder) -> dict[str, str]:
    return {str(device): image[0].port_id for device, image in driver.images.items()}


def test_interfaces_that_swap_their_names_keep_their_guards(
    held: HostGuards, driver: Recorder
) -> None:
    swapped = places(at(1, 2, tap(1)), at(2, 1, tap(2)))
    assert held.apply(held.plan(swapped, ALL)).failed == {}
    assert ports_by_name(driver) == {f"recorder:{tap(n)}": port_id(n) for n in (1, 2)}
    assert set(held.enforced) == {1, 2}
    driver.lose(tap(1))
    assert held.lost([1, 2]).keys() == {2}


def test_a_name_that_another_interface_takes_is_its_device(driver: Recorder) -> None:
    held = guards(driver)
    held.apply(held.plan(places(at(1, 5, "a")), frozenset({5})))
    both = places(at(1, 7, "a"), at(2, 5, "c"))
    assert held.apply(held.plan(both, frozenset({5, 7}))).failed == {}
    assert ports_by_name(driver) == {"recorder:a": port_id(1), "recorder:c": port_id(2)}
    assert set(held.enforced) == {5, 7}


@pytest.mark.parametrize("is_noticed", [True, False])
def test_a_name_that_another_interface_took_before_stays_guarded(
    driver: Recorder, *, is_noticed: bool
) -> None:
    held = guards(driver)
    held.apply(held.plan(places(at(1, 5, "a")), frozenset({5})))
    if is_noticed:
        held.apply(held.plan({}, frozenset({5})))
        assert held.guarded_at(5) is None
    held.apply(held.plan(places(at(1, 7, "a")), frozenset({7})))
    held.apply(held.plan({}, frozenset({5})))
    held.apply(held.plan(places(at(2, 5, "c")), frozenset({5})))
    assert ports_by_name(driver) == {"recorder:a": port_id(1), "recorder:c": port_id(2)}
    driver.lose("a")
    assert held.lost([5, 7]).keys() == {7}


def test_only_what_is_kept_stays(held: HostGuards, driver: Recorder) -> None:
    driver.leftovers = frozenset({"an object"})
    links = [link(1, tap(1)), link(2, tap(2))]
    plan = held.plan_sweep({1}, links)
    assert plan.detached == {2}
    held.apply(plan)
    assert set(driver.images) == {driver.device(tap(1))}
    assert driver.leftovers == frozenset()


def test_a_new_agent_knows_its_ports_and_its_store(held: HostGuards, driver: Recorder) -> None:
    held.set_store("s1")
    anew = guards(driver)
    here = {n: link(n, tap(n)) for n in (1, 2)}
    assert anew.ports(here) == {port_id(1), port_id(2)}
    assert (anew.stores, anew.holder) == ({"s1"}, "recorder-1")


class TestTwoDrivers:
    """Each guards the interfaces that are of its kind."""

    @pytest.fixture
    def taps(self) -> Recorder:
        return Recorder("taps", "tun")

    @pytest.fixture
    def veths(self) -> Recorder:
        return Recorder("veths", "veth")

    def test_each_port_has_its_driver(self, taps: Recorder, veths: Recorder) -> None:
        held = guards(taps, veths)
        both = places(place(1), place(2, "veth"))
        result = held.apply(held.plan(both, ALL))
        assert result.drivers == {1: "taps", 2: "veths"}
        assert set(taps.images) == {taps.device(tap(1))}
        assert set(veths.images) == {veths.device(tap(2))}
        veths.lose(tap(2))
        assert held.lost([1, 2]).keys() == {2}

    def test_one_that_none_guards_is_unguarded(
        self, taps: Recorder, veths: Recorder, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("vifguard.agent.host_guards.interfaces", set)
        held = guards(taps, veths)
        result = held.apply(held.plan(places(place(1), place(3, "macvtap")), ALL))
        assert result.failed == {3: f"no driver guards interface {tap(3)}"}
        assert result.unguarded == {3}
        assert set(held.enforced) == {1}

    def test_a_port_keeps_the_former_guard_until_the_new_one_stands(
        self, taps: Recorder, veths: Recorder, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("vifguard.agent.host_guards.interfaces", lambda: {1})
        held = guards(taps, veths)
        held.apply(held.plan(places(place(1)), ALL))
        veths.failing = {veths.device(tap(1)): "no memory"}
        moved = held.plan(places(place(1, "veth")), ALL)
        assert moved.detached == frozenset()
        assert held.apply(moved).unguarded == {1}
        assert taps.images
        veths.failing = {}
        assert held.apply(held.plan(places(place(1, "veth")), ALL)).failed == {}
        assert not taps.images
        assert veths.images

    def test_what_is_not_any_ones_is_swept_at_both(self, taps: Recorder, veths: Recorder) -> None:
        held = guards(taps, veths)
        held.apply(held.plan(places(place(1), place(2, "veth")), ALL))
        anew = guards(taps, veths)
        anew.apply(anew.plan(places(place(1)), frozenset({1})))
        links: list[Link] = [link(1, tap(1)), link(2, tap(2), kind="veth")]
        plan = anew.plan_sweep({1}, links)
        assert plan.detached == {2}
        anew.apply(plan)
        assert (len(taps.images), len(veths.images)) == (1, 0)

    @pytest.mark.parametrize("is_left", [True, False])
    def test_a_stray_guard_of_a_driver_that_is_not_chosen_any_more_is_cut_off(
        self, taps: Recorder, *, is_left: bool
    ) -> None:
        """An earlier run had only `former`; the port is deleted, and then `taps` is asked first."""
        former = Recorder("former")
        held = guards(former)
        held.apply(held.plan(places(place(1)), ALL))
        anew = guards(taps, former)
        plan = anew.plan_sweep((), [link(1, tap(1))])
        assert plan.detached == {1}
        assert former.images
        anew.apply(plan if is_left else anew.keep_closed(plan, [link(1, tap(1))]))
        assert [bool(image[0].closed) for image in former.images.values()] == [True] * (not is_left)
        assert not taps.images

    def test_what_all_guards_share_is_put_back_at_each_although_one_fails(
        self, taps: Recorder, veths: Recorder, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail() -> tuple[str, ...]:
            raise OSError("held")

        monkeypatch.setattr(taps, "repair", fail)
        veths.broken = ["a table was gone"]
        repaired = guards(taps, veths).repair()
        assert next(repaired) == "a table was gone"
        with pytest.raises(OSError, match="held"):
            next(repaired)

    def test_rules_are_lost_where_one_has_lost_them(self, taps: Recorder, veths: Recorder) -> None:
        held = guards(taps, veths)
        assert not held.rules_lost()
        assert all(held.compare_rules({}))
        veths.rules_are_lost = True
        assert held.rules_lost()
        assert not all(held.compare_rules({}))
