"""The results of `vifguard lab run`: for people within a screen's width, for programs as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from vifguard.cli.show.output import PAGE, Column, print_line, print_table

if TYPE_CHECKING:
    from vifguard.lab.result.result_table import Row
    from vifguard.lab.result.runner import ScenarioResult

_ATTACKS = (
    Column("ATTACKS", "subject"),
    Column("FRAMES", "frames"),
    Column("EXPECTED", "expected"),
    Column("SEEN", "seen"),
    Column("DROPPED BY", "why"),
)
_CHECKS = (
    Column("CHECK", "subject"),
    Column("SEEN", "seen"),
    Column("DETAIL", "why"),
)
_SUMMARY = (
    Column("SCENARIO", "scenario"),
    Column("CHECKS", "checks"),
    Column("SECONDS", "seconds"),
    Column("RESULT", "result"),
    Column("WHAT WAS SHOWN", "shown"),
)
_LEGEND = "Profiles: S strict, M mac, R router, I off. Attacks: docs/attacks.md."


def print_results(results: Sequence[ScenarioResult]) -> None:
    """Each scenario's attacks and checks, all faults in full, then one summary."""
    from vifguard.lab.result.result_table import rows

    for result in results:
        _print_scenario(result.scenario.name, rows(result.findings))
    _print_waiting(results)
    print_line("")
    print_table(_SUMMARY, [_summary(each) for each in results], width=PAGE)


def document(results: Sequence[ScenarioResult]) -> dict[str, Any]:
    """Every finding of every scenario, for `--json`."""
    return {
        "ok": all(each.ok for each in results),
        "scenarios": [
            {
                "name": each.scenario.name,
                "title": each.scenario.title,
                "ok": each.ok,
                "error": each.error,
                "seconds": round(each.seconds, 1),
                "findings": [asdict(finding) | {"ok": finding.ok} for finding in each.findings],
            }
            for each in results
        ],
        "waiting": _waiting(),
    }


def _print_scenario(name: str, rows: Sequence[Row]) -> None:
    attacks = [row for row in rows if row.attacks]
    checks = [row for row in rows if not row.attacks]
    if attacks:
        print_line("")
        print_line(f"{name}: attacks and legal frames. {_LEGEND}")
        print_table(_ATTACKS, [asdict(row) for row in attacks], width=PAGE)
    if checks:
        print_line("")
        print_line(f"{name}: checks")
        print_table(_CHECKS, [asdict(row) for row in checks], width=PAGE)
    for row in rows:
        for fault in row.faults:
            print_line(f"NOT AS EXPECTED  {name}  {fault} (expected {row.expected})")


def _summary(result: ScenarioResult) -> dict[str, object]:
    from vifguard.lab.result.result_table import delivered, dropped

    findings = result.findings
    wrong = sum(not each.ok for each in findings)
    drops = dropped(findings)
    shown = result.scenario.title
    if drops:
        by_guard = ", ".join(f"{guard} {count}" for guard, count in drops.most_common())
        shown += f". Frames dropped: {by_guard}. Legal frames delivered: {delivered(findings)}"
    if result.error:
        shown = f"could not be played to its end: {result.error.splitlines()[0]}"
    return {
        "scenario": result.scenario.name,
        "checks": len(findings),
        "seconds": round(result.seconds),
        "result": "FAILED" if result.error else f"{wrong} WRONG" if wrong else "as expected",
        "shown": shown,
    }


def _print_waiting(results: Sequence[ScenarioResult]) -> None:
    """Print the rows of the catalogue that need a feature this lab does not have."""
    if any(each.scenario.name == "s1" for each in results):
        waiting = _waiting()
        print_line("")
        rows = len(set().union(*waiting.values()))
        print_line(f"not played, or not all of it: {rows} rows of the catalogue")
        for feature, ids in waiting.items():
            print_line(f"  need {feature}: {', '.join(ids)}")


def _waiting() -> dict[str, list[str]]:
    """The ids of rows, by the feature that they, or some of their frames, need."""
    from vifguard.lab.attacks import CATALOGUE
    from vifguard.lab.attacks.attack import Actor

    found: dict[str, list[str]] = {}
    for attack in CATALOGUE:
        if attack.waits_for:
            found.setdefault(attack.waits_for, []).append(attack.id)
        if any(variant.actor is Actor.TAP for variant in attack.variants):
            found.setdefault("a process that has a tap open", []).append(attack.id)
    return found
