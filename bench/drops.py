"""The cost of a forged frame to the host that drops it."""

from __future__ import annotations

import statistics
from contextlib import ExitStack
from typing import Any

from bench.packet import SLOT_MS, forged, own
from bench.result import Goal
from bench.world import build_flood, standing_world
from vifguard.model.guard import Profile


def measure(*, quick: bool) -> dict[str, Any]:
    """CPU ns a frame sent, for delivered frames without a guard and for dropped ones with it."""
    build_flood()
    rounds = 3 if quick else 11
    costs: dict[str, list[float]] = {"delivered, no filter": []}
    with ExitStack() as worlds:
        plain = worlds.enter_context(standing_world("d0"))
        strict = worlds.enter_context(standing_world("d1", 2, Profile.STRICT))
        for _ in range(rounds):
            sent, _, cpu = plain.flood(own(plain, "IPv4"), SLOT_MS)
            costs["delivered, no filter"].append(cpu / sent)
            for name in ("another MAC", "another address"):
                sent, received, cpu = strict.flood(forged(strict)[name], SLOT_MS)
                if received:
                    raise RuntimeError(f"{received} forged frames of {name} arrived")
                costs.setdefault(f"dropped, {name}", []).append(cpu / sent)
    return {name: {"ns": statistics.median(found)} for name, found in costs.items()}


def goals(result: dict[str, Any]) -> list[Goal]:
    """A dropped frame costs no more than one that is delivered."""
    base = result["delivered, no filter"]["ns"]
    return [
        Goal(name, found["ns"] / base, 1.0, "x delivered")
        for name, found in result.items()
        if name.startswith("dropped")
    ]
