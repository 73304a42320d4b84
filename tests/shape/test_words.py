"""Names are the field's: docs/glossary.md says which words stand for what, and which do not."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = sorted((ROOT / "src" / "vifguard").rglob("*.py"))
METAPHORS = {
    "arena", "beliefs", "bell", "casting", "dispatch", "ears", "ear", "followers", "floor", "front",
    "gazette", "intruder", "litter", "performance", "programme", "rung", "silence", "stage",
    "tally", "tiers", "told", "uncollected", "woken",
}  # fmt: skip
ALLOWED = {
    "Tally",  # what an audit counts
    "tally",
    "tallies",
    "_tally",
    "_dispatch",  # of a notification to its subscribers
    "_Stage",
}


def names(path: Path) -> set[str]:
    found = {path.stem}
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            found.add(node.name)
    return found - ALLOWED


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_name_is_a_metaphor(path: Path) -> None:
    parts = {
        name: {part.lower() for part in re.findall(r"[A-Z]?[a-z]+|[A-Z]+", name)}
        for name in names(path)
    }
    guilty = {name: words & METAPHORS for name, words in parts.items() if words & METAPHORS}
    assert not guilty, f"docs/glossary.md has the words: {guilty}"
