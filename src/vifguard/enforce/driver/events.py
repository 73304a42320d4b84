"""The events of guards, and the answers that the agent sends to guests: the protocol of both."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from vifguard.enforce.driver.device import Device
from vifguard.model.address import IPAddress, Mac
from vifguard.model.guard import Guard
from vifguard.model.verdict import Direction, Reason


@dataclass(frozen=True, slots=True)
class Dropped:
    """One dropped frame; `at` is CLOCK_MONOTONIC in ns.

    `guard` None: the port is held closed or has no policy (then `port_id` is empty).
    `length` is the frame's, `head` its first bytes with a stripped tag put back.
    """

    device: Device
    port_id: str
    at: int
    direction: Direction
    guard: Guard | None
    reason: Reason
    length: int
    head: bytes


@dataclass(frozen=True, slots=True)
class DropTotal:
    """The number of frames that one guard of a port has dropped; None: the port as a whole."""

    device: Device
    direction: Direction
    guard: Guard | None
    frames: int


class ClaimKind(Enum):
    """The subject of a claim: a shared address, or one that a port is to learn.

    DEFENDED: a neighbour claims an address that is tentative at the port.
    """

    HOLDS = "holds"
    WANTS = "wants"
    DEFENDED = "defended"


@dataclass(frozen=True, slots=True)
class Claimed:
    """A guest's claim to its neighbours of a shared address, or of one to be learned.

    `mac` is the sender's. `seen_before`: the time this port last sent from it, 0 for never;
    CLOCK_MONOTONIC in ns.
    """

    device: Device
    port_id: str
    at: int
    address: IPAddress
    mac: Mac
    seen_before: int
    kind: ClaimKind = ClaimKind.HOLDS


class DriverEvents(Protocol):
    """The events of one driver. Read by one thread, which is not the one that applies."""

    def descriptors(self) -> Sequence[int]:
        """File descriptors, one of which can be read while a drop or a claim waits."""

    def drops(self) -> Sequence[Dropped]:
        """The drops recorded since the last call; a driver bounds them by port and second.

        A drop by the security groups with NOT_ALLOWED is also a request to reject the packet.
        """

    def claims(self) -> Sequence[Claimed]:
        """The claims of addresses, shared and to be learned, since the last call."""

    def counts(self) -> Iterable[DropTotal]:
        """All drops since the ports were plugged, by device, direction and guard."""

    def sightings(self, device: Device) -> Mapping[IPAddress, int]:
        """The last time the port sent from each watched address; CLOCK_MONOTONIC, ns, 0: never."""

    def uses(self, device: Device) -> Mapping[IPAddress, int]:
        """The port's last use of each learned address; CLOCK_MONOTONIC in ns, 0: never."""

    def inject(
        self, device: Device, direction: Direction, frame: bytes, *, reversed_hooks: bool
    ) -> None:
        """Send `frame` to the guest behind a device, or as if that guest had sent it.

        It passes through the port's guards like any other, except security groups.
        `reversed_hooks` as of the Attachment. OSError where the device is gone or does not take it.
        """
