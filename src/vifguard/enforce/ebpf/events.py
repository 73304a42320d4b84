"""Events of the programs: drops, claims and counts."""

from __future__ import annotations

import select
from collections.abc import Iterator, Mapping

from vifguard.enforce.driver import Claimed, Dropped
from vifguard.enforce.ebpf.maps import records
from vifguard.enforce.ebpf.maps.records import DropTotal
from vifguard.kernel.bpf.bpf_syscall import Map
from vifguard.kernel.bpf.ringbuf import RingBuffer


class Events:
    """The reader of one driver's ring buffers and counters; there is one at a time."""

    def __init__(self, maps: Mapping[str, Map]) -> None:
        self._drops, self._claims = RingBuffer(maps["drops"]), RingBuffer(maps["claims"])
        self._counters = maps["counters"]

    def close(self) -> None:
        """Unmap the buffers; unread records stay for the next reader."""
        self._drops.close()
        self._claims.close()

    def wait(self, timeout: float) -> bool:
        """Whether a drop or a claim is there within `timeout` seconds."""
        poll = select.poll()
        for ring in (self._drops, self._claims):
            poll.register(ring.fileno(), select.POLLIN)
        return bool(poll.poll(timeout * 1000))

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
