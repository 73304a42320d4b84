"""docs/stacks.md is what the tables say."""

from pathlib import Path

from tests.oracles.stacks.page import page
from tests.oracles.stacks.testbed import STACKS

ROOT = Path(__file__).parents[3]


def test_the_page_is_current() -> None:
    printed = (ROOT / "docs" / "stacks.md").read_text()
    assert printed == page(), "run: python -m tests.oracles.stacks.page > docs/stacks.md"


def test_every_stack_is_on_the_page() -> None:
    assert all(f"| `{stack}` |" in page() for stack in STACKS)
