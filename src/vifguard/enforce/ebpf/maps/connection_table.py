"""The table of connections: its size, and its use."""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Callable
from typing import Self

from vifguard.kernel.bpf.bpf_syscall import Map

CONNECTIONS_PER_BUCKET = 8
"""Connections that a bucket has room for."""

MOST = 1 << 25
"""Connections that a table may have room for: it then takes 2.4 GB."""

_TAGS = struct.Struct(f"={CONNECTIONS_PER_BUCKET}H")
_BUCKET, _FLOWS, _FLOW, _EXPIRES = 576, 64, 64, 56
"""`struct bucket`: its size, the offset of its flows, a flow's size, the offset of `expires`."""

_TICK_BITS = 28
_LEAST_BUCKETS = 1 << 12
_MEMORY_A_TABLE = 512
"""By default the table takes at most this part of the host's memory."""

_SAMPLE = 1024


def buckets_for(connections: int) -> int:
    """The number of buckets, a power of two, of a table with room for so many; at least one."""
    return 1 << max(0, -(-connections // CONNECTIONS_PER_BUCKET) - 1).bit_length()


def usual(octets: int) -> int:
    """The default capacity, in connections, of a table on a host with so much memory."""
    buckets = max(_LEAST_BUCKETS, octets // _MEMORY_A_TABLE // _BUCKET)
    return min(MOST, (1 << buckets.bit_length() - 1) * CONNECTIONS_PER_BUCKET)


def memory() -> int:
    """The octets of memory that this host has."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


class ConnectionMap:
    """The kernel's table, read in place; its memory stays mapped until `close`."""

    def __init__(self, flows: Map, clock: Callable[[], int] = time.monotonic_ns) -> None:
        """`clock`: the time in ns of the clock that the flows' ends are in."""
        self._clock = clock
        self._buckets = flows.spec.max_entries
        self._memory = flows.memory(_BUCKET * self._buckets, write=False)

    @property
    def capacity(self) -> int:
        """The number of connections that it has room for."""
        return self._buckets * CONNECTIONS_PER_BUCKET

    def used(self) -> float:
        """The part of it that is in use, 0 to 1, estimated from a thousand buckets.

        The secret hash spreads connections evenly, so these stand for all.
        """
        now, step = self._clock() >> _TICK_BITS, max(1, self._buckets // _SAMPLE)
        looked = range(0, self._buckets, step)
        return sum(self._living(index, now) for index in looked) / (
            len(looked) * CONNECTIONS_PER_BUCKET
        )

    def _living(self, index: int, now: int) -> int:
        start = index * _BUCKET
        tags = _TAGS.unpack_from(self._memory, start)
        return sum(tag != 0 and self._expires(start, place) > now for place, tag in enumerate(tags))

    def _expires(self, start: int, place: int) -> int:
        at = start + _FLOWS + place * _FLOW + _EXPIRES
        return int.from_bytes(self._memory[at : at + 4], "little")

    def close(self) -> None:
        """Unmap the memory."""
        self._memory.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
