"""The policy of the comparison: one security group that all ports have, of a number of rules.

A guest may open any connection. UDP and TCP for one port may come to it from anywhere, by rules in
the middle, among others that name other ports and single addresses.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_network

from vifguard.model.address import IPNetwork
from vifguard.model.security_group import PortRange, Rule
from vifguard.model.verdict import Direction

GROUP = "11111111-2222-4333-8444-555555555555"
SERVICE = 2000
"""The port that every guest serves."""
FEWEST = 10
_TCP, _UDP = 6, 17


@dataclass(frozen=True, slots=True)
class Open:
    """Packets that may come to a guest; `remote` None is anywhere."""

    version: int
    protocol: int
    port: int
    remote: IPNetwork | None = None

    @property
    def protocol_name(self) -> str:
        """The protocol's name in the tools of others."""
        return "tcp" if self.protocol == _TCP else "udp"


def incoming(count: int) -> list[Open]:
    """The incoming rules of a group of `count` rules, of which two are for outgoing packets."""
    if count < FEWEST:
        raise ValueError(f"{count} rules are too few; the policy needs {FEWEST}")
    others = [_other(number) for number in range(count - 6)]
    served = [Open(version, each, SERVICE) for each in (_TCP, _UDP) for version in (4, 6)]
    middle = len(others) // 2
    return [*others[:middle], *served, *others[middle:]]


def _other(number: int) -> Open:
    version = 4 if number % 2 else 6
    remote = IPv4Address("198.18.0.0") + number if version == 4 else IPv6Address("fd99::") + number
    return Open(version, _TCP, 10_000 + number, ip_network(remote))


def group(count: int) -> frozenset[Rule]:
    """The same as rules of ours."""
    opened = (
        Rule(Direction.TO_GUEST, each.version, each.protocol,
             PortRange(each.port, each.port), remote=each.remote)
        for each in incoming(count)
    )  # fmt: skip
    return frozenset({Rule(Direction.FROM_GUEST, 4), Rule(Direction.FROM_GUEST, 6), *opened})
