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
        """Know the interfaces of all devices that any driver may report; forget all others.

        Every driver is asked: one that is not chosen may have a guard there, of an earlier run.
        """
        here = {link.index: link for link in links}
        known = {device: index for device, index in self._indexes.items() if index in here}
        named = (
            (session.driver.device_of(link), link.index)
            for link in here.values()
            for session in self._sessions
        )
        found: dict[Device, int] = {
            d: i for d, i in named if d is not None and not isinstance(d, Interface)
        }
        self._indexes = known | found

    def index_of(self, device: Device) -> int:
        """The interface of a device, -1 where it is not known; any thread may call this."""
        return int(device) if isinstance(device, Interface) else self._indexes.get(device, -1)

    def indexes_of(self, devices: Iterable[Device]) -> frozenset[int]:
        """The interfaces of devices, as far as they are known."""
        return frozenset(self.index_of(device) for device in devices) - {-1}
