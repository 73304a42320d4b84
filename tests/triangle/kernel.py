"""The driver's own decision on a frame, without an interface."""

from tests.triangle.decider import Decider

from vifguard.enforce.driver.protocol import Attachment
from vifguard.model.policy import PortPolicy
from vifguard.model.verdict import PASS, Action, Direction, Verdict
from vifguard.packet.offload import NO_OFFLOAD, Offload

LOOPBACK = 1
_SCOPE = frozenset({LOOPBACK})


class Kernel:
    """One policy at a time, in a private instance of the program and its maps."""

    def __init__(self, driver: Decider) -> None:
        self._driver = driver

    def hold(self, policy: PortPolicy) -> None:
        """Make `policy` the one that frames are judged by; it is read back."""
        attachment = Attachment(policy, LOOPBACK, reversed_hooks=False, revision=1)
        wanted = self._driver.render([attachment])
        assert not wanted.refused, wanted.refused
        change = self._driver.diff(wanted, self._driver.observe(_SCOPE))
        if change is not None:
            self._driver.apply(change)
        assert self._driver.enforced(wanted, self._driver.observe(_SCOPE)) == {LOOPBACK}

    def verdict(self, direction: Direction, frame: bytes, offload: Offload = NO_OFFLOAD) -> Verdict:
        """What the program says, without the object, which it does not name."""
        dropped = self._driver.test(direction, frame, offload=offload)
        if dropped is None:
            return PASS
        return Verdict(Action.DROP, dropped.guard, dropped.reason)
