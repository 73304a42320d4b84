"""Other ways for a host to serve a legal frame than to hand it on as it is. Pure.

Some hosts answer requests of ARP and neighbour discovery themselves, from their knowledge of
their guests; others put the fragments of a datagram together before they judge it, and hold
one that comes alone. Neither refuses a guest anything.
"""

from __future__ import annotations

from collections.abc import Iterable

from vifguard.lab.audit.site import VantagePoint
from vifguard.model.address import IPAddress, Mac
from vifguard.packet import build
from vifguard.packet.arp import Arp
from vifguard.packet.frame import parse
from vifguard.packet.icmp6 import Icmp6, Nd
from vifguard.packet.ip4 import IPv4
from vifguard.packet.ip6 import IPv6

_REQUEST, _REPLY = 1, 2
_SOLICITATION, _ADVERTISEMENT = 135, 136
_WORD, _WORDS = b"vifaudit", 500
"""The word that fills a datagram: fragments are cut at multiples of 8 octets, between words."""


def asked_for(frame: bytes) -> IPAddress | None:
    """The address that a frame asks for; None where it asks for none."""
    body = parse(frame).body
    if isinstance(body, Arp):
        return body.target_ip if body.op == _REQUEST else None
    message = _discovery(body, _SOLICITATION)
    return message.target if message else None


def is_answered(frames: Iterable[bytes], address: IPAddress, mac: Mac) -> bool:
    """Whether one of these claims that the address is at this MAC."""
    return any(_answers(frame, address, mac) for frame in frames)


def _answers(frame: bytes, address: IPAddress, mac: Mac) -> bool:
    body = parse(frame).body
    if isinstance(body, Arp):
        return body.op == _REPLY and (body.sender_ip, body.sender_mac) == (address, mac)
    message = _discovery(body, _ADVERTISEMENT)
    if message is None or message.target != address:
        return False
    return all(option.mac == mac for option in message.options if option.mac is not None)


def is_fragment(frame: bytes) -> bool:
    """Whether a frame is a part of a datagram."""
    body = parse(frame).body
    return bool(isinstance(body, IPv4 | IPv6) and _parts(body))


def _parts(body: IPv4 | IPv6) -> bool:
    return body.is_fragment if isinstance(body, IPv4) else body.fragment is not None


def fragments_of_test_datagram(frame: bytes) -> tuple[bytes, ...]:
    """All the fragments of a datagram of our own, with the source and destination of this one."""
    body = parse(frame).body
    if not isinstance(body, IPv4 | IPv6):
        return ()
    datagram = build.udp(4242, 9, _WORD * _WORDS)
    packets = build.fragments(body.src, body.dst, datagram, ident=0x7667)
    return tuple(build.ethernet(Mac(frame[6:12]), Mac(frame[:6]), packet) for packet in packets)


def is_whole(frames: Iterable[bytes]) -> bool:
    """Whether these hold the whole datagram, however it was cut."""
    return sum(frame.count(_WORD) for frame in frames) >= _WORDS


def owner(address: IPAddress, posts: Iterable[VantagePoint]) -> VantagePoint | None:
    """The post that has the address; None for none."""
    return next((post for post in posts if address in (post.ip4, post.ip6)), None)


def _discovery(body: object, kind: int) -> Nd | None:
    if not isinstance(body, IPv6) or not isinstance(body.upper, Icmp6):
        return None
    message = body.upper.message
    return message if body.upper.kind == kind and isinstance(message, Nd) else None
