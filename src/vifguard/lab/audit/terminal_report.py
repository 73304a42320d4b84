"""A report for a terminal: the figures of each guard, the failures, the untestable frames."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from vifguard.lab.audit.report import Report, Status, shortened

_SHOWN = 128


def figures(report: Report) -> list[dict[str, object]]:
    """A row a guard: `guard`, `pass`, `fail`, `untestable`."""
    return [
        {
            "guard": name,
            "pass": tally.passed,
            "fail": tally.failed,
            "untestable": tally.untestable,
        }
        for name, tally in report.figures
    ]


def failures(report: Report) -> Iterator[str]:
    """Lines of each frame that failed: its name, its faults, its text, its octets."""
    for record in report.records:
        if record.status is Status.FAIL:
            yield f"FAIL  {record.guard}  {record.id}: {record.title}"
            yield f"      {'; '.join(record.why)}"
            yield f"      {record.text}"
            yield f"      {shortened(record.frame, _SHOWN)}"


def reasons(report: Report) -> Iterator[str]:
    """Lines with the reasons why frames could not be tested, the most frequent first."""
    counts = Counter(
        why for record in report.records if record.status is Status.UNTESTABLE for why in record.why
    )
    for why, count in counts.most_common():
        yield f"not testable here: {count}, since {why}"
