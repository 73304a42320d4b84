"""The table of differences: what is unlike Neutron, and why. One line explains a kind."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml
from tests.oracles.neutron.asking import Outcome
from tests.oracles.neutron.grammar import Case

_HERE: Final = Path(__file__).parent
ANSWERS: Final = _HERE / "answers.tsv"
"""What Neutron answered, recorded by `make diff-neutron`: case, outcome, and which names."""
NAMES: Final = _HERE / "names.tsv"
"""The names of attributes that its answers had."""


@dataclass(frozen=True)
class Line:
    """A kind of difference: which cases, what either server answers, and the reason.

    The three are patterns, in which `*` stands for anything.
    """

    what: str
    reason: str
    cases: tuple[str, ...]
    neutron: str
    ours: str

    def explains(self, case: str, neutron: str, ours: str) -> bool:
        """Whether a difference is of this kind."""
        return (
            any(_fits(pattern, case) for pattern in self.cases)
            and _fits(self.neutron, neutron)
            and _fits(self.ours, ours)
        )


@dataclass(frozen=True)
class Attributes:
    """Attributes of a noun that one of the servers alone shows, and the reason."""

    noun: str
    reason: str
    ours: frozenset[str] = frozenset()
    neutrons: frozenset[str] = frozenset()


@dataclass
class Finding:
    """What a comparison found: differences without a line, and lines without a difference."""

    unexplained: list[str] = field(default_factory=list)
    idle: list[str] = field(default_factory=list)


@cache
def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(".*".join(map(re.escape, text.split("*"))), re.DOTALL)


def _fits(pattern: str, text: str) -> bool:
    return _pattern(pattern).fullmatch(text) is not None


@cache
def lines() -> tuple[Line, ...]:
    """Every line, in order: the first that explains a difference is its kind."""
    return tuple(Line(**each | {"cases": tuple(each["cases"])}) for each in _read("differences"))


@cache
def attributes() -> tuple[Attributes, ...]:
    """Every entry of the table of attributes."""

    def entry(each: dict[str, Any]) -> Attributes:
        names = {word: frozenset(each.get(word, ())) for word in ("ours", "neutrons")}
        return Attributes(each["noun"], each["reason"], **names)

    return tuple(entry(each) for each in _read("attributes"))


def _read(name: str) -> Any:
    return yaml.safe_load((_HERE / f"{name}.yaml").read_text())


def compared(
    cases: list[Case], neutrons: Mapping[str, Outcome], ours: Mapping[str, Outcome]
) -> Finding:
    """Each answer of ours beside Neutron's: what it tells, and the names of its attributes."""
    finding = Finding()
    used: set[object] = set()
    for case in cases:
        neutron, own = neutrons[case.key], ours[case.key]
        if neutron.told != own.told:
            line = kind_of(case.key, neutron.told, own.told)
            used.add(line)
            if line is None:
                both = f"Neutron {neutron.told}, ours {own.told}"
                finding.unexplained.append(f"{case.key}: {both}")
        elif neutron.names != own.names:
            finding.unexplained += _of_names(case, neutron.names, own.names, used)
    finding.idle += [line.what for line in lines() if line not in used]
    finding.idle += [name for name in _declared() if name not in used]
    return finding


def kind_of(case: str, neutron: str, ours: str) -> Line | None:
    """The line that explains a difference; None where none does."""
    return next((line for line in lines() if line.explains(case, neutron, ours)), None)


def _of_names(
    case: Case, neutrons: frozenset[str], ours: frozenset[str], used: set[object]
) -> Iterator[str]:
    for whose, names in (("ours", ours - neutrons), ("Neutron's", neutrons - ours)):
        for name in sorted(names):
            entry = f"{case.noun.one}.{name}, {whose} alone"
            if entry in _declared():
                used.add(entry)
            else:
                yield f"{case.key}: {entry}"


@cache
def _declared() -> tuple[str, ...]:
    return tuple(
        f"{each.noun}.{name}, {whose} alone"
        for each in attributes()
        for whose, names in (("ours", each.ours), ("Neutron's", each.neutrons))
        for name in sorted(names)
    )


def recorded() -> dict[str, Outcome]:
    """Neutron's answers by case."""
    shapes = dict(_rows(NAMES))
    names = {word: frozenset(text.split(",")) for word, (text,) in shapes.items()} | {
        "": frozenset()
    }
    return {case: Outcome(told, names[word]) for case, (told, word) in _rows(ANSWERS)}


def _rows(path: Path) -> Iterator[tuple[str, list[str]]]:
    for row in path.read_text().splitlines():
        first, *rest = row.split("\t")
        yield first, rest


def record(cases: list[Case], answers: Mapping[str, Outcome]) -> None:
    """Write Neutron's answers down."""
    words: dict[frozenset[str], str] = {frozenset(): ""}
    rows = []
    for case in cases:
        found = answers[case.key]
        word = words.setdefault(found.names, f"{case.noun.one}-{len(words)}")
        rows.append(f"{case.key}\t{found.told}\t{word}\n")
    ANSWERS.write_text("".join(rows))
    shapes = ((word, names) for names, word in words.items() if names)
    NAMES.write_text("".join(f"{word}\t{','.join(sorted(names))}\n" for word, names in shapes))
