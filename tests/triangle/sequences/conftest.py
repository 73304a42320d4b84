"""The eBPF program, verified once for the tests of a file."""

from collections.abc import Iterator

import pytest
from tests.triangle.decider import private_driver
from tests.triangle.kernel import LOOPBACK
from tests.triangle.sequences.program import Program


@pytest.fixture(scope="module")
def program() -> Iterator[Program]:
    """A port at the loopback interface; `begin` forgets what an earlier test held and sent."""
    with private_driver() as driver:
        program = Program(driver, (LOOPBACK,))
        yield program
        program.close()
