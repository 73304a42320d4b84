"""Socket operations by request on PyTCP, a stack in Python; see on_system.py.

    on_pytcp.py TAP MAC ADDRESS4/LENGTH ADDRESS6/LENGTH

Its sockets wait without end, so what waits does so in a thread of its own. A connection has
neither a half-close nor an abort, and one that was reset reads as one that has ended.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from threading import Thread
from typing import Any, TypeVar

import pytcp
from octets import pattern, split, text, write_line
from pytcp import config
from pytcp.lib import socket

T = TypeVar("T")


class Endpoint:
    """The sockets of one stack, by name."""

    def __init__(self) -> None:
        self._patience = 10.0
        self._sockets: dict[str, Any] = {}
        self._sent: dict[str, int] = {}
        self._received: dict[str, int] = {}

    def answer(self, line: str) -> str:
        """What became of one request."""
        operation, *arguments = line.split()
        method: Callable[..., str] = getattr(self, "do_" + operation.replace("-", "_"))
        try:
            return method(*arguments)
        except (TimeoutError, socket.ReceiveTimeout):
            return "timeout"
        except ConnectionRefusedError:
            return "refused"
        except BrokenPipeError:
            return "reset"
        except OSError as error:
            return str(error)

    def do_patience(self, seconds: str) -> str:
        self._patience = float(seconds)
        return "ok"

    def do_listen(self, name: str, where: str) -> str:
        here = self._new(name, where, socket.SOCK_STREAM)
        here.bind(split(where))
        here.listen()
        return "ok"

    def do_connect(self, name: str, where: str, *options: str) -> str:
        here = self._new(name, where, socket.SOCK_STREAM)
        if "from" in options:
            here.bind(split(options[options.index("from") + 1]))
        self._patiently(lambda: here.connect(split(where)))
        return "ok"

    def do_accept(self, name: str, new: str) -> str:
        connection, _ = self._patiently(self._sockets[name].accept)
        self._keep(new, connection)
        return "ok"

    def do_send(self, name: str, octets: str) -> str:
        self._sockets[name].send(pattern(self._sent[name], int(octets)))
        self._sent[name] += int(octets)
        return "ok"

    def do_recv(self, name: str, octets: str) -> str:
        wanted, count = int(octets), 0
        while count < wanted:
            left = wanted - count
            try:
                data = self._patiently(lambda left=left: self._sockets[name].recv(left))
            except TimeoutError:
                return f"{count} timeout"
            if not data:
                return f"{count} end"
            if data != pattern(self._received[name], len(data)):
                return f"corrupt behind {self._received[name]}"
            self._received[name] += len(data)
            count += len(data)
        return str(count)

    def do_drain(self, name: str) -> str:
        return self.do_recv(name, str(1 << 40)).split()[-1]

    def do_close(self, name: str) -> str:
        self._sockets.pop(name).close()
        return "ok"

    def do_bind(self, name: str, where: str) -> str:
        self._new(name, where, socket.SOCK_DGRAM).bind(split(where))
        return "ok"

    def do_sendto(self, name: str, where: str, octets: str) -> str:
        self._sockets[name].sendto(pattern(0, int(octets)), split(where))
        return "ok"

    def do_recvfrom(self, name: str) -> str:
        data, sender = self._sockets[name].recvfrom(timeout=self._patience)
        if data != pattern(0, len(data)):
            return "corrupt"
        return f"{len(data)} from {text(sender)}"

    def do_clear(self) -> str:
        for here in self._sockets.values():
            with suppress(AssertionError):  # it had not been connected
                here.close()
        self._sockets.clear()
        return "ok"

    def _new(self, name: str, where: str, kind: Any) -> Any:
        here = socket.socket(socket.AF_INET6 if where.startswith("[") else socket.AF_INET4, kind)
        self._keep(name, here)
        return here

    def _keep(self, name: str, here: Any) -> None:
        self._sockets[name] = here
        self._sent[name] = self._received[name] = 0

    def _patiently(self, work: Callable[[], T]) -> T:
        """What `work` returns, or TimeoutError when it takes too long."""
        future: Future[T] = Future()

        def do() -> None:
            try:
                future.set_result(work())
            except Exception as error:  # noqa: BLE001 - carried to who waits
                future.set_exception(error)

        Thread(target=do, daemon=True).start()
        return future.result(self._patience)


def main() -> None:
    """Answer until there are no more requests."""
    tap, mac, address4, address6 = sys.argv[1:]
    config.LOG_CHANEL.clear()
    stack = pytcp.TcpIpStack(
        interface=tap, mac_address=mac, ip4_address=address4, ip6_address=address6
    )
    stack.start()
    endpoint = Endpoint()
    write_line("ready")
    for line in sys.stdin:
        write_line(endpoint.answer(line))
    os._exit(0)


main()
