"""The three segments, side by side for all situations."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
from tests.oracles.stacks.segment import MAKERS, Protection
from tests.oracles.stacks.testbed import STACKS, Case, Seen, Testbed


class Comparison:
    """A testbed for each protection; what is played is played on all at once."""

    def __init__(self, testbeds: Mapping[Protection, Testbed], pool: ThreadPoolExecutor) -> None:
        self._testbeds, self._pool = testbeds, pool

    def play(self, case: Case, patience: float) -> dict[Protection, Seen]:
        """What is seen of a case in each testbed; `patience` (s) as in `Testbed.play`."""
        started = {
            protection: self._pool.submit(testbed.play, case, patience)
            for protection, testbed in self._testbeds.items()
        }
        return {protection: future.result() for protection, future in started.items()}

    def processes(self) -> dict[tuple[Protection, int], set[str]]:
        """The processes in the namespace of each guest of this kernel."""
        return {
            (protection, number): processes
            for protection, testbed in self._testbeds.items()
            for number, processes in testbed.processes().items()
        }


@pytest.fixture(scope="module")
def comparison() -> Iterator[Comparison]:
    with ExitStack() as stack, ThreadPoolExecutor(len(MAKERS)) as pool:
        made: dict[Protection, Testbed] = {}
        for protection, maker in MAKERS.items():
            segment = maker(f"vgst{os.getpid()}{protection.value[0]}")
            stack.callback(segment.close)
            made[protection] = Testbed(segment, _early())
            stack.callback(made[protection].close)
        yield Comparison(made, pool)


def _early() -> tuple[tuple[str, str], ...]:
    """PyTCP waits for nine seconds before it takes its addresses as its own."""
    if int(os.environ.get("VIFGUARD_THOROUGH", "1")) == 1 or STACKS["pytcp"].missing():
        return ()
    return ("a", "pytcp"), ("b", "pytcp")
