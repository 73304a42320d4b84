"""The state of a running agent on its own host, for `vifguard host check`.

A file in memory (/run), not in the data directory, which may be full, or gone. The agent that
wrote it holds a lock on it while it lives.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from typing import Any, Self

log = logging.getLogger("vifguard")

DIRECTORY = Path("/run/vifguard")


@dataclass(frozen=True, slots=True)
class Running:
    """A living agent: when it last read back its guards (seconds since the epoch, 0 for never).

    `read_back_ago`: seconds since then, independent of changes to the host's clock.
    `degraded` and `lost` as of a HostReport.
    """

    pid: int
    host: str
    read_back_at: float = 0.0
    read_back_ago: float = inf
    degraded: tuple[str, ...] = ()
    lost: Mapping[str, int] = field(default_factory=dict)


class RunFile:
    """The file of one agent, named by the directory of its pins. One process at a time writes it.

    A file that cannot be written is logged, with no other effect.
    """

    def __init__(self, bpf_dir: Path, host: str) -> None:
        self._path = path_of(bpf_dir)
        self._about: dict[str, Any] = {"pid": os.getpid(), "host": host}
        self._file = -1
        try:
            self._path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            log.warning("%s cannot be written: %s", self._path, error)
            self.close()

    def write(self, degraded: tuple[str, ...], lost: Mapping[str, int], *, read_back: bool) -> None:
        """Write the agent's health; `read_back`: all guards were read back just now."""
        self._about |= {"degraded": degraded, "lost": dict(lost)}
        if read_back:
            self._about |= {"read_back_at": time.time(), "monotonic": time.monotonic()}
        if self._file < 0:
            return
        text = json.dumps(self._about).encode()
        with suppress(OSError):
            os.pwrite(self._file, text, 0)
            os.ftruncate(self._file, len(text))

    def close(self) -> None:
        """Remove the file: no agent runs."""
        if self._file >= 0:
            with suppress(OSError):
                self._path.unlink()
            os.close(self._file)
        self._file = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def running(bpf_dir: Path) -> Running | None:
    """The living agent that pins in a directory; None where none does."""
    try:
        file = os.open(path_of(bpf_dir), os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        about = json.loads(os.pread(file, 1 << 16, 0) or b"{}")
        return Running(
            about.get("pid", 0),
            about.get("host", ""),
            about.get("read_back_at", 0.0),
            time.monotonic() - about.get("monotonic", -inf),
            tuple(about.get("degraded", ())),
            about.get("lost", {}),
        )
    finally:
        os.close(file)
    return None


def forget(bpf_dir: Path) -> None:
    """Remove the file of an agent that was killed; none may be running."""
    with suppress(OSError):
        path_of(bpf_dir).unlink()


def path_of(bpf_dir: Path) -> Path:
    """The path of the run file of the agent that pins in a directory, given as in Settings."""
    directory = Path(os.environ.get("RUNTIME_DIRECTORY", "") or DIRECTORY)
    return directory / f"{str(bpf_dir).strip('/').replace('/', '-')}.json"
