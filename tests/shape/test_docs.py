"""What the pages say is there, is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text())
    missing = [target for target in targets if not (page.parent / target).exists()]
    assert not missing, f"{page.name} links to {missing}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_test_that_a_page_names_exists(page: Path) -> None:
    named = re.findall(r"`((?:tests|src|examples|bench)/[\w./-]+)`", page.read_text())
    missing = [path for path in named if not (ROOT / path).exists()]
    assert not missing, f"{page.name} names {missing}"


def test_every_make_target_of_the_readme_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"`?make ([a-z-]+)(?:`|  )", (ROOT / "README.md").read_text()))
    assert named <= targets, f"README names {sorted(named - targets)}"


def test_ci_calls_exactly_the_test_command_of_the_readme() -> None:
    assert "make test" in (ROOT / "README.md").read_text()
    last = (ROOT / ".ci" / "run").read_text().strip().splitlines()[-1]
    assert last == "exec make test"
