"""The search itself: where two differ it finds that, and tells by few steps."""

from random import Random

import pytest
from tests.triangle.sequences.actor import Actor, walk
from tests.triangle.sequences.machine import search
from tests.triangle.sequences.stage import DisagreementError, Stage, Tally, replay, shrunk
from tests.triangle.sequences.steps import Held, read, written
from tests.triangle.sequences.subject import Reference

from vifguard.model.verdict import Reason
from vifguard.semantics.flow import FlowState
from vifguard.semantics.groups import GroupState
from vifguard.semantics.tcp import RST

ACTIONS = 400
GROUPS_SAY = {
    Reason.NOT_ALLOWED,
    Reason.FLOW_INVALID,
    Reason.ICMP_UNRELATED,
    Reason.FRAGMENT_UNKNOWN,
    Reason.FRAGMENT_OVERLAP,
}


class OneTable(Reference):
    """All ports share one table of connections, as nothing may."""

    def hold(self, held: Held) -> None:
        super().hold(held)
        shared = GroupState(held.book)
        self._memories = [shared for _ in self._memories]


class Forgetful(Reference):
    """It ends a connection as soon as there was an RST, wherever that was."""

    def judge(self, port, direction, frame):
        said = super().judge(port, direction, frame)
        if said is None and frame[47:48] == bytes((RST,)) and frame[23] == 6:
            self._memories[port].flows.clear()
        return said


def walks(judges, seeds):
    tally = Tally()
    for seed in range(seeds):
        walk(Actor(Stage(*judges, tally=tally), Random(seed)), ACTIONS)
    return tally


def test_what_can_be_said_and_every_state_is_reached() -> None:
    tally = walks((Reference(),), 24)
    assert {reason for said in tally.said if said for reason in said[1:]} >= GROUPS_SAY
    assert {state for state, protocol in tally.states if protocol == 6} == {*FlowState}
    for protocol in (17, 1, 58, 33, 132, 136, 47):
        assert {state for state, each in tally.states if each == protocol} >= {FlowState.HALF_OPEN}


def test_the_same_seed_walks_the_same_way() -> None:
    def walked():
        stage = Stage(Reference())
        walk(Actor(stage, Random(3)), 200)
        return stage.steps

    assert walked() == walked()


def test_what_is_written_down_is_read_again() -> None:
    stage = Stage(Reference())
    walk(Actor(stage, Random(5)), 100)
    assert read(written(stage.steps)) == stage.steps


@pytest.mark.parametrize("faulty", [OneTable, Forgetful])
def test_a_difference_is_found_and_told_by_few_steps(faulty) -> None:
    judges = Reference(), faulty()
    with pytest.raises(DisagreementError) as found:
        walks(judges, 50)
    short = shrunk(found.value, *judges)
    assert len(short.steps) <= 8
    again = replay(read(written(short.steps)), *judges)
    assert again.said == short.said == found.value.said


def test_hypothesis_finds_it_too() -> None:
    with pytest.raises(DisagreementError) as found:
        search(lambda: (Reference(), OneTable()))
    assert len(found.value.steps) <= 8
