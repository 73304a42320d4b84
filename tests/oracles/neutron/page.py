"""The section of docs/api.md that tells how we are unlike Neutron, printed from the table.

`python -m tests.oracles.neutron.page` writes it anew.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from tests.oracles.neutron.table import lines

PAGE: Final = Path(__file__).parents[3] / "docs" / "api.md"
_BEGIN: Final = "<!-- printed by python -m tests.oracles.neutron.page -->\n"
_END: Final = "<!-- end -->\n"


def section() -> str:
    """The lines of the table, as Markdown."""
    rows = "".join(f"| {line.what} | {line.reason} |\n" for line in lines())
    return f"| what | why |\n|---|---|\n{rows}"


def printed(page: str) -> str:
    """A page with the section as it is to be."""
    before, _, rest = page.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    return f"{before}{_BEGIN}{section()}{_END}{after}"


if __name__ == "__main__":
    PAGE.write_text(printed(PAGE.read_text()))
