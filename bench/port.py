"""The cost of adding a port among 10,000 real interfaces; and the agent's memory."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

from bench import agent
from bench.result import Goal
from bench.world import World, standing_world
from vifguard.enforce.driver.protocol import Attachment
from vifguard.enforce.ebpf.driver import EbpfDriver
from vifguard.kernel.bpf import bpffs
from vifguard.model.guard import Profile

PORTS = 10_000


def measure(*, quick: bool) -> dict[str, Any]:
    """Seconds and CPU seconds of each step, as the agent takes them."""
    ports = 1000 if quick else PORTS
    with standing_world("ports", ports) as world:
        bpffs.mount(world.bpf_dir.parent)
        wanted = world.attachments(Profile.STRICT)
        figures = world.inside(lambda: _driver(world, wanted, 5 if quick else 30))
    return {"ports": ports, **figures, "agent": agent.measure(ports)}


def _driver(world: World, wanted: list[Attachment], repeats: int) -> dict[str, Any]:
    driver = EbpfDriver(world.bpf_dir)
    world.driver = driver
    all_but_one, one = wanted[:-1], wanted[-1:]
    scope = frozenset({one[0].device})
    everything = _timed(lambda: _hold(driver, all_but_one, None))
    adding, removing = [], []
    for _ in range(repeats):
        adding.append(_timed(lambda: _hold(driver, one, scope)))
        removing.append(_timed(lambda: _hold(driver, [], scope)))
    again = _timed(lambda: _hold(driver, all_but_one, None))
    return {
        "all from nothing": everything,
        "one more": _median(adding),
        "one less": _median(removing),
        "all again, nothing to do": again,
    }


def _hold(driver: EbpfDriver, wanted: list[Attachment], scope: frozenset[int] | None) -> None:
    """Render, observe, change, and read back."""
    state = driver.render(wanted)
    change = driver.diff(state, driver.observe(scope))
    if change is not None:
        driver.apply(change)
        if state.refused or len(driver.enforced(state, driver.observe(scope))) != len(wanted):
            raise RuntimeError("the kernel does not hold what was applied")


def _timed(work: Callable[[], None]) -> dict[str, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return {"ms": (time.perf_counter() - wall) * 1e3, "cpu_ms": (time.process_time() - cpu) * 1e3}


def _median(found: list[dict[str, float]]) -> dict[str, float]:
    return {key: statistics.median(each[key] for each in found) for key in found[0]}


def goals(result: dict[str, Any]) -> list[Goal]:
    """One more port in 1 ms, all in 2 s, the agent within 120 MB."""
    return [
        Goal("one more port in the kernel", result["one more"]["ms"], 1, "ms"),
        Goal("all ports from nothing", result["all from nothing"]["ms"] / 1e3, 2, "s"),
        Goal("the agent's memory", result["agent"]["rss_mb"], 120, "MB"),
    ]
