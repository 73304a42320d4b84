"""A host with two guests on a bridge, and as many other ports as a bench asks for."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from bench import rules
from vifguard.enforce.driver.protocol import Attachment, RulesetChange
from vifguard.enforce.ebpf.driver import EbpfDriver
from vifguard.kernel import rcu
from vifguard.kernel.bpf import bpffs
from vifguard.kernel.net import sysctl
from vifguard.lab.world import netns
from vifguard.model.address import Mac, parse_network
from vifguard.model.guard import GUARDS_OF, Guard, LinkLocal, Profile
from vifguard.model.policy import PortPolicy, Storm

T = TypeVar("T")

FLOOD = Path("build/flood")
_CROWD = 7
"""The group (`ip link`) of the interfaces that are only there."""
_WITH_IPV6 = {"ipv6/conf/{}/disable_ipv6": "0"}
UNLIMITED = Storm(rate=1_000_000_000, burst=1_000_000_000)


@dataclass(frozen=True)
class Guest:
    """A namespace behind a tap; the bench is between `a`, which sends, and `b`."""

    netns: str
    tap: str
    mac: str
    ip4: str
    ip6: str


def build_flood() -> None:
    """Compile the generator; needs a C compiler."""
    source = Path(__file__).with_name("flood.c")
    if not FLOOD.exists() or FLOOD.stat().st_mtime < source.stat().st_mtime:
        FLOOD.parent.mkdir(exist_ok=True)
        subprocess.run(["gcc", "-O2", "-Wall", "-o", FLOOD, source], check=True)


class World:
    """One host namespace with its own guests; `ports` interfaces in all, two of them real."""

    def __init__(self, name: str, ports: int = 2, *, talking: bool = False) -> None:
        """`talking`: the guests have stacks that answer, instead of a raw socket alone."""
        self.talking = talking
        self.name = f"vgbench{os.getpid()}-{name}"
        self.ports = ports
        self.a = Guest(f"{self.name}-a", "tap1", "02:00:00:00:00:01", "10.9.0.1", "fd00:9::1")
        self.b = Guest(f"{self.name}-b", "tap2", "02:00:00:00:00:02", "10.9.0.2", "fd00:9::2")
        self._directory = Path(tempfile.mkdtemp(prefix="vgbench"))
        self.bpf_dir = self._directory / "bpf" / "vifguard"
        self.driver: EbpfDriver | None = None

    def up(self) -> None:
        """Make it; nothing is guarded yet."""
        quiet = {"ipv6/conf/{}/disable_ipv6": "1"}
        for each in (self.name, self.a.netns, self.b.netns):
            netns.add(each)
            netns.within(each, lambda: sysctl.write("default", quiet))
        off = {f"bridge/bridge-nf-call-{each}": "0" for each in ("iptables", "ip6tables")}
        netns.within(self.name, lambda: sysctl.write("", off))
        netns.ip(["link add br0 type bridge mcast_snooping 0", "link set br0 up"], self.name)
        for guest in (self.a, self.b):
            netns.ip(
                [
                    f"link add {guest.tap} type veth peer name eth0 netns {guest.netns}",
                    f"link set {guest.tap} master br0 up",
                ],
                self.name,
            )
        for guest in (self.a, self.b):
            self._connect(guest)
        pairs = (self.ports - 2 + 1) // 2
        netns.ip(
            [f"link add x{i} group {_CROWD} type veth peer name y{i}" for i in range(pairs)],
            self.name,
        )

    def _connect(self, guest: Guest) -> None:
        if self.talking:
            netns.within(guest.netns, lambda: sysctl.write("eth0", _WITH_IPV6))
            netns.ip(
                [
                    f"link set eth0 address {guest.mac} up",
                    f"address add {guest.ip4}/24 dev eth0",
                    f"address add {guest.ip6}/64 dev eth0 nodad",
                ],
                guest.netns,
            )
            return
        # The stack behind a tap has another MAC than its port: it discards frames at
        # once, so that the path's cost is not drowned in a receiver's.
        netns.ip(["link set eth0 up"], guest.netns)
        netns.run(
            ["bridge", "-n", self.name, "fdb", "add", guest.mac, "dev", guest.tap,
             "master", "static"]
        )  # fmt: skip

    def down(self) -> None:
        """Remove it, guards and pins included."""
        if self.driver is not None:
            self.inside(self.driver.remove_all)
        if self.ports > 2:
            # At once: a namespace takes its time with them, which is the next bench's.
            with rcu.expedited():
                netns.ip([f"link delete group {_CROWD}"], self.name)
        for each in (self.name, self.a.netns, self.b.netns):
            netns.remove(each)
        if self.bpf_dir.parent.is_mount():
            subprocess.run(["umount", self.bpf_dir.parent], check=True)
        shutil.rmtree(self._directory)

    def inside(self, work: Callable[[], T]) -> T:
        """Run `work` in the host's namespace and return its result."""
        return netns.within(self.name, work)

    def interfaces(self) -> dict[str, int]:
        """Index by name of every interface that carries a port."""
        links = json.loads(netns.run(["ip", "-j", "-n", self.name, "link", "show"]))
        index = {link["ifname"]: link["ifindex"] for link in links}
        others = [name for name in index if name[0] in "xy"][: self.ports - 2]
        return {name: index[name] for name in (self.a.tap, self.b.tap, *others)}

    def attachments(self, profile: Profile, *groups: str) -> list[Attachment]:
        """A policy of its own for every interface, with these security groups."""
        guests = {guest.tap: guest for guest in (self.a, self.b)}
        return [
            Attachment(
                policy_of(guests.get(name) or other_guest(number), number, profile, *groups),
                ifindex,
                reversed_hooks=False,
                revision=1,
            )
            for number, (name, ifindex) in enumerate(self.interfaces().items())
        ]

    def guard(self, profile: Profile, of_group: int = 0) -> None:
        """Put the guards in and read them back; a group of so many rules with them, if any."""
        bpffs.mount(self.bpf_dir.parent)
        groups = {rules.GROUP: rules.group(of_group)} if of_group else {}
        wanted = self.attachments(profile, *groups)

        def put() -> EbpfDriver:
            driver = EbpfDriver(self.bpf_dir)
            driver.load_ruleset(RulesetChange(complete=True, groups=groups, sets={}))
            state = driver.render(wanted)
            change = driver.diff(state, driver.observe(None))
            if change is not None:
                driver.apply(change)
            held = driver.enforced(state, driver.observe(None))
            if state.refused or len(held) != len(wanted):
                raise RuntimeError(f"{len(held)} of {len(wanted)} ports are held")
            return driver

        self.driver = self.inside(put)

    def flood(
        self, frame: bytes, milliseconds: int, frames: int = 0, *, back: bool = False
    ) -> tuple[int, int, int]:
        """Send from `a` to `b`, or `back`: frames sent, frames received, CPU ns."""
        sender, receiver = (self.b, self.a) if back else (self.a, self.b)
        before = _received(receiver)
        line = subprocess.run(
            [FLOOD, sender.netns, "eth0", str(milliseconds), str(frames), frame.hex()],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        sent, _, cpu = (int(word) for word in line.split())
        return sent, _received(receiver) - before, cpu


def _received(guest: Guest) -> int:
    link = json.loads(netns.run(["ip", "-j", "-s", "-n", guest.netns, "link", "show", "eth0"]))
    return int(link[0]["stats64"]["rx"]["packets"])


def interleave(talking: list[T], others: list[T]) -> list[T]:
    """All, in an order that is fair to filters that look at one port after the other."""
    half = len(others) // 2
    return [*others[:half], *talking, *others[half:]]


def other_guest(number: int) -> Guest:
    """Somebody else's port."""
    high, low = divmod(number, 250)
    return Guest(
        "", "", str(Mac(bytes((2, 1, 0, 0, high, low)))), f"10.8.{high}.{low + 1}",
        f"fd00:8::{high:x}:{low + 1:x}",
    )  # fmt: skip


def policy_of(guest: Guest, number: int, profile: Profile, *groups: str) -> PortPolicy:
    """The policy of a port of the bench: one MAC, one address of each family."""
    guards = GUARDS_OF[profile]
    return PortPolicy(
        port_id=f"00000000-0000-0000-0000-{number:012x}",
        guards=guards | {Guard.SECURITY_GROUPS} if groups else guards,
        macs=frozenset({Mac.parse(guest.mac)}),
        prefixes=frozenset({parse_network(f"{guest.ip4}/32"), parse_network(f"{guest.ip6}/128")}),
        link_local=LinkLocal.EUI64,
        public=frozenset({parse_network("203.0.113.0/24")}),
        storm=UNLIMITED,
        security_groups=frozenset(groups),
    )


@contextmanager
def standing_world(
    name: str,
    ports: int = 2,
    profile: Profile | None = None,
    of_group: int = 0,
    *,
    talking: bool = False,
) -> Iterator[World]:
    """A world that stands, guarded when a profile is given, with a group of so many rules."""
    world = World(name, ports, talking=talking)
    try:
        world.up()
        if profile is not None:
            world.guard(profile, of_group)
        yield world
    finally:
        world.down()
