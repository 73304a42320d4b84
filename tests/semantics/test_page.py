"""docs/guards.md is what the code says."""

from pathlib import Path

import pytest

from vifguard.model.guard import Guard
from vifguard.model.verdict import Reason
from vifguard.semantics.page import page

PRINTED = Path(__file__).parents[2] / "docs" / "guards.md"


def test_the_page_is_up_to_date() -> None:
    assert PRINTED.read_text() == page(), "python -m vifguard.semantics.page > docs/guards.md"


@pytest.mark.parametrize("guard", Guard)
def test_every_guard_has_its_section(guard: Guard) -> None:
    assert f"\n## `{guard}`\n" in page()


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_is_told_once_under_its_guard(reason: Reason) -> None:
    row = f"| {int(reason)} | `{reason.name.lower().replace('_', '-')}` | {reason.text} |"
    assert page().count(row) == 1
    if reason >= 10:
        guard = list(Guard)[reason // 10 - 1]
        section = page().split(f"## `{guard}`")[1].split("\n## ")[0]
        assert row in section
