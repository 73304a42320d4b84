"""The agent of a guard: the one that pins in the directory that the guard names.

Several agents of a host pin apart, and only the path shows whose a guard is once its pins are
gone. So a map with a digest of that path is bound to each program, and lives as long as it.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from vifguard.enforce.ebpf.state import word
from vifguard.kernel.bpf.bpf_syscall import Map, MapSpec, MapType, Program
from vifguard.kernel.bpf.elf import ObjectFile

FROM_GUEST, TO_GUEST = "from_guest", "to_guest"
GUARDS = frozenset({FROM_GUEST, TO_GUEST})
"""The names of the programs that are attached."""

SPEC = MapSpec("directory", MapType.ARRAY, 4, 16, 1)


class PinDirectory:
    """The directory of pins by which one agent knows its own guards, of any build."""

    def __init__(self, root: Path) -> None:
        """`root`: the path without symbolic links."""
        self._root, self._digest = root, _digest_of(root)
        self._said: dict[int, tuple[str, bytes | None]] = {}
        """Names and digests of programs by their ids, none of which the kernel gives twice."""

    def mark(self, maps: Mapping[str, Map]) -> None:
        """Mark programs that are loaded with these maps as this directory's."""
        maps[SPEC.name].update(word(0), self._digest)

    def repair(self, maps: Mapping[str, Map]) -> bool:
        """Mark these maps again where they are not; whether they were not."""
        if maps[SPEC.name].lookup(word(0)) == self._digest:
            return False
        self.mark(maps)
        return True

    def load(self, code: ObjectFile, name: str, maps: Mapping[str, Map]) -> Program:
        """Load a program into the kernel, with the map of its directory bound to it."""
        program = code.load(name, maps)
        try:
            program.bind(maps[SPEC.name])
        except OSError:
            program.close()
            raise
        return program

    def has(self, program: int) -> bool:
        """Whether a program is a guard of this directory."""
        name, digest = self._about(program)
        return name in GUARDS and digest == self._digest

    def is_anothers(self, program: int) -> bool:
        """Whether a program is a guard of another directory; one that names none is nobody's."""
        name, digest = self._about(program)
        return name in GUARDS and digest not in (None, self._digest)

    def others_path(self, program: int) -> Path | None:
        """The directory of another agent's guard; None where it is none of those beside this."""
        _, digest = self._about(program)
        with suppress(OSError):
            for each in self._root.parent.iterdir():
                if each.is_dir() and _digest_of(each) == digest:
                    return each
        return None

    def name(self, program: int) -> str:
        """The name of a program as it was loaded; empty for one that is gone."""
        return self._about(program)[0]

    def _about(self, number: int) -> tuple[str, bytes | None]:
        if number not in self._said:
            try:
                with Program.by_id(number) as program:
                    self._said[number] = program.name, _digest(program)
            except FileNotFoundError:
                return "", None
        return self._said[number]


def _digest_of(root: Path) -> bytes:
    return hashlib.sha256(os.fsencode(root)).digest()[: SPEC.value_size]


def _digest(program: Program) -> bytes | None:
    """The digest in a program's map; None for a program without one."""
    found = program.find(SPEC)
    if found is None:
        return None
    with found:
        return found.lookup(word(0))
