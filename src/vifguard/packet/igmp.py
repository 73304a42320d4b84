"""IGMP of all versions (RFC 9776)."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address

HEADER = 8
"""Octets of the shortest message."""

QUERY, REPORT_V1, REPORT_V2, LEAVE, REPORT_V3 = 0x11, 0x12, 0x16, 0x17, 0x22


@dataclass(frozen=True, slots=True)
class Igmp:
    """A message; `groups` are those that it names, as far as they are there."""

    kind: int
    groups: tuple[IPv4Address, ...]


def read_igmp(octets: bytes) -> Igmp:
    """A message of at least eight octets."""
    if octets[0] != REPORT_V3:
        return Igmp(octets[0], (IPv4Address(octets[4:8]),))
    groups: list[IPv4Address] = []
    at = HEADER
    while at + 8 <= len(octets):
        groups.append(IPv4Address(octets[at + 4 : at + 8]))
        at += 8 + (octets[at + 2] << 8 | octets[at + 3]) * 4 + octets[at + 1] * 4
    return Igmp(octets[0], tuple(groups))
