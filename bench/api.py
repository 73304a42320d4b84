"""From an API call to the kernel holding it, through the real `vifguard up`."""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.result import Goal
from vifguard.client.client import Client
from vifguard.client.resource import NETWORK, PORT, SUBNET
from vifguard.lab.world import netns
from vifguard.lab.world.guest_netns import make_host
from vifguard.lab.world.server import COMMAND, Server

SIZES = (2, 1000)
PATIENCE = 30.0


def measure(*, quick: bool) -> dict[str, Any]:
    """Milliseconds from the call to the port's enforcement, at each number of ports."""
    calls = 10 if quick else 60
    name = f"vgbench{os.getpid()}-api"
    make_host(name)
    try:
        with tempfile.TemporaryDirectory() as directory:
            server = Server(Path(directory) / "host", name, {})
            server.start()
            try:
                with server.operator() as client:
                    return {f"{size} ports": _at(client, name, size, calls) for size in SIZES}
            finally:
                server.stop()
                netns.run([
                    "ip", "netns", "exec", name, *COMMAND, "down", "--remove", "--yes",
                    f"--data-dir={server.data_dir}",
                    f"--bpf-dir={server.directory / 'bpf' / 'vifguard'}",
                ])  # fmt: skip
                netns.run(["umount", str(server.directory / "bpf")])
    finally:
        netns.remove(name)


def _at(client: Client, host: str, size: int, calls: int) -> dict[str, Any]:
    names = [f"t{size}x{number}" for number in range(size + calls)]
    netns.ip([f"link add {each} type veth peer name p{each}" for each in names], host)
    # A bridge takes 1,023 members: those that are timed get one of their own.
    crowd, timed = _network(client), _network(client)

    def post(device: str, network_id: str = timed) -> str:
        body = {"network_id": network_id, "binding:profile": {"interface": device}}
        return str(client.create(PORT, body)["id"])

    for device in names[:size]:
        client.wait_for_port(post(device, crowd), PATIENCE)
    posted: list[str] = []
    creating = [
        _timed(lambda device=device: posted.append(post(device)), client, posted)
        for device in names[size:]
    ]
    changing = [
        _timed(
            lambda number=number: client.update(
                PORT,
                posted[-1],
                {"allowed_address_pairs": [{"ip_address": f"10.1.0.{number + 1}"}]},
            ),
            client,
            posted,
        )
        for number in range(calls)
    ]
    return {"POST": _spread(creating), "PUT": _spread(changing)}


def _network(client: Client) -> str:
    network = client.create(NETWORK, {"name": "bench", "shared": True})
    client.create(SUBNET, {"network_id": network["id"], "ip_version": 4, "cidr": "10.0.0.0/16"})
    return str(network["id"])


def _timed(call: Callable[[], object], client: Client, posted: list[str]) -> float:
    began = time.perf_counter()
    call()
    client.wait_for_port(posted[-1], PATIENCE)
    return (time.perf_counter() - began) * 1e3


def _spread(found: list[float]) -> dict[str, float]:
    ordered = sorted(found)
    return {
        "median_ms": statistics.median(ordered),
        "p99_ms": ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))],
    }


def goals(result: dict[str, Any]) -> list[Goal]:
    """A median under 20 ms."""
    return [
        Goal(f"{verb} to enforced, {size}", found[verb]["median_ms"], 20, "ms")
        for size, found in result.items()
        for verb in ("POST", "PUT")
    ]
