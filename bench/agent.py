"""A whole agent among many real interfaces: a process of its own, fed from memory.

`python -m bench.agent NETNS-DIRECTORY PORTS` is that process, inside the host's namespace.
"""

from __future__ import annotations

import json
import re
import resource
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from bench.world import World, other_guest, policy_of, standing_world
from vifguard.agent.agent import Agent
from vifguard.agent.settings import Settings
from vifguard.enforce.drivers import DriverSettings
from vifguard.feed.messages import HostPort, Report, ReportAnswer, Update
from vifguard.feed.segment import Segment
from vifguard.kernel.bpf import bpffs
from vifguard.model.address import Mac
from vifguard.model.guard import Profile
from vifguard.model.port import PortState

PER_NETWORK = 1000
"""Ports on one network: a Linux bridge takes 1,024."""


def measure(ports: int) -> dict[str, Any]:
    """Seconds until every port is enforced and a member of its bridge; peak memory in MB."""
    with standing_world("agent", ports) as world:
        bpffs.mount(world.bpf_dir.parent)
        names = json.dumps(sorted(set(world.interfaces()) - {world.a.tap, world.b.tap}))
        done = subprocess.run(
            ["ip", "netns", "exec", world.name, sys.executable, "-m", "bench.agent", world.bpf_dir],
            input=names,
            capture_output=True,
            text=True,
            check=False,
        )
        world.driver = None
        _remove(world)
        if done.returncode:
            raise RuntimeError(done.stderr[-2000:])
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return found


def _remove(world: World) -> None:
    subprocess.run(["rm", "-rf", world.bpf_dir], check=True)


class MemoryFeed:
    """All ports at once, then one more."""

    def __init__(self, names: list[str]) -> None:
        self._updates = {
            0: Update(
                1, complete=True, ports=tuple(map(_host_port, names[:-1], range(len(names))))
            ),
            1: Update(2, complete=False, ports=(_host_port(names[-1], len(names)),)),
        }
        self._held: set[str] = set()
        self._lock = threading.Condition()
        self._released = 0

    def next(self, _instance: str, after: int, timeout: float) -> Update | None:
        """The next update, once it was released."""
        with self._lock:
            self._lock.wait_for(lambda: self._released > after, timeout)
            return self._updates.get(after) if self._released > after else None

    def report(self, report: Report) -> ReportAnswer:
        """Count enforced ports."""
        with self._lock:
            for each in report.ports:
                if each.state is PortState.ENFORCED:
                    self._held.add(each.port_id)
            self._lock.notify_all()
        return ReportAnswer()

    def release(self, count: int) -> float:
        """Seconds from the next update to `count` enforced ports."""
        began = time.perf_counter()
        with self._lock:
            self._released += 1
            self._lock.notify_all()
            if not self._lock.wait_for(lambda: len(self._held) >= count, 300):
                raise RuntimeError(f"{len(self._held)} of {count} ports are enforced")
        return time.perf_counter() - began


def _host_port(name: str, number: int) -> HostPort:
    guest = other_guest(number)
    segment = Segment(f"{number // PER_NETWORK:011d}-network", shared=True, mtu=1500)
    return HostPort(
        policy_of(guest, number, Profile.STRICT), segment, Mac.parse(guest.mac), name, 1
    )


def main(bpf_dir: Path) -> None:
    """Run the agent on the interfaces named on standard input."""
    feed = MemoryFeed(json.load(sys.stdin))
    ports = len(feed._updates[0].ports)  # noqa: SLF001 - our own, above
    stop = threading.Event()
    before = _rss()
    thread = threading.Thread(
        target=Agent(feed, "bench", Settings(DriverSettings(bpf_dir))).run, args=(stop,)
    )
    thread.start()
    everything = feed.release(ports)
    _await_quiet()
    held = _rss()
    cpu = time.process_time()
    one = feed.release(ports + 1)
    one_cpu = time.process_time() - cpu
    stop.set()
    thread.join()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        json.dumps(
            {
                "seconds until all are enforced": everything,
                "one more, ms until reported": one * 1e3,
                "one more, cpu ms": one_cpu * 1e3,
                "rss_mb": held,
                "rss_mb before": before,
                "peak_mb": peak,
            }
        )
    )


def _await_quiet() -> None:
    """Return once the agent has digested the kernel's news of its own work."""
    while True:
        before = time.process_time()
        time.sleep(0.5)
        # Guards are read back all the time.
        if time.process_time() - before < 0.1:
            return


def _rss() -> float:
    found = re.search(r"VmRSS:\s*(\d+)", Path("/proc/self/status").read_text())
    return int(found[1]) / 1024 if found else 0.0


if __name__ == "__main__":
    main(Path(sys.argv[1]))
