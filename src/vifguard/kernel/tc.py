"""Programs at the clsact hooks, for kernels before TCX (Linux 6.6).

Spoken by hand: pyroute2 does not know TCA_BPF_ID, which says which program stands there,
and takes a millisecond a message, of which a host with many ports needs thousands.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Self

from vifguard.kernel.bpf import Program

_NEW_QDISC, _DELETE_QDISC = 36, 37
_NEW_FILTER, _DELETE_FILTER, _GET_FILTER = 44, 45, 46
_ERROR, _DONE = 2, 3
_REQUEST, _ACK, _REPLACE, _EXCLUSIVE, _CREATE, _DUMP = 1, 4, 0x100, 0x200, 0x400, 0x300
_CLSACT_HANDLE = 0xFFFF0000
_CLSACT_PARENT = 0xFFFFFFF1
_KIND, _OPTIONS = 1, 2
_BPF_FD, _BPF_NAME, _BPF_FLAGS, _BPF_ID = 6, 7, 8, 11
_DIRECT_ACTION = 1
_ETH_P_ALL = 3

PRIORITY = 1
"""First of all filters: what passes first may end the chain."""
HANDLE = 1


class Hook(IntEnum):
    """The parent under which a clsact hook keeps its filters."""

    INGRESS = 0xFFFFFFF2
    EGRESS = 0xFFFFFFF3


@dataclass(frozen=True, slots=True)
class Filter:
    """One bpf filter at a hook: the kernel's number of its program, and its name."""

    program: int
    name: str
    priority: int
    handle: int


class Clsact:
    """The clsact hooks of the interfaces in the network namespace in which this is made."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
        self._socket.bind((0, 0))
        self._sequence = 0

    def close(self) -> None:
        """Close the netlink socket; filters stay."""
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def put(self, ifindex: int, hook: Hook, program: Program, name: str) -> None:
        """Let `program` stand at `hook`, in place of what this class put there before.

        The kernel swaps the filter's program between two packets.
        """
        options = (
            _attribute(_BPF_FD, struct.pack("=I", program.fd))
            + _attribute(_BPF_NAME, name.encode() + b"\0")
            + _attribute(_BPF_FLAGS, struct.pack("=I", _DIRECT_ACTION))
        )
        body = _attribute(_KIND, b"bpf\0") + _attribute(_OPTIONS, options)
        message = _tcm(ifindex, HANDLE, hook, _info()) + body
        try:
            self._do(_NEW_FILTER, _CREATE | _REPLACE, message)
        except OSError as error:
            # No clsact on this interface yet.
            if error.errno not in (errno.EINVAL, errno.ENOENT, errno.EOPNOTSUPP):
                raise
            self._make_clsact(ifindex)
            self._do(_NEW_FILTER, _CREATE | _REPLACE, message)

    def remove(self, ifindex: int, hook: Hook) -> None:
        """Take away what `put` put there; harmless where nothing is."""
        message = _tcm(ifindex, HANDLE, hook, _info()) + _attribute(_KIND, b"bpf\0")
        try:
            self._do(_DELETE_FILTER, 0, message)
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.EINVAL, errno.ENODEV):
                raise

    def remove_clsact(self, ifindex: int) -> None:
        """Remove the qdisc itself where no filter of anybody is left in it."""
        if not any(list(self.filters(ifindex, hook)) for hook in Hook):
            try:
                self._do(_DELETE_QDISC, 0, _tcm(ifindex, _CLSACT_HANDLE, _CLSACT_PARENT, 0))
            except OSError as error:
                if error.errno not in (errno.ENOENT, errno.EINVAL, errno.ENODEV):
                    raise

    def filters(self, ifindex: int, hook: Hook) -> Iterator[Filter]:
        """All filters at a hook; those of another kind have program 0."""
        message = _tcm(ifindex, 0, hook, 0)
        for reply in self._ask(_GET_FILTER, _REQUEST | _DUMP, message):
            handle, _, info = struct.unpack_from("=III", reply, 8)
            attributes = dict(_attributes(reply[20:]))
            options = dict(_attributes(attributes.get(_OPTIONS, b"")))
            if handle:  # 0 is the kernel's heading of a priority
                yield Filter(
                    int.from_bytes(options.get(_BPF_ID, b""), "little"),
                    options.get(_BPF_NAME, b"").rstrip(b"\0").decode(errors="replace"),
                    info >> 16,
                    handle,
                )

    def _make_clsact(self, ifindex: int) -> None:
        message = _tcm(ifindex, _CLSACT_HANDLE, _CLSACT_PARENT, 0) + _attribute(_KIND, b"clsact\0")
        try:
            self._do(_NEW_QDISC, _CREATE | _EXCLUSIVE, message)
        except FileExistsError:
            return

    def _do(self, kind: int, flags: int, message: bytes) -> None:
        for _ in self._ask(kind, _REQUEST | _ACK | flags, message):
            pass

    def _ask(self, kind: int, flags: int, message: bytes) -> Iterator[bytes]:
        """Send one message; yield the bodies of its answers until the last."""
        self._sequence += 1
        header = struct.pack("=IHHII", 16 + len(message), kind, flags, self._sequence, 0)
        self._socket.send(header + message)
        replies: list[bytes] = []
        while True:
            for kind_, sequence, body in _messages(self._socket.recv(1 << 18)):
                if sequence != self._sequence:
                    continue
                if kind_ == _ERROR:
                    code = -struct.unpack_from("=i", body)[0]
                    if code:
                        raise OSError(code, f"tc: {os.strerror(code)}")
                if kind_ in (_ERROR, _DONE):
                    yield from replies
                    return
                replies.append(body)


def _info() -> int:
    return PRIORITY << 16 | socket.htons(_ETH_P_ALL)


def _tcm(ifindex: int, handle: int, parent: int, info: int) -> bytes:
    return struct.pack("=BxxxiIII", socket.AF_UNSPEC, ifindex, handle, parent, info)


def _attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + 4 <= len(data):
        length, kind = struct.unpack_from("=HH", data, at)
        if length < 4:
            return
        yield kind & 0x3FFF, data[at + 4 : at + length]
        at += -(-length // 4) * 4


def _messages(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    at = 0
    while at + 16 <= len(data):
        length, kind, _, sequence, _ = struct.unpack_from("=IHHII", data, at)
        yield kind, sequence, data[at + 16 : at + length]
        at += -(-length // 4) * 4
