"""The table at the end: each attack, what was expected, what was seen, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from vifguard.lab.finding import Finding


@dataclass(frozen=True, slots=True)
class Row:
    """An attack of the catalogue with all its frames, or one check of a scenario."""

    scenario: str
    subject: str
    expected: str
    seen: str
    why: str
    faults: tuple[str, ...]


def rows(findings: Iterable[Finding]) -> list[Row]:
    """The findings in the order of playing, those of one attack in one row."""
    groups: dict[tuple[str, str, str], list[Finding]] = {}
    for finding in findings:
        groups.setdefault(_key(finding), []).append(finding)
    return [_row(scenario, subject, group) for (scenario, subject, _), group in groups.items()]


def _key(finding: Finding) -> tuple[str, str, str]:
    """A played frame belongs to its attack; any other finding stands for itself."""
    if finding.where:
        return finding.scenario, finding.subject.partition("/")[0], ""
    return finding.scenario, finding.subject, finding.expected


def _row(scenario: str, subject: str, group: Sequence[Finding]) -> Row:
    played = bool(group[0].where)
    return Row(
        scenario,
        subject,
        expected=_by_kind(group) if played else group[0].expected,
        seen=_counted(group) if played else group[0].seen,
        why=", ".join(dict.fromkeys(each.why for each in group if each.why)),
        faults=tuple(
            f"{each.subject} ({each.where}): {fault}" if played else fault
            for each in group
            for fault in each.faults
        ),
    )


def _by_kind(group: Sequence[Finding]) -> str:
    """Such as `S drop arp; M pass`: what is expected on each kind of network."""
    kinds: dict[str, dict[str, None]] = {}
    for each in group:
        place = each.where.rpartition(", ")[0] or each.where
        kinds.setdefault(place, {})[each.expected] = None
    return "; ".join(f"{place} {'/'.join(expected)}" for place, expected in kinds.items())


def _counted(group: Sequence[Finding]) -> str:
    words = Counter(each.seen for each in group)
    return ", ".join(f"{word} {count}" for word, count in words.items())
