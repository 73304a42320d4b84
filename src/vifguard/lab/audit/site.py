"""A host to be audited, as its guests see it: the posts that send and receive frames.

`vifguard.lab.audit.auditor.audit` plays the catalogue at a site and returns a `Report`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from vifguard.lab.attacks.attack import Kind
from vifguard.model.address import Mac


class SiteError(ValueError):
    """A site that cannot be audited; the message names the fault."""


@dataclass(frozen=True, slots=True)
class Namespace:
    """A device in a network namespace of this machine; the empty name is our own."""

    netns: str
    device: str


@dataclass(frozen=True, slots=True)
class Guest:
    """A device in a guest that is reached over a command.

    The command starts `python3 -` in the guest, as root, and connects its standard input and
    output: `("ssh", "vm1", "python3", "-")`. Nothing is installed there.
    """

    command: tuple[str, ...]
    device: str


Reach = Namespace | Guest


@dataclass(frozen=True, slots=True)
class VantagePoint:
    """A device at which the audit sends and receives: one guest's interface.

    The addresses are those that the host knows of; None where it has none of the family.
    The link-local address is the MAC's own (EUI-64) unless `ll` is given.
    """

    name: str
    reach: Reach
    mac: Mac
    ip4: IPv4Address | None
    ip6: IPv6Address | None
    ll: IPv6Address | None = None


@dataclass(frozen=True, slots=True)
class Site:
    """A host that is not ours, as seen from its guests; nothing of the host is touched.

    `level` is the one that the host should hold: S strict, R router, M mac. `outside` is a post
    beyond the host's uplink. The rest is permitted to the attacker by the host's configuration:
    shared addresses, virtual MACs, routed prefixes; and `others_vrid`, the router id, in both
    families, of a virtual router that is not the attacker's. Rows that need a field that is None
    cannot be tested there.
    """

    name: str
    attacker: VantagePoint
    victim: VantagePoint
    third: VantagePoint | None = None
    level: Kind = Kind.STRICT
    net4: IPv4Network | None = None
    net6: IPv6Network | None = None
    outside: VantagePoint | None = None
    vip4: IPv4Address | None = None
    vip6: IPv6Address | None = None
    vmac4: Mac | None = None
    vmac6: Mac | None = None
    routed4: IPv4Network | None = None
    routed6: IPv6Network | None = None
    others_vrid: int | None = None

    @property
    def posts(self) -> tuple[VantagePoint, ...]:
        """Everyone, the attacker first."""
        return tuple(self._posts())

    def _posts(self) -> Iterator[VantagePoint]:
        for post in (self.attacker, self.victim, self.third, self.outside):
            if post is not None:
                yield post
