"""Programs at the clsact hooks, for kernels before TCX (Linux 6.6)."""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Self

from vifguard.kernel.bpf import Program
from vifguard.kernel.netlink import (
    CREATE,
    EXCLUSIVE,
    REPLACE,
    Message,
    Netlink,
    attribute,
    attributes,
    read_text,
    text,
    u32,
)

_NEW_QDISC, _DELETE_QDISC = 36, 37
_NEW_FILTER, _DELETE_FILTER, _GET_FILTER = 44, 45, 46
_CLSACT_HANDLE = 0xFFFF0000
_CLSACT_PARENT = 0xFFFFFFF1
_KIND, _OPTIONS = 1, 2
_BPF_FD, _BPF_NAME, _BPF_FLAGS, _BPF_ID = 6, 7, 8, 11
_DIRECT_ACTION = 1
_ETH_P_ALL = 3
_TCM = struct.Struct("=BxxxiIII")

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
        self._netlink = Netlink(socket.NETLINK_ROUTE)

    def close(self) -> None:
        """Close the netlink socket; filters stay."""
        self._netlink.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def put(self, ifindex: int, hook: Hook, program: Program, name: str) -> None:
        """Let `program` stand at `hook`, in place of what this class put there before.

        The kernel swaps the filter's program between two packets.
        """
        options = u32(_BPF_FD, program.fd) + text(_BPF_NAME, name)
        options += u32(_BPF_FLAGS, _DIRECT_ACTION)
        body = _filter(ifindex, hook) + text(_KIND, "bpf") + attribute(_OPTIONS, options)
        message = Message(_NEW_FILTER, body, CREATE | REPLACE)
        try:
            self._netlink.do(message)
        except OSError as error:
            # No clsact on this interface yet.
            if error.errno not in (errno.EINVAL, errno.ENOENT, errno.EOPNOTSUPP):
                raise
            self._make_clsact(ifindex)
            self._netlink.do(message)

    def remove(self, ifindex: int, hook: Hook) -> None:
        """Take away what `put` put there; harmless where nothing is."""
        self._delete(Message(_DELETE_FILTER, _filter(ifindex, hook) + text(_KIND, "bpf")))

    def remove_clsact(self, ifindex: int) -> None:
        """Remove the qdisc itself where no filter of anybody is left in it."""
        if not any(list(self.filters(ifindex, hook)) for hook in Hook):
            self._delete(Message(_DELETE_QDISC, _qdisc(ifindex)))

    def filters(self, ifindex: int, hook: Hook) -> Iterator[Filter]:
        """All filters at a hook; those of another kind have program 0."""
        request = Message(_GET_FILTER, _TCM.pack(socket.AF_UNSPEC, ifindex, 0, hook, 0))
        for answer in self._netlink.dump(request):
            _, _, handle, _, info = _TCM.unpack_from(answer.body)
            options = attributes(attributes(answer.body, _TCM.size).get(_OPTIONS, b""))
            if handle:  # 0 is the kernel's heading of a priority
                yield Filter(
                    int.from_bytes(options.get(_BPF_ID, b""), "little"),
                    read_text(options.get(_BPF_NAME, b"")),
                    info >> 16,
                    handle,
                )

    def _make_clsact(self, ifindex: int) -> None:
        body = _qdisc(ifindex) + text(_KIND, "clsact")
        try:
            self._netlink.do(Message(_NEW_QDISC, body, CREATE | EXCLUSIVE))
        except OSError as error:
            if error.errno != errno.EEXIST:
                raise

    def _delete(self, message: Message) -> None:
        try:
            self._netlink.do(message)
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.EINVAL, errno.ENODEV):
                raise


def _filter(ifindex: int, hook: Hook) -> bytes:
    info = PRIORITY << 16 | socket.htons(_ETH_P_ALL)
    return _TCM.pack(socket.AF_UNSPEC, ifindex, HANDLE, hook, info)


def _qdisc(ifindex: int) -> bytes:
    return _TCM.pack(socket.AF_UNSPEC, ifindex, _CLSACT_HANDLE, _CLSACT_PARENT, 0)
