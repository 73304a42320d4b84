"""Reference = eBPF program beyond the tiny universe: structured frames and their mutations."""

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, assume, given, note, settings
from tests.property import strategies
from tests.triangle.agreement import disagreement
from tests.triangle.decider import is_testable, private_driver
from tests.triangle.kernel import Kernel

from vifguard.model.policy import Storm
from vifguard.model.verdict import Direction
from vifguard.packet.frame import parse

pytestmark = pytest.mark.kernel

PORT = "11111111-2222-3333-4444-555555555555"
UNLIMITED = Storm(rate=1_000_000_000, burst=1_000_000_000)


@pytest.fixture(scope="module")
def kernel():
    with private_driver() as driver:
        yield Kernel(driver)


@settings(
    max_examples=2000,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(strategies.policies(), strategies.frames(), strategies.offloads())
def test_any_frame_under_any_policy(kernel, policy, frame, offload) -> None:
    assume(is_testable(frame))
    policy = replace(policy, port_id=PORT, storm=UNLIMITED)
    kernel.hold(policy)
    for direction in Direction:
        parsed = parse(frame, offload=offload)
        said = disagreement(kernel, policy, direction, frame, parsed)
        note(said or "")
        assert not said
