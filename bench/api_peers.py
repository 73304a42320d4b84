"""One loop of API calls against vifguard, on each of its databases, and against Neutron.

The servers stand side by side and take turns, so that other load of the machine meets them all
alike. A call's time is the client's, from the request until its answer is read; its CPU the
server's and its database's.
"""

from __future__ import annotations

import itertools
import json
import random
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from typing import Any

from bench.api_servers import ApiClient, Server, all_three
from bench.result import Goal

PEER = "Neutron, PostgreSQL"
_BULK = 50
_AT_ONCE = 8
_FIRST = IPv4Address("10.0.16.0")
_PAIR = IPv4Address("10.128.0.0")


@dataclass(frozen=True)
class _Size:
    """The numbers of ports that stand when calls are timed, of rounds, and of calls in each."""

    some: int
    many: int
    most: int
    rounds: int
    calls: int
    at_once: int


_FULL = _Size(some=1000, many=5000, most=10_000, rounds=5, calls=10, at_once=160)
_LOOK = _Size(some=20, many=100, most=150, rounds=1, calls=3, at_once=16)


@dataclass
class _Bench:
    """A server, and the objects that were made there."""

    server: Server
    network: str = ""
    subnet: str = ""
    group: str = ""
    ports: list[str] = field(default_factory=list)
    numbers: Iterator[int] = field(default_factory=itertools.count)
    turns: Iterator[int] = field(default_factory=itertools.count)
    memory: dict[int, float] = field(default_factory=dict)

    def make(self, plural: str, singular: str, body: dict[str, Any]) -> str:
        """Create an object; its id."""
        told = ApiClient(self.server).call("POST", f"/v2.0/{plural}", {singular: body})
        return str(json.loads(told)[singular]["id"])

    def prepare(self) -> None:
        """A network, a subnet, a security group."""
        self.network = self.make("networks", "network", {"name": "bench", "shared": True})
        self.subnet = self.make(
            "subnets",
            "subnet",
            {"network_id": self.network, "ip_version": 4, "cidr": "10.0.0.0/9"},
        )
        self.group = self.make("security-groups", "security_group", {"name": "bench"})

    def port(self) -> dict[str, Any]:
        """A port as clients ask for it: its address, its group, a pair, a device."""
        number = next(self.numbers)
        return {
            "network_id": self.network,
            "name": f"port-{number}",
            "device_id": f"device-{number}",
            "fixed_ips": [{"subnet_id": self.subnet, "ip_address": str(_FIRST + number)}],
            "security_groups": [self.group],
            "allowed_address_pairs": [{"ip_address": str(_PAIR + number)}],
        }

    def any_port(self) -> str:
        """One of the ports; over time, all."""
        return self.ports[next(self.turns) * 7919 % len(self.ports)]

    def post(self, door: ApiClient) -> str:
        """Create one port; its id."""
        told = door.call("POST", "/v2.0/ports", {"port": self.port()})
        return str(json.loads(told)["port"]["id"])

    def fill(self, count: int) -> None:
        """Create ports in bulk, until there are `count`."""
        door = ApiClient(self.server)
        while (missing := count - len(self.ports)) > 0:
            bodies = [self.port() for _ in range(min(_BULK, missing))]
            told = json.loads(door.call("POST", "/v2.0/ports", {"ports": bodies}))
            self.ports += [each["id"] for each in told["ports"]]
        self.memory[count] = self.server.memory()


Call = Callable[[_Bench, ApiClient], object]


def _post(world: _Bench, door: ApiClient) -> None:
    world.ports.append(world.post(door))


def _delete(world: _Bench, door: ApiClient) -> None:
    door.call("DELETE", f"/v2.0/ports/{world.ports.pop()}")


def _get(world: _Bench, door: ApiClient) -> None:
    door.call("GET", f"/v2.0/ports/{world.any_port()}")


def _find(world: _Bench, door: ApiClient) -> None:
    told = json.loads(door.call("GET", "/v2.0/ports?device_id=device-1"))["ports"]
    if len(told) != 1:
        raise RuntimeError(f"{world.server.name} found {len(told)} ports of one device")


def _put_name(world: _Bench, door: ApiClient) -> None:
    name = f"renamed-{time.monotonic_ns()}"
    door.call("PUT", f"/v2.0/ports/{world.any_port()}", {"port": {"name": name}})


def _put_pairs(world: _Bench, door: ApiClient) -> None:
    pairs = [{"ip_address": str(_PAIR + next(world.numbers))}]
    body = {"port": {"allowed_address_pairs": pairs}}
    door.call("PUT", f"/v2.0/ports/{world.any_port()}", body)


def _list(world: _Bench, door: ApiClient) -> None:
    count = len(json.loads(door.call("GET", "/v2.0/ports"))["ports"])
    if count != len(world.ports):
        raise RuntimeError(f"{world.server.name} listed {count} ports of {len(world.ports)}")


def _walk(world: _Bench, door: ApiClient) -> None:
    count, marker = 0, ""
    while True:
        page = json.loads(door.call("GET", f"/v2.0/ports?limit=100{marker}"))["ports"]
        count += len(page)
        if len(page) < 100:
            break
        marker = f"&marker={page[-1]['id']}"
    if count != len(world.ports):
        raise RuntimeError(f"{world.server.name} paged {count} ports of {len(world.ports)}")


def _network(world: _Bench, door: ApiClient) -> None:
    name = f"network-{next(world.numbers)}"
    door.call("POST", "/v2.0/networks", {"network": {"name": name, "shared": True}})


def _rule(world: _Bench, door: ApiClient) -> None:
    number = next(world.numbers) % 60_000 + 1
    body = {
        "security_group_id": world.group,
        "direction": "ingress",
        "protocol": "tcp",
        "port_range_min": number,
        "port_range_max": number,
    }
    door.call("POST", "/v2.0/security-group-rules", {"security_group_rule": body})


_EACH: dict[str, Call] = {
    "POST port": _post,
    "GET port": _get,
    "GET ports of a device": _find,
    "PUT port name": _put_name,
    "PUT port pairs": _put_pairs,
    "DELETE port": _delete,
}
_SOME: dict[str, Call] = {
    **_EACH,
    "list of all": _list,
    "POST network": _network,
    "POST rule of all ports' group": _rule,
}
_MANY: dict[str, Call] = {**_EACH, "list in pages of 100": _walk}
_DEAR = {"list of all": 2, "list in pages of 100": 1}
"""Calls a round, of calls that take a peer seconds."""
_TOGETHER: dict[str, Call] = {"POST port": _post, "GET port": _get, "PUT port name": _put_name}


def measure(*, quick: bool) -> dict[str, Any]:
    """Rows: call, ports, clients, server, p50 and p99 (ms), calls a second, CPU (ms a call)."""
    size = _LOOK if quick else _FULL
    rows: list[dict[str, Any]] = []
    with all_three() as servers:
        benches = [_Bench(server) for server in servers]
        for world in benches:
            world.prepare()
            world.fill(_AT_ONCE)  # the extra cost of a first call is not of interest
        rows += _stage(benches, _EACH, _AT_ONCE, size)
        _fill_all(benches, size.some)
        rows += _stage(benches, _SOME, size.some, size)
        for name, call in _TOGETHER.items():
            rows += [_together(world, name, call, size) for world in benches]
        _fill_all(benches, size.many)
        rows += _stage(benches, _MANY, size.many, size)
        ours = [world for world in benches if world.server.name != PEER]
        _fill_all(ours, size.most)
        rows += _stage(ours, _EACH, size.most, size)
    memory = [
        {"server": world.server.name, **{f"MB at {n} ports": mb for n, mb in world.memory.items()}}
        for world in benches
    ]
    return {"calls": rows, "ratios": _ratios(rows), "growth": _growth(rows), "memory": memory}


def _fill_all(benches: list[_Bench], count: int) -> None:
    for world in benches:
        world.fill(count)


def _stage(
    benches: list[_Bench], calls: dict[str, Call], ports: int, size: _Size
) -> list[dict[str, Any]]:
    """Time each call at each server, by turns."""
    found: dict[tuple[str, str], list[float]] = {}
    spent: dict[tuple[str, str], list[float]] = {}
    for _ in range(size.rounds):
        for name, call in calls.items():
            for world in random.sample(benches, len(benches)):
                key = name, world.server.name
                door = _ready(world)
                before = world.server.cpu()
                times = [_timed(call, world, door) for _ in range(_DEAR.get(name, size.calls))]
                found.setdefault(key, []).extend(times)
                cpu = [b - a for a, b in zip(before, world.server.cpu(), strict=True)]
                total = spent.setdefault(key, [0.0, 0.0])
                total[:] = [a + b for a, b in zip(total, cpu, strict=True)]
    return [
        _row(
            name,
            ports,
            1,
            server,
            times := found[name, server],
            sum(times) / 1e3,
            spent[name, server],
        )
        for name in calls
        for server in (world.server.name for world in benches)
    ]


def _together(world: _Bench, name: str, call: Call, size: _Size) -> dict[str, Any]:
    """Time one call that several clients make at once."""
    times: list[float] = []
    failed: list[BaseException] = []
    doors = [_ready(world) for _ in range(_AT_ONCE)]

    def work(door: ApiClient) -> None:
        try:
            times.extend(_timed(call, world, door) for _ in range(size.at_once // _AT_ONCE))
        except BaseException as error:  # noqa: BLE001  carried to the main thread
            failed.append(error)

    threads = [threading.Thread(target=work, args=(door,)) for door in doors]
    before, began = world.server.cpu(), time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]
    elapsed = time.perf_counter() - began
    cpu = [b - a for a, b in zip(before, world.server.cpu(), strict=True)]
    return _row(name, len(world.ports), _AT_ONCE, world.server.name, times, elapsed, cpu)


def _ready(world: _Bench) -> ApiClient:
    """A connection that is there and was used: servers end idle ones while others have turns."""
    door = ApiClient(world.server)
    door.call("GET", "/v2.0/networks?limit=1")
    return door


def _timed(call: Call, world: _Bench, door: ApiClient) -> float:
    before = door.seconds
    call(world, door)
    return (door.seconds - before) * 1e3


def _row(  # noqa: PLR0913, PLR0917  a row has these columns
    name: str, ports: int, clients: int, server: str, times: list[float], took: float,
    cpu: list[float],
) -> dict[str, Any]:  # fmt: skip
    ordered = sorted(times)
    return {
        "call": name,
        "ports": ports,
        "clients": clients,
        "server": server,
        "p50_ms": statistics.median(ordered),
        "p99_ms": ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))],
        "a_second": len(times) / took,
        "server_cpu_ms": cpu[0] * 1e3 / len(times),
        "database_cpu_ms": cpu[1] * 1e3 / len(times),
        "calls": len(times),
    }


def _ratios(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The peer's time in multiples of ours, by the medians."""
    of = {(r["call"], r["ports"], r["clients"], r["server"]): r["p50_ms"] for r in rows}
    found = []
    for (call, ports, clients, server), median in of.items():
        peer = of.get((call, ports, clients, PEER))
        if server != PEER and peer is not None:
            row = {"call": call, "ports": ports, "clients": clients, "server": server}
            found.append({**row, "times": peer / median})
    return found


def _growth(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The growth of our calls' time from a few ports to the most, as a ratio."""
    ours = [r for r in rows if r["server"] != PEER and r["clients"] == 1 and r["call"] in _EACH]
    few, most = (pick(r["ports"] for r in ours) for pick in (min, max))
    at = {(r["call"], r["server"], r["ports"]): r["p50_ms"] for r in ours}
    return [
        {"call": call, "server": server, f"at {most} / at {few}": at[call, server, most] / median}
        for (call, server, ports), median in at.items()
        if ports == few
    ]


_TIMES = {
    "POST port": 40,
    "GET port": 15,
    "list of all": 40,
    "list in pages of 100": 20,
    "PUT port name": 30,
    "PUT port pairs": 30,
    "DELETE port": 30,
}


def goals(result: dict[str, Any]) -> list[Goal]:
    """As many times faster than the peer; memory; the tail of POST where eight ask at once."""
    ratios = [
        Goal(f"{r['call']}, {r['ports']} ports, {r['server']}", r["times"], _TIMES[r["call"]],
             "times", at_least=True)
        for r in result["ratios"]
        if r["clients"] == 1 and r["ports"] > _AT_ONCE and r["call"] in _TIMES
    ]  # fmt: skip
    tails = [
        Goal(f"p99 of POST by 8 clients, {r['server']}", r["p99_ms"], 100, "ms")
        for r in result["calls"]
        if r["clients"] == _AT_ONCE and r["call"] == "POST port" and r["server"] != PEER
    ]
    memory = [
        Goal(f"memory, {row['server']}", row[name], 150, "MB")
        for row in result["memory"]
        if row["server"] != PEER
        for name in row
        if name == f"MB at {_FULL.many} ports"
    ]
    return ratios + tails + memory
