"""What all ports have in common: the table of connections, its clock and its generation."""

from __future__ import annotations

import secrets
import struct
from collections.abc import Mapping

from vifguard.kernel.bpf import Map

_SETTING = struct.Struct("=QQIII4x")
_CLOCK, _SEED, _GENERATION = 0, 8, 16
_LAST = 0xFFFFFFFF


class Settings:
    """The kernel's `struct setting`, whose memory this process shares."""

    def __init__(self, maps: Mapping[str, Map]) -> None:
        self._memory = maps["settings"].memory(_SETTING.size)
        words = memoryview(self._memory)
        self._clock, self._generation = words[:8].cast("Q"), words[16:20].cast("I")
        _, seed, *_ = _SETTING.unpack_from(self._memory)
        if not seed:
            # Whoever knew the seed could aim at the bucket of another's connection, and who knew
            # the mark, pass any rule.
            mask = maps["flows"].spec.max_entries - 1
            seed, mark = secrets.randbits(64) | 1, secrets.randbelow(_LAST) + 1
            _SETTING.pack_into(self._memory, 0, 0, seed, 0, mask, mark)
        words.release()

    def close(self) -> None:
        """Unmap the memory."""
        self._clock.release()
        self._generation.release()
        self._memory.close()

    def raise_generation(self) -> None:
        """From now on each connection is judged by the rules once more."""
        self._generation[0] = self._generation[0] + 1 & _LAST

    def set_generation(self, generation: int) -> None:
        """Let it be this one; it wraps at 2^32."""
        self._generation[0] = generation

    def set_clock(self, now: int) -> None:
        """Let the time be this (ns) until it is set again; 0: the kernel's."""
        self._clock[0] = now
