"""The table of differences, without a kernel."""

from __future__ import annotations

from pathlib import Path

from tests.oracles.conntrack.page import page
from tests.oracles.conntrack.table import KINDS

DOCS = Path(__file__).parents[3] / "docs"


def test_the_page_is_the_table() -> None:
    told = "python -m tests.oracles.conntrack.page > docs/connections.md"
    assert (DOCS / "connections.md").read_text() == page(), told


def test_every_difference_has_a_reason_or_is_a_fault() -> None:
    assert [kind.name for kind in KINDS if bool(kind.why) == kind.is_fault] == []


def test_every_kind_has_a_name_of_its_own() -> None:
    names = [kind.name for kind in KINDS]
    assert sorted(set(names)) == sorted(names)
