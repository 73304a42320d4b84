"""The table of ports in the kernel: slots that name entries, entries that are never changed.

Both arrays are mapped into this process, so that writing 10,000 ports costs no system call
and pointing a slot at another entry is one store of an aligned word.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping

from vifguard.enforce.ebpf.state import ENTRY
from vifguard.kernel import rcu
from vifguard.kernel.bpf.bpf_syscall import Map

_STRIDE = 2
"""An array's element takes a multiple of 8 bytes; a slot is 4."""


class PortTable:
    """Finds, writes and replaces the entries of ports."""

    def __init__(self, maps: Mapping[str, Map]) -> None:
        self._slot_memory, self._entry_memory = maps["slots"].memory(), maps["entries"].memory()
        self._slots = memoryview(self._slot_memory).cast("I")
        self._entries = memoryview(self._entry_memory)
        self._overflow = maps["overflow"]
        self._size = maps["slots"].spec.max_entries
        self._crowded = {_number(k): _number(v) for k, v in self._overflow.contents()}
        used = {number for _, number in self._places()}
        room = range(1, maps["entries"].spec.max_entries)
        # An earlier process may have taken an entry out of use a moment ago.
        _wait()
        self._free = array("I", (n for n in room if n not in used))
        self._resting = array("I")

    def close(self) -> None:
        """Unmap the memory."""
        self._slots.release()
        self._entries.release()
        self._slot_memory.close()
        self._entry_memory.close()

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        """All interfaces that have a port, with their entries."""
        for ifindex, number in self._places():
            yield ifindex, self._entry(number)

    def read(self, ifindex: int) -> bytes | None:
        """The entry of the port behind an interface."""
        number = self._find(ifindex)
        return self._entry(number) if number else None

    def write(self, entry: bytes) -> int:
        """Write an entry where nobody reads; return its number. OSError when the table is full."""
        if not self._free:
            _wait()
            self._free, self._resting = self._resting, array("I")
        if not self._free:
            raise OSError(28, "the table of ports is full")
        number = self._free.pop()
        self._entries[number * ENTRY.size : (number + 1) * ENTRY.size] = entry
        return number

    def publish(self, ifindex: int, number: int) -> None:
        """Point the interface's slot at this entry; `rcu.publish` comes before."""
        old, slot = self._find(ifindex), ifindex % self._size * _STRIDE
        holder = self._slots[slot]
        if ifindex in self._crowded or (holder and holder != old):
            self._overflow.update(_word(ifindex), _word(number))
            self._crowded[ifindex] = number
        else:
            self._slots[slot] = number
        if old:
            self._resting.append(old)

    def discard(self, number: int) -> None:
        """Free an entry that no slot was pointed at."""
        self._free.append(number)

    def clear(self, ifindex: int) -> None:
        """Remove the interface's port; it passes nothing from now on."""
        number = self._find(ifindex)
        if ifindex in self._crowded:
            self._overflow.delete(_word(ifindex))
            del self._crowded[ifindex]
        elif number:
            self._slots[ifindex % self._size * _STRIDE] = 0
        if number:
            self._resting.append(number)

    def _find(self, ifindex: int) -> int:
        if ifindex in self._crowded:
            return self._crowded[ifindex]
        number = self._slots[ifindex % self._size * _STRIDE]
        return number if number and self._owner(number) == ifindex else 0

    def _places(self) -> Iterator[tuple[int, int]]:
        for number in self._slots[::_STRIDE].tolist():
            if number:
                yield self._owner(number), number
        yield from self._crowded.items()

    def _owner(self, number: int) -> int:
        return _number(self._entries[number * ENTRY.size : number * ENTRY.size + 4])

    def _entry(self, number: int) -> bytes:
        return bytes(self._entries[number * ENTRY.size : (number + 1) * ENTRY.size])


def _wait() -> None:
    with rcu.expedited():
        rcu.grace_period()


def _word(value: int) -> bytes:
    return value.to_bytes(4, "little")


def _number(data: bytes | memoryview) -> int:
    return int.from_bytes(data, "little")
