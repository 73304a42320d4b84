"""The names under which maps, programs and links outlive the agent.

    <bpf dir>/maps-<digest of the maps' layout>/<map>
    <bpf dir>/programs-<digest of the code>/<program>
    <bpf dir>/links/<ifindex>-<hook>

A new build finds its own maps if their layout is the same, else makes new ones beside them.
Directories appear whole (made aside, then renamed), so a kill leaves none half-filled.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from vifguard.enforce.driver import DriverError
from vifguard.kernel import bpffs
from vifguard.kernel.bpf import Handle, Map, Program
from vifguard.kernel.elf import ObjectFile

H = TypeVar("H", bound=Handle)
_LINKS = "links"
_ASIDE = "aside"


class Pins:
    """The directory of one driver. One process at a time holds it."""

    def __init__(self, root: Path) -> None:
        try:
            bpffs.ensure(root)
            self._lock = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
        except OSError as error:
            raise DriverError(f"{root} cannot be a bpffs directory: {error}") from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            raise DriverError(f"another process holds {root}; stop it first") from None
        self._root = root
        self._used: set[str] = {_LINKS}
        self.links = root / _LINKS
        self.links.mkdir(mode=0o700, exist_ok=True)
        self._remove(root / _ASIDE)

    def close(self) -> None:
        """Let another process hold the directory."""
        if self._lock >= 0:
            os.close(self._lock)
        self._lock = -1

    def maps(self, code: ObjectFile) -> dict[str, Map]:
        """The maps of this build: those that are there, else new ones."""
        return self._take(
            f"maps-{code.maps_digest}",
            lambda: {name: Map.create(spec) for name, spec in code.maps.items()},
            lambda path: {name: Map.open(path / name, spec) for name, spec in code.maps.items()},
        )

    def programs(self, code: ObjectFile, maps: Mapping[str, Map]) -> dict[str, Program]:
        """The programs of this build: those that are there, else newly loaded."""
        return self._take(
            f"programs-{code.code_digest}",
            lambda: {name: code.load(name, maps) for name in code.programs},
            lambda path: {name: Program.open(path / name) for name in code.programs},
        )

    def stale(self) -> frozenset[str]:
        """What other builds left here."""
        return frozenset(path.name for path in self._root.iterdir()) - self._used

    def sweep(self) -> None:
        """Remove what other builds left; their programs live on in links that still run.

        Programs first, each directory whole: programs must never be found without the very
        maps they were bound to.
        """
        for name in sorted(self.stale(), reverse=True):
            path, aside = self._root / name, self._root / _ASIDE
            if path.is_dir() and path != aside:
                path.rename(aside)
            self._remove(aside)

    def remove(self) -> None:
        """Remove everything, the links included."""
        self._used = set()
        self.sweep()
        self.close()
        try:
            self._root.rmdir()
        except OSError:
            return  # it is a mount point, or not empty because somebody else writes here

    def _take(
        self,
        name: str,
        make: Callable[[], dict[str, H]],
        find: Callable[[Path], dict[str, H]],
    ) -> dict[str, H]:
        path = self._root / name
        self._used.add(name)
        if path.exists():
            try:
                return find(path)
            except (OSError, ValueError) as error:
                raise DriverError(
                    f"{path} is not what this build pinned there ({error}); "
                    "remove all guards and start anew"
                ) from error
        made = make()
        aside = self._root / _ASIDE
        aside.mkdir(mode=0o700)
        for each, handle in made.items():
            handle.pin(aside / each)
        aside.rename(path)
        return made

    def _remove(self, path: Path) -> None:
        if path.is_dir():
            for entry in list(path.iterdir()):
                entry.unlink()
            path.rmdir()
