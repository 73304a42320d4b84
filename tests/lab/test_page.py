"""docs/attacks.md is what the catalogue prints."""

from pathlib import Path

from vifguard.docs_pages.attacks_page import page
from vifguard.lab.attacks import CATALOGUE

ROOT = Path(__file__).parents[2]


def test_the_page_is_current() -> None:
    printed = (ROOT / "docs" / "attacks.md").read_text()
    assert printed == page(), "run: python -m vifguard.docs_pages.attacks_page > docs/attacks.md"


def test_every_row_is_on_the_page() -> None:
    text = page()
    assert all(f"### `{attack.id}`" in text for attack in CATALOGUE)
