"""The values of an allocation: request, owner, result."""

from __future__ import annotations

from dataclasses import dataclass

from vifguard.model.address import LINK_LOCAL_64, IPAddress, Mac
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


@dataclass(frozen=True, slots=True)
class AddressOwner:
    """The owner of an address: a port or an IP group, of a project, on a network."""

    network_id: str
    project_id: str
    port_id: str | None = None
    group_id: str | None = None
    mac: Mac | None = None


@dataclass(frozen=True, slots=True)
class Allocation:
    """An address, and the subnet it was taken from."""

    subnet_id: str
    address: IPAddress
