"""TCP resets and ICMP errors for packets that security groups with `reject` turned away. Pure.

A SYN gets a reset, any packet but TCP an ICMP error "administratively prohibited". The answer
comes from the packet's destination, and is about as small as the packet: nobody is flooded
through it, as the kernel reports no more than 100 drops a second and port.
"""

from __future__ import annotations

from vifguard.enforce.driver.events import Dropped
from vifguard.model.address import Mac
from vifguard.model.guard import Guard
from vifguard.model.verdict import Reason
from vifguard.packet.build import Layer, ethernet, icmpv4, icmpv6, ipv4, ipv6, tcp
from vifguard.packet.frame import Frame, parse
from vifguard.packet.icmp6 import Icmp6
from vifguard.packet.ip4 import IPv4
from vifguard.packet.ip6 import IPv6
from vifguard.packet.link import HEADER
from vifguard.packet.transport import Icmp4, LaterFragment, Tcp, Upper
from vifguard.packet.undecoded import Unreadable

_FIN, _SYN, _RST, _ACK = 0x01, 0x02, 0x04, 0x10
_SEQUENCES = 1 << 32

_UNREACHABLE4, _PROHIBITED4 = 3, 13
_UNREACHABLE6, _PROHIBITED6 = 1, 1
_ERRORS4 = frozenset({3, 4, 5, 11, 12})
_FIRST_INQUIRY6, _REDIRECT6 = 128, 137
_QUOTED = 4
"""Octets between an ICMP error's checksum and the packet that it quotes."""


def wants_reject(dropped: Dropped) -> bool:
    """Whether no rule allowed it; a packet that only looks like a connection's is not answered."""
    return dropped.guard is Guard.SECURITY_GROUPS and dropped.reason is Reason.NOT_ALLOWED


def reject_packet(dropped: Dropped) -> bytes | None:
    """The frame that answers a rejected one; None where RFCs want no answer, or none can be made.

    RFC 9293, 3.10.7.1; RFC 1122, 3.2.2; RFC 1812, 5.2.7.1; RFC 4443, 2.4 and 3.1.
    """
    # The record holds the beginning only, and the rest matters by its length.
    frame = parse(dropped.head.ljust(dropped.length, b"\0"))
    packet = frame.body
    if not isinstance(packet, IPv4 | IPv6) or not _is_between_two(frame, packet):
        return None
    piece = _answer(packet, dropped.head[HEADER : HEADER + packet.size])
    if piece is None or frame.src is None or frame.dst is None:
        return None
    internet = ipv4 if isinstance(packet, IPv4) else ipv6
    return ethernet(frame.dst, frame.src, internet(packet.dst, packet.src, piece))


def _is_between_two(frame: Frame, packet: IPv4 | IPv6) -> bool:
    """Whether one machine sent to one machine; else many would answer, or many be answered."""
    ends = (packet.src, packet.dst)
    return not (
        frame.is_to_group
        or _is_group(frame.src)
        or any(end.is_multicast or end.is_unspecified or end.is_loopback for end in ends)
        or any(end.packed == b"\xff\xff\xff\xff" for end in ends)
    )


def _is_group(mac: Mac | None) -> bool:
    return mac is not None and mac.is_group


def _answer(packet: IPv4 | IPv6, quote: bytes) -> Layer | None:
    upper = packet.upper
    if isinstance(upper, LaterFragment | Unreadable):
        return None
    if isinstance(upper, Tcp):
        return _reset(upper)
    if _is_error(upper):
        return None
    if isinstance(packet, IPv4):
        return icmpv4(_UNREACHABLE4, _PROHIBITED4, bytes(_QUOTED) + quote)
    return icmpv6(_UNREACHABLE6, _PROHIBITED6, bytes(_QUOTED) + quote)


def _reset(segment: Tcp) -> Layer | None:
    """The reset for a SYN, and for no other segment.

    An ACK may be of a connection that lives and that the guard lost sight of.
    """
    if segment.flags & (_FIN | _SYN | _RST | _ACK) != _SYN:
        return None
    ports = segment.dport, segment.sport
    length = len(segment.payload) + 1
    acknowledged = (segment.sequence + length) % _SEQUENCES
    return tcp(*ports, flags=_RST | _ACK, acknowledged=acknowledged, window=0)


def _is_error(upper: Upper) -> bool:
    if isinstance(upper, Icmp4):
        return upper.kind in _ERRORS4
    return isinstance(upper, Icmp6) and (upper.kind < _FIRST_INQUIRY6 or upper.kind == _REDIRECT6)
