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
    """Another process has the lock.

    `pid` is its id, 0 where that cannot be known, `user` the one that it runs as.
    """

    def __init__(self, pid: int, user: int) -> None:
        super().__init__(f"process {pid} of user {user}")
        self.pid, self.user = pid, user


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
            raise NetnsLockedError(*_holder(name)) from None

    def close(self) -> None:
        """Release it for another process."""
        self._socket.close()


def _holder(name: str) -> tuple[int, int]:
    """The process that listens at a name, and its user, by SO_PEERCRED.

    Process 0 of user 0 where that cannot be known.
    """
    with socket.socket(socket.AF_UNIX) as asking:
        asking.settimeout(0)
        try:
            asking.connect(f"\0{name}")
            found = asking.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        except OSError:
            return 0, 0
    pid, user, _ = _CREDENTIALS.unpack(found)
    return pid, user
