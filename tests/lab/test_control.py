"""Without guards every attack gets through: a probe that cannot is no probe."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from control import control

from vifguard.lab.attacks import CATALOGUE
from vifguard.lab.attacks.attack import Actor, Attack, Effect, Kind, Outcome, Path, Variant, drop
from vifguard.lab.play.catalogue_run import Case, cases
from vifguard.lab.play.judge import faults
from vifguard.lab.play.referee import Referee, Seen
from vifguard.lab.play.topology import Topology
from vifguard.lab.world import netns
from vifguard.lab.world.netns import LabError
from vifguard.model.guard import Guard

pytestmark = pytest.mark.kernel


@pytest.fixture(scope="module")
def arena() -> Iterator[Topology]:
    with control() as standing:
        yield standing


@pytest.fixture(scope="module")
def referee(arena: Topology) -> Iterator[Referee]:
    with Referee(arena) as listening:
        yield listening


def gets_through(variant: Variant, path: Path, seen: Seen) -> bool:
    effect = variant.effect
    if effect is Effect.UNSENT or seen.unsent:
        return effect is Effect.UNSENT and bool(seen.unsent) and not seen.anything
    if path is Path.HOST and effect is not Effect.HOST:
        return True  # whether the host takes a frame is the host's own affair
    if path is Path.UPLINK and effect is not Effect.NONE:
        return seen.anything
    return {
        Effect.DELIVERY: bool(seen.heard),
        Effect.FORWARDING: bool(seen.moved),
        Effect.NEIGHBOUR: bool(seen.poisoned),
        Effect.HOST: seen.host,
        Effect.NONE: not seen.anything,
    }[effect]


HARMLESS = (Effect.NONE, Effect.UNSENT)
DROPPED = drop(Guard.ETHERTYPE)


def is_attack(variant: Variant) -> bool:
    return any(expected.outcome is Outcome.DROP for expected in variant.expect.values())


def played(referee: Referee, case: Case) -> Seen:
    """What came of the frame; again where the victim, by talking itself, undid it at once."""
    variant, cast = case.variant, referee.topology.cast(case.segment, case.variant.actor, case.path)
    offload = variant.offload(cast) if variant.offload else None
    for _ in range(5):
        seen = referee.play(case.segment, variant.actor, case.frame, offload)
        if gets_through(variant, case.path, seen):
            break
    return seen


@pytest.mark.parametrize(
    "attack",
    [a for a in CATALOGUE if any(is_attack(v) or v.effect is Effect.HOST for v in a.variants)],
    ids=lambda attack: attack.id,
)
def test_every_attack_gets_through_where_nothing_guards(
    attack: Attack, arena: Topology, referee: Referee
) -> None:
    (segment,) = arena.segments
    for case in cases(arena, attack, segment):
        variant = case.variant
        if not is_attack(variant) and variant.effect is not Effect.HOST:
            continue
        seen = played(referee, case)
        assert gets_through(variant, case.path, seen), f"{variant.name}, {case.path}: {seen}"
        if variant.effect not in HARMLESS and case.path is Path.GUEST and is_attack(variant):
            # The judge, told that the port was strict, sees that it was not.
            strict = replace(segment, kind=Kind.STRICT, floods=False)
            assert faults(variant, DROPPED, strict, case.path, case.frame, seen)


def test_a_frame_that_cannot_be_sent_is_said_to_be_unsent(
    arena: Topology, referee: Referee
) -> None:
    (segment,) = arena.segments
    seen = referee.play(segment, Actor.GUEST, b"")
    assert seen.unsent
    assert not seen.anything


def test_a_marker_that_is_not_heard_is_an_error_of_the_bench(arena: Topology) -> None:
    (segment,) = arena.segments
    netns.ip([f"link set {segment.guests[0].tap} down"], arena.host_netns)
    try:
        with pytest.raises(LabError, match=segment.guests[0].name):
            Referee(arena, patience=0.2)
    finally:
        netns.ip([f"link set {segment.guests[0].tap} up"], arena.host_netns)
