"""The upper layer: UDP, TCP, ICMP of both families, IGMP, VRRP."""

from __future__ import annotations

from dataclasses import dataclass

from vifguard.packet.dhcp import Dhcp4, Dhcp6, read_dhcp4, read_dhcp6
from vifguard.packet.icmp6 import Icmp6, read_icmp6
from vifguard.packet.igmp import HEADER as IGMP_HEADER
from vifguard.packet.igmp import Igmp, read_igmp
from vifguard.packet.undecoded import Opaque, Unreadable
from vifguard.packet.vrrp import VRRP, Vrrp, read_vrrp

ICMP, IGMP, TCP, UDP, ICMPV6 = 1, 2, 6, 17, 58

DHCP4_PORTS = frozenset({67, 68})
DHCP6_PORTS = frozenset({546, 547})


@dataclass(frozen=True, slots=True)
class Udp:
    """A datagram. `payload` goes to the packet's end: the UDP length is only reported."""

    sport: int
    dport: int
    length: int
    payload: bytes
    message: Dhcp4 | Dhcp6 | Unreadable | None = None


@dataclass(frozen=True, slots=True)
class Tcp:
    """A segment; `flags` are the octet with FIN (1) to CWR (128)."""

    sport: int
    dport: int
    sequence: int
    acknowledged: int
    flags: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class Icmp4:
    """An ICMPv4 message; `body` is everything after the checksum."""

    kind: int
    code: int
    body: bytes


@dataclass(frozen=True, slots=True)
class LaterFragment:
    """A fragment other than the first: its protocol is known, its ports are in the first."""

    protocol: int
    octets: bytes


Upper = Udp | Tcp | Icmp4 | Igmp | Icmp6 | Vrrp | LaterFragment | Opaque | Unreadable


def read_upper4(protocol: int, octets: bytes) -> Upper:
    """Read the payload of an IPv4 packet, or of the first fragment of one."""
    if protocol == UDP:
        return _read_udp(octets, 4)
    if protocol == TCP:
        return _read_tcp(octets)
    if protocol == ICMP:
        return _read_icmp(octets)
    if protocol == IGMP and len(octets) >= IGMP_HEADER:
        return read_igmp(octets)
    if protocol == VRRP:
        return read_vrrp(octets, 4)
    return Opaque(octets)


def read_upper6(protocol: int, octets: bytes) -> Upper:
    """Read the upper layer at the end of an IPv6 packet's, or first fragment's, header chain."""
    if protocol == UDP:
        return _read_udp(octets, 6)
    if protocol == TCP:
        return _read_tcp(octets)
    if protocol == ICMPV6:
        return read_icmp6(octets)
    if protocol == VRRP:
        return read_vrrp(octets, 6)
    return Opaque(octets)


def _read_udp(octets: bytes, version: int) -> Udp | Unreadable:
    if len(octets) < 8:
        return Unreadable("UDP is shorter than 8 octets", octets)
    sport, dport = octets[0] << 8 | octets[1], octets[2] << 8 | octets[3]
    payload = octets[8:]
    message: Dhcp4 | Dhcp6 | Unreadable | None = None
    if version == 4 and (sport in DHCP4_PORTS or dport in DHCP4_PORTS):
        message = read_dhcp4(payload)
    elif version == 6 and (sport in DHCP6_PORTS or dport in DHCP6_PORTS):
        message = read_dhcp6(payload)
    return Udp(sport, dport, octets[4] << 8 | octets[5], payload, message)


def _read_icmp(octets: bytes) -> Icmp4 | Unreadable:
    if len(octets) < 8:
        return Unreadable("ICMP is shorter than 8 octets", octets)
    return Icmp4(octets[0], octets[1], octets[4:])


def _read_tcp(octets: bytes) -> Tcp | Unreadable:
    if len(octets) < 20:
        return Unreadable("TCP is shorter than 20 octets", octets)
    return Tcp(
        octets[0] << 8 | octets[1],
        octets[2] << 8 | octets[3],
        int.from_bytes(octets[4:8], "big"),
        int.from_bytes(octets[8:12], "big"),
        octets[13],
        octets[(octets[12] >> 4) * 4 :],
    )
