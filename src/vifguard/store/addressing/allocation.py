"""The values of an allocation: request, owner, result."""

from __future__ import annotations

from dataclasses import dataclass

from vifguard.model.address import IPAddress, Mac


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
