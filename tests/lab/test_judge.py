"""The judge finds what is wrong with what was seen; nothing unexpected is overlooked."""

from __future__ import annotations

from dataclasses import replace

import pytest

from vifguard.lab.attacks import VARIANTS
from vifguard.lab.attacks.attack import (
    CONTAINED,
    PASS,
    Actor,
    Effect,
    Expected,
    Kind,
    Path,
    drop,
)
from vifguard.lab.attacks.sample_actors import ACTORS, ACTORS_ON_PAPER
from vifguard.lab.play.judge import faults
from vifguard.lab.play.referee import Seen
from vifguard.lab.play.topology import Endpoint, LabSegment
from vifguard.model.guard import Guard

PLACES = {
    name: Endpoint(name, station, f"ns-{name}", "eth0", f"tap-{name}", port_id=name)
    for name, station in {
        "victim": ACTORS_ON_PAPER.v,
        "peer": ACTORS_ON_PAPER.p,
        "attacker": ACTORS_ON_PAPER.a,
    }.items()
}
DEAF = Endpoint("deaf", ACTORS[Actor.CLOSED], "ns-deaf", "eth0", "tap-deaf", receives_nothing=True)
OUTSIDE = Endpoint("outside", ACTORS_ON_PAPER.g, "ns-outside", "eth0", "uplink0")
SEGMENT = LabSegment(
    "s",
    Kind.STRICT,
    "br0",
    ACTORS_ON_PAPER,
    {Actor.GUEST: PLACES["attacker"], Actor.OUTSIDE: OUTSIDE},
    (*PLACES.values(), DEAF),
    OUTSIDE,
)
BROADCAST = VARIANTS["L18/limited-broadcast"]
UNICAST = VARIANTS["L29/udp4"]
DROPPED = drop(Guard.IP)


def judged(
    seen: Seen,
    expected: Expected,
    variant=UNICAST,
    path: Path = Path.GUEST,
    segment: LabSegment = SEGMENT,
) -> list[str]:
    return faults(variant, expected, segment, path, variant.frame(ACTORS_ON_PAPER), seen)


def test_a_drop_that_did_nothing_is_right() -> None:
    assert judged(Seen(), DROPPED) == []


@pytest.mark.parametrize(
    "seen",
    [
        Seen(heard={"peer": 1}),
        Seen(heard={"outside": 1}),
        Seen(strangers=("elsewhere",)),
        Seen(host=True),
        Seen(moved=("v is now believed behind a",)),
        Seen(poisoned=("p believes v at a",)),
        Seen(extra=("p heard 00",)),
        Seen(unsent="EINVAL"),
    ],
)
def test_a_drop_with_any_effect_is_a_fault(seen: Seen) -> None:
    assert judged(seen, DROPPED)


def test_a_frame_that_passes_is_delivered_once_to_whom_it_is_addressed() -> None:
    assert judged(Seen(heard={"peer": 1}), PASS) == []
    assert judged(Seen(), PASS)
    assert judged(Seen(heard={"peer": 2}), PASS)
    assert judged(Seen(heard={"peer": 1, "victim": 1}), PASS)


def test_a_frame_to_everyone_reaches_everyone_who_hears() -> None:
    everyone = {"peer": 1, "victim": 1, "outside": 1}
    assert judged(Seen(heard=everyone), PASS, BROADCAST) == []
    for name in everyone:
        rest = {each: 1 for each in everyone if each != name}
        assert judged(Seen(heard=rest), PASS, BROADCAST)
    assert judged(Seen(heard=everyone | {"deaf": 1}), PASS, BROADCAST)


def test_unknown_unicast_may_only_leave_by_the_uplink() -> None:
    stray = VARIANTS["iso-unknown-unicast-leak/from-a-guest"]
    assert judged(Seen(), PASS, stray) == []
    assert judged(Seen(heard={"outside": 1}), PASS, stray) == []
    assert judged(Seen(heard={"victim": 1}), PASS, stray)
    flooding = replace(SEGMENT, floods=True)
    assert judged(Seen(heard={"victim": 1}), PASS, stray, segment=flooding) == []


def test_what_is_contained_may_be_heard_on_its_segment_only() -> None:
    assert judged(Seen(heard={"peer": 1}, moved=("x",)), CONTAINED) == []
    assert judged(Seen(), CONTAINED) == []
    assert judged(Seen(strangers=("elsewhere",)), CONTAINED)
    assert judged(Seen(host=True), CONTAINED)


def test_nobody_has_to_hear_what_goes_to_the_host() -> None:
    assert judged(Seen(), PASS, path=Path.HOST) == []
    assert judged(Seen(host=True), PASS, path=Path.HOST)


def test_only_what_no_device_takes_may_stay_unsent() -> None:
    refused = Seen(unsent="EMSGSIZE")
    assert judged(refused, PASS)
    assert judged(refused, PASS, replace(UNICAST, effect=Effect.UNSENT)) == []


def test_from_outside_only_guests_must_not_hear() -> None:
    outside = replace(UNICAST, actor=Actor.OUTSIDE)
    assert judged(Seen(moved=("x",)), DROPPED, outside) == []
    assert judged(Seen(heard={"victim": 1}), DROPPED, outside)
