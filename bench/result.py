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


@dataclass(frozen=True)
class Goal:
    """A figure, and the most that it may be."""

    name: str
    seen: float
    most: float
    unit: str

    @property
    def is_met(self) -> bool:
        """Whether the figure is within the goal."""
        return self.seen <= self.most


def write(name: str, figures: Mapping[str, Any], goals: Iterable[Goal]) -> Path:
    """Store one bench's figures with the machine described."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    document = {
        "bench": name,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": describe(),
        "figures": figures,
        "goals": [{**vars(goal), "met": goal.is_met} for goal in goals],
    }
    path.write_text(json.dumps(document, indent=1) + "\n")
    return path


def show(figures: Mapping[str, Any], goals: Iterable[Goal]) -> None:
    """Print the figures, then what was to be reached."""
    console = Console(width=100)
    console.print_json(data=figures, indent=1)
    table = Table("goal", "seen", "at most", "")
    for goal in goals:
        word = "met" if goal.is_met else "MISSED"
        table.add_row(goal.name, f"{goal.seen:.3g} {goal.unit}", f"{goal.most:g}", word)
    console.print(table)
