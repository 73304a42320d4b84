"""Pid files that cannot lie: the process named in one holds a lock on it while it lives."""

from __future__ import annotations

import fcntl
import os
import select
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vifguard.cli.exit_codes import InputError


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Hold the pid file for this process; InputError where another process does."""
    with path.open("a+", encoding="ascii") as file:
        path.chmod(0o600)
        if not _lock(file.fileno()):
            file.seek(0)
            raise InputError(
                f"process {file.read().strip()} already runs there (it holds {path}): "
                "stop it with `vifguard down`, or choose another --data-dir"
            )
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        try:
            yield
        finally:
            # Emptied, not removed: a file made anew would be locked by two.
            file.truncate(0)


def stop(path: Path, timeout: float) -> int | None:
    """End the process that holds the pid file; its pid, or None where none runs.

    Raises TimeoutError when it lives on for `timeout` seconds.
    """
    try:
        file = path.open("r+", encoding="ascii")
    except FileNotFoundError:
        return None
    with file:
        pid = _holder(file.fileno())
        if pid is None:
            return None
        try:
            process = os.pidfd_open(pid)
        except ProcessLookupError:
            return None
        try:
            # Only a pid that still holds the lock is ours: pids are used again.
            if _holder(file.fileno()) == pid:
                _end(process, pid, timeout)
        finally:
            os.close(process)
    return pid


def _end(process: int, pid: int, timeout: float) -> None:
    try:
        signal.pidfd_send_signal(process, signal.SIGTERM)
    except ProcessLookupError:
        return
    poll = select.poll()
    poll.register(process, select.POLLIN)
    if not poll.poll(timeout * 1000):
        raise TimeoutError(f"process {pid} did not end within {timeout:g} s: look at its log")


def _holder(descriptor: int) -> int | None:
    """The pid in the file while somebody holds it."""
    if _lock(descriptor):
        fcntl.flock(descriptor, fcntl.LOCK_UN)
        return None
    text = os.pread(descriptor, 20, 0).strip()
    return int(text) if text.isdigit() else None


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
