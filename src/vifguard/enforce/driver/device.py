"""The identity of a device that a driver guards."""

from __future__ import annotations

from dataclasses import dataclass


class Interface(int):
    """A kernel interface of the agent's network namespace, by its index."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class NamedDevice:
    """A device by the name that its backend has for it.

    Such as a port of Open vSwitch, the iface-id of OVN, or a domain's interface in libvirt.
    `backend` tells apart equal names of two backends.
    """

    backend: str
    name: str

    def __str__(self) -> str:
        return f"{self.backend}:{self.name}"


Device = Interface | NamedDevice
"""Equal for one device as long as it exists; also in a later process that reads it back."""


def ifindex_of(device: Device) -> int:
    """The index of a kernel interface; TypeError for another device."""
    if isinstance(device, NamedDevice):
        raise TypeError(f"{device} is no kernel interface")
    return device
