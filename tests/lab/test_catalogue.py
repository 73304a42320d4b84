"""The catalogue says what attacks.md and the guards' text say, and the reference agrees."""

import re
from pathlib import Path

import pytest

from vifguard.lab.attacks import CATALOGUE, VARIANTS
from vifguard.lab.attacks.attack import Actor, Attack, Kind, Outcome, Variant
from vifguard.lab.attacks.sample import cast_of, policy_of
from vifguard.lab.scenarios import lifecycle
from vifguard.model.guard import Guard
from vifguard.model.verdict import Action
from vifguard.semantics.verdict import verdict

PLAYED = [
    pytest.param(variant, kind, id=f"{kind}-{name}")
    for name, variant in VARIANTS.items()
    for kind in variant.expect
]
DROPPED = [
    pytest.param(variant, id=name)
    for name, variant in VARIANTS.items()
    if any(expected.outcome is Outcome.DROP for expected in variant.expect.values())
]
ADVISORY = re.compile(
    r"CVE-\d{4}-\d{4,}|OSSA-\d{4}-\d{3}|OSSN-\d{4}|LP#\d{7}|GHSA(-[0-9a-z]{4}){3}|VU#\d{6}"
    r"|RFC \d{3,4}( [\d.]+)?"
)


@pytest.mark.parametrize(("variant", "kind"), PLAYED)
def test_the_reference_agrees(variant: Variant, kind: Kind) -> None:
    expected = variant.expect[kind]
    wanted = Action.DROP if expected.outcome is Outcome.DROP else Action.PASS
    for path in variant.paths:
        frame = variant.frame(cast_of(variant.actor, path))
        said = verdict(policy_of(kind, variant.actor), variant.direction, frame)
        assert (said.action, said.guard) == (wanted, expected.guard), f"{path}: {said}"


@pytest.mark.parametrize("variant", DROPPED)
def test_a_frame_that_must_drop_has_a_twin_that_must_pass(variant: Variant) -> None:
    twin = VARIANTS[variant.twin]
    row = next(attack for attack in CATALOGUE if twin in attack.variants)
    assert row.group == "K"
    # Nothing passes from a closed port: there the twin is an open port's.
    actor = Actor.GUEST if variant.actor is Actor.CLOSED else variant.actor
    for kind in variant.expect:
        said = verdict(policy_of(kind, actor), variant.direction, twin.frame(cast_of(actor)))
        assert said.action is Action.PASS, f"{kind}: {said}"


@pytest.mark.parametrize("variant", DROPPED)
def test_a_twin_is_another_frame(variant: Variant) -> None:
    cast = cast_of(variant.actor)
    if variant.actor is Actor.CLOSED:
        return  # the port makes the difference there, not the frame
    assert variant.frame(cast) != VARIANTS[variant.twin].frame(cast)


def test_names_are_unique() -> None:
    ids = [attack.id for attack in CATALOGUE]
    assert len(set(ids)) == len(ids)
    for attack in CATALOGUE:
        names = [variant.name for variant in attack.variants]
        assert len(set(names)) == len(names), attack.id


@pytest.mark.parametrize("attack", CATALOGUE, ids=lambda attack: attack.id)
def test_a_row_is_played_refused_waits_or_says_where(attack: Attack) -> None:
    done = attack.variants or attack.refused or attack.waits_for or attack.proved_by
    assert done or "cenario s" in attack.note


def test_the_lifecycle_plays_what_says_so() -> None:
    says = {attack.id for attack in CATALOGUE if "Scenario `lifecycle`" in attack.note}
    assert says == set(lifecycle.STORIES)


@pytest.mark.parametrize("attack", CATALOGUE, ids=lambda attack: attack.id)
def test_what_a_row_names_as_its_proof_is_a_test(attack: Attack) -> None:
    for named in attack.proved_by:
        file, _, test = named.partition("::")
        assert f"def {test}(" in Path(file).read_text(), named


@pytest.mark.parametrize("attack", CATALOGUE, ids=lambda attack: attack.id)
def test_only_published_advisories_are_cited(attack: Attack) -> None:
    assert all(ADVISORY.fullmatch(cited) for cited in attack.published), attack.published


@pytest.mark.parametrize("guard", Guard)
def test_every_guard_that_judges_single_frames_has_attacks(guard: Guard) -> None:
    stopped = {e.guard for variant in VARIANTS.values() for e in variant.expect.values()}
    # storm judges a rate (scenario s8 plays it), groups judge connections.
    assert guard in stopped or guard in (Guard.STORM, Guard.GROUPS)


def test_every_row_is_there() -> None:
    counts = {group: sum(a.group == group for a in CATALOGUE) for group in "ABCDEFGHIJKX"}
    assert counts == {
        "A": 10,
        "B": 13,
        "C": 12,
        "D": 13,
        "E": 5,
        "F": 11,
        "G": 10,
        "H": 13,
        "I": 15,
        "J": 13,
        "K": 29,
        "X": 54,
    }
