"""Network namespaces: the calling thread's own, and a temporary one for trials."""

from __future__ import annotations

import ctypes
import os
import socket
import struct
import threading
from collections.abc import Callable
from typing import TypeVar

_CLONE_NEWNET = 0x40000000
_SO_NETNS_COOKIE = 71
_LIBC = ctypes.CDLL(None, use_errno=True)

T = TypeVar("T")


def cookie() -> int:
    """The number of the calling thread's namespace, which no other gets until the next boot.

    Raises OSError before Linux 5.14.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as it:
        (number,) = struct.unpack("=Q", it.getsockopt(socket.SOL_SOCKET, _SO_NETNS_COOKIE, 8))
    return int(number)


def in_throwaway(work: Callable[[], T]) -> T:
    """Run `work` in a new namespace, which ends with it; return its result.

    A thread of its own enters it: no other thread changes its namespace, and the namespace
    has no name that a kill could leave behind. Raises the exceptions of `work`, or OSError.
    """
    done: list[T] = []
    failed: list[BaseException] = []

    def enter() -> None:
        try:
            leave()
            done.append(work())
        except BaseException as error:  # noqa: BLE001  carried to the caller's thread
            failed.append(error)

    thread = threading.Thread(target=enter, name="throwaway-netns")
    thread.start()
    thread.join()
    if failed:
        raise failed[0]
    return done[0]


def leave() -> None:
    """Move the calling thread into a new, nameless namespace for good. Raises OSError."""
    if _LIBC.unshare(_CLONE_NEWNET):
        code = ctypes.get_errno()
        raise OSError(code, f"no new network namespace: {os.strerror(code)}")
