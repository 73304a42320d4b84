"""Whether reference and program say the same of a frame, and if not, who says what."""

from tests.triangle.kernel import Kernel

from vifguard.model.policy import PortPolicy
from vifguard.model.verdict import Direction, Verdict
from vifguard.packet.describe import describe
from vifguard.packet.frame import Frame, parse
from vifguard.semantics.verdict import verdict


def disagreement(
    kernel: Kernel,
    policy: PortPolicy,
    direction: Direction,
    frame: bytes,
    parsed: Frame | None = None,
) -> str | None:
    """None where both agree on action, guard and reason; `kernel` holds `policy`."""
    whole = parsed or parse(frame)
    wanted = verdict(policy, direction, whole)
    seen = kernel.verdict(direction, frame, whole.offload)
    if _said(wanted) == _said(seen):
        return None
    return (
        f"{describe(frame)}\n  {frame.hex()} {whole.offload}\n  {policy}, {direction}\n"
        f"  reference: {wanted}\n  program:   {seen}"
    )


def _said(verdict: Verdict) -> tuple[object, ...]:
    return verdict.action, verdict.guard, verdict.reason
