"""Reference = eBPF program, for every frame of a tiny universe and every policy that matters."""

import pytest
from tests.triangle import universe
from tests.triangle.agreement import disagreement
from tests.triangle.decider import is_testable, private_driver
from tests.triangle.kernel import Kernel

from vifguard.model.verdict import Direction
from vifguard.packet.frame import parse

pytestmark = pytest.mark.kernel

SHOWN = 20


@pytest.fixture(scope="module")
def frames():
    return [(name, frame, parse(frame)) for name, frame in universe.frames() if is_testable(frame)]


@pytest.fixture(scope="module")
def kernel():
    with private_driver() as driver:
        yield Kernel(driver)


@pytest.mark.parametrize(
    ("name", "policy"),
    [*universe.policies()],
    ids=lambda value: value if isinstance(value, str) else "",
)
@pytest.mark.parametrize("direction", Direction)
def test_the_program_says_what_the_reference_says(kernel, frames, name, policy, direction) -> None:
    kernel.hold(policy)
    disagreements = [
        f"{name}: {said}: {found}"
        for said, frame, parsed in frames
        if (found := disagreement(kernel, policy, direction, frame, parsed))
    ]
    assert not disagreements, f"{len(disagreements)} of {len(frames)} frames:\n" + "\n".join(
        disagreements[:SHOWN]
    )
