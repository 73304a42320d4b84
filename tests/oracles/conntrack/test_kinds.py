"""Each kind of difference that is listed still occurs, in both families and both directions."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.oracles.conntrack.kinds import Kind
from tests.oracles.conntrack.table import KINDS, kind_of
from tests.oracles.conntrack.trial import BUCKETS, Trial
from tests.triangle.decider import private_driver
from tests.triangle.kernel import LOOPBACK
from tests.triangle.sequences.program import Program

from vifguard.model.verdict import Direction

pytestmark = pytest.mark.kernel


@pytest.fixture(scope="module")
def trial() -> Iterator[Trial]:
    with private_driver(BUCKETS) as driver:
        trial = Trial(Program(driver, (LOOPBACK,)))
        yield trial
        trial.close()


@pytest.mark.parametrize("opener", Direction, ids=lambda direction: direction.name.lower())
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_listed_difference_occurs(trial: Trial, kind: Kind, opener: Direction) -> None:
    for version in kind.versions:
        case = kind.example(version, opener)
        trial.renew(case)
        found = trial.difference(case)
        assert found is not None, f"no difference: take {kind.name} out of the table\n{case}"
        assert found.step is case.steps[-1], f"they part earlier\n{found}"
        assert kind_of(found) is kind, str(found)
