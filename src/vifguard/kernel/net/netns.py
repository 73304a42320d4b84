"""A network namespace of a moment, to try things in."""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Callable
from typing import TypeVar

_CLONE_NEWNET = 0x40000000
_LIBC = ctypes.CDLL(None, use_errno=True)

T = TypeVar("T")


def in_throwaway(work: Callable[[], T]) -> T:
    """What `work` returns when it runs in a new namespace, which ends with it.

    A thread of its own enters it: no other thread changes its namespace, and the namespace
    has no name that a kill could leave behind. Raises what `work` raises, or OSError.
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
    """Put the calling thread into a new namespace, without a name, for good; OSError why not."""
    if _LIBC.unshare(_CLONE_NEWNET):
        code = ctypes.get_errno()
        raise OSError(code, f"no new network namespace: {os.strerror(code)}")
