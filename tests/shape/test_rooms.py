"""The house: rooms, their docstrings, sizes, and words that are not allowed."""

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "vifguard"
MODULES = sorted(SOURCE.rglob("*.py"))
BANNED = {"utils", "util", "common", "helpers", "helper", "misc", "manager", "base"}
# A long file is one thought or it is two files.
LINES_AT_MOST = 500
FUNCTION_AT_MOST = 50


def ids(path: Path) -> str:
    return str(path.relative_to(SOURCE))


@pytest.mark.parametrize("path", MODULES, ids=ids)
def test_every_module_says_what_is_in_it(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text())), f"{path} has no docstring"


@pytest.mark.parametrize("path", MODULES, ids=ids)
def test_no_module_is_a_drawer(path: Path) -> None:
    assert path.stem not in BANNED


@pytest.mark.parametrize("path", MODULES, ids=ids)
def test_no_file_and_no_function_is_too_long_to_hold_in_the_head(path: Path) -> None:
    text = path.read_text()
    assert text.count("\n") <= LINES_AT_MOST
    long = {
        node.name: node.end_lineno - node.lineno
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno is not None
        and node.end_lineno - node.lineno > FUNCTION_AT_MOST
    }
    assert not long
