"""The lifecycle: group J of the catalogue, in which nothing but time passes.

A guest floods with forged frames from beginning to end. Meanwhile ports come, change, close
and go, the agent is killed in the midst of it, and others flush rules that are not theirs. No
frame of the flood may ever arrive.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from types import MappingProxyType
from typing import Any

from vifguard.client.resource import PORT
from vifguard.lab.attacks import frames as f
from vifguard.lab.attacks.actors import Actors, Station
from vifguard.lab.attacks.attack import Actor, Kind
from vifguard.lab.attacks.legal import UNKNOWN_MAC
from vifguard.lab.play.kernel_tables import Tables, ifindex
from vifguard.lab.play.packet_socket import PacketSocket
from vifguard.lab.play.topology import LabSegment
from vifguard.lab.play.world_segments import three_guest_segment
from vifguard.lab.result.checks import Checks, until
from vifguard.lab.result.finding import Tell
from vifguard.lab.world import netns
from vifguard.lab.world.flood import Flood, came_in
from vifguard.lab.world.guest_netns import make_guest, plug, unplug
from vifguard.lab.world.lab_run import Run
from vifguard.lab.world.world import ENFORCED_WITHIN, Guest, Nic, World, standing
from vifguard.lab.world.world_plan import GuestPlan, NetworkPlan, NicPlan, WorldPlan
from vifguard.model.address import Mac

NAME = "lifecycle"
TITLE = "a port's whole life, and its agent's deaths, under a flood of forged frames"

_RED, _BLUE = "red", "blue"
_LATE, _LATE_4 = Mac.parse("02:00:00:00:1a:7e"), IPv4Address("203.0.113.200")
_CHANGES, _PER_CHANGE = 200, 5
_WIDE_PAIRS = 10
"""The most pairs of a port that may hold more than one address."""
_PLUGS = _KILLS = 3
_ENOUGH = 300
"""Frames that must come in at a port before its flood counts as one."""

PLAN = WorldPlan(
    NAME,
    networks=(NetworkPlan("s", ("203.0.113.0/24", "2001:db8:5::/64"), uplink=True),),
    guests=(
        GuestPlan("victim", _BLUE, (NicPlan("s"),)),
        GuestPlan("attacker", _RED, (NicPlan("s", silent=True),)),
        GuestPlan("peer", _BLUE, (NicPlan("s"),)),
    ),
)


_FORGED: Mapping[str, Callable[[Actors], bytes]] = {
    "another's MAC": lambda c: f.udp4(c, src_mac=c.v.mac, dst=f.BROADCAST_4),
    "another's IPv4 address": lambda c: f.udp4(c, src=c.v.ip4),
    "another's IPv6 address": lambda c: f.udp6(c, src=c.v.ip6),
    "another's address in ARP": lambda c: f.arp(c, 1, spa=c.v.ip4),
    "another's address in neighbour discovery": lambda c: f.own_na(c, c.v.ip6),
}


def forged(c: Actors) -> tuple[bytes, ...]:
    """The frames of the flood: one for each guard whose absence must show at once."""
    return tuple(make(c) for make in _FORGED.values())


@dataclass(slots=True)
class _LifecycleRun:
    """The world, its listening sockets, and the flood that is on."""

    story: Checks
    world: World
    segment: LabSegment
    cleanup: ExitStack
    sockets: dict[str, PacketSocket] = field(default_factory=dict)
    heard: dict[str, list[bytes]] = field(default_factory=dict)
    taps: dict[str, PacketSocket] = field(default_factory=dict)
    said: int = 0

    @property
    def cast(self) -> Actors:
        """The attacker's."""
        return self.segment.cast

    def nic(self, name: str) -> Nic:
        """A guest's interface."""
        return self.world.guests[name].nic

    def listen(self, name: str, inside: str, device: str = "") -> None:
        """Capture from now on frames that arrive at a device, or anywhere in a namespace."""
        self.sockets[name] = PacketSocket(inside, device)
        self.cleanup.callback(self.sockets[name].close)

    def flood(self, name: str, frames: Iterable[bytes]) -> Flood:
        """A flood from a guest, until it is left."""
        guest = self.world.guests[name]
        return Flood(guest.netns, "eth0", frames, self.world.run.directory / f"flood-{name}")

    def flooded(self, name: str) -> None:
        """Wait until many more frames have come in at the guest's port."""
        host, tap = self.world.host_netns, self.nic(name).interface.host_device
        before = came_in(host, tap)
        until(f"a flood from {name}", lambda: came_in(host, tap) >= before + _ENOUGH)

    def send(self, name: str, frame: bytes) -> None:
        """Send one frame from a guest; its socket is kept, and receives nothing."""
        if name not in self.taps:
            self.taps[name] = PacketSocket(self.world.guests[name].netns, "eth0", 0)
            self.cleanup.callback(self.taps[name].close)
        self.taps[name].send(frame)

    def say(self, c: Actors) -> bytes:
        """A legal datagram that nobody has sent before."""
        self.said += 1
        return f.udp4(c, data=self.said.to_bytes(8, "big") + f.DATA)

    def drain(self) -> None:
        """Record the frames that have arrived by now."""
        for name, listener in self.sockets.items():
            frames = [each.frame for each in listener.drain() if not each.outgoing]
            self.heard.setdefault(name, []).extend(frames)

    def settle(self) -> None:
        """Return once every frame on its way has arrived.

        The victim sends a mark beyond the uplink through the queue of each CPU: frames before it
        in any queue of the host are through.
        """
        cast = self.cast.with_attacker(self.cast.v).with_peer(self.cast.g)
        before = os.sched_getaffinity(0)
        try:
            for cpu in sorted(before):
                os.sched_setaffinity(0, {cpu})
                self._mark("victim", cast, "outside")
        finally:
            os.sched_setaffinity(0, before)

    def legal(self, name: str = "attacker", station: Station | None = None) -> None:
        """Wait until a legal datagram of the guest reaches the peer."""
        self._mark(name, self.cast.with_attacker(station or self.cast.a), "peer")

    def count(self, name: str, *frames: bytes) -> int:
        """The number of these frames that a listener received since the last call of `forget`."""
        self.settle()
        return sum(frame in frames for frame in self.heard.get(name, ()))

    def forget(self) -> None:
        """Forget the frames that have arrived so far."""
        self.settle()
        self.heard.clear()

    @contextmanager
    def nothing_arrived(self, row: str, what: str, *frames: bytes) -> Iterator[None]:
        """Check that no frame of the flood, and none of these, arrives within the block."""
        self.forget()
        yield
        self.story.check(f"{row}: the victim's MAC elsewhere {what}", 0, self._misled())
        never = (*forged(self.cast), *frames)
        leaked = sum(self.count(name, *never) for name in self.sockets)
        self.story.check(f"{row}: forged frames that were heard {what}", 0, leaked)

    def update(self, name: str, **body: Any) -> None:
        """Change a guest's port; it is not waited for."""
        self.world.operator.update(PORT, self.nic(name).port_id, body)

    def enforced(self, *names: str) -> None:
        """Wait until the API reports these ports as enforced."""
        self.world.await_enforced(*(self.nic(name) for name in names))

    def _misled(self) -> int:
        """The number of the bridge's forwarding entries that misplace the victim's MAC."""
        host = self.world.host_netns
        victim = self.nic("victim").interface
        with closing(Tables(host)) as tables:
            believed = tables.forwarding(ifindex(host, self.segment.bridge))
        true = ifindex(host, victim.host_device)
        return sum(each.mac == victim.mac and each.ifindex != true for each in believed)

    def _mark(self, name: str, cast: Actors, listener: str) -> None:
        """Send datagrams until one arrives: a bridge that was just made learns of carriers late."""
        marks: set[bytes] = set()

        def heard() -> bool:
            marks.add(mark := self.say(cast))
            self.send(name, mark)
            self.drain()
            return not marks.isdisjoint(self.heard.get(listener, ()))

        until(f"a datagram from {name} at {listener}", heard)


def play(run: Run, tell: Tell) -> None:
    """Flood, and play each story meanwhile."""
    story = Checks(NAME, tell)
    with standing(run, PLAN) as world, ExitStack() as cleanup:
        segment = three_guest_segment(
            world, Kind.STRICT, world.nets["s"], "attacker", victim="victim", peer="peer"
        )
        run_of_row = _LifecycleRun(story, world, segment, cleanup)
        for each in segment.everyone:
            if each is not segment.actors[Actor.GUEST]:
                run_of_row.listen(each.name, each.netns, each.device)
        cleanup.enter_context(run_of_row.flood("attacker", forged(run_of_row.cast)))
        _control(run_of_row)
        for row, happen in STORIES.items():
            with story.during(row):
                happen(row, run_of_row)


def _control(run_of_row: _LifecycleRun) -> None:
    """Check that the flood arrives without guards: else its absence would prove nothing."""
    run_of_row.update("attacker", port_security_enabled=False)
    run_of_row.enforced("attacker")
    for name, make in _FORGED.items():
        frame = make(run_of_row.cast)
        run_of_row.story.must(
            f"without guards the peer hears {name}",
            "heard",
            lambda frame=frame: run_of_row.count("peer", frame) > 0,  # type: ignore[misc]
        )
    run_of_row.update("attacker", port_security_enabled=True)
    run_of_row.enforced("attacker")


def _plug(row: str, run_of_row: _LifecycleRun) -> None:
    """A guest that floods before there is a port, and would receive frames that a bridge floods."""
    guest = Guest("late", run_of_row.world.run.netns(f"{NAME}-late"), _RED)
    run_of_row.world.guests["late"] = guest
    make_guest(guest.netns)
    run_of_row.listen("late", guest.netns)
    station = Station(_LATE, _LATE_4, run_of_row.cast.net6[0x200])
    frames = forged(run_of_row.cast.with_attacker(station))
    stray = f.udp4(
        run_of_row.cast.with_attacker(run_of_row.cast.p),
        dst=run_of_row.cast.g.ip4,
        dst_mac=UNKNOWN_MAC,
    )
    with run_of_row.flood("late", frames), run_of_row.flood("peer", [stray]):
        run_of_row.flooded("peer")
        with _receives_nothing(row, run_of_row, "from before there was a port", frames, stray):
            run_of_row.world.add_nic(guest, _late_port(run_of_row, station))
            run_of_row.enforced("late")
            run_of_row.flooded("late")
        run_of_row.legal("late", station)
        for turn in range(_PLUGS):
            with _receives_nothing(
                row, run_of_row, f"when plugged again ({turn + 1})", frames, stray
            ):
                _replug(run_of_row)
            run_of_row.legal("late", station)
        run_of_row.update("late", port_security_enabled=False)
        run_of_row.story.must(
            f"{row}: without its guards it hears frames for others",
            "heard",
            lambda: run_of_row.count("late", stray) > 0,
        )
        run_of_row.update("late", port_security_enabled=True)
        run_of_row.enforced("late")


@contextmanager
def _receives_nothing(
    row: str, run_of_row: _LifecycleRun, what: str, frames: Iterable[bytes], stray: bytes
) -> Iterator[None]:
    """The late guest's frames reach nobody, and no stray frame reaches it."""
    with run_of_row.nothing_arrived(row, what, *frames):
        yield
        strays = run_of_row.count("late", stray)
        run_of_row.story.check(f"{row}: frames for others that the guest heard {what}", 0, strays)


def _late_port(run_of_row: _LifecycleRun, station: Station) -> NicPlan:
    addresses = {4: station.ip4, 6: station.ip6}
    fixed = [
        {"subnet_id": subnet["id"], "ip_address": str(addresses[version])}
        for version, subnet in run_of_row.world.nets["s"].subnets.items()
    ]
    body = {"mac_address": str(station.mac), "fixed_ips": fixed}
    return NicPlan("s", by_operator=body, silent=True)


def _replug(run_of_row: _LifecycleRun) -> None:
    """The interface goes, and comes again."""
    nic = run_of_row.nic("late")
    run_of_row.taps.pop("late").close()
    unplug(nic.interface)
    until("the port is absent", lambda: _status(run_of_row, nic) != "ACTIVE")
    plug(nic.interface, muted=True)
    until("the port is enforced", lambda: _status(run_of_row, nic) == "ACTIVE")
    run_of_row.flooded("late")


def _status(run_of_row: _LifecycleRun, nic: Nic) -> str:
    return str(run_of_row.world.operator.show(PORT, nic.port_id)["status"])


def _closed(row: str, run_of_row: _LifecycleRun) -> None:
    """Two closed ports whose guests send each other legal frames."""
    cast = run_of_row.cast
    to_peer, to_attacker = f.udp4(cast), f.udp4(cast.with_attacker(cast.p).with_peer(cast.a))
    run_of_row.listen("attacker", run_of_row.world.guests["attacker"].netns, "eth0")
    for name in ("attacker", "peer"):
        run_of_row.update(name, admin_state_up=False)
    run_of_row.enforced("attacker", "peer")
    with (
        run_of_row.flood("attacker", [to_peer]),
        run_of_row.flood("peer", [to_attacker]),
        run_of_row.nothing_arrived(row, "at closed ports", to_peer, to_attacker),
    ):
        run_of_row.flooded("attacker")
        run_of_row.flooded("peer")
    for name in ("attacker", "peer"):
        run_of_row.update(name, admin_state_up=True)
    run_of_row.enforced("attacker", "peer")
    run_of_row.sockets.pop("attacker")
    run_of_row.legal()


def _changes(row: str, run_of_row: _LifecycleRun) -> None:
    """The port changes again and again; frames legal before and after pass all the while."""
    said: set[bytes] = set()
    with run_of_row.nothing_arrived(row, f"while its port changed {_CHANGES} times"):
        for number in range(_CHANGES):
            run_of_row.update("attacker", allowed_address_pairs=_pairs(number, 1))
            for _ in range(_PER_CHANGE):
                said.add(frame := run_of_row.say(run_of_row.cast))
                run_of_row.send("attacker", frame)
            run_of_row.drain()
        run_of_row.enforced("attacker")
        run_of_row.settle()
        heard = [frame for frame in run_of_row.heard["peer"] if frame in said]
    lost = len(said) - len(set(heard))
    run_of_row.story.check(f"{row}: of {len(said)} legal frames meanwhile are lost", 0, lost)
    run_of_row.story.check(f"{row}: legal frames that came twice", 0, len(heard) - len(set(heard)))


def _killed(row: str, run_of_row: _LifecycleRun) -> None:
    """The agent dies with changes half made; restarted, it enforces the latest."""
    for turn in range(_KILLS):
        with run_of_row.nothing_arrived(row, f"with {turn + 1} changes under way"):
            for number in range(turn + 1):
                run_of_row.update("attacker", allowed_address_pairs=_pairs(turn + number, 20))
            run_of_row.world.server.kill()
            run_of_row.flooded("attacker")
            run_of_row.world.server.start()
            run_of_row.enforced("attacker")
        run_of_row.legal()


def _down(row: str, run_of_row: _LifecycleRun) -> None:
    """Nobody runs; then somebody does, and is asked to end."""
    server = run_of_row.world.server
    for how, end in (("killed", server.kill), ("stopped", server.stop)):
        with run_of_row.nothing_arrived(row, f"while the agent was {how}"):
            end()
            run_of_row.flooded("attacker")
            run_of_row.legal()
            server.start()
            run_of_row.enforced("attacker")
            run_of_row.flooded("attacker")


def _flush(row: str, run_of_row: _LifecycleRun) -> None:
    """Somebody flushes every rule of the host, and deletes the clsact qdisc of an interface."""
    host, tap = run_of_row.world.host_netns, run_of_row.nic("attacker").interface.host_device
    rules = netns.run(["nft", "list", "ruleset"], netns=host)
    with run_of_row.nothing_arrived(row, "when all rules were flushed"):
        netns.run(["nft", "flush", "ruleset"], netns=host)
        run_of_row.flooded("attacker")
        until("its rules are back", lambda: _rules(host) == rules)
    # Guards at TCX hooks have no qdisc to delete; those on clsact come back within moments.
    subprocess.run(
        ["ip", "netns", "exec", host, "tc", "qdisc", "del", "dev", tap, "clsact"],
        capture_output=True,
        check=False,
    )

    def quiet() -> bool:
        run_of_row.forget()
        run_of_row.flooded("attacker")
        return not any(
            run_of_row.count(name, *forged(run_of_row.cast)) for name in run_of_row.sockets
        )

    run_of_row.story.must(f"{row}: guards that somebody took off", "back", quiet)


def _rules(host: str) -> str:
    return netns.run(["nft", "list", "ruleset"], netns=host)


def _bridge(row: str, run_of_row: _LifecycleRun) -> None:
    """The network's bridge is deleted, and made anew with the guards in front of it."""
    host = run_of_row.world.host_netns
    with run_of_row.nothing_arrived(row, "when its bridge was deleted"):
        netns.ip([f"link del {run_of_row.segment.bridge}"], host)
        run_of_row.flooded("attacker")
        run_of_row.legal()


def _taken_away(row: str, run_of_row: _LifecycleRun) -> None:
    """A revision that the API reports as enforced is enforced: a prefix taken away is gone."""
    given = f.udp4(run_of_row.cast, src=IPv4Address("10.66.0.5"))
    with run_of_row.flood("attacker", [given]):
        run_of_row.update("attacker", allowed_address_pairs=_pairs(0, 1))
        until("what was given passes", lambda: run_of_row.count("peer", given) > 0)
        run_of_row.update("attacker", allowed_address_pairs=[])
        run_of_row.world.operator.wait_for_port(run_of_row.nic("attacker").port_id, ENFORCED_WITHIN)
        with run_of_row.nothing_arrived(row, "once the API said it was taken away", given):
            run_of_row.flooded("attacker")
    run_of_row.legal()


def _pairs(start: int, count: int) -> list[dict[str, str]]:
    """Prefixes that hold nobody's address; the first of them is 10.66.0.0/24."""
    prefixes = [f"10.66.{start + number}.0" for number in range(count)]
    wide = [f"{prefix}/24" for prefix in prefixes[:_WIDE_PAIRS]]
    return [{"ip_address": each} for each in [*wide, *prefixes[_WIDE_PAIRS:]]]


STORIES: Mapping[str, Callable[[str, _LifecycleRun], None]] = MappingProxyType(
    {
        "lc-plug-window": _plug,
        "lc-dead-vlan-not-dead": _closed,
        "lc-reload-blink": _changes,
        "lc-running-not-updated": _taken_away,
        "lc-switch-restart": _bridge,
        "lc-external-flush": _flush,
        "lc-partial-batch": _killed,
        "lc-agent-down": _down,
    }
)
"""The rows of group J that are played here."""
