"""S8, a flood: forged sources die at the port, and the neighbours lose nothing.

Frames are counted, never timed: `make bench` measures the cost of a flood.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from ipaddress import IPv4Address

from vifguard.lab.attacks import frames as f
from vifguard.lab.attacks.actors import Actors
from vifguard.lab.attacks.attack import Actor, Kind
from vifguard.lab.play.learned_tables import LearnedTables
from vifguard.lab.play.packet_socket import PacketSocket
from vifguard.lab.play.referee import on_one_cpu
from vifguard.lab.play.scenario_rows import records_of, topology_of
from vifguard.lab.play.topology import Endpoint, LabSegment
from vifguard.lab.play.world_segments import three_guest_segment
from vifguard.lab.result.checks import Checks
from vifguard.lab.result.finding import Tell
from vifguard.lab.world.lab_run import Run
from vifguard.lab.world.world import World, standing
from vifguard.lab.world.world_plan import GuestPlan, NetworkPlan, NicPlan, WorldPlan
from vifguard.model.address import Mac
from vifguard.model.guard import Guard

NAME = "s8"
TITLE = "a flood with forged sources dies at the port; neighbours lose nothing"

_RED, _BLUE = "red", "blue"
_FORGED = 60_000
_BROADCASTS = 5_000
_BURST = 100
_NEIGHBOURS_EVERY = 10
_DRAIN_EVERY = 500

PLAN = WorldPlan(
    NAME,
    networks=(NetworkPlan("s", ("203.0.113.0/24", "2001:db8:5::/64"), uplink=True),),
    guests=(
        GuestPlan("victim", _BLUE, (NicPlan("s"),)),
        GuestPlan(
            "attacker",
            _RED,
            (NicPlan("s", by_operator={"storm": {"rate": 1, "burst": _BURST}}, silent=True),),
        ),
        GuestPlan("peer", _BLUE, (NicPlan("s"),)),
    ),
)

_FLOOD: tuple[tuple[Guard, Callable[[Actors, int], bytes]], ...] = (
    (Guard.MAC, lambda c, i: f.udp4(c, src_mac=_some_mac(i), dst=f.BROADCAST_4)),
    (Guard.MAC, lambda c, i: f.udp4(c, src_mac=c.v.mac, sport=i & 0x7FFF)),
    (Guard.IP, lambda c, i: f.udp4(c, src=IPv4Address(0x0A000000 + i))),
    (Guard.IP, lambda c, i: f.udp6(c, src=c.net6[0x10000 + i])),
    (Guard.ARP, lambda c, i: f.arp(c, 1, spa=IPv4Address(0x0A000000 + i))),
    (Guard.MAC, lambda c, i: f.arp(c, 2, sha=_some_mac(i))),
)


@dataclass(slots=True)
class _Captures:
    """The frames that each place receives during the flood."""

    taps: dict[str, PacketSocket]
    heard: dict[str, list[bytes]] = field(default_factory=dict)

    def drain(self) -> None:
        for name, tap in self.taps.items():
            frames = [each.frame for each in tap.drain() if not each.outgoing]
            self.heard.setdefault(name, []).extend(frames)


def play(run: Run, tell: Tell) -> None:
    """Flood with forged sources; then with legal broadcasts, above the port's rate."""
    story = Checks(NAME, tell)
    with standing(run, PLAN) as world, ExitStack() as cleanup:
        segment = three_guest_segment(
            world, Kind.STRICT, world.nets["s"], "attacker", victim="victim", peer="peer"
        )
        cleanup.enter_context(on_one_cpu())
        tables = LearnedTables(topology_of(world, (segment,)))
        cleanup.callback(tables.close)
        captures = _listen(segment, cleanup)
        before = tables.restore(segment)
        expected = _flood(story, segment, captures)
        after = tables.read(segment)
        wrong = tables.moved(segment, before, after) + tables.poisoned(segment, before, after)
        story.check("forwarding and neighbour entries that the flood changed", 0, len(wrong))
        _counted(story, world, segment, expected)
        _storm(story, world, segment, captures)


def _flood(story: Checks, segment: LabSegment, captures: _Captures) -> Counter[str]:
    """Forge, with the neighbours talking in between; the frames that each guard must drop."""
    cast = segment.cast
    attacker, victim = captures.taps["attacker"], captures.taps["victim"]
    expected: Counter[str] = Counter()
    said: list[bytes] = []
    forged: set[bytes] = set()
    for number, (guard, frame) in enumerate(_forged(cast)):
        attacker.send(frame)
        forged.add(frame)
        expected[guard.value] += 1
        if number % _NEIGHBOURS_EVERY == 0:
            said.append(_datagram(cast, len(said)))
            victim.send(said[-1])
        if number % _DRAIN_EVERY == 0:
            captures.drain()
    captures.drain()
    ours = set(said)
    delivered = [frame for frame in captures.heard["peer"] if frame in ours]
    story.check(f"of {len(said)} datagrams between neighbours arrive", len(said), len(delivered))
    story.check("they arrive in order, each once", expected=True, seen=delivered == said)
    leaked = sum(frame in forged for frames in captures.heard.values() for frame in frames)
    story.check(f"of {_FORGED} forged frames arrive anywhere", 0, leaked)
    return expected


def _storm(story: Checks, world: World, segment: LabSegment, captures: _Captures) -> None:
    """Legal broadcasts above the port's rate: each frame not delivered is counted."""
    cast, attacker = segment.cast, segment.actors[Actor.GUEST]
    captures.heard.clear()
    sent = {f.arp(cast, 1, trailer=number.to_bytes(18, "big")) for number in range(_BROADCASTS)}
    for number, frame in enumerate(sent):
        captures.taps["attacker"].send(frame)
        if number % _DRAIN_EVERY == 0:
            captures.drain()
    captures.drain()
    delivered = sum(frame in sent for frame in captures.heard["peer"])
    records = records_of(world)
    rest = _BROADCASTS - delivered
    story.must(
        f"of {_BROADCASTS} broadcasts above its rate {delivered} pass, the rest dies",
        f"{rest} dropped by storm",
        lambda: records.counts(attacker.port_id)[Guard.STORM.value] == rest,
    )
    story.check(
        "what passes is about the port's burst, the same for everyone who hears",
        expected=True,
        seen=0 < delivered < _BROADCASTS // 10
        and delivered == sum(frame in sent for frame in captures.heard["victim"]),
    )


def _counted(story: Checks, world: World, segment: LabSegment, expected: Counter[str]) -> None:
    """Each guard counts its part of the flood, to the frame."""
    records, port_id = records_of(world), segment.actors[Actor.GUEST].port_id
    for guard, frames in expected.items():

        def counted(guard: str = guard, frames: int = frames) -> bool:
            return records.counts(port_id)[guard] == frames

        story.must("the drops are counted", f"{frames} by {guard}", counted)


def _forged(cast: Actors) -> Iterator[tuple[Guard, bytes]]:
    for number in range(_FORGED):
        guard, make = _FLOOD[number % len(_FLOOD)]
        yield guard, make(cast, number)


def _datagram(cast: Actors, number: int) -> bytes:
    """One of the victim's datagrams to the peer."""
    return f.udp4(cast.with_attacker(cast.v), data=number.to_bytes(8, "big") + f.DATA)


def _some_mac(number: int) -> Mac:
    return Mac(b"\x02\x66" + number.to_bytes(4, "big"))


def _listen(segment: LabSegment, cleanup: ExitStack) -> _Captures:
    def tap(place: Endpoint) -> PacketSocket:
        opened = PacketSocket(place.netns, place.device)
        cleanup.callback(opened.close)
        return opened

    return _Captures({place.name: tap(place) for place in segment.everyone})
