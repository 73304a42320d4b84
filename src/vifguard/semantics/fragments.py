"""Fragments, one by one and in any order: the header that arrives is the judged one.

The first fragment of a packet is judged as the packet that it begins. A *later* one holds no
ports. It is of no use without the first: a receiver puts nothing together that has no beginning.
So it need not wait for the first, as programs in the kernel cannot; were it dropped, a path that
changes the order of packets (RFC 791, 3.2; RFC 8200, 4.5) would lose all that are fragmented.

**The packet of a fragment.** Fragments of one direction with the same addresses and identification
are of one packet; of IPv4 the protocol is the same too. In IPv6 only the next header of the first
fragment counts.

**A later fragment passes** for 30 s after the first one did, of IPv6 for 60 s, as long as a
receiver waits (RFC 8200, 4.5). Before that it passes if some rule of its direction names its remote
or none, whatever the rule's protocol and ports: one that may send the first may send the others.
Else, at stateful groups and of a packet between two machines, if some rule of the other direction
names its remote or none, for it may be part of an answer. Of these last ones pass 25 a second and
port, and 50 at once: a stranger who forges them, 1500 octets each, takes from the guest less than
the 4 MB that Linux has for packets that are not whole yet. A stranger who uses this up makes the
answers of others wait for their first fragments, and no more. All others are dropped.

**Overlap.** None reaches into the header that was judged (RFC 3128, RFC 5722): 20 octets of TCP, 8
of all else, and the IPv6 extension headers before them in the fragmented part. A later fragment
that begins there is dropped; so is one that begins in the first 24 octets, if it is of TCP, or of
IPv6, where its next header may differ from the packet's; and so is the first fragment, if a later
one that passed begins there. The offsets that passed of a packet are remembered from the first of
it that was seen, for 30 s, of IPv6 for 60 s. So the header that arrives is the judged one, in
whatever order fragments come and however a receiver treats those that overlap. But for IPv6
extension headers in the fragmented part: there a table that is full may forget, and two processors
at once may pass both; then only the receiver drops the packet, as it must (RFC 5722; RFC 8200,
4.5).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from vifguard.model.address import IPAddress
from vifguard.model.verdict import Direction
from vifguard.packet.icmp_quote import Quoted
from vifguard.packet.ip4 import IPv4
from vifguard.packet.ip6 import FRAGMENT, IPv6
from vifguard.packet.transport import TCP
from vifguard.semantics.flow import SECOND, TICK

Packet = IPv4 | IPv6
Key = tuple[Direction, IPAddress, IPAddress, int, int]

_LIFETIME = {4: 30 * SECOND, 6: 60 * SECOND}
_UNIT = 8
_NOTHING = 1 << 13
"""An offset behind all that there can be, in units."""
_INTERVAL, _BURST = SECOND // 25, 2 * SECOND


@dataclass(slots=True)
class Passed:
    """The offsets that passed of one packet, in units of 8 octets; `expires` in ticks.

    `judged` is where the judged header of the first fragment ends, 0 where that did not pass;
    `lowest` where the lowest of the others begins.
    """

    judged: int = 0
    lowest: int = _NOTHING
    expires: int = 0


@dataclass(slots=True)
class Fragments:
    """A port's memory of packets that came in fragments."""

    passed: dict[Key, Passed] = field(default_factory=dict)
    arrival: int = 0
    """The time at which the next answer may begin without its first (ns; GCRA)."""

    def overlaps(self, direction: Direction, first: Packet, now: int) -> bool:
        """Whether a later fragment that passed begins in the header of a first one."""
        known = self._known(direction, first, now)
        return known is not None and known.lowest < _judged(first)

    def take_first(self, direction: Direction, first: Packet, now: int) -> None:
        """Remember a first fragment that passes."""
        known = self._known(direction, first, now) or Passed()
        known.judged = max(known.judged, _judged(first))
        self._remember(direction, first, known, now)

    def judged_header_end(self, direction: Direction, later: Packet, now: int) -> int:
        """The offset at which the judged header ends; 0 if the first fragment did not pass."""
        known = self._known(direction, later, now)
        return known.judged if known else 0

    def is_quoted(self, sent_by: Direction, quoted: Quoted, now: int) -> bool:
        """Whether a quoted later fragment is of a packet whose first one passed."""
        protocol = quoted.protocol if quoted.src.version == 4 else FRAGMENT
        known = self.passed.get((sent_by, quoted.src, quoted.dst, protocol, quoted.later or 0))
        return known is not None and known.expires > now // TICK and known.judged > 0

    def take_later(self, direction: Direction, later: Packet, now: int) -> None:
        """Remember a later fragment that passes."""
        known = self._known(direction, later, now)
        if known is None:
            known = Passed()
            self._remember(direction, later, known, now)
        known.lowest = min(known.lowest, offset(later))

    def draw(self, now: int) -> bool:
        """Whether an answer may begin without its first fragment; it then counts."""
        arrival = max(self.arrival, now) + _INTERVAL
        if arrival - now > _BURST:
            return False
        self.arrival = arrival
        return True

    def forget(self, now: int) -> None:
        """Drop expired entries."""
        self.passed = {k: each for k, each in self.passed.items() if each.expires > now // TICK}

    def _known(self, direction: Direction, packet: Packet, now: int) -> Passed | None:
        known = self.passed.get(_key(direction, packet))
        return known if known and known.expires > now // TICK else None

    def _remember(self, direction: Direction, packet: Packet, what: Passed, now: int) -> None:
        what.expires = (now + _LIFETIME[packet.src.version]) // TICK
        self.passed[_key(direction, packet)] = what


def has_more(packet: Packet) -> bool:
    """Whether other fragments follow."""
    if isinstance(packet, IPv4):
        return packet.more_fragments
    return packet.fragment is not None and packet.fragment.more


def offset(packet: Packet) -> int:
    """The offset of a fragment, in units of 8 octets."""
    if isinstance(packet, IPv4):
        return packet.offset
    return packet.fragment.offset if packet.fragment else 0


def reaches_into_tcp(later: Packet) -> bool:
    """Whether a later fragment begins in the header of TCP; of IPv6, whatever its protocol."""
    return (later.protocol == TCP or isinstance(later, IPv6)) and offset(later) * _UNIT < 24


def _judged(first: Packet) -> int:
    octets = 20 if first.protocol == TCP else 8
    if isinstance(first, IPv6):
        kinds = [extension.kind for extension in first.extensions]
        behind = first.extensions[kinds.index(FRAGMENT) + 1 :]
        octets += sum(len(extension.octets) for extension in behind)
    return -(-octets // _UNIT)


def _key(direction: Direction, packet: Packet) -> Key:
    if isinstance(packet, IPv4):
        return direction, packet.src, packet.dst, packet.protocol, packet.ident
    ident = packet.fragment.ident if packet.fragment else 0
    return direction, packet.src, packet.dst, FRAGMENT, ident
