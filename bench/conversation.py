"""Two guests who talk by UDP: their frames, in both directions, and those to be refused."""

from __future__ import annotations

from bench.rules import SERVICE
from bench.world import World
from vifguard.packet import build

FAMILIES = ("IPv4", "IPv6")
_CLIENT = 1024
_TRIED = 1000


def request(world: World, family: str, service: int = SERVICE) -> bytes:
    """A frame from `a` to `b`, which serves: Ethernet, of 60 bytes and more."""
    said = build.udp(_CLIENT, service, bytes(18))
    if family == "IPv4":
        return build.ethernet(world.a.mac, world.b.mac, build.ipv4(world.a.ip4, world.b.ip4, said))
    return build.ethernet(world.a.mac, world.b.mac, build.ipv6(world.a.ip6, world.b.ip6, said))


def reply(world: World, family: str) -> bytes:
    """The answer of `b`."""
    said = build.udp(SERVICE, _CLIENT, bytes(18))
    if family == "IPv4":
        return build.ethernet(world.b.mac, world.a.mac, build.ipv4(world.b.ip4, world.a.ip4, said))
    return build.ethernet(world.b.mac, world.a.mac, build.ipv6(world.b.ip6, world.a.ip6, said))


def establish(world: World, family: str) -> None:
    """Send one frame each way, so that later ones belong to a connection that both sides know."""
    world.flood(request(world, family), 1000, 1)
    world.flood(reply(world, family), 1000, 1, back=True)


def prove(world: World, family: str, *, guarded: bool, grouped: bool) -> None:
    """Raise unless the world passes and drops frames as its filter should: none is idle."""
    closed = request(world, family, SERVICE + 1)
    _expect(world, f"{family}: forged", _forged(world, family), passes=not guarded)
    if grouped:
        _expect(
            world, f"{family}: answers to nothing", reply(world, family), passes=False, back=True
        )
    _expect(world, f"{family}: for a closed port", closed, passes=not grouped)
    _expect(world, f"{family}: for an open port", request(world, family), passes=True)
    _expect(world, f"{family}: answers", reply(world, family), passes=True, back=True)


def _expect(world: World, what: str, frame: bytes, *, passes: bool, back: bool = False) -> None:
    _, received, _ = world.flood(frame, 5000, _TRIED, back=back)
    if received != (_TRIED if passes else 0):
        raise RuntimeError(f"{world.name}: {received} of {_TRIED} frames arrived, {what}")


def _forged(world: World, family: str) -> bytes:
    """With the source address of another."""
    said = build.udp(_CLIENT, SERVICE, bytes(18))
    if family == "IPv4":
        return build.ethernet(world.a.mac, world.b.mac, build.ipv4("10.9.0.77", world.b.ip4, said))
    return build.ethernet(world.a.mac, world.b.mac, build.ipv6("fd00:9::77", world.b.ip6, said))
