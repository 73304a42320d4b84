"""The names under which maps and programs outlive the agent.

    <bpf dir>/maps-<digest of the maps' layout>/<map>
    <bpf dir>/connections-<digest of the layout>/<map of the state of connections>
    <bpf dir>/programs-<digest of the code>/<program>
    <bpf dir>/pins -> <id of this directory>
    <bpf dir>/store -> <id of the store whose ports are guarded>
    <bpf dir>/namespace -> <cookie of the network namespace whose interfaces are guarded>

A new build finds its own maps if their layout is the same, else makes new ones beside them;
known connections outlive every other change of layout. Attached guards need no pin: an agent
finds its own at the interfaces, and knows by the pins which of them are this build's.
Directories appear whole (made aside, then renamed), so a kill leaves none half-filled.
"""

from __future__ import annotations

import fcntl
import logging
import os
import re
from collections.abc import Callable, Mapping
from itertools import chain
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

from vifguard.enforce.driver.protocol import DriverError, HeldError
from vifguard.kernel.bpf import bpffs
from vifguard.kernel.bpf.bpf_syscall import Handle, Map, MapSpec, Program, open_pin
from vifguard.kernel.bpf.elf import ObjectFile
from vifguard.kernel.bpf.program_tag import tags

log = logging.getLogger("vifguard")

H = TypeVar("H", bound=Handle)
CONNECTIONS = frozenset({"flows", "settings", "tracking"})
"""The maps of the state of connections, and of their clock and secret."""

_ASIDE = "aside"
_ID, _STORE, _NAMESPACE, _NEXT = "pins", "store", "namespace", "next"
_OWN = re.compile(r"(maps|connections|programs)-[0-9a-f]{12}|aside|pins|store|namespace|next")


class Pins:
    """The directory of one driver. One process at a time holds it.

    `id` names it as long as it exists; its holder is the only one with this id.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._lock = _locked(root)
        self._used: set[str] = {_ID, _STORE, _NAMESPACE}
        self._objects: dict[str, Mapping[str, Handle]] = {}
        self._remove(root / _ASIDE)
        self.id = self._read(_ID) or self._write(_ID, str(uuid4()))
        self._store = self._read(_STORE)
        self._namespace = self._read(_NAMESPACE)

    @property
    def root(self) -> Path:
        """The directory itself."""
        return self._root

    @property
    def store(self) -> str:
        """The id of the store whose ports are guarded here; empty where none was noted."""
        return self._store

    def set_store(self, ident: str) -> None:
        """Note the id of the store whose ports are guarded here from now on."""
        if ident != self._store:
            self._store = self._write(_STORE, ident)

    @property
    def namespace(self) -> str:
        """The cookie of the network namespace that is guarded; empty where none was noted."""
        return self._namespace

    def set_namespace(self, cookie: str) -> None:
        """Note the cookie of the network namespace that is guarded from now on."""
        if cookie != self._namespace:
            self._namespace = self._write(_NAMESPACE, cookie)

    def repair(self) -> bool:
        """Put back pins that somebody removed; return whether any were.

        Raises OSError, or DriverError where another process holds the directory by now.
        """
        lost = not self._is_there()
        if lost:
            lock, self._lock = self._lock, _locked(self._root)
            os.close(lock)
        for name, objects in self._objects.items():
            if any(not (self._root / name / each).exists() for each in objects):
                lost = True
                self._remove(self._root / name)
                self._pin(name, objects)
        names = {_ID: self.id, _STORE: self._store, _NAMESPACE: self._namespace}
        for name, text in names.items():
            if text and self._read(name) != text:
                lost = True
                self._write(name, text)
        return lost

    def close(self) -> None:
        """Release the directory for another process."""
        if self._lock >= 0:
            os.close(self._lock)
        self._lock = -1

    def maps(self, code: ObjectFile) -> dict[str, Map]:
        """The maps of this build: the pinned ones, else new ones."""
        known = {name: spec for name, spec in code.maps.items() if name in CONNECTIONS}
        others = {name: spec for name, spec in code.maps.items() if name not in CONNECTIONS}
        return self._take_maps(f"connections-{code.layout_digest(known)}", known) | self._take_maps(
            f"maps-{code.layout_digest(others)}", others
        )

    def _take_maps(self, name: str, specs: Mapping[str, MapSpec]) -> dict[str, Map]:
        path = self._root / name
        if path.exists() and not all((path / each).exists() for each in specs):
            log.warning("pins of maps are missing at %s: all of these maps are made anew", path)
            self._remove_whole(path)
        return self._take(
            name,
            lambda: {each: Map.create(spec) for each, spec in specs.items()},
            lambda path: {each: Map.open(path / each, spec) for each, spec in specs.items()},
        )

    def programs(
        self, code: ObjectFile, maps: Mapping[str, Map], load: Callable[[str], Program]
    ) -> dict[str, Program]:
        """The programs of this build: the pinned ones, else newly loaded ones.

        Pinned programs are not taken where one is missing, has other code than this build, or
        reads a map that is not one of `maps`: somebody swapped its pin or removed a map's.
        """
        name = f"programs-{code.code_digest}"
        path = self._root / name
        if path.exists() and not _are_own(path, code, maps):
            log.warning("the programs pinned at %s are not this build's: they are replaced", path)
            self._remove(path)
        return self._take(
            name,
            lambda: {name: load(name) for name in code.programs},
            lambda path: {name: Program.open(path / name) for name in code.programs},
        )

    def map_ids(self) -> frozenset[int]:
        """The kernel's numbers of the maps that are pinned here, by any build."""
        kinds = (self._root.glob(f"{kind}-*/*") for kind in ("maps", "connections"))
        return frozenset(map(_map_id, chain.from_iterable(kinds)))

    def stale(self) -> frozenset[str]:
        """The names of leftovers of other builds here.

        Names of another form are other software's, or the kernel's own (maps.debug, where
        the directory is a mount of its own), and are left alone.
        """
        names = frozenset(path.name for path in self._root.iterdir() if _OWN.fullmatch(path.name))
        return names - self._used

    def sweep(self) -> None:
        """Remove leftovers of other builds; their attached programs live on.

        Programs first, each directory whole: programs must never be found without the very
        maps they were bound to.
        """
        for name in sorted(self.stale(), reverse=True):
            self._remove_whole(self._root / name)

    def unpin_programs(self) -> None:
        """Remove the pins of the programs of all builds; those that are attached live on."""
        for path in list(self._root.glob("programs-*")):
            self._remove_whole(path)

    def _remove_whole(self, path: Path) -> None:
        aside = self._root / _ASIDE
        if path.is_dir() and path != aside:
            path.rename(aside)
            path = aside
        self._remove(path)

    def remove(self) -> None:
        """Remove everything."""
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
                self._objects[name] = found = find(path)
            except (OSError, ValueError) as error:
                raise DriverError(
                    f"{path} is not what this build pinned there ({error}); run `vifguard "
                    "down --release`, and start again"
                ) from error
            return found
        self._objects[name] = made = make()
        self._pin(name, made)
        return made

    def _pin(self, name: str, objects: Mapping[str, Handle]) -> None:
        """Pin objects in a directory that appears whole."""
        aside = self._root / _ASIDE
        self._remove(aside)
        aside.mkdir(mode=0o700)
        for each, handle in objects.items():
            handle.pin(aside / each)
        aside.rename(self._root / name)

    def _remove(self, path: Path) -> None:
        if path.is_symlink():
            path.unlink()
        elif path.is_dir():
            for entry in list(path.iterdir()):
                entry.unlink()
            path.rmdir()

    def _read(self, name: str) -> str:
        """The text that a symbolic link has as its target; empty for none."""
        try:
            return os.readlink(self._root / name)  # noqa: PTH115  it leads to no path
        except OSError:
            return ""

    def _write(self, name: str, text: str) -> str:
        """Store a text atomically as the target of a symbolic link: bpffs has no files."""
        following = self._root / _NEXT
        self._remove(following)
        following.symlink_to(text)
        following.rename(self._root / name)
        return text

    def _is_there(self) -> bool:
        """Whether the directory that this process has locked is still the one of this name."""
        held = os.fstat(self._lock)
        try:
            there = self._root.stat()
        except FileNotFoundError:
            return False
        return (held.st_dev, held.st_ino) == (there.st_dev, there.st_ino)


def store_of(root: Path) -> str:
    """The id of the store whose ports are guarded, for a process that does not hold the directory.

    Empty where none is noted.
    """
    try:
        return os.readlink(root / _STORE)  # noqa: PTH115  it leads to no path
    except OSError:
        return ""


def _map_id(path: Path) -> int:
    with Handle(open_pin(path)) as pinned:
        return pinned.id


def _are_own(path: Path, code: ObjectFile, maps: Mapping[str, Map]) -> bool:
    """Whether the programs pinned in a directory are these, and read no other maps."""
    own = {each.id for each in maps.values()}
    try:
        for name in code.programs:
            with Program.open(path / name) as program:
                if program.tag not in tags(code.linked(name, maps)):
                    return False
                if not own.issuperset(program.map_ids):
                    return False
    except OSError:
        return False
    return True


def _locked(root: Path) -> int:
    """A descriptor of the directory, made if need be, that no other process has a lock on."""
    try:
        bpffs.ensure(root)
        lock = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise DriverError(f"{root} cannot be a bpffs directory: {error}") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise HeldError(f"another process holds {root}; stop it first") from None
    return lock
