"""Results: one JSON file a bench, one table for all."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.machine import describe

RESULTS = Path(__file__).with_name("results")
LOOKS = Path("build/bench")
"""The directory for figures of a quick look, which are no results."""


@dataclass(frozen=True)
class Goal:
    """A figure, and the most that it may be, or the least."""

    name: str
    seen: float
    bound: float
    unit: str
    at_least: bool = False

    @property
    def is_met(self) -> bool:
        """Whether the figure is within the goal."""
        return self.seen >= self.bound if self.at_least else self.seen <= self.bound


def write(
    name: str, figures: Mapping[str, Any], goals: Iterable[Goal], *, quick: bool = False
) -> Path:
    """Store one bench's figures with the machine described."""
    directory = LOOKS if quick else RESULTS
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{name}.json"
    document = {
        "bench": name,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": describe(),
        "figures": figures,
        "goals": [{**vars(goal), "met": goal.is_met} for goal in goals],
    }
    path.write_text(json.dumps(document, indent=1) + "\n")
    return path


def show(figures: Mapping[str, Any]) -> None:
    """Print the figures: lists of rows as tables."""
    console = Console(width=110)
    for name, rows in figures.items():
        if isinstance(rows, list) and rows:
            console.print(_table(name, rows))
    rest = {name: each for name, each in figures.items() if not isinstance(each, list)}
    if rest:
        console.print_json(data=rest, indent=1)


def _table(name: str, rows: list[dict[str, Any]]) -> Table:
    columns = list(dict.fromkeys(column for row in rows for column in row))
    table = Table(*(column.replace("_", " ") for column in columns), title=name)
    for row in rows:
        table.add_row(*(_cell(row.get(column, "")) for column in columns))
    return table


def _cell(value: object) -> str:
    if not isinstance(value, float):
        return str(value)
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def show_goals(goals: Mapping[str, Iterable[Goal]]) -> None:
    """Print the goals of all benches, in one table."""
    table = Table("bench", "goal", "seen", "bound", "")
    for name, each in goals.items():
        for goal in each:
            bound = f"at {'least' if goal.at_least else 'most'} {goal.bound:g}"
            word = "met" if goal.is_met else "MISSED"
            table.add_row(name, goal.name, f"{goal.seen:.3g} {goal.unit}", bound, word)
    Console(width=110).print(table)
