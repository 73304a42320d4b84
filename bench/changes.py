"""The cost of adding a port, a rule or a member, beside others; and the memory of it all.

Ours among 1,000 ports that share a group whose rules refer to a set of 100,000 addresses.
The others at 100 ports, libvirt at 10: each change of theirs takes longer the more there are.
"""

from __future__ import annotations

import re
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Address, ip_network
from pathlib import Path
from typing import Any

from bench import libvirt_nwfilter, neutron_iptables, nft_bridge, rules
from bench.groups import GROUPS
from bench.result import Goal
from bench.world import World, standing_world
from vifguard.enforce.driver.protocol import Attachment, RulesetChange
from vifguard.enforce.ebpf.driver import EbpfDriver
from vifguard.kernel.bpf import bpffs
from vifguard.model.address import IPNetwork
from vifguard.model.guard import Profile
from vifguard.model.security_group import PortRange, Rule, SetChange
from vifguard.model.verdict import Direction

PORTS, PEERS_PORTS, LIBVIRT_PORTS = 1000, 100, 10
MEMBERS, RULES = 100_000, 1000
_SET = "22222222-2222-4333-8444-555555555555"
_FIRST = IPv4Address("172.16.0.0")


def measure(*, quick: bool) -> dict[str, Any]:
    """Milliseconds a change, by filter; the kernel's memory for ours in MB."""
    ports, peers = (100, 10) if quick else (PORTS, PEERS_PORTS)
    with standing_world("changes", ports) as world:
        bpffs.mount(world.bpf_dir.parent)
        ours, work, memory = world.inside(lambda: _ours(world, 5 if quick else 51))
    rows = [{"filter": GROUPS, "ports": ports, "rules": RULES, "members": MEMBERS, **ours}]
    peer: dict[str, Any] = {"ports": peers, "rules": rules.FEWEST, "members": peers}
    with standing_world("nft", peers) as world:
        seen = nft_bridge.changes(world, rules.FEWEST)
        rows.append({"filter": nft_bridge.NAME, **peer, **_in_ms(seen)})
    with standing_world("neutron", peers) as world:
        seen = neutron_iptables.put(world, rules.FEWEST, changes=True)
        rows.append({"filter": neutron_iptables.NAME, **peer, **_in_ms(seen)})
    seen = libvirt_nwfilter.changes(LIBVIRT_PORTS, rules.FEWEST)
    of_libvirt = {"ports": LIBVIRT_PORTS, "rules": rules.FEWEST, "members": 0}
    rows.append({"filter": libvirt_nwfilter.NAME, **of_libvirt, **_in_ms(seen)})
    return {"changes": rows, "work": work, "memory": memory}


def _in_ms(seconds: dict[str, float]) -> dict[str, float]:
    return {f"{name}_ms": each * 1e3 for name, each in seconds.items()}


def _ours(
    world: World, repeats: int
) -> tuple[dict[str, float], dict[str, float], dict[str, float]]:
    """Medians of each change, of the CPU time in it, and the memory of all."""
    driver = EbpfDriver(world.bpf_dir)
    world.driver = driver
    said = rules.group(RULES - 1) | {_rule(_SET, 1)}
    members = frozenset(map(_member, range(MEMBERS)))
    before = _resident_mb()
    held = _timed(
        lambda: driver.load_ruleset(
            RulesetChange(
                complete=True,
                groups={rules.GROUP: said},
                sets={_SET: SetChange(complete=True, added=members)},
            )
        )
    )
    *most, last = world.attachments(Profile.STRICT, rules.GROUP)
    everything = _timed(lambda: _put(driver, most, None))
    figures: dict[str, list[float]] = {}
    work: dict[str, list[float]] = {}

    def note(name: str, change: Callable[[], object]) -> None:
        cpu = time.process_time()
        figures.setdefault(f"{name}_ms", []).append(_timed(change) * 1e3)
        work.setdefault(f"{name}_cpu_ms", []).append((time.process_time() - cpu) * 1e3)

    scope = frozenset({last.device})
    for number in range(repeats):
        note("port", lambda: _put(driver, [last], scope))
        _put(driver, [], scope)
        note("rule", _of_rules(driver, said | {_rule(None, 100 + number)}))
        note("rule_less", _of_rules(driver, said))
        one = frozenset({_member(MEMBERS + number)})
        note("member", _of_set(driver, added=one))
        note("member_less", _of_set(driver, removed=one))
    medians = {name: statistics.median(found) for name, found in figures.items()}
    weight = {"agent, for groups and members": _resident_mb() - before, **_maps_mb(world, driver)}
    busy = {name: statistics.median(found) for name, found in work.items()}
    return {"all_ms": (held + everything) * 1e3, **medians}, busy, weight


def _rule(remote: str | None, port: int) -> Rule:
    return Rule(Direction.TO_GUEST, 4, 6, PortRange(port, port), remote=remote)


def _member(number: int) -> IPNetwork:
    return ip_network(_FIRST + number)


def _of_rules(driver: EbpfDriver, said: frozenset[Rule]) -> Callable[[], object]:
    change = RulesetChange(complete=False, groups={rules.GROUP: said}, sets={})
    return lambda: driver.load_ruleset(change)


def _of_set(
    driver: EbpfDriver,
    added: frozenset[IPNetwork] = frozenset(),
    removed: frozenset[IPNetwork] = frozenset(),
) -> Callable[[], object]:
    said = SetChange(complete=False, added=added, removed=removed)
    change = RulesetChange(complete=False, groups={}, sets={_SET: said})
    return lambda: driver.load_ruleset(change)


def _put(driver: EbpfDriver, wanted: list[Attachment], scope: frozenset[int] | None) -> None:
    """As the agent does: render, observe, change, and read back."""
    state = driver.render([replace(each, revision=1) for each in wanted])
    change = driver.diff(state, driver.observe(scope))
    if change is not None:
        driver.apply(change)
    if state.refused or len(driver.enforced(state, driver.observe(scope))) != len(wanted):
        raise RuntimeError("the kernel does not hold what was applied")


def _timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _resident_mb() -> float:
    found = re.search(r"VmRSS:\s*(\d+)", Path("/proc/self/status").read_text())
    return int(found[1]) / 1024 if found else 0.0


def _maps_mb(world: World, driver: EbpfDriver) -> dict[str, float]:
    """The memory of each map, as the kernel reports it; those below a megabyte together."""
    sizes = {
        name: _locked(each.fileno()) / 2**20
        for name, each in driver._maps.items()  # noqa: SLF001 - nobody else asks for their size
    }
    large = {f"map {name}": size for name, size in sizes.items() if size >= 1}
    return {**large, "all maps": sum(sizes.values()), "ports": world.ports}


def _locked(descriptor: int) -> int:
    found = re.search(r"memlock:\s*(\d+)", Path(f"/proc/self/fdinfo/{descriptor}").read_text())
    return int(found[1]) if found else 0


def goals(result: dict[str, Any]) -> list[Goal]:
    """Of the agent's work, a member takes at most 1 ms, a rule 5, a port 1."""
    row, work = result["changes"][0], result["work"]
    among = f"{row['ports']} ports, {row['rules']} rules, {row['members']} members"
    return [
        Goal(f"one {name}, {among}", max(work[f"{each}_cpu_ms"] for each in steps), most, "ms")
        for name, steps, most in (
            ("member more or less", ("member", "member_less"), 1),
            ("rule more or less", ("rule", "rule_less"), 5),
            ("port more", ("port",), 1),
        )
    ]
