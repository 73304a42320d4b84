"""Reference = eBPF program, for every frame of a tiny universe and every policy that matters."""

import pytest

from tests.triangle import universe
from tests.triangle.kernel import Kernel, testable
from vifguard.enforce.ebpf import EbpfDriver
from vifguard.model.verdict import Direction, Verdict
from vifguard.packet.parse import parse
from vifguard.packet.text import describe
from vifguard.semantics.verdict import verdict

pytestmark = pytest.mark.kernel

SHOWN = 20


@pytest.fixture(scope="module")
def frames():
    return [(name, frame, parse(frame)) for name, frame in universe.frames() if testable(frame)]


@pytest.fixture
def kernel():
    with EbpfDriver.private() as driver:
        yield Kernel(driver)


@pytest.mark.parametrize(
    ("name", "policy"),
    universe.policies(),
    ids=lambda value: value if isinstance(value, str) else "",
)
@pytest.mark.parametrize("direction", Direction)
def test_the_program_says_what_the_reference_says(kernel, frames, name, policy, direction) -> None:
    kernel.hold(policy)
    disagreements = []
    for said, frame, parsed in frames:
        wanted = verdict(policy, direction, parsed)
        seen = kernel.verdict(direction, frame)
        if same(wanted, seen):
            continue
        disagreements.append(
            f"{said}\n  {describe(frame)}\n  {frame.hex()}\n"
            f"  policy: {name}, {direction}\n  reference: {wanted}\n  program:   {seen}"
        )
    assert not disagreements, f"{len(disagreements)} of {len(frames)} frames:\n" + "\n".join(
        disagreements[:SHOWN]
    )


def same(wanted: Verdict, seen: Verdict) -> bool:
    return (wanted.action, wanted.guard, wanted.reason) == (seen.action, seen.guard, seen.reason)
