"""The reader's side of a BPF ring buffer (Documentation/bpf/ringbuf.rst)."""

from __future__ import annotations

import mmap
import select

from vifguard.kernel.bpf.bpf_syscall import Map

_BUSY = 1 << 31
_DISCARDED = 1 << 30
_HEADER = 8
_WORD = 8


class RingBuffer:
    """Records that programs put into `ring`; one reader at a time.

    The positions are read without barriers: between two reads the interpreter executes far
    more instructions than any processor keeps in flight.
    """

    def __init__(self, ring: Map) -> None:
        self._ring = ring
        self._size = ring.spec.max_entries
        page = mmap.PAGESIZE
        self._read = ring.memory(page)
        # The data follow the writer's page twice, so that no record is cut at the end.
        self._written = ring.memory(page + 2 * self._size, page, write=False)
        self._consumer = memoryview(self._read).cast("Q")
        self._producer = memoryview(self._written)[:page].cast("Q")
        self._data = memoryview(self._written)[page:]

    def read(self) -> list[bytes]:
        """All records that are there now, oldest first; never waits."""
        records = []
        at = self._consumer[0]
        while at < self._producer[0]:
            place = at % self._size
            header = int.from_bytes(self._data[place : place + 4], "little")
            if header & _BUSY:
                break
            length = header & ~_DISCARDED
            if not header & _DISCARDED:
                start = place + _HEADER
                records.append(bytes(self._data[start : start + length]))
            at += -(-(_HEADER + length) // _WORD) * _WORD
        self._consumer[0] = at
        return records

    def wait(self, timeout: float) -> bool:
        """Whether a record is there within `timeout` seconds."""
        poll = select.poll()
        poll.register(self._ring.fd, select.POLLIN)
        return bool(poll.poll(timeout * 1000))

    def fileno(self) -> int:
        """The descriptor that is readable when a record is there."""
        return self._ring.fd

    def close(self) -> None:
        """Unmap the memory; the map itself stays open."""
        for view in (self._consumer, self._producer, self._data):
            view.release()
        self._read.close()
        self._written.close()
