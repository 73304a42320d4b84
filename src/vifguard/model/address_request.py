"""Requests for addresses: of a subnet, or a given one."""

from __future__ import annotations

from dataclasses import dataclass

from vifguard.model.address import LINK_LOCAL_64, IPAddress
from vifguard.model.network import Subnet


@dataclass(frozen=True, slots=True)
class AddressRequest:
    """An address that a port or a group requests; None leaves the choice to the store."""

    subnet_id: str | None = None
    address: IPAddress | None = None

    def is_of(self, subnet: Subnet) -> bool:
        """Whether it requests an address of a subnet."""
        if self.subnet_id is not None or self.address is None:
            return self.subnet_id == subnet.id
        return self.address in subnet.cidr

    @property
    def is_link_local(self) -> bool:
        """Whether it requests an IPv6 link-local address, which no subnet has."""
        return self.subnet_id is None and self.address in LINK_LOCAL_64
