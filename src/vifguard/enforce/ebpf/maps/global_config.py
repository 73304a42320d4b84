"""The configuration that all ports share: the table of connections, its clock and generation."""

from __future__ import annotations

import secrets
import struct
from collections.abc import Mapping

from vifguard.enforce.ebpf.maps.digests import Digests
from vifguard.kernel.bpf.bpf_syscall import Map

_SETTING = struct.Struct("=QQIII4x")
_CLOCK, _SEED, _GENERATION = 0, 8, 16
_LAST = 0xFFFFFFFF


class GlobalConfig:
    """The kernel's `struct setting`, whose memory this process shares."""

    def __init__(self, maps: Mapping[str, Map]) -> None:
        self._memory = maps["settings"].memory(_SETTING.size)
        words = memoryview(self._memory)
        self._clock, self._generation = words[:8].cast("Q"), words[16:20].cast("I")
        words.release()
        _, seed, _, mask, mark = _SETTING.unpack_from(self._memory)
        if not seed:
            size = maps["flows"].spec.max_entries
            # A guest that knew the seed could aim at the bucket of another's connection, and one
            # that knew the mark could pass any rule.
            seed, mask, mark = secrets.randbits(64) | 1, size - 1, secrets.randbelow(_LAST) + 1
            _SETTING.pack_into(self._memory, 0, 0, seed, 0, mask, mark)
        self._written = seed, mask, mark
        # With a time left over from a test, no connection would ever expire.
        self.set_clock(0)
        self.digests = Digests(seed.to_bytes(8, "little"))

    def repair(self) -> bool:
        """Write the values again where they differ; return whether any did."""
        clock, seed, generation, mask, mark = _SETTING.unpack_from(self._memory)
        if (clock, seed, mask, mark) == (self._set, *self._written):
            return False
        seed, mask, mark = self._written
        _SETTING.pack_into(self._memory, 0, self._set, seed, generation, mask, mark)
        return True

    def close(self) -> None:
        """Unmap the memory."""
        self._clock.release()
        self._generation.release()
        self._memory.close()

    def raise_generation(self) -> None:
        """Have each connection judged by the rules once more from now on."""
        self._generation[0] = self._generation[0] + 1 & _LAST

    def set_generation(self, generation: int) -> None:
        """Set the generation; it wraps at 2^32."""
        self._generation[0] = generation

    def set_clock(self, now: int) -> None:
        """Set the time (ns) until it is set again; 0: the kernel's."""
        self._set = self._clock[0] = now
