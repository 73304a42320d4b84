"""Two guests who talk by UDP: what they say, in both directions, and what is refused them."""

from __future__ import annotations

from bench.rules import SERVICE
from bench.world import World
from vifguard.packet import build

FAMILIES = ("IPv4", "IPv6")
_CLIENT = 1024
_TRIED = 1000


def there(it: World, family: str, service: int = SERVICE) -> bytes:
    """From `a` to `b`, who serves: an Ethernet frame of 60 bytes and more."""
    said = build.udp(_CLIENT, service, bytes(18))
    if family == "IPv4":
        return build.ethernet(it.a.mac, it.b.mac, build.ipv4(it.a.ip4, it.b.ip4, said))
    return build.ethernet(it.a.mac, it.b.mac, build.ipv6(it.a.ip6, it.b.ip6, said))


def back(it: World, family: str) -> bytes:
    """What `b` answers."""
    said = build.udp(SERVICE, _CLIENT, bytes(18))
    if family == "IPv4":
        return build.ethernet(it.b.mac, it.a.mac, build.ipv4(it.b.ip4, it.a.ip4, said))
    return build.ethernet(it.b.mac, it.a.mac, build.ipv6(it.b.ip6, it.a.ip6, said))


def establish(it: World, family: str) -> None:
    """One frame each way, so that what follows belongs to a connection that both sides know."""
    it.flood(there(it, family), 1000, 1)
    it.flood(back(it, family), 1000, 1, back=True)


def prove(it: World, family: str, *, guarded: bool, grouped: bool) -> None:
    """Raise unless the world passes and refuses what its filter should: none is idle."""
    closed = there(it, family, SERVICE + 1)
    _expect(it, f"{family}: forged", _forged(it, family), passes=not guarded)
    if grouped:
        _expect(it, f"{family}: answers to nothing", back(it, family), passes=False, back=True)
    _expect(it, f"{family}: for a closed port", closed, passes=not grouped)
    _expect(it, f"{family}: for an open port", there(it, family), passes=True)
    _expect(it, f"{family}: answers", back(it, family), passes=True, back=True)


def _expect(it: World, what: str, frame: bytes, *, passes: bool, back: bool = False) -> None:
    _, received, _ = it.flood(frame, 5000, _TRIED, back=back)
    if received != (_TRIED if passes else 0):
        raise RuntimeError(f"{it.name}: {received} of {_TRIED} frames arrived, {what}")


def _forged(it: World, family: str) -> bytes:
    """With the source address of another."""
    said = build.udp(_CLIENT, SERVICE, bytes(18))
    if family == "IPv4":
        return build.ethernet(it.a.mac, it.b.mac, build.ipv4("10.9.0.77", it.b.ip4, said))
    return build.ethernet(it.a.mac, it.b.mac, build.ipv6("fd00:9::77", it.b.ip6, said))
