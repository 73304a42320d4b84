"""TCP through the bridge: bytes with GSO, and new connections, beside no filter and others'.

Guests with stacks of their own talk, and one thread is both ends: its CPU time a megabyte, or
a connection, is the cost of the whole path. Rates are that time's inverse.
"""

from __future__ import annotations

import random
import statistics
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from bench import libvirt_nwfilter, neutron_iptables, nft_bridge
from bench.conversation import FAMILIES
from bench.groups import BASE, GROUPS, GUARD, Variant, standing
from bench.result import Goal
from bench.rules import SERVICE
from bench.world import World
from vifguard.kernel.net import sysctl
from vifguard.lab.world import netns

TCP = Path("build/tcp")
SLOT_MS = 150
WORK = {"stream": "bytes", "connect": "connections"}
LEAST = {"stream": 0.97, "connect": 0.80}
"""Times the rate without a filter: the least that guard and groups may leave."""
_PORTS_ENOUGH = {"ipv4/ip_local_port_range": "1024 65535"}


def measure(*, quick: bool) -> dict[str, Any]:
    """Rates, and their ratio to no filter, of streams and of new connections."""
    _build()
    rules = 10 if quick else 1000
    wanted = {
        "stream": [Variant(each, 2, 10) for each in (BASE, BASE, GUARD, GROUPS, *_PEERS)],
        "connect": [Variant(each, 2, rules) for each in (BASE, BASE, GUARD, GROUPS, *_PEERS)],
    }
    return {
        work: list(_measure(work, variants, 3 if quick else 21))
        for work, variants in wanted.items()
    }


_PEERS = (nft_bridge.NAME, libvirt_nwfilter.NAME, neutron_iptables.NAME)


def _build() -> None:
    source = Path(__file__).with_name("tcp.c")
    if not TCP.exists() or TCP.stat().st_mtime < source.stat().st_mtime:
        TCP.parent.mkdir(exist_ok=True)
        subprocess.run(["gcc", "-O2", "-Wall", "-o", TCP, source], check=True)


def _measure(work: str, variants: Iterable[Variant], rounds: int) -> Iterator[dict[str, Any]]:
    with ExitStack() as worlds:
        made = [
            (each, worlds.enter_context(standing(f"{work}{number}", each, talking=True)))
            for number, each in enumerate(variants)
        ]
        for _, world in made:
            netns.within(world.a.netns, lambda: sysctl.write("", _PORTS_ENOUGH))
        for family in FAMILIES:
            yield from _compare(made, work, family, rounds)


def _compare(
    made: list[tuple[Variant, World]], work: str, family: str, rounds: int
) -> Iterator[dict[str, Any]]:
    taking = [number for number, (variant, _) in enumerate(made) if family in variant.families]
    rates: dict[int, list[float]] = {number: [] for number in taking}
    order = random.Random(0)  # noqa: S311 - an order of rounds, no secret
    for _ in range(rounds):
        for number in order.sample(taking, len(taking)):
            rates[number].append(_rate(made[number][1], work, family))
    for number, found in rates.items():
        pairs = zip(found, rates[taking[0]], strict=True)
        yield {
            **made[number][0].as_json(),
            "family": family,
            f"{WORK[work]}_a_second": statistics.median(found),
            "ratio": statistics.median(mine / base for mine, base in pairs),
        }


def _rate(world: World, work: str, family: str) -> float:
    """Done in a second of CPU time."""
    server = world.b.ip4 if family == "IPv4" else world.b.ip6
    said = subprocess.run(
        [TCP, world.a.netns, world.b.netns, server, str(SERVICE), work, str(SLOT_MS)],
        capture_output=True,
        text=True,
        check=False,
    )
    if said.returncode:
        raise RuntimeError(f"{world.name}, {work}, {family}: {said.stderr.strip()}")
    done, _, cpu = (int(word) for word in said.stdout.split())
    return done * 1e9 / cpu


def goals(result: dict[str, Any]) -> list[Goal]:
    """Streams at 0.97 of the rate without a filter, connections at 0.80, by CPU time."""
    return [
        Goal(
            f"{row['family']} {work}, {row['rules']} rules",
            row["ratio"], LEAST[work], "x no filter", at_least=True,
        )
        for work, rows in result.items()
        for row in rows
        if row["filter"] == GROUPS
    ]  # fmt: skip
