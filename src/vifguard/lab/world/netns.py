"""Network namespaces: made, entered and removed; `ip` run inside them."""

from __future__ import annotations

import ctypes
import os
import subprocess
import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TypeVar

NETNS_DIR = Path("/run/netns")
_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)

T = TypeVar("T")


class LabError(RuntimeError):
    """The test bench itself failed: this proves nothing about any guard."""


def ip(lines: Iterable[str], netns: str = "") -> None:
    """Run `ip` commands in one batch, inside `netns` when given; LabError at the first bad one."""
    batch = "\n".join(lines) + "\n"
    run(["ip", *(["-n", netns] if netns else []), "-batch", "-"], stdin=batch)


def run(command: Sequence[str], *, stdin: str = "", netns: str = "") -> str:
    """The output of a command that must succeed, inside `netns` when given."""
    inside = ["ip", "netns", "exec", netns] if netns else []
    done = subprocess.run(
        [*inside, *command], input=stdin, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise LabError(f"{' '.join(command)}: {done.stderr.strip() or done.returncode}\n{stdin}")
    return done.stdout


def add(name: str) -> None:
    """Make a namespace with its loopback up."""
    ip([f"netns add {name}"])
    ip(["link set lo up"], name)


def remove(name: str) -> None:
    """Remove a namespace; one that is gone already is no error."""
    subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)


def named(prefix: str) -> list[str]:
    """The namespaces whose names begin so."""
    if not NETNS_DIR.is_dir():
        return []
    return sorted(path.name for path in NETNS_DIR.iterdir() if path.name.startswith(prefix))


def processes(name: str) -> list[int]:
    """The ids of the processes that run inside a namespace."""
    done = subprocess.run(
        ["ip", "netns", "pids", name], capture_output=True, text=True, check=False
    )
    return [int(line) for line in done.stdout.split()]


def within(netns: str, work: Callable[[], T]) -> T:
    """Run `work` inside the namespace and return its result.

    A thread of its own enters: a socket made there stays there for good, and no other
    thread of this process ever changes its namespace. Empty `netns` is our own.
    """
    if not netns:
        return work()
    done: list[T] = []
    failed: list[BaseException] = []

    def enter() -> None:
        try:
            _setns(netns)
            done.append(work())
        except BaseException as error:  # noqa: BLE001 - carried to the caller's thread
            failed.append(error)

    thread = threading.Thread(target=enter, name=f"in-{netns}")
    thread.start()
    thread.join()
    if failed:
        raise failed[0]
    return done[0]


def _setns(netns: str) -> None:
    handle = os.open(NETNS_DIR / netns, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if _libc.setns(handle, _CLONE_NEWNET):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(NETNS_DIR / netns))
    finally:
        os.close(handle)
