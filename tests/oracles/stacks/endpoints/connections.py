"""Connections: TCP in all its variants, and SCTP."""

from __future__ import annotations

import errno
import select
import socket
import struct
from collections.abc import Sequence
from contextlib import suppress

from octets import BLOCK, address, pattern, split
from sockets import ERRORS, PROTOCOLS, Sockets

_TCP_REPAIR, _TCP_FASTOPEN = 19, 23
_SEND_FAST_OPEN = 0x20000000
_WORDS = {"keepidle": 4, "keepintvl": 5, "keepcnt": 6, "user-timeout": 18, "maxseg": 2}
_SOCKET_WORDS = {"rcvbuf": socket.SO_RCVBUF, "sndbuf": socket.SO_SNDBUF}
_INFO = {1: "timestamps", 2: "sack", 4: "window-scale", 8: "ecn", 32: "fast-open"}
_SCTP_BINDX_ADD = 100


class Connections(Sockets):
    """What can be done with sockets of streams."""

    def do_listen(self, name: str, where: str, *options: str) -> str:
        here = self.new(name, where, socket.SOCK_STREAM, *options)
        if "fast-open" in options:
            here.setsockopt(socket.IPPROTO_TCP, _TCP_FASTOPEN, 16)
        here.bind(address(where))
        self._add_addresses(here, options)
        here.listen(64)
        return "ok"

    def do_connect(self, name: str, where: str, *options: str) -> str:
        """Options: `from ADDRESS`, `fast-open OCTETS`, and what `new` takes."""
        here = self.new(name, where, socket.SOCK_STREAM, *options)
        if "from" in options:
            here.bind(address(options[options.index("from") + 1]))
        self._add_addresses(here, options)
        if "fast-open" in options:
            octets = int(options[options.index("fast-open") + 1])
            self.sent[name] = octets
            try:
                here.sendto(pattern(0, octets), _SEND_FAST_OPEN, address(where))
            except BlockingIOError as error:
                if error.errno != errno.EINPROGRESS:
                    raise
                self.sent[name] = 0  # without a cookie the SYN asks for one and takes no data
        else:
            with suppress(BlockingIOError):  # it is under way
                here.connect(address(where))
        self.wait(here, write=True)
        return self.error_of(here)

    def do_accept(self, name: str, new: str) -> str:
        self.wait(self.sockets[name])
        connection, _ = self.sockets[name].accept()
        self.keep(new, connection)
        return "ok"

    def do_send(self, name: str, octets: str) -> str:
        here, left = self.sockets[name], int(octets)
        while left:
            self.wait(here, write=True)
            done = here.send(pattern(self.sent[name], min(left, len(BLOCK))))
            self.sent[name] += done
            left -= done
        return "ok"

    def do_fill(self, name: str) -> str:
        """Send until nothing more is taken for a while: the other side does not read."""
        here, total = self.sockets[name], 0
        while select.select([], [here], [], 0.3)[1]:
            total += here.send(pattern(self.sent[name] + total, len(BLOCK)))
        self.sent[name] += total
        return "filled" if total else "0"

    def do_recv(self, name: str, octets: str) -> str:
        """So many octets, or what came before the end, an error or the end of patience."""
        here, wanted, count = self.sockets[name], int(octets), 0
        outcome = ""
        while count < wanted:
            try:
                self.wait(here)
                data = here.recv(min(wanted - count, 1 << 20))
            except OSError as error:
                outcome = ERRORS.get(error.errno or errno.ETIMEDOUT, str(error))
                break
            if not data:
                outcome = "end"
                break
            if data != pattern(self.received[name], len(data)):
                return f"corrupt behind {self.received[name]}"
            self.received[name] += len(data)
            count += len(data)
        return f"{count} {outcome}".strip()

    def do_drain(self, name: str) -> str:
        """Receive to the end, whatever the number of octets."""
        return self.do_recv(name, str(1 << 40)).split()[-1]

    def do_urgent(self, name: str) -> str:
        self.sockets[name].send(b"!", socket.MSG_OOB)
        return "ok"

    def do_recv_urgent(self, name: str) -> str:
        here = self.sockets[name]
        if not select.select([], [], [here], self.patience)[2]:
            return "timeout"
        return "ok" if here.recv(1, socket.MSG_OOB) == b"!" else "corrupt"

    def do_finish(self, name: str) -> str:
        self.sockets[name].shutdown(socket.SHUT_WR)
        return "ok"

    def do_close(self, name: str) -> str:
        self.sockets.pop(name).close()
        return "ok"

    def do_abort(self, name: str) -> str:
        here = self.sockets.pop(name)
        here.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        here.close()
        return "ok"

    def do_crash(self) -> str:
        """All connections are forgotten and nobody is told, as when the power fails."""
        for here in self.sockets.values():
            if here.type == socket.SOCK_STREAM and not _is_listening(here):
                here.setsockopt(socket.IPPROTO_TCP, _TCP_REPAIR, 1)
            here.close()
        self.sockets.clear()
        return "ok"

    def do_clear(self) -> str:
        for here in self.sockets.values():
            if here.type == socket.SOCK_STREAM:
                here.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            here.close()
        self.sockets.clear()
        return "ok"

    def do_set(self, name: str, option: str, value: str = "1") -> str:
        here = self.sockets[name]
        if option == "keepalive":
            here.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, int(value))
        elif option in _SOCKET_WORDS:
            here.setsockopt(socket.SOL_SOCKET, _SOCKET_WORDS[option], int(value))
        else:
            here.setsockopt(socket.IPPROTO_TCP, _WORDS[option], int(value))
        return "ok"

    def do_info(self, name: str) -> str:
        """What was negotiated (tcp_info.tcpi_options)."""
        bits = self.sockets[name].getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 192)[5]
        return " ".join(word for bit, word in _INFO.items() if bits & bit) or "nothing"

    @staticmethod
    def _add_addresses(here: socket.socket, options: Sequence[str]) -> None:
        """`also ADDRESS`: SCTP shall use that address, too (SCTP_SOCKOPT_BINDX_ADD)."""
        if "also" in options:
            host, port = split(options[options.index("also") + 1])
            packed = socket.inet_pton(here.family, host)
            if here.family == socket.AF_INET:
                head = struct.pack("=H", here.family) + struct.pack("!H", port)
                where = head + packed + bytes(8)
            else:
                head = struct.pack("=H", here.family) + struct.pack("!HI", port, 0)
                where = head + packed + bytes(4)
            here.setsockopt(PROTOCOLS["sctp"], _SCTP_BINDX_ADD, where)


def _is_listening(here: socket.socket) -> bool:
    return bool(here.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
