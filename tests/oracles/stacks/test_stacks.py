"""What programs see of each other is the same on a bare bridge and at guarded ports.

The guards' promise to honest guests, against stacks that nobody here wrote: each situation is
played on three segments at once. On the bare one it must go as its script says.
On the others it goes as on the bare one, and no guard drops anything, or a line in
differences.py says why not; a line that is no longer true is an error too.
"""

from __future__ import annotations

import pytest
from tests.oracles.stacks.cases import CASES, is_long
from tests.oracles.stacks.conftest import Comparison
from tests.oracles.stacks.differences import DIFFERENCES, known
from tests.oracles.stacks.guests import PATIENCE
from tests.oracles.stacks.segment import Protection
from tests.oracles.stacks.testbed import STACKS, Case, Seen

_SHORT = 3.0
pytestmark = pytest.mark.kernel


_CASES = [
    pytest.param(case, id=str(case), marks=(pytest.mark.full,) if is_long(case) else ())
    for case in CASES
]


@pytest.mark.parametrize("case", _CASES)
def test_guarded_guests_see_what_guests_of_a_bare_bridge_see(
    case: Case, comparison: Comparison
) -> None:
    for stack in (case.a, case.b):
        if missing := STACKS[stack].missing():
            pytest.skip(f"{stack} needs {missing}")
    expected = {protection: known(case, protection) for protection in Protection}
    # Where something is lost by known cause, nobody waits for it as long as for a slow machine.
    seen = comparison.play(case, _SHORT if any(expected.values()) else PATIENCE)
    bare = seen.pop(Protection.BARE)
    assert all(each.expected for each in bare.observations), f"bare bridge: {transcript(bare)}"
    for protection, guarded in seen.items():
        line = expected[protection]
        differs = not guarded.is_well
        assert differs or not (line and line.always), (
            f"{protection}: the same by now; delete {line}"
        )
        assert line or not differs, (
            f"{protection}: {transcript(guarded)}, and bare: {transcript(bare)}"
        )


def test_what_a_situation_starts_ends_with_it(comparison: Comparison) -> None:
    """A guest is one process, which answers; a client of DHCP would go on for days."""
    (lease,) = (case for case in CASES if case.situation.name == "a lease by DHCPv6")
    comparison.play(lease, PATIENCE)
    processes = comparison.processes()
    assert processes
    assert {guest: found for guest, found in processes.items() if len(found) != 1} == {}


def test_every_line_is_about_something() -> None:
    played = [(case, protection) for case in CASES for protection in Protection]
    idle = [line for line in DIFFERENCES if not any(line.concerns(*each) for each in played)]
    assert not idle


def transcript(seen: Seen) -> str:
    """What was seen, in one text."""
    lines = [
        *map(str, seen.observations),
        *(f"dropped: {each}" for each in sorted(seen.objections)),
    ]
    return "; ".join(lines)
