"""A report for programs: one JSON document, whose shape has a version. In docs/cli.md."""

from __future__ import annotations

from typing import Any

from vifguard.lab.audit.report import Record, Report, Tally

FORMAT, VERSION = "vifguard-audit", 1
"""The format of the document; the version rises when a field changes its meaning."""


def document(report: Report) -> dict[str, Any]:
    """The report in values that JSON has."""
    return {
        "format": FORMAT,
        "version": VERSION,
        "site": report.site,
        "level": report.level.profile.value,
        "conformant": report.conformant,
        "interrupted": report.interrupted,
        "frames_sent": report.sent,
        "seconds": round(report.seconds, 3),
        "guards": [_tally(tally) for tally in report.tallies],
        "records": [_record(record) for record in report.records],
    }


def _tally(tally: Tally) -> dict[str, Any]:
    return {
        "guard": tally.guard,
        "pass": tally.passed,
        "fail": tally.failed,
        "untestable": tally.untestable,
    }


def _record(record: Record) -> dict[str, Any]:
    return {
        "guard": record.guard,
        "attack": record.attack,
        "variant": record.variant,
        "title": record.title,
        "expected": record.expected,
        "seen": record.seen,
        "status": record.status.value,
        "why": list(record.why),
        "frame": record.frame.hex(),
        "text": record.text,
        "published": list(record.published),
    }
