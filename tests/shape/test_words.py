"""Names are the field's: the column "and not" of docs/glossary.md has the words that are not."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = sorted((ROOT / "src" / "vifguard").rglob("*.py"))
GLOSSARY = (ROOT / "docs" / "glossary.md").read_text()
WORDS = GLOSSARY.partition("\n## Words in code\n")[2]
COLUMN = "\n".join(line.split("|")[-2] for line in WORDS.splitlines() if line.startswith("|"))
REFUSED = frozenset(re.findall(r"`(\w+)`", COLUMN))
"""Words that no part of a name may be."""
REFUSED_ALONE = frozenset(re.findall(r"\*(\w+)\*", COLUMN))
"""Words that may be a part of a name, and no whole one."""
KEYS_OF_FORMATS = {"gone"}
"""Fields whose names are keys of the feed: an agent and a server of two releases share them."""


def names(tree: ast.Module) -> Iterator[str]:
    """Each name that a module gives or uses: definitions, arguments, attributes and locals."""
    for node in ast.walk(tree):
        match node:
            case ast.ClassDef(name=name) | ast.FunctionDef(name=name):
                yield name
            case ast.AsyncFunctionDef(name=name) | ast.Name(id=name) | ast.Attribute(attr=name):
                yield name
            case ast.arg(arg=name) | ast.keyword(arg=str(name)) | ast.alias(asname=str(name)):
                yield name


def refused_in(name: str) -> set[str]:
    """The refused words in a name."""
    parts = {part.lower() for part in re.findall(r"[A-Z]?[a-z]+|[A-Z]+", name)}
    return (parts & REFUSED) | ({name.strip("_")} & REFUSED_ALONE)


def guilty(found: set[str]) -> dict[str, set[str]]:
    """The names with refused words, and these."""
    return {name: words for name in found - KEYS_OF_FORMATS if (words := refused_in(name))}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_name_is_one_of_the_words_that_the_glossary_refuses(path: Path) -> None:
    found = {path.stem, *names(ast.parse(path.read_text()))}
    assert not guilty(found), f"docs/glossary.md has the words: {guilty(found)}"


def test_every_kind_of_name_is_looked_at() -> None:
    text = """
class Bell: pass
def wake(news, *, ears=()): come = self.floor(door=question)
import x as book
"""
    refused = {"Bell", "wake", "news", "ears", "come", "floor", "door", "question", "book"}
    assert guilty(set(names(ast.parse(text)))).keys() == refused
    assert guilty({"was", "was_closed"}).keys() == {"was"}
