"""The CPU time that a guard adds to a packet, beside the same bridge without any filter."""

from __future__ import annotations

import random
import statistics
from contextlib import ExitStack
from typing import Any

from bench.result import Goal
from bench.world import World, build_flood, standing_world
from vifguard.model.guard import Profile
from vifguard.packet import build

SLOT_MS = 100
FORGED = 2000

VARIANTS: dict[str, tuple[int, Profile | None]] = {
    "no filter": (2, None),
    "no filter, again": (2, None),
    "mac, 2 ports": (2, Profile.MAC),
    "strict, 2 ports": (2, Profile.STRICT),
    "strict, 1000 ports": (1000, Profile.STRICT),
    "strict, 10000 ports": (10000, Profile.STRICT),
}
BASE = "no filter"


def measure(*, quick: bool) -> dict[str, Any]:
    """CPU ns a delivered packet, for each variant and family, and its ratio to no filter."""
    build_flood()
    rounds = 5 if quick else 61
    with ExitStack() as worlds:
        made = {
            name: worlds.enter_context(standing_world(f"p{number}", ports, profile))
            for number, (name, (ports, profile)) in enumerate(VARIANTS.items())
        }
        for name, world in made.items():
            prove_live(world, VARIANTS[name][1])
        return {family: compare(made, family, rounds) for family in ("IPv4", "IPv6")}


def compare(worlds: dict[str, World], family: str, rounds: int) -> dict[str, Any]:
    """Interleaved rounds in random order; the ratio is the median of each round's own."""
    costs: dict[str, list[float]] = {name: [] for name in worlds}
    order = random.Random(0)  # noqa: S311 - an order of rounds, no secret
    for _ in range(rounds):
        for name in order.sample(list(worlds), len(worlds)):
            world = worlds[name]
            _, received, cpu = world.flood(own(world, family), SLOT_MS)
            costs[name].append(cpu / received)
    return {
        name: {
            "ns": statistics.median(found),
            "ratio": statistics.median(
                mine / base for mine, base in zip(found, costs[BASE], strict=True)
            ),
        }
        for name, found in costs.items()
    }


def prove_live(world: World, profile: Profile | None) -> None:
    """Raise unless own frames pass and forged ones are dropped where the variant guards."""
    for family in ("IPv4", "IPv6"):
        sent, received, _ = world.flood(own(world, family), 5000, FORGED)
        if received < sent:
            raise RuntimeError(f"{world.name}: {received} of {sent} own {family} frames arrived")
    expected = {
        "another MAC": 0 if profile else FORGED,
        "another address": 0 if profile is Profile.STRICT else FORGED,
        "to another MAC": 0 if profile else FORGED,
    }
    for name, frame in forged(world).items():
        _, received, _ = world.flood(frame, 5000, FORGED)
        if received != expected[name]:
            raise RuntimeError(f"{world.name}: {received} frames of {name}, not {expected[name]}")


def own(world: World, family: str) -> bytes:
    """A legal frame of 60 bytes and more from `a` to `b`."""
    datagram = build.udp(1024, 2000, bytes(18))
    if family == "IPv4":
        return build.ethernet(
            world.a.mac, world.b.mac, build.ipv4(world.a.ip4, world.b.ip4, datagram)
        )
    return build.ethernet(world.a.mac, world.b.mac, build.ipv6(world.a.ip6, world.b.ip6, datagram))


def forged(world: World) -> dict[str, bytes]:
    """Forged frames that a guard must stop."""
    datagram = build.udp(1024, 2000, bytes(18))
    legal = build.ipv4(world.a.ip4, world.b.ip4, datagram)
    other = build.ipv4("10.9.0.77", world.b.ip4, datagram)
    return {
        "another MAC": build.ethernet("02:00:00:00:00:77", world.b.mac, legal),
        "another address": build.ethernet(world.a.mac, world.b.mac, other),
        "to another MAC": build.ethernet(world.a.mac, "02:00:00:00:00:88", legal),
    }


def goals(result: dict[str, Any]) -> list[Goal]:
    """Strict at most 1.08 of no filter, whatever the number of ports."""
    return [
        Goal(f"{family}, {name}", found["ratio"], 1.08, "x no filter")
        for family, variants in result.items()
        for name, found in variants.items()
        if name.startswith("strict")
    ]
