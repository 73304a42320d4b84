"""What a scenario is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from vifguard.lab.finding import Tell
from vifguard.lab.plan import WorldPlan
from vifguard.lab.run import Run


@dataclass(frozen=True, slots=True)
class Scenario:
    """A world with a story; `programs` are what it runs beside our own."""

    name: str
    title: str
    plan: WorldPlan
    play: Callable[[Run, Tell], None]
    programs: tuple[str, ...] = ("ip", "ping")
