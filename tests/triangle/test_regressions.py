"""What fuzzing kept: the corpus and old disagreements, judged by both again; and the search."""

from dataclasses import replace
from random import Random

import pytest
from fuzz import corpus, regression, sequences, vocabulary
from fuzz.mutate import Mutator, Seed
from fuzz.ports import Disagreement, is_testable
from fuzz.search import Search
from tests.triangle import universe
from tests.triangle.agreement import disagreement
from tests.triangle.decider import private_driver
from tests.triangle.kernel import Kernel
from tests.triangle.sequences.program import with_program
from tests.triangle.sequences.stage import replay
from tests.triangle.sequences.subject import Reference
from tests.triangle.sequences.test_kit import Forgetful

from vifguard.kernel.net.netns import in_throwaway
from vifguard.model.guard import Guard
from vifguard.model.verdict import Direction
from vifguard.packet.frame import parse
from vifguard.packet.offload import Offload, PartialChecksum

pytestmark = pytest.mark.kernel

SHOWN = 20


@pytest.fixture(scope="module")
def kernel():
    with private_driver() as driver:
        yield Kernel(driver)


@pytest.fixture(scope="module")
def frames():
    return [(frame, parse(frame)) for frame in corpus.kept() if is_testable(frame)]


def test_what_was_once_judged_differently_is_judged_alike(kernel) -> None:
    for kept in regression.kept():
        assert kept.sentence, f"{kept.name} says what it showed"
        kernel.hold(kept.policy)
        whole = parse(kept.frame, offload=kept.offload)
        found = disagreement(kernel, kept.policy, kept.direction, kept.frame, whole)
        assert not found, kept.name


def test_sequences_that_were_once_judged_differently_are_judged_alike() -> None:
    def disagreements(program):
        for kept in regression.kept_sequences():
            assert kept.sentence, f"{kept.name} says what it showed"
            yield kept.name, replay(kept.steps, Reference(), program)

    said = with_program(lambda program: dict(disagreements(program)))
    assert not any(said.values()), said


def test_a_difference_in_sequences_is_found_kept_and_read_again(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(regression, "KEPT", tmp_path)
    _, found = sequences.search(1, lambda tally: not tally.said or tally.frames < 4000, Forgetful)
    assert found
    regression.keep_error(found[0])
    (read,) = regression.kept_sequences()
    again = replay(read.steps, Reference(), Forgetful())
    assert again.said == found[0].said


def test_conversations_with_distorted_frames() -> None:
    tally, found = sequences.search(2026, lambda tally: tally.frames < 15_000)
    assert not found, found[0]
    assert tally.frames >= 15_000


@pytest.mark.parametrize(
    ("name", "policy"),
    [*universe.policies()],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_corpus_is_judged_alike(kernel, frames, name, policy) -> None:
    kernel.hold(policy)
    found = [
        said
        for direction in Direction
        for frame, parsed in frames
        if (said := disagreement(kernel, policy, direction, frame, parsed))
    ]
    assert not found, f"{name}: {len(found)} frames:\n" + "\n".join(found[:SHOWN])


def test_a_difference_is_found() -> None:
    def search():
        found = Search(corpus.kept()[::5], Random(1))
        before = found.tally.disagreements
        strict = next(n for n, policy in enumerate(vocabulary.fixed()) if Guard.IP in policy.guards)
        # The kernel goes on with the policy that it was given.
        judged = replace(found._ports.policies[strict], prefixes=frozenset())
        found._ports.policies[strict] = judged
        return before, found.run(lambda tally: tally.frames < 20_000)

    before, tally = in_throwaway(search)
    assert before == 0
    assert {found.policy.prefixes for found in tally.kinds.values()} == {frozenset()}


def test_a_regression_is_read_as_it_was_kept(tmp_path, monkeypatch, frames) -> None:
    monkeypatch.setattr(regression, "KEPT", tmp_path)
    port = vocabulary.drawn(Random(1), 1)
    left = Offload(PartialChecksum(34, 6), gso_size=1448)
    found = Disagreement(port, Direction.FROM_GUEST, frames[0][0], "pass", "drop host/runt", left)
    regression.keep(found)
    (read,) = regression.kept()
    assert (read.policy, read.direction, read.frame) == (port, found.direction, found.frame)
    assert read.offload == left


def test_the_corpus_shows_each_behaviour_once(frames) -> None:
    octets = [frame for frame, _ in frames]
    assert 1000 < len(octets) == len(set(octets))
    assert corpus.KEPT.stat().st_size < 1 << 20


def test_the_same_seed_makes_the_same_frames(frames) -> None:
    def made():
        mutator = Mutator(Random(7))
        seeds = [Seed(frame) for frame, _ in frames[:200]]
        return [mutator.mutate(one, two) for one, two in zip(seeds, seeds[::-1], strict=True)]

    assert made() == made()
