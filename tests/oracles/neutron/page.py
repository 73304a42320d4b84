"""The section of docs/api.md that tells how we are unlike Neutron, printed from the tables.

`python -m tests.oracles.neutron.page` writes it anew.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from tests.oracles.neutron.table import Attributes, attributes, lines

PAGE: Final = Path(__file__).parents[3] / "docs" / "api.md"
_BEGIN: Final = "<!-- printed by python -m tests.oracles.neutron.page -->\n"
_END: Final = "<!-- end -->\n"


def section() -> str:
    """The lines of both tables, as Markdown."""
    told = "".join(f"| {line.what} | {line.reason} |\n" for line in lines())
    shown = "".join(
        f"| {each.noun} | {_names(each.ours)} | {_names(each.neutrons)} | {each.reason} |\n"
        for each in _shown()
    )
    return (
        f"| what | why |\n|---|---|\n{told}\n"
        "Attributes that one of the two shows alone:\n\n"
        f"| of | ours | Neutron's | why |\n|---|---|---|---|\n{shown}"
    )


def _shown() -> Iterable[Attributes]:
    return sorted(attributes(), key=lambda each: each.noun)


def _names(names: frozenset[str]) -> str:
    # What is within an attribute goes without saying.
    outer = sorted(name for name in names if name.rpartition(".")[0] not in names)
    return ", ".join(f"`{name}`" for name in outer)


def printed(page: str) -> str:
    """A page with the section as it is to be."""
    before, _, rest = page.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    return f"{before}{_BEGIN}{section()}{_END}{after}"


if __name__ == "__main__":
    PAGE.write_text(printed(PAGE.read_text()))
