"""The storm bucket: the program's and the reference's run dry at the same frame."""

import pytest
from tests.triangle import universe
from tests.triangle.decider import private_driver
from tests.triangle.kernel import Kernel

from vifguard.model.guard import Guard
from vifguard.model.policy import Storm
from vifguard.model.verdict import PASS, Direction, Reason
from vifguard.packet import build
from vifguard.semantics.storm import Bucket
from vifguard.semantics.verdict import judge

pytestmark = pytest.mark.kernel

BROADCAST = build.ethernet(
    universe.OWN, universe.BROADCAST, build.arp(universe.OWN, universe.OWN4, target_ip="10.0.0.1")
)
UNICAST = build.ethernet(
    universe.OWN, universe.OTHER, build.arp(universe.OWN, universe.OWN4, target_ip="10.0.0.1")
)
# So slow that nothing comes back while the test runs: the count alone decides.
SLOW = Storm(rate=1, burst=5)


@pytest.mark.parametrize("storm", [SLOW, Storm(rate=0, burst=5), Storm(rate=1, burst=0)])
def test_both_run_dry_at_the_same_frame(storm) -> None:
    policy = universe.policy(frozenset({Guard.STORM}), storm=storm)
    with private_driver() as driver:
        kernel = Kernel(driver)
        kernel.hold(policy)
        bucket, seen, wanted = Bucket(), [], []
        for _ in range(8):
            verdict, bucket = judge(policy, Direction.FROM_GUEST, BROADCAST, now=1, bucket=bucket)
            wanted.append(verdict.reason)
            seen.append(kernel.verdict(Direction.FROM_GUEST, BROADCAST).reason)
        assert seen == wanted
        assert seen[-1] is Reason.STORM_RATE
        assert kernel.verdict(Direction.FROM_GUEST, UNICAST) == PASS
