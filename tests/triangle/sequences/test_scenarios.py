"""What is tried of the reference by hand, said by the eBPF program too, packet by packet."""

from dataclasses import dataclass, field, replace

import pytest
from tests.semantics import conftest, test_fragments, test_groups, test_tcp
from tests.semantics.guarded import FAMILIES, Port
from tests.triangle.sequences.program import Program
from tests.triangle.sequences.steps import Held

from vifguard.model.verdict import Direction, Reason

pytestmark = pytest.mark.kernel

PORT = "11111111-2222-3333-4444-555555555555"
client, server = conftest.client, conftest.server
nobody = test_fragments.nobody
TestRules = test_groups.TestRules
TestIdentityComesFirst = test_groups.TestIdentityComesFirst
TestAlwaysAllowed = test_groups.TestAlwaysAllowed
TestUdp = test_groups.TestUdp
TestTcp = test_groups.TestTcp
TestIcmp = test_groups.TestIcmp
TestProtocolsWithPorts = test_groups.TestProtocolsWithPorts
TestNestedRemotes = test_groups.TestNestedRemotes
TestRevocation = test_groups.TestRevocation
TestStateless = test_groups.TestStateless
TestOrder = test_fragments.TestOrder
TestStrangers = test_fragments.TestStrangers
TestOverlap = test_fragments.TestOverlap
TestFastOpen = test_tcp.TestFastOpen
TestClosing = test_tcp.TestClosing
TestReset = test_tcp.TestReset
TestInThePlaceOfAnother = test_tcp.TestInThePlaceOfAnother
TestAcknowledgement = test_tcp.TestAcknowledgement
TestLate = test_tcp.TestLate
TestNewGuard = test_tcp.TestNewGuard


@dataclass
class Both(Port):
    """A port under the reference and under the program, which must say the same."""

    program: Program = field(kw_only=True)
    begun: int = 0
    held: Held | None = None
    new_until: int = 0

    def __post_init__(self) -> None:
        self.begun = self.program.begin(0)

    def frame(self, direction: Direction, data: bytes) -> Reason | None:
        if not self.memory.flows and not self.memory.fragments.passed:
            self.program.forget()
        self.program.set_clock(self.begun + self.now)
        if self.memory.new_until != self.new_until:
            self.new_until = self.memory.new_until
            self.program.renew(0, self.begun + self.new_until)
        held = Held((replace(self.policy, port_id=PORT),), self.memory.ruleset)
        if held != self.held:
            self.program.hold(held)
            self.held = held
        wanted = super().frame(direction, data)
        said = self.program.judge(0, direction, data)
        assert (said and said[1]) == wanted
        return wanted


@pytest.fixture(params=FAMILIES, ids=lambda family: f"IPv{family.version}")
def port(request: pytest.FixtureRequest, program: Program) -> Port:
    return Both(request.param, program=program)
