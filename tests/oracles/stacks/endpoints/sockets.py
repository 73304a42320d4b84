"""Sockets by name, and how an operation waits and fails."""

from __future__ import annotations

import errno
import select
import socket
from collections.abc import Callable

PROTOCOLS = {"tcp": socket.IPPROTO_TCP, "sctp": 132, "mptcp": 262}
ERRORS = {
    errno.ECONNREFUSED: "refused",
    errno.ECONNRESET: "reset",
    errno.EPIPE: "reset",
    errno.ECONNABORTED: "reset",
    errno.ETIMEDOUT: "timeout",
    errno.EHOSTUNREACH: "unreachable",
    errno.ENETUNREACH: "unreachable",
    errno.EACCES: "prohibited",
    errno.EPERM: "prohibited",
    errno.EMSGSIZE: "too-big",
    errno.EADDRINUSE: "in-use",
    errno.EADDRNOTAVAIL: "no-address",
}


class Sockets:
    """The sockets of one guest. What begins with `do_` is an operation that can be requested."""

    def __init__(self) -> None:
        self.patience = 10.0
        self.sockets: dict[str, socket.socket] = {}
        self.sent: dict[str, int] = {}
        self.received: dict[str, int] = {}

    def answer(self, line: str) -> str:
        """What became of one request."""
        operation, *arguments = line.split()
        method: Callable[..., str] = getattr(self, "do_" + operation.replace("-", "_"))
        try:
            return method(*arguments)
        except TimeoutError as error:
            return ERRORS.get(error.errno or 0, "timeout")
        except OSError as error:
            return ERRORS.get(error.errno or 0, errno.errorcode.get(error.errno or 0, str(error)))

    def do_patience(self, seconds: str) -> str:
        self.patience = float(seconds)
        return "ok"

    def new(self, name: str, where: str, kind: int, *options: str) -> socket.socket:
        family = socket.AF_INET6 if where.startswith("[") else socket.AF_INET
        protocol = next((PROTOCOLS[word] for word in options if word in PROTOCOLS), 0)
        here = socket.socket(family, kind, protocol)
        here.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.keep(name, here)
        return here

    def keep(self, name: str, here: socket.socket) -> None:
        here.settimeout(0)
        if name in self.sockets:
            self.sockets[name].close()
        self.sockets[name] = here
        self.sent[name] = self.received[name] = 0

    def wait(self, here: socket.socket, *, write: bool = False) -> None:
        read, ready = ([], [here]) if write else ([here], [])
        if not any(select.select(read, ready, [], self.patience)):
            raise TimeoutError

    @staticmethod
    def error_of(here: socket.socket) -> str:
        number = here.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        return ERRORS.get(number, errno.errorcode.get(number, "?")) if number else "ok"
