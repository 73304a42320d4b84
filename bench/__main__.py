"""`python -m bench [packet groups tcp ...] [--quick] [--enforce]`: measure, print, write JSON."""

from __future__ import annotations

import argparse
import os
import sys

from bench import api, api_peers, changes, drops, groups, lists, packet, port, result, tcp
from vifguard.lab.result.runner import ending_tidily

BENCHES = {
    "packet": packet,
    "groups": groups,
    "tcp": tcp,
    "changes": changes,
    "drops": drops,
    "port": port,
    "api": api,
    "lists": lists,
}
APART = {"api-peers": api_peers}
"""Benches that run only where named."""


def main() -> int:
    """Run the benches asked for; 1 when a goal is missed and `--enforce` was given."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("benches", nargs="*", choices=[*BENCHES, *APART, []], default=[])
    parser.add_argument("--quick", action="store_true", help="few rounds; for a look, not a figure")
    parser.add_argument("--enforce", action="store_true", help="exit 1 when a goal is missed")
    asked = parser.parse_args()
    if os.geteuid() != 0:
        parser.error("the benches make namespaces and load programs; run them as root")
    with ending_tidily():
        missed = _run(asked.benches or list(BENCHES), quick=asked.quick)
    return int(missed and asked.enforce)


def _run(names: list[str], *, quick: bool) -> bool:
    """Run the benches; whether any goal was missed."""
    goals: dict[str, list[result.Goal]] = {}
    for name in names:
        print(f"{name} ...", file=sys.stderr, flush=True)
        bench = (BENCHES | APART)[name]
        figures = bench.measure(quick=quick)
        goals[name] = bench.goals(figures)
        result.show(figures)
        print(result.write(name, figures, goals[name], quick=quick))
    result.show_goals(goals)
    return any(not goal.is_met for each in goals.values() for goal in each)


if __name__ == "__main__":
    sys.exit(main())
