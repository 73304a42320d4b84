"""S8, a flood: forged sources die at the port, and the neighbours lose nothing.

Frames are counted, never timed: what a flood costs is `make bench`'s affair.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from ipaddress import IPv4Address

from vifguard.lab.arena import Place, Segment
from vifguard.lab.attacks import frames as f
from vifguard.lab.attacks.attack import Actor, Kind
from vifguard.lab.attacks.cast import Cast
from vifguard.lab.beliefs import Beliefs
from vifguard.lab.casting import small_segment
from vifguard.lab.finding import Tell
from vifguard.lab.plan import GuestPlan, NetworkPlan, NicPlan, WorldPlan
from vifguard.lab.referee import on_one_cpu
from vifguard.lab.run import Run
from vifguard.lab.stage import arena_of, records_of
from vifguard.lab.story import Story
from vifguard.lab.wiretap import Wiretap
from vifguard.lab.world import World, standing
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

_FLOOD: tuple[tuple[Guard, Callable[[Cast, int], bytes]], ...] = (
    (Guard.MAC, lambda c, i: f.udp4(c, src_mac=_some_mac(i), dst=f.BROADCAST_4)),
    (Guard.MAC, lambda c, i: f.udp4(c, src_mac=c.v.mac, sport=i & 0x7FFF)),
    (Guard.IP, lambda c, i: f.udp4(c, src=IPv4Address(0x0A000000 + i))),
    (Guard.IP, lambda c, i: f.udp6(c, src=c.net6[0x10000 + i])),
    (Guard.ARP, lambda c, i: f.arp(c, 1, spa=IPv4Address(0x0A000000 + i))),
    (Guard.MAC, lambda c, i: f.arp(c, 2, sha=_some_mac(i))),
)


@dataclass(slots=True)
class _Ears:
    """Who hears what while the flood goes on, told by the frames' first bytes."""

    taps: dict[str, Wiretap]
    heard: dict[str, list[bytes]] = field(default_factory=dict)

    def drain(self) -> None:
        for name, tap in self.taps.items():
            frames = [each.frame for each in tap.drain() if not each.outgoing]
            self.heard.setdefault(name, []).extend(frames)


def play(run: Run, tell: Tell) -> None:
    """Flood with forged sources; then with legal broadcasts, above the port's rate."""
    story = Story(NAME, tell)
    with standing(run, PLAN) as world, ExitStack() as cleanup:
        segment = small_segment(
            world, Kind.S, world.nets["s"], "attacker", victim="victim", peer="peer"
        )
        cleanup.enter_context(on_one_cpu())
        beliefs = Beliefs(arena_of(world, (segment,)))
        cleanup.callback(beliefs.close)
        ears = _listen(segment, cleanup)
        before = beliefs.restore(segment)
        expected = _flood(story, segment, ears)
        after = beliefs.read(segment)
        wrong = beliefs.moved(segment, before, after) + beliefs.poisoned(segment, before, after)
        story.check("forwarding and neighbour entries that the flood changed", 0, len(wrong))
        _counted(story, world, segment, expected)
        _storm(story, world, segment, ears)


def _flood(story: Story, segment: Segment, ears: _Ears) -> Counter[str]:
    """Forge, with the neighbours talking in between; how many frames each guard must drop."""
    cast = segment.cast
    attacker, victim = ears.taps["attacker"], ears.taps["victim"]
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
            ears.drain()
    ears.drain()
    ours = set(said)
    delivered = [frame for frame in ears.heard["peer"] if frame in ours]
    story.check(f"of {len(said)} datagrams between neighbours arrive", len(said), len(delivered))
    story.check("they arrive in order, each once", expected=True, seen=delivered == said)
    leaked = sum(frame in forged for frames in ears.heard.values() for frame in frames)
    story.check(f"of {_FORGED} forged frames arrive anywhere", 0, leaked)
    return expected


def _storm(story: Story, world: World, segment: Segment, ears: _Ears) -> None:
    """Legal broadcasts above the port's rate: what is not delivered is counted, to the frame."""
    cast, attacker = segment.cast, segment.actors[Actor.GUEST]
    ears.heard.clear()
    sent = {f.arp(cast, 1, trailer=number.to_bytes(18, "big")) for number in range(_BROADCASTS)}
    for number, frame in enumerate(sent):
        ears.taps["attacker"].send(frame)
        if number % _DRAIN_EVERY == 0:
            ears.drain()
    ears.drain()
    delivered = sum(frame in sent for frame in ears.heard["peer"])
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
        and delivered == sum(frame in sent for frame in ears.heard["victim"]),
    )


def _counted(story: Story, world: World, segment: Segment, expected: Counter[str]) -> None:
    """Each guard counts its part of the flood, to the frame."""
    records, port_id = records_of(world), segment.actors[Actor.GUEST].port_id
    for guard, frames in expected.items():

        def counted(guard: str = guard, frames: int = frames) -> bool:
            return records.counts(port_id)[guard] == frames

        story.must("the drops are counted", f"{frames} by {guard}", counted)


def _forged(cast: Cast) -> Iterator[tuple[Guard, bytes]]:
    for number in range(_FORGED):
        guard, make = _FLOOD[number % len(_FLOOD)]
        yield guard, make(cast, number)


def _datagram(cast: Cast, number: int) -> bytes:
    """One of the victim's datagrams to the peer."""
    return f.udp4(cast.playing(cast.v), data=number.to_bytes(8, "big") + f.DATA)


def _some_mac(number: int) -> Mac:
    return Mac(b"\x02\x66" + number.to_bytes(4, "big"))


def _listen(segment: Segment, cleanup: ExitStack) -> _Ears:
    def tap(place: Place) -> Wiretap:
        opened = Wiretap(place.netns, place.device)
        cleanup.callback(opened.close)
        return opened

    return _Ears({place.name: tap(place) for place in segment.everyone})
