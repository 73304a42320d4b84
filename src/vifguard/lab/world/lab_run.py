"""One run of the lab: its names, its directory, and the remains of a killed one.

Everything of a run bears its process id: namespaces by prefix, files in one directory. The
directory's lock is held while the run lives, so that nobody takes a living run for a dead one.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from vifguard.kernel.bpf import bpffs
from vifguard.lab.world import netns

BASE = Path("/run/vifguard-lab")
PREFIX = "vglab"
_LOCK, _STANDING = "lock", "standing"


@dataclass(frozen=True, slots=True)
class Run:
    """The names of one run; `pid` is the process that made it."""

    pid: int

    @property
    def prefix(self) -> str:
        """The prefix of the names of its namespaces."""
        return f"{PREFIX}{self.pid}-"

    @property
    def directory(self) -> Path:
        """The directory in which its servers keep their data."""
        return BASE / str(self.pid)

    def netns(self, name: str) -> str:
        """The namespace that the run calls `name`."""
        return self.prefix + name

    def stand(self) -> None:
        """Leave the world standing when this process ends."""
        (self.directory / _STANDING).touch()

    @property
    def stands(self) -> bool:
        """Whether it was left standing on purpose."""
        return (self.directory / _STANDING).exists()

    def sweep(self) -> None:
        """Remove everything of this run; a thing that is gone already is no error."""
        names = netns.named(self.prefix)
        for pid in [pid for name in names for pid in netns.processes(name)]:
            # Nobody but this run ever starts anything in these namespaces.
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for name in names:
            netns.remove(name)
        for mount in sorted(self.directory.glob("*/bpf"), reverse=True):
            while bpffs.is_bpffs(mount):
                subprocess.run(["umount", str(mount)], check=False, capture_output=True)
        shutil.rmtree(self.directory, ignore_errors=True)


@contextmanager
def run() -> Iterator[Run]:
    """A run of this process; removed at the end, however it ends, unless left standing."""
    this = Run(os.getpid())
    this.directory.mkdir(mode=0o700, parents=True)
    with (this.directory / _LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            yield this
        except BaseException:
            this.sweep()
            raise
        if not this.stands:
            this.sweep()


def runs() -> list[Run]:
    """Every run that has a directory."""
    if not BASE.is_dir():
        return []
    return [Run(int(path.name)) for path in sorted(BASE.iterdir()) if path.name.isdecimal()]


def alive(run: Run) -> bool:
    """Whether its process still works on it."""
    try:
        with (run.directory / _LOCK).open("r+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def standing() -> Run | None:
    """The world that was left standing last."""
    return next((run for run in reversed(runs()) if run.stands and not alive(run)), None)
