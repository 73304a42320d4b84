"""A search by hypothesis: any actions in any order, and few steps that divide two subjects."""

import os
from collections.abc import Callable
from random import Random

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test
from tests.triangle.sequences.actor import WEIGHTS, Actor
from tests.triangle.sequences.stage import DisagreementError, Stage, shrunk
from tests.triangle.sequences.subject import Subject

THOROUGH = int(os.environ.get("VIFGUARD_THOROUGH", "1"))
"""How many times as long as usual sequences are searched for."""
_SETTINGS = settings(
    max_examples=40 * THOROUGH,
    stateful_step_count=60,
    deadline=None,
    # What is found is made short by leaving steps out, which takes a hundredth of the time.
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)


def search(subjects: Callable[[], tuple[Subject, ...]]) -> None:
    """Raise DisagreementError with few steps on which the subjects do not agree."""

    class Machine(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            self.actor = Actor(Stage(*subjects()), Random(0))

    for name in WEIGHTS:
        setattr(Machine, name, _rule(name))
    try:
        run_state_machine_as_test(Machine, settings=_SETTINGS)
    except DisagreementError as error:
        raise shrunk(error, *subjects()) from None


def _rule(name: str):
    def act(self, random: Random) -> None:
        self.actor.random = random
        getattr(self.actor, name)()

    act.__name__ = name
    return rule(random=st.randoms(use_true_random=False))(act)
