"""Programs at the clsact hooks, for kernels before TCX (Linux 6.6)."""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Self

from vifguard.kernel.bpf.bpf_syscall import Program
from vifguard.kernel.net.netlink import (
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

_NEW_QDISC, _DELETE_QDISC, _GET_QDISC = 36, 37, 38
_NEW_FILTER, _DELETE_FILTER, _GET_FILTER = 44, 45, 46
_CLSACT_HANDLE = 0xFFFF0000
_CLSACT_PARENT = 0xFFFFFFF1
_KIND, _OPTIONS, _CHAIN = 1, 2, 11
_BPF_FD, _BPF_NAME, _BPF_FLAGS, _BPF_ID = 6, 7, 8, 11
_DIRECT_ACTION = 1
_ETH_P_ALL = 3
_TCM = struct.Struct("=BxxxiIII")

PRIORITY = 1
"""First of all filters: an earlier filter's verdict may end the chain."""


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

    def put(self, ifindex: int, hook: Hook, program: Program, name: str, replaced: int = 0) -> None:
        """Put `program` first at `hook`, as a filter called `name`.

        `replaced` is the handle of the filter at PRIORITY whose program it replaces, between
        two packets; 0 adds a filter in front of all others of that priority (cls_bpf adds at
        the head of its list). OSError where another kind of filter has the priority.
        """
        options = u32(_BPF_FD, program.fd) + text(_BPF_NAME, name)
        options += u32(_BPF_FLAGS, _DIRECT_ACTION)
        body = _filter(ifindex, hook, replaced) + text(_KIND, "bpf") + attribute(_OPTIONS, options)
        message = Message(_NEW_FILTER, body, CREATE | (REPLACE if replaced else EXCLUSIVE))
        self._make_clsact(ifindex)
        self._netlink.do(message)

    def remove(self, ifindex: int, hook: Hook, handle: int) -> None:
        """Remove the filter at PRIORITY with this handle; harmless where there is none."""
        self._delete(Message(_DELETE_FILTER, _filter(ifindex, hook, handle) + text(_KIND, "bpf")))

    def remove_clsact(self, ifindex: int) -> None:
        """Remove the qdisc itself where no filter of anybody is left in it."""
        if not any(list(self.filters(ifindex, hook)) for hook in Hook):
            self._delete(Message(_DELETE_QDISC, _qdisc(ifindex)))

    def ifindexes(self) -> list[int]:
        """The interfaces that have the qdisc."""
        request = Message(_GET_QDISC, _TCM.pack(socket.AF_UNSPEC, 0, 0, 0, 0))
        return [
            _TCM.unpack_from(answer.body)[1]
            for answer in self._netlink.dump(request)
            if read_text(attributes(answer.body, _TCM.size).get(_KIND, b"")) == "clsact"
        ]

    def filters(self, ifindex: int, hook: Hook) -> Iterator[Filter]:
        """All filters that every frame passes at a hook, in that order.

        Filters of another kind than bpf have program 0.
        """
        request = Message(_GET_FILTER, _TCM.pack(socket.AF_UNSPEC, ifindex, 0, hook, 0))
        for answer in self._netlink.dump(request):
            _, _, handle, _, info = _TCM.unpack_from(answer.body)
            found = attributes(answer.body, _TCM.size)
            options = attributes(found.get(_OPTIONS, b""))
            # Other chains are entered by a filter of chain 0 alone.
            chain = int.from_bytes(found.get(_CHAIN, b""), "little")
            if handle and not chain:  # handle 0 is the kernel's heading of a priority
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


def _filter(ifindex: int, hook: Hook, handle: int) -> bytes:
    info = PRIORITY << 16 | socket.htons(_ETH_P_ALL)
    return _TCM.pack(socket.AF_UNSPEC, ifindex, handle, hook, info)


def _qdisc(ifindex: int) -> bytes:
    return _TCM.pack(socket.AF_UNSPEC, ifindex, _CLSACT_HANDLE, _CLSACT_PARENT, 0)
