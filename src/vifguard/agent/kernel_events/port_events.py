"""The events of all drivers, by the interfaces of the ports."""

from __future__ import annotations

import errno
import select
from collections.abc import Iterator, Mapping

from vifguard.agent.host_guards import HostGuards
from vifguard.enforce.driver.events import Claimed, Dropped, DropTotal
from vifguard.model.address import IPAddress
from vifguard.model.verdict import Direction


class PortEvents:
    """Reads events and sends answers, each by the driver that guards the port. One thread's.

    The index of an interface that is not guarded any more, or not known yet, is -1.
    """

    def __init__(self, guards: HostGuards) -> None:
        self._guards = guards
        self._events = [session.driver.events for session in guards.sessions]
        self._poll = select.poll()
        for each in self._events:
            for descriptor in each.descriptors():
                self._poll.register(descriptor, select.POLLIN)

    def wait(self, timeout: float) -> bool:
        """Whether a drop or a claim is there within `timeout` seconds."""
        return bool(self._poll.poll(timeout * 1000))

    def drops(self) -> Iterator[tuple[int, Dropped]]:
        """The drops since the last call, each with the index of its interface."""
        for events in self._events:
            for each in events.drops():
                yield self._guards.index_of(each.device), each

    def claims(self) -> Iterator[tuple[int, Claimed]]:
        """The claims since the last call, each with the index of its interface."""
        for events in self._events:
            for each in events.claims():
                yield self._guards.index_of(each.device), each

    def counts(self) -> Iterator[tuple[int, DropTotal]]:
        """All drops since the ports were plugged, each with the index of its interface."""
        for events in self._events:
            for each in events.counts():
                yield self._guards.index_of(each.device), each

    def sightings(self, index: int) -> Mapping[IPAddress, int]:
        """The last time the port sent from each watched address; CLOCK_MONOTONIC, ns, 0: never."""
        guarded = self._guards.guarded_at(index)
        return guarded.session.driver.events.sightings(guarded.device) if guarded else {}

    def uses(self, index: int) -> Mapping[IPAddress, int]:
        """The port's last use of each learned address; CLOCK_MONOTONIC in ns, 0: never."""
        guarded = self._guards.guarded_at(index)
        return guarded.session.driver.events.uses(guarded.device) if guarded else {}

    def inject(
        self, index: int, direction: Direction, frame: bytes, *, reversed_hooks: bool
    ) -> None:
        """Send a frame to the guest of an interface, or as if that guest had sent it.

        OSError where the interface is not guarded, is gone or does not take it.
        """
        guarded = self._guards.guarded_at(index)
        if guarded is None:
            raise OSError(errno.ENODEV, f"interface {index} has no guard")
        events = guarded.session.driver.events
        events.inject(guarded.device, direction, frame, reversed_hooks=reversed_hooks)
