"""PortPolicy: everything that must hold for one port, in the user's terms, nothing implicit.

The server resolves it, the feed carries it, the reference judges by it, a driver enforces it.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv6Address

from vifguard.model.address import LINK_LOCAL_64, IPAddress, IPNetwork, Mac
from vifguard.model.guard import Guard, LinkLocal, Role
from vifguard.model.learned import may_be_claimed


@dataclass(frozen=True, slots=True)
class Storm:
    """Broadcast and multicast that a guest may send: frames a second, and a burst of them."""

    rate: int = 1000
    burst: int = 1000


DEFAULT_STORM = Storm()


@dataclass(frozen=True, slots=True)
class PortPolicy:
    """The frames that one port may send and receive. An empty set permits nothing.

    `prefixes` are the addresses that are the port's own: it may answer for them and send
    from them. `watched` are those of them that belong to an IP group, whose holder is
    observed. `foreign_vrids4` and `foreign_vrids6` are the router ids, of VRRP in IPv4 and in
    IPv6, that belong to IP groups of the network whose addresses the port may not hold. In the
    `claimable` prefixes the guest may claim further addresses; `tentative` are those it claimed,
    `learned` those that became its own. `security_groups` are ids; their rules stand elsewhere,
    as many ports share them. `stateful`: connections are tracked. `reject`: a peer that the
    groups turn away gets an answer. `closed` is the reason why the port passes nothing at all;
    empty means that it is open.
    """

    port_id: str
    guards: frozenset[Guard]
    macs: frozenset[Mac]
    prefixes: frozenset[IPNetwork] = frozenset()
    watched: frozenset[IPAddress] = frozenset()
    link_local: LinkLocal = LinkLocal.NONE
    claimable: frozenset[IPNetwork] = frozenset()
    tentative: frozenset[IPAddress] = frozenset()
    learned: frozenset[IPAddress] = frozenset()
    public: frozenset[IPNetwork] = frozenset()
    foreign_vrids4: frozenset[int] = frozenset()
    foreign_vrids6: frozenset[int] = frozenset()
    roles: frozenset[Role] = frozenset()
    ethertypes: frozenset[int] = frozenset()
    storm: Storm = DEFAULT_STORM
    security_groups: frozenset[str] = frozenset()
    stateful: bool = True
    reject: bool = False
    closed: str = ""

    def owns(self, address: IPAddress) -> bool:
        """Whether the address is the port's own, a link-local one included."""
        if address in self.learned or any(address in prefix for prefix in self.prefixes):
            return True
        return isinstance(address, IPv6Address) and self._owns_link_local(address)

    def may_claim(self, address: IPAddress) -> bool:
        """Whether the guest may claim the address, if it has no owner."""
        return may_be_claimed(address, self.claimable)

    def _owns_link_local(self, address: IPv6Address) -> bool:
        if self.link_local is LinkLocal.ANY:
            return address in LINK_LOCAL_64
        if self.link_local in (LinkLocal.EUI64, LinkLocal.LEARNED):
            return any(address == mac.link_local for mac in self.macs)
        return False
