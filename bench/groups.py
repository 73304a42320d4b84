"""The cost of a packet of an established connection, beside no filter and other makers'.

Both directions, both families, interleaved. The peers are each in their own best configuration;
its module describes it, and its limits.
"""

from __future__ import annotations

import gc
import random
import statistics
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from bench import conversation, libvirt_nwfilter, neutron_iptables, nft_bridge
from bench.result import Goal
from bench.world import World, build_flood, standing_world
from vifguard.model.guard import Profile

SLOT_MS = 60
ROUNDS = 25
BASE = "no filter"
GUARD, GROUPS = "vifguard guard", "vifguard guard + groups"
MOST = 1.18
"""Times no filter: the most that guard and groups may cost."""

_PEERS: dict[str, Callable[[World, int], object]] = {
    nft_bridge.NAME: nft_bridge.put,
    libvirt_nwfilter.NAME: libvirt_nwfilter.put,
    neutron_iptables.NAME: neutron_iptables.put,
}
CUTS = {
    libvirt_nwfilter.NAME: (
        "at most 1,000 ports and 1,000 rules, which its daemon takes half a minute to write for"
        " one port; no IPv6 in `clean-traffic`"
    ),
    neutron_iptables.NAME: (
        "at most 1,000 ports; its own code takes more than a minute to write the rules of 3,000"
    ),
}


@dataclass(frozen=True, slots=True)
class Variant:
    """One filter at a number of ports, each with a group of so many rules."""

    filter: str
    ports: int = 2
    rules: int = 10

    @property
    def families(self) -> tuple[str, ...]:
        """The families that the filter passes."""
        return ("IPv4",) if self.filter == libvirt_nwfilter.NAME else conversation.FAMILIES

    def as_json(self) -> dict[str, Any]:
        """To know it by in a result."""
        return {"filter": self.filter, "ports": self.ports, "rules": self.rules}


def variants(*, quick: bool) -> list[Variant]:
    """All that is compared: by ports with ten rules, by rules with two ports."""
    by_ports = {
        BASE: (2, 2, 1000, 10_000),
        GUARD: (2, 1000, 10_000),
        GROUPS: (2, 100, 1000, 10_000),
        nft_bridge.NAME: (2, 100, 1000, 10_000),
        libvirt_nwfilter.NAME: (2, 100, 1000),
        neutron_iptables.NAME: (2, 100, 1000),
    }
    by_rules = {
        GROUPS: (1000, 4000),
        nft_bridge.NAME: (1000, 4000),
        libvirt_nwfilter.NAME: (1000,),
        neutron_iptables.NAME: (1000, 4000),
    }
    made = [Variant(name, ports) for name, each in by_ports.items() for ports in each]
    made += [Variant(name, 2, rules) for name, each in by_rules.items() for rules in each]
    return [each for each in made if max(each.ports, each.rules) <= 100] if quick else made


@contextmanager
def standing(name: str, variant: Variant, *, talking: bool = False) -> Iterator[World]:
    """A world with the variant's filter in force."""
    ours = variant.filter in (GUARD, GROUPS)
    profile = Profile.STRICT if ours else None
    of_group = variant.rules if variant.filter == GROUPS else 0
    with standing_world(name, variant.ports, profile, of_group, talking=talking) as world:
        if put := _PEERS.get(variant.filter):
            put(world, variant.rules)
        yield world


def measure(*, quick: bool) -> dict[str, Any]:
    """CPU ns and packets a second, by variant, family and direction; the ratio to no filter."""
    build_flood()
    rounds = 3 if quick else ROUNDS
    with ExitStack() as worlds:
        made = [
            (each, worlds.enter_context(standing(f"g{number}", each)))
            for number, each in enumerate(variants(quick=quick))
        ]
        for variant, world in made:
            _prove(variant, world)
        gc.freeze()
        seen = [row for family in conversation.FAMILIES for row in _compare(made, family, rounds)]
    return {"packets": seen, "rounds": rounds, "cut": CUTS}


def _prove(variant: Variant, world: World) -> None:
    for family in variant.families:
        conversation.prove(
            world, family, guarded=variant.filter != BASE,
            grouped=variant.filter not in (BASE, GUARD),
        )  # fmt: skip


def _compare(
    made: list[tuple[Variant, World]], family: str, rounds: int
) -> Iterator[dict[str, Any]]:
    """Interleaved rounds in random order; a ratio is the median of each round's own."""
    taking = [number for number, (variant, _) in enumerate(made) if family in variant.families]
    costs: dict[int, list[tuple[float, float]]] = {number: [] for number in taking}
    order = random.Random(0)  # noqa: S311 - an order of rounds, no secret
    for _ in range(rounds):
        for number in order.sample(taking, len(taking)):
            costs[number].append(_cost(made[number][1], family))
    for number, found in costs.items():
        for way, name in enumerate(("there", "back")):
            mine = [each[way] for each in found]
            base = [each[way] for each in costs[taking[0]]]
            yield {
                **made[number][0].as_json(),
                "family": family,
                "direction": name,
                "ns": statistics.median(mine),
                "packets_a_second": 1e9 / statistics.median(mine),
                "ratio": statistics.median(m / b for m, b in zip(mine, base, strict=True)),
            }


def _cost(world: World, family: str) -> tuple[float, float]:
    """CPU ns a packet that arrives, in either direction of one connection."""
    conversation.establish(world, family)
    _, there, cpu_there = world.flood(conversation.request(world, family), SLOT_MS)
    _, back, cpu_back = world.flood(conversation.reply(world, family), SLOT_MS, back=True)
    return cpu_there / there, cpu_back / back


def goals(result: dict[str, Any]) -> list[Goal]:
    """At most 1.18 times no filter, at any number of ports and rules."""
    return [
        Goal(
            f"{row['family']} {row['direction']}, {row['ports']} ports, {row['rules']} rules",
            row["ratio"], MOST, "x no filter",
        )
        for row in result["packets"]
        if row["filter"] == GROUPS
    ]  # fmt: skip
