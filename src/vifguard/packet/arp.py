"""ARP and RARP for Ethernet and IPv4 (RFC 826, RFC 903)."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address

from vifguard.model.address import Mac
from vifguard.packet.undecoded import Unreadable

SIZE = 28
_ETHERNET_AND_IPV4 = bytes.fromhex("0001080006 04")


@dataclass(frozen=True, slots=True)
class Arp:
    """A packet whose addresses can be located: hrd 1, pro 0x0800, hln 6, pln 4."""

    op: int
    sender_mac: Mac
    sender_ip: IPv4Address
    target_mac: Mac
    target_ip: IPv4Address


def read_arp(octets: bytes) -> Arp | Unreadable:
    """Read the first 28 octets; the rest is padding."""
    if len(octets) < SIZE:
        return Unreadable("ARP is shorter than 28 octets", octets)
    if octets[:6] != _ETHERNET_AND_IPV4:
        return Unreadable("ARP is not for Ethernet and IPv4", octets)
    return Arp(
        octets[6] << 8 | octets[7],
        Mac(octets[8:14]),
        IPv4Address(octets[14:18]),
        Mac(octets[18:24]),
        IPv4Address(octets[24:28]),
    )
