"""Reference = eBPF program over whole conversations, by hypothesis and by a long random walk."""

from random import Random

import pytest
from tests.triangle.sequences.actor import Actor, walk
from tests.triangle.sequences.machine import THOROUGH, search
from tests.triangle.sequences.program import with_program
from tests.triangle.sequences.stage import DisagreementError, Stage, Tally, shrunk
from tests.triangle.sequences.subject import Reference

from vifguard.model.verdict import Reason
from vifguard.semantics.flow import FlowState

pytestmark = pytest.mark.kernel

WALKS = 60 * THOROUGH
ACTIONS = 400
LEAST = 50
"""Of the rarest state and reason, so many times it must have been seen."""
GROUPS_SAY = (
    Reason.NOT_ALLOWED,
    Reason.FLOW_INVALID,
    Reason.ICMP_UNRELATED,
    Reason.FRAGMENT_UNKNOWN,
    Reason.FRAGMENT_OVERLAP,
)


@pytest.mark.timeout(300 * THOROUGH)
def test_any_sequence() -> None:
    with_program(lambda program: search(lambda: (Reference(), program)))


@pytest.mark.timeout(300 * THOROUGH)
def test_a_long_walk() -> None:
    tally = with_program(_walked)
    for state in FlowState:
        seen = sum(count for (each, _), count in tally.states.items() if each is state)
        assert seen >= LEAST, state
    for reason in GROUPS_SAY:
        seen = sum(count for said, count in tally.said.items() if said and said[1] is reason)
        assert seen >= LEAST, reason
    assert tally.said[None] >= tally.frames // 4


def _walked(program) -> Tally:
    tally = Tally()
    judges = Reference(), program
    for seed in range(WALKS):
        try:
            walk(Actor(Stage(*judges, tally=tally), Random(seed)), ACTIONS)
        except DisagreementError as error:
            raise shrunk(error, *judges) from None
    return tally
