"""`python -m bench [packet port api drops] [--quick] [--enforce]`: measure, print, write JSON."""

from __future__ import annotations

import argparse
import os
import sys

from bench import api, drops, packet, port, result
from vifguard.lab.programme import ending_tidily

BENCHES = {"packet": packet, "drops": drops, "port": port, "api": api}


def main() -> int:
    """Run the benches asked for; 1 when a goal is missed and `--enforce` was given."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("benches", nargs="*", choices=[*BENCHES, []], default=[])
    parser.add_argument("--quick", action="store_true", help="few rounds; for a look, not a figure")
    parser.add_argument("--enforce", action="store_true", help="exit 1 when a goal is missed")
    asked = parser.parse_args()
    if os.geteuid() != 0:
        parser.error("the benches make namespaces and load programs; run them as root")
    with ending_tidily():
        missed = _run(asked.benches or list(BENCHES), quick=asked.quick)
    return int(missed and asked.enforce)


def _run(names: list[str], *, quick: bool) -> bool:
    """Whether any goal was missed."""
    missed = False
    for name in names:
        print(f"{name} ...", file=sys.stderr, flush=True)
        figures = BENCHES[name].measure(quick=quick)
        goals = BENCHES[name].goals(figures)
        result.show(figures, goals)
        print(result.write(name, figures, goals))
        missed |= any(not goal.is_met for goal in goals)
    return missed


if __name__ == "__main__":
    sys.exit(main())
