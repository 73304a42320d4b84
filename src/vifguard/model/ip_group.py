"""IP groups: addresses that several ports may answer for, one at a time."""

from __future__ import annotations

from dataclasses import dataclass

from vifguard.model.address import IPAddress, Mac


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
        """The VRRP virtual router MACs of the group's ids (RFC 9568, 7.3)."""
        macs = set()
        if self.vrid4 is not None:
            macs.add(Mac(bytes((0x00, 0x00, 0x5E, 0x00, 0x01, self.vrid4))))
        if self.vrid6 is not None:
            macs.add(Mac(bytes((0x00, 0x00, 0x5E, 0x00, 0x02, self.vrid6))))
        return frozenset(macs)
