"""IP groups: addresses that several ports may answer for, one at a time."""

from __future__ import annotations

from dataclasses import dataclass

from vifguard.model.address import IPAddress, Mac


@dataclass(frozen=True, slots=True)
class RouterIds:
    """The VRRP router ids of an IP group, of each family: taken on its network."""

    group_id: str
    network_id: str
    vrid4: int | None
    vrid6: int | None


@dataclass(frozen=True, slots=True)
class IpGroup:
    """Addresses of one network, the member ports that may hold them, and the VRRP ids.

    `pinned` names the only member that may hold the addresses now; None lets any member
    take them. `max_moves` caps how often a minute the holder may change; None is no cap.
    """

    id: str
    project_id: str
    network_id: str
    name: str = ""
    addresses: tuple[IPAddress, ...] = ()
    members: frozenset[str] = frozenset()
    vrid4: int | None = None
    vrid6: int | None = None
    pinned: str | None = None
    max_moves: int | None = None
    description: str = ""

    @property
    def virtual_macs(self) -> frozenset[Mac]:
        """The virtual router MACs of the group's ids (RFC 9568, 7.3).

        CARP has one form of them for both families, so an id of IPv6 has that of IPv4 too.
        """
        macs = {virtual_mac(4, vrid) for vrid in (self.vrid4, self.vrid6) if vrid is not None}
        if self.vrid6 is not None:
            macs.add(virtual_mac(6, self.vrid6))
        return frozenset(macs)

    @property
    def router_ids(self) -> RouterIds:
        """The group's router ids."""
        return RouterIds(self.id, self.network_id, self.vrid4, self.vrid6)


def virtual_mac(version: int, vrid: int) -> Mac:
    """The virtual router MAC of an id from 1 to 255, in IPv4 or IPv6 (RFC 9568, 7.3)."""
    return Mac(bytes((0x00, 0x00, 0x5E, 0x00, 1 if version == 4 else 2, vrid)))
