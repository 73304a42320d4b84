"""The packet that an ICMP error quotes, as far as it identifies its connection."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from vifguard.model.address import IPAddress
from vifguard.packet.icmp6 import Icmp6
from vifguard.packet.ip4 import IPv4
from vifguard.packet.ip6 import IPv6, follow
from vifguard.packet.transport import ICMP, ICMPV6, TCP, Icmp4

_LEAST = 8
"""Octets of the upper header that every error quotes (RFC 792; RFC 4443 quotes more)."""

_ANSWERS = {ICMP: (0, 14), ICMPV6: (129,)}
_QUERIES = {ICMP: (8, 13), ICMPV6: (128,)}


@dataclass(frozen=True, slots=True)
class Quoted:
    """A quoted packet: whole, or a fragment; `later` is the identification of a later one.

    `sport` and `dport` are the first four octets behind the IP header, ports or not; for an
    echo or timestamp `ident` is its identifier and `answers` whether it was the answer.
    `sequence` is TCP's, None for other protocols. All of these are 0 or None of a later fragment.
    """

    src: IPAddress
    dst: IPAddress
    protocol: int
    sport: int
    dport: int
    ident: int = 0
    answers: bool = False
    sequence: int | None = None
    later: int | None = None


def read_quoted(packet: IPv4 | IPv6) -> Quoted | None:
    """The packet that the ICMP error in `packet` quotes; None where it cannot be read.

    The IPv6 extension headers of a quoted packet are followed as those of any other; all must be
    there, and the first octets behind them.
    """
    upper = packet.upper
    if not isinstance(upper, Icmp4 | Icmp6):
        return None
    octets = upper.body[4:]
    return _quoted4(octets) if isinstance(packet, IPv4) else _quoted6(octets)


def _quoted4(octets: bytes) -> Quoted | None:
    header = (octets[0] & 0xF) * 4 if octets else 0
    if len(octets) < header + _LEAST or header < 20 or octets[0] >> 4 != 4:
        return None
    src, dst = IPv4Address(octets[12:16]), IPv4Address(octets[16:20])
    if (octets[6] & 0x1F) << 8 | octets[7]:
        return Quoted(src, dst, octets[9], 0, 0, later=octets[4] << 8 | octets[5])
    return _of(src, dst, octets[9], octets[header : header + _LEAST])


def _quoted6(octets: bytes) -> Quoted | None:
    if len(octets) < 40 or octets[0] >> 4 != 6:
        return None
    chain = follow(octets[6], octets[40:])
    if chain.broken or len(chain.octets) < _LEAST:
        return None
    src, dst = IPv6Address(octets[8:24]), IPv6Address(octets[24:40])
    if chain.fragment is not None and chain.is_later:
        return Quoted(src, dst, chain.protocol, 0, 0, later=chain.fragment.ident)
    return _of(src, dst, chain.protocol, chain.octets[:_LEAST])


def _of(src: IPAddress, dst: IPAddress, protocol: int, upper: bytes) -> Quoted | None:
    sport, dport = upper[0] << 8 | upper[1], upper[2] << 8 | upper[3]
    if protocol in _ANSWERS:
        kind = upper[0]
        answers = kind in _ANSWERS[protocol]
        if not answers and kind not in _QUERIES[protocol]:
            return None
        return Quoted(src, dst, protocol, 0, 0, upper[4] << 8 | upper[5], answers)
    sequence = int.from_bytes(upper[4:8], "big") if protocol == TCP else None
    return Quoted(src, dst, protocol, sport, dport, sequence=sequence)
