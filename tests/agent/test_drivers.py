"""The drivers of a host: opened, probed and asked each for itself, whichever the others are."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.agent.recorder import Recorder

from vifguard.agent.host.capabilities import BridgeFeatures, report
from vifguard.agent.host.store_ownership import not_our_store_reason
from vifguard.enforce import drivers
from vifguard.enforce.driver.protocol import DriverError, HeldError
from vifguard.enforce.driver.session import Session
from vifguard.enforce.drivers import DriverEntry, DriverSettings
from vifguard.model.guard import Guard

HERE = Path("/nowhere")
SETTINGS = DriverSettings(HERE)
WIRE = BridgeFeatures((), by_name=True, vlan_quarantine=True)


def entry(driver: Recorder, error: Exception | None = None, *interfaces: int) -> DriverEntry:
    """The ways into a driver that cannot be opened where there is an `error`."""

    def open_(_settings: DriverSettings) -> Session[object]:
        if error is not None:
            raise error
        return Session(driver)

    name = driver.capabilities.driver
    return DriverEntry(
        name,
        open_,
        lambda _: open_(SETTINGS) and driver,
        lambda _: (f"{name}: {error}",) if error else driver.capabilities,
        lambda _: frozenset(interfaces),
        lambda _: driver.store,
    )


@pytest.fixture
def near() -> Recorder:
    return Recorder("near", "tun")


@pytest.fixture
def far() -> Recorder:
    return Recorder("far")


@pytest.mark.parametrize("error", [DriverError("no table"), OSError("no table")])
def test_a_driver_that_cannot_be_opened_leaves_the_others(
    near: Recorder, far: Recorder, error: Exception
) -> None:
    both = (entry(near, error), entry(far))
    opened = drivers.open_drivers(SETTINGS, both)
    assert [each.driver for each in opened.capabilities] == ["far"]
    assert opened.unusable == ("guards of near: no table",)
    assert opened.missing == ()
    assert drivers.probe_drivers(HERE, both) == ((far.capabilities,), ())


def test_a_host_without_any_driver_lacks_what_each_lacks(near: Recorder, far: Recorder) -> None:
    neither = [entry(each, DriverError("no")) for each in (near, far)]
    assert drivers.open_drivers(SETTINGS, neither).missing == (
        "guards of near: no",
        "guards of far: no",
    )
    assert drivers.probe_drivers(HERE, neither) == ((), ("near: no", "far: no"))


def test_none_stays_open_where_another_process_holds_one(near: Recorder, far: Recorder) -> None:
    with pytest.raises(HeldError):
        drivers.open_drivers(SETTINGS, [entry(near), entry(far, HeldError("held"))])
    assert near.is_closed


def test_guards_are_removed_by_all_drivers_or_by_none(near: Recorder, far: Recorder) -> None:
    both = [entry(near), entry(far, DriverError("no table"))]
    with pytest.raises(DriverError, match="no table"), drivers.hold_all(HERE, both):
        pytest.fail("one of them is not held")
    assert near.is_closed


def test_what_stands_is_read_of_every_driver(near: Recorder, far: Recorder) -> None:
    near.set_store("s1")
    far.set_store("s2")
    both = [entry(near, None, 3), entry(far, None, 4, 5)]
    assert drivers.guarded_interfaces(HERE, both) == {3, 4, 5}
    assert drivers.noted_stores(HERE, both) == {"s1", "s2"}


def test_guards_of_two_stores_are_neither_ones() -> None:
    assert not not_our_store_reason(frozenset({"s1"}), "s1", 1)
    assert not not_our_store_reason(frozenset(), "s1", 1)
    for store in ("s1", "s2"):
        assert "for the store s1, s2" in not_our_store_reason(frozenset({"s1", "s2"}), store, 2)


def test_security_groups_are_offered_where_a_driver_holds_them() -> None:
    """The server offers groups where a living host has the feature `groups`."""
    unable = Recorder("unable", refused={Guard.SECURITY_GROUPS: "it keeps no connections"})
    alone = report(WIRE, [unable.capabilities], ())
    assert "groups" not in alone.features
    assert alone.refused_guards == ("unable: groups: it keeps no connections",)
    both = report(WIRE, [unable.capabilities, Recorder().capabilities], ())
    assert both.features >= {"unable", "recorder", "memory", "groups"}
