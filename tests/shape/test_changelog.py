"""Each fragment of the changelog has a kind and says something."""

from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "changelog.d"
KINDS = {"added", "changed", "removed", "fixed", "security"}
FRAGMENTS = sorted(path for path in FOLDER.iterdir() if path.name != "README.md")


@pytest.mark.parametrize("path", FRAGMENTS, ids=lambda path: path.name)
def test_a_fragment_has_a_name_a_kind_and_a_sentence(path: Path) -> None:
    name, kind, suffix = path.name.split(".")
    assert name
    assert kind in KINDS, f"{path.name}: the kind is one of {sorted(KINDS)}"
    assert suffix == "md"
    assert path.read_text().rstrip().endswith("."), f"{path.name} is no sentence"


def test_the_kinds_are_those_that_the_page_lists() -> None:
    page = (FOLDER / "README.md").read_text()
    assert {line.split("`")[1] for line in page.splitlines() if line.startswith("| `")} == KINDS
