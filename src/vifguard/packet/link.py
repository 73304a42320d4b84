"""Ethernet II, tags, 802.3 lengths with LLC and SNAP: the type of a frame and its content."""

from __future__ import annotations

from dataclasses import dataclass

from vifguard.model.address import Mac
from vifguard.packet.arp import Arp, read_arp
from vifguard.packet.ip4 import IPv4, read_ip4
from vifguard.packet.ip6 import IPv6, read_ip6
from vifguard.packet.undecoded import Opaque, Unreadable

HEADER = 14
"""Octets of an Ethernet header."""

IPV4, ARP, RARP, IPV6 = 0x0800, 0x0806, 0x8035, 0x86DD

TAGS = frozenset({0x8100, 0x88A8, 0x9100, 0x9200})
"""The EtherTypes that announce a VLAN tag: 802.1Q, 802.1ad and two vendors' older ones."""

LEAST_ETHERTYPE = 0x0600
"""The least EtherType: below it the field is an 802.3 length (or nothing: 0x05dd to 0x05ff)."""

LARGEST = 0xFFFF
"""The most octets that the length field of an IP header can count."""

DEPTH_AT_MOST = 16
"""The most tags and SNAP headers that are followed; no traffic has more."""


@dataclass(frozen=True, slots=True)
class Ethernet:
    """The header; `ethertype` is the 16 bits at offset 12, whatever they mean."""

    dst: Mac
    src: Mac
    ethertype: int


@dataclass(frozen=True, slots=True)
class Tag:
    """One tag: its type, VLAN and priority."""

    tpid: int
    vid: int
    pcp: int = 0


@dataclass(frozen=True, slots=True)
class Tagged:
    """A stack of tags, outermost first, and the content behind them."""

    tags: tuple[Tag, ...]
    ethertype: int
    body: Body


@dataclass(frozen=True, slots=True)
class Llc:
    """An 802.2 frame. `body` is announced by `oui` and `pid`, where it is SNAP."""

    length: int
    dsap: int
    ssap: int
    control: int
    body: Body
    oui: int | None = None
    pid: int | None = None


Body = Arp | IPv4 | IPv6 | Tagged | Llc | Opaque | Unreadable


def read_ethernet(octets: bytes) -> Ethernet | None:
    """The header, or None for fewer than 14 octets."""
    if len(octets) < HEADER:
        return None
    return Ethernet(Mac(octets[:6]), Mac(octets[6:12]), octets[12] << 8 | octets[13])


def read_body(ethertype: int, octets: bytes, depth: int = 0, *, is_big: bool = False) -> Body:
    """Read these octets by their type; `depth` counts the tags and SNAPs around.

    `is_big`: an IP packet is one of BIG TCP if its length field is 0.
    """
    if ethertype == IPV4:
        return read_ip4(octets, is_big=is_big)
    if ethertype == IPV6:
        return read_ip6(octets, is_big=is_big)
    if ethertype in (ARP, RARP):
        return read_arp(octets)
    return Opaque(octets) if depth >= DEPTH_AT_MOST else _read_around(ethertype, octets, depth)


def _read_around(ethertype: int, octets: bytes, depth: int) -> Body:
    """Read tags or an 802.2 header by their type; any other type is opaque."""
    if ethertype in TAGS:
        return _read_tags(ethertype, octets, depth)
    if ethertype < LEAST_ETHERTYPE:
        return _read_llc(ethertype, octets, depth)
    return Opaque(octets)


def _read_tags(tpid: int, octets: bytes, depth: int) -> Tagged | Unreadable:
    tags: list[Tag] = []
    while tpid in TAGS and depth + len(tags) < DEPTH_AT_MOST:
        if len(octets) < 4:
            cut = Unreadable("a tag is cut short", octets)
            return Tagged(tuple(tags), tpid, cut) if tags else cut
        tci = octets[0] << 8 | octets[1]
        tags.append(Tag(tpid, tci & 0xFFF, tci >> 13))
        tpid, octets = octets[2] << 8 | octets[3], octets[4:]
    return Tagged(tuple(tags), tpid, read_body(tpid, octets, depth + len(tags)))


def _read_llc(length: int, octets: bytes, depth: int) -> Llc | Unreadable:
    if len(octets) < 3:
        return Unreadable("an 802.2 header is cut short", octets)
    dsap, ssap, control = octets[:3]
    if octets[:3] != b"\xaa\xaa\x03" or len(octets) < 8:
        return Llc(length, dsap, ssap, control, Opaque(octets[3:]))
    oui, pid = int.from_bytes(octets[3:6], "big"), octets[6] << 8 | octets[7]
    return Llc(length, dsap, ssap, control, read_body(pid, octets[8:], depth + 1), oui, pid)
