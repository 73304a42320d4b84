"""The table of differences: what is unlike Neutron, and why. One line explains a kind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Final

import yaml

_HERE: Final = Path(__file__).parent
ANSWERS: Final = _HERE / "answers.tsv"
"""What Neutron answered, recorded by `make diff-neutron`."""


@dataclass(frozen=True)
class Line:
    """A kind of difference: which cases, what either server answers, and the reason.

    The three are patterns as of file names.
    """

    what: str
    reason: str
    cases: tuple[str, ...]
    neutron: str = "*"
    ours: str = "*"

    def explains(self, case: str, neutron: str, ours: str) -> bool:
        """Whether a difference is of this kind."""
        return (
            any(fnmatchcase(case, pattern) for pattern in self.cases)
            and fnmatchcase(neutron, self.neutron)
            and fnmatchcase(ours, self.ours)
        )


@cache
def lines() -> tuple[Line, ...]:
    """Every line, in order: the first that explains a difference is its kind."""
    read = yaml.safe_load((_HERE / "differences.yaml").read_text())
    return tuple(Line(**each | {"cases": tuple(each["cases"])}) for each in read)


def kind_of(case: str, neutron: str, ours: str) -> Line | None:
    """The line that explains a difference; None where none does."""
    return next((line for line in lines() if line.explains(case, neutron, ours)), None)


def explained(neutrons: Mapping[str, str], ours: Mapping[str, str]) -> tuple[list[str], list[Line]]:
    """The cases whose difference no line explains, and the lines that no difference shows."""
    kinds = {
        case: kind_of(case, neutrons[case], answer)
        for case, answer in ours.items()
        if neutrons[case] != answer
    }
    shown = set(kinds.values())
    unexplained = [case for case, line in kinds.items() if line is None]
    return unexplained, [line for line in lines() if line not in shown]


def recorded() -> dict[str, str]:
    """Neutron's answers by case."""
    rows = (row.split("\t", 1) for row in ANSWERS.read_text().splitlines())
    return dict((case, answer) for case, answer in rows)  # noqa: C402  a row is a list


def record(answers: dict[str, str]) -> None:
    """Write Neutron's answers down."""
    ANSWERS.write_text("".join(f"{case}\t{answer}\n" for case, answer in answers.items()))
