"""The table at the end: attacks with one outcome in one row, and each check in its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from vifguard.lab.result.finding import Finding

Findings = Sequence[Finding]


@dataclass(frozen=True, slots=True)
class Row:
    """Attacks of the catalogue that met the same, or one check of a scenario.

    `attacks` are their ids, none for a check; `frames` counts the frames that were played.
    """

    scenario: str
    subject: str
    expected: str
    seen: str
    why: str
    faults: tuple[str, ...]
    attacks: tuple[str, ...] = ()
    frames: int = 1


def rows(findings: Iterable[Finding]) -> list[Row]:
    """The findings in the order of playing; attacks that met the same are one row."""
    attacks: dict[tuple[str, str], list[Finding]] = {}
    for finding in findings:
        attacks.setdefault(_key(finding), []).append(finding)
    alike: dict[object, list[Finding]] = {}
    for key, group in attacks.items():
        alike.setdefault(_outcome(group) if group[0].where else key, []).extend(group)
    return [_played(group) if group[0].where else _check(group[0]) for group in alike.values()]


def dropped(findings: Iterable[Finding]) -> Counter[str]:
    """The number of frames that each guard dropped, by the drop records that were read."""
    played = (finding for finding in findings if finding.where)
    return Counter(finding.why.partition(":")[0] for finding in played if ": " in finding.why)


def delivered(findings: Iterable[Finding]) -> int:
    """The number of frames that arrived and had to."""
    return sum(each.where != "" and each.ok and each.expected == "pass" for each in findings)


def _key(finding: Finding) -> tuple[str, str]:
    """A played frame belongs to its attack; any other finding stands for itself."""
    subject = finding.subject.partition("/")[0] if finding.where else finding.subject
    return finding.scenario, f"{subject}\0{'' if finding.where else finding.expected}"


def _outcome(group: Findings) -> tuple[str, str, str, bool]:
    """The common key of attacks that share a row; one with a fault shares with no other."""
    fault = next((each.subject for each in group if each.faults), "")
    return group[0].scenario, _by_kind(group) + fault, _why(group), bool(fault)


def _played(group: Findings) -> Row:
    attacks = tuple(dict.fromkeys(each.subject.partition("/")[0] for each in group))
    return Row(
        group[0].scenario,
        ", ".join(attacks),
        _by_kind(group),
        _counted(group),
        _why(group),
        tuple(f"{each.subject} ({each.where}): {fault}" for each in group for fault in each.faults),
        attacks,
        len(group),
    )


def _check(finding: Finding) -> Row:
    return Row(
        finding.scenario,
        finding.subject,
        finding.expected,
        finding.seen,
        finding.why,
        tuple(f"{finding.subject}: {fault}" for fault in finding.faults),
    )


def _why(group: Findings) -> str:
    return ", ".join(dict.fromkeys(sorted(each.why for each in group if each.why)))


def _by_kind(group: Findings) -> str:
    """The expectation on each kind of network, such as `S drop arp; M pass`."""
    kinds: dict[str, dict[str, None]] = {}
    for each in group:
        place = each.where.rpartition(", ")[0] or each.where
        kinds.setdefault(place, {})[each.expected] = None
    return "; ".join(f"{place} {'/'.join(expected)}" for place, expected in kinds.items())


def _counted(group: Findings) -> str:
    words = Counter(each.seen for each in group)
    return ", ".join(f"{word} {count}" for word, count in words.items())
