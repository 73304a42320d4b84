"""Socket operations by request: one line in, one line out. The stack is the system's.

Runs in a guest: in a namespace, in gVisor or in a virtual machine; so it stands alone and
needs nothing but Python. A request is an operation and its arguments, separated by spaces;
addresses are `10.0.0.1:80` or `[fd00::1]:80`. The answer is what a program would have seen:
`ok`, a number of octets, `end`, or the error in one word. An operation that does not end
within the patience (seconds, `patience` sets it) answers `timeout`.
"""

from __future__ import annotations

import errno
import socket
import struct
import subprocess
import sys
import time

from connections import Connections
from datagrams import Datagrams
from octets import write_line


class Endpoint(Connections, Datagrams):
    """All that can be requested of a guest of Linux, or of what behaves as Linux."""

    def __init__(self) -> None:
        super().__init__()
        self._started: list[subprocess.Popen[bytes]] = []

    def do_big_frames(self, device: str, octets: str) -> str:
        """How long a frame of the stack may be: IFLA_GSO_MAX_SIZE, IFLA_GSO_IPV4_MAX_SIZE."""
        attributes = b"".join(struct.pack("=HHI", 8, kind, int(octets)) for kind in (41, 63))
        about = struct.pack("=BxHiII", 0, 0, socket.if_nametoindex(device), 0, 0) + attributes
        head = struct.pack("=IHHII", 16 + len(about), 16, 5, 1, 0)
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as link:
            link.send(head + about)
            error = -struct.unpack_from("=i", link.recv(1024), 16)[0]
        return errno.errorcode.get(error, "?") if error else "ok"

    def do_run(self, *command: str) -> str:
        shell = ("sh", "-c", " ".join(command))
        done = subprocess.run(shell, capture_output=True, text=True, check=False)
        error = " ".join(done.stderr.split())
        return f"{done.returncode}: {error[:200]}" if done.returncode else "ok"

    def do_until(self, *command: str) -> str:
        """Run a command again and again, until it succeeds."""
        deadline = time.monotonic() + self.patience
        while (outcome := self.do_run(*command)) != "ok" and time.monotonic() < deadline:
            time.sleep(0.02)
        return outcome

    def do_start(self, *command: str) -> str:
        """Start a process that stays in the foreground; `clear` ends it."""
        nowhere = subprocess.DEVNULL
        process = subprocess.Popen(command, stdin=nowhere, stdout=nowhere, stderr=nowhere)
        self._started.append(process)
        return "ok"

    def do_clear(self) -> str:
        for process in self._started:
            process.kill()
            process.wait()
        self._started.clear()
        return super().do_clear()


def main() -> None:
    """Answer until there are no more requests."""
    endpoint = Endpoint()
    write_line("ready")
    for line in sys.stdin:
        write_line(endpoint.answer(line))


if __name__ == "__main__":
    main()
