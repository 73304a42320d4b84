"""The driver of each interface: the first of the host's that guards such a one.

A driver knows a device by an identity of its own; the rest of the agent knows it by its
interface's index.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from vifguard.enforce.driver.device import Device, Interface
from vifguard.enforce.driver.session import Session
from vifguard.kernel.net.link import Link


@dataclass(frozen=True, slots=True)
class Guarded:
    """The driver that guards an interface, and the device that the interface is to it."""

    session: Session[object]
    device: Device

    @property
    def name(self) -> str:
        """The driver's name, as it is reported."""
        return self.session.driver.capabilities.driver


class DriverChoice:
    """Chooses drivers, and finds the interfaces of their devices."""

    def __init__(self, sessions: Sequence[Session[object]]) -> None:
        """`sessions` are those of the host's drivers, in the order in which they are asked."""
        self._sessions = sessions
        self._indexes: dict[Device, int] = {}

    def choose(self, link: Link) -> Guarded | None:
        """The driver of an interface; None where none guards such a one."""
        for session in self._sessions:
            device = session.driver.device_of(link)
            if device is not None:
                if not isinstance(device, Interface):
                    self._indexes[device] = link.index
                return Guarded(session, device)
        return None

    def recognize(self, links: Iterable[Link]) -> None:
        """Know the interfaces of all devices that a driver may report; forget all others."""
        present = {link.index for link in links if self.choose(link)}
        self._indexes = {d: index for d, index in self._indexes.items() if index in present}

    def index_of(self, device: Device) -> int:
        """The interface of a device, -1 where it is not known; any thread may call this."""
        return int(device) if isinstance(device, Interface) else self._indexes.get(device, -1)

    def indexes_of(self, devices: Iterable[Device]) -> frozenset[int]:
        """The interfaces of devices, as far as they are known."""
        return frozenset(self.index_of(device) for device in devices) - {-1}
