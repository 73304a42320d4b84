"""Events of the programs: drops, claims and counts; and frames of ours to and from guests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from vifguard.enforce.driver.device import Device, ifindex_of
from vifguard.enforce.driver.events import Claimed, Dropped, DropTotal
from vifguard.enforce.ebpf import state
from vifguard.enforce.ebpf.maps import records
from vifguard.enforce.ebpf.ports import Ports
from vifguard.kernel.bpf.bpf_syscall import Map, Program
from vifguard.kernel.bpf.ringbuf import RingBuffer
from vifguard.model.address import IPAddress
from vifguard.model.verdict import Direction


class Events:
    """The reader of one driver's ring buffers and counters; there is one at a time."""

    def __init__(self, maps: Mapping[str, Map], ports: Ports, answer: Program) -> None:
        """`answer` is the program that sends a frame of ours."""
        self._ports = ports
        self._answer = answer
        self._drops, self._claims = RingBuffer(maps["drops"]), RingBuffer(maps["claims"])
        self._counters = maps["counters"]

    def close(self) -> None:
        """Unmap the buffers; unread records stay for the next reader."""
        self._drops.close()
        self._claims.close()

    def descriptors(self) -> Sequence[int]:
        """The descriptors of the ring buffers."""
        return self._drops.fileno(), self._claims.fileno()

    def drops(self) -> list[Dropped]:
        """The drops recorded since the last call, at most 100 a second and port."""
        return [records.dropped(record) for record in self._drops.read()]

    def claims(self) -> list[Claimed]:
        """The claims of addresses, shared and to be learned, since the last call."""
        return [records.claimed(record) for record in self._claims.read()]

    def counts(self) -> Iterator[DropTotal]:
        """All drops since the ports were plugged, by port, direction and guard."""
        for key, value in self._counters.contents():
            yield from records.counted(int.from_bytes(key, "little"), value)

    def sightings(self, device: Device) -> dict[IPAddress, int]:
        """The last time the port sent from each watched address; CLOCK_MONOTONIC, ns, 0: never."""
        return self._ports.sightings(ifindex_of(device))

    def uses(self, device: Device) -> dict[IPAddress, int]:
        """The port's last use of each learned address; CLOCK_MONOTONIC in ns, 0: never."""
        return self._ports.uses(ifindex_of(device))

    def inject(
        self, device: Device, direction: Direction, frame: bytes, *, reversed_hooks: bool
    ) -> None:
        """Send `frame` to the guest of an interface, or as if that guest had sent it."""
        ifindex = ifindex_of(device)
        enters = (direction is Direction.FROM_GUEST) != reversed_hooks
        said, _ = self._answer.test_run(frame, ifindex=ifindex, control=state.word(enters))
        if said:
            raise OSError(abs(said), f"no answer could be sent through interface {ifindex}")
