"""Locks of a network namespace: abstract sockets, which the kernel closes with their process.

An abstract name (unix(7)) is known in one network namespace, and no file stands for it: a lock
needs no directory, and none is left behind by a process that is killed.
"""

from __future__ import annotations

import errno
import socket
import struct

_WAITING = 4096
"""Processes that may read the holder's id and close: nobody accepts their connections."""

_CREDENTIALS = struct.Struct("=iII")
"""`struct ucred`: process, user, group."""


class NetnsLockedError(Exception):
    """Another process has the lock; `pid` is its id, 0 where that cannot be known."""

    def __init__(self, pid: int) -> None:
        super().__init__(f"process {pid}")
        self.pid = pid


class NetnsLock:
    """A lock of the calling thread's network namespace, held until it is closed."""

    def __init__(self, name: str) -> None:
        """Take it; raises NetnsLockedError where another has it, and OSError."""
        self._socket = socket.socket(socket.AF_UNIX)
        try:
            self._socket.bind(f"\0{name}")
            self._socket.listen(_WAITING)
        except OSError as error:
            self._socket.close()
            if error.errno != errno.EADDRINUSE:
                raise
            raise NetnsLockedError(_holder(name)) from None

    def close(self) -> None:
        """Release it for another process."""
        self._socket.close()


def _holder(name: str) -> int:
    """The process that listens at a name, by SO_PEERCRED; 0 where that cannot be known."""
    with socket.socket(socket.AF_UNIX) as asking:
        asking.settimeout(0)
        try:
            asking.connect(f"\0{name}")
            found = asking.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        except OSError:
            return 0
    pid: int = _CREDENTIALS.unpack(found)[0]
    return pid
