"""Ask Neutron and vifguard the same, side by side; every difference has a line of the table.

`python -m tests.oracles.neutron` exits 1 where a difference has none, or a line has none.
Neutron's answers are written down for `test_recorded.py`. It takes some ten minutes.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from typing import Any, Final

from bench.api_servers import Server, neutron, postgresql, vifguard
from tests.oracles.neutron.asking import Outcome, World
from tests.oracles.neutron.grammar import Case, cases
from tests.oracles.neutron.table import compared, record
from tests.oracles.neutron.world import Ask, asking

_BESIDE: Final = (
    frozenset({"network", "rbac_policy"}),
    frozenset({"subnet", "subnetpool"}),
    frozenset({"port"}),
    frozenset(
        {"security_group", "security_group_rule", "address_group", "default_security_group_rule"}
    ),
)
"""Nouns whose cases are asked one after the other: what one makes, another would count."""

_LISTS_AT_ONCE: Final = 3
_AGAIN: Final = 10


def patient(ask: Ask) -> Ask:
    """How to ask a server of which some workers refuse some things until they are warm."""

    def again(method: str, path: str, body: Any) -> tuple[int, Any]:
        for _ in range(_AGAIN):
            status, told = ask(method, path, body)
            if status != 403:
                break
            time.sleep(0.5)
        return status, told

    return again


def main() -> int:
    """The exit code."""
    with ExitStack() as stack:
        room = Path(tempfile.mkdtemp(prefix="vifguard-diff-"))
        stack.callback(shutil.rmtree, room, ignore_errors=True)
        theirs = stack.enter_context(postgresql(room / "p"))
        peer = stack.enter_context(neutron(room / "neutron", theirs))
        own = stack.enter_context(vifguard("vifguard", room / "vifguard", None))
        every = cases()
        return compare(every, asked(peer, every), asked(own, every))


def asked(server: Server, every: list[Case]) -> dict[str, Outcome]:
    """What a server answers to every case: changes of some nouns beside each other, then lists."""
    with asking(server.port) as door:
        ids = World.stood(patient(door)).ids
    changes = [[c for c in every if c.noun.one in some and not c.is_list] for some in _BESIDE]
    lists = [case for case in every if case.is_list]

    def ask(some: list[Case]) -> dict[str, Outcome]:
        with asking(server.port) as door:
            return World(patient(door), ids).outcomes(some)

    with ThreadPoolExecutor(len(_BESIDE)) as threads:
        found = dict(chain.from_iterable(each.items() for each in threads.map(ask, changes)))
        parts = [lists[part::_LISTS_AT_ONCE] for part in range(_LISTS_AT_ONCE)]
        for each in threads.map(ask, parts):
            found |= each
    return found


def compare(every: list[Case], neutrons: Mapping[str, Outcome], ours: Mapping[str, Outcome]) -> int:
    """Tell what is unexplained, and write Neutron's answers down; the exit code."""
    record(every, neutrons)
    finding = compared(every, neutrons, ours)
    for difference in finding.unexplained:
        tell(difference)
    for line in finding.idle:
        tell(f"no request showed: {line}")
    counts = len(every), len(finding.unexplained), len(finding.idle)
    tell("{} cases, {} unexplained differences, {} idle lines".format(*counts))
    return 1 if finding.unexplained or finding.idle else 0


def tell(what: str) -> None:
    """Write a line."""
    sys.stdout.write(f"{what}\n")


if __name__ == "__main__":
    sys.exit(main())
