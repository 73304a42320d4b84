"""The type of a scenario."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from vifguard.lab.result.finding import Tell
from vifguard.lab.world.lab_run import Run
from vifguard.lab.world.world_plan import WorldPlan


@dataclass(frozen=True, slots=True)
class Scenario:
    """A world with a story; `programs` are those that it runs beside our own."""

    name: str
    title: str
    plan: WorldPlan
    play: Callable[[Run, Tell], None]
    programs: tuple[str, ...] = ("ip", "ping")
