"""A driver that can be asked for its decision on a frame: the tests of decisions run over it.

This file alone names the driver. Another one is proved by its own `Decider` here: the exhaustive
universe, the sequences, conntrack's oracle and the fuzzer then ask that.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol, Self, TypeVar

from vifguard.enforce.driver.events import Dropped
from vifguard.enforce.driver.protocol import Driver
from vifguard.enforce.ebpf.driver import EbpfDriver
from vifguard.enforce.ebpf.state import PortImage
from vifguard.model.verdict import Direction
from vifguard.packet.offload import NO_OFFLOAD, Offload

ImageT = TypeVar("ImageT")


class DecidingDriver(Driver[ImageT], Protocol[ImageT]):
    """A driver without attachments that judges frames given to it. Times are in ns.

    `_maps` has the table of connections under `flows`, which tests empty and fill.
    """

    def test(
        self, direction: Direction, frame: bytes, ifindex: int = 1, offload: Offload = NO_OFFLOAD
    ) -> Dropped | None:
        """The verdict on a frame at the device of that index; None passes."""

    def test_all(
        self,
        direction: Direction,
        frames: Sequence[bytes],
        ifindex: int = 1,
        offloads: Iterable[Offload] = (),
    ) -> list[Dropped | None]:
        """The verdicts on frames, one after the other."""

    @staticmethod
    def is_testable(frame: bytes) -> bool:
        """Whether such a frame can be judged without an interface."""

    def set_clock(self, now: int) -> None:
        """Set the time for connections; 0: the clock's own."""

    def set_new(self, ifindex: int, until: int) -> None:
        """Make the guard new on a port until then."""

    def set_generation(self, generation: int) -> None:
        """Set the generation of the rules, of 32 bits."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...


Decider = DecidingDriver[PortImage]
"""The driver that the tests of decisions ask."""

is_testable = EbpfDriver.is_testable


def private_driver(connections: int = 8192) -> Decider:
    """A driver of this process alone, with room for so many connections; gone with the process."""
    return EbpfDriver.private(connections)
