"""TCX: the programs at an interface's hooks (Linux 6.6).

Raises OSError as `bpf_syscall` does.
"""

from __future__ import annotations

import ctypes
import struct
from enum import IntEnum
from pathlib import Path
from typing import NamedTuple, Self

from vifguard.kernel.bpf.bpf_syscall import Command, Handle, Program, call, open_pin, pack

_LINK_INFO = struct.Struct("=4xII4xII")
_F_REPLACE, _F_BEFORE = 1 << 2, 1 << 3
_PROGRAMS_AT_A_HOOK = 64
"""`BPF_MPROG_MAX`: no hook takes more."""


class AttachType(IntEnum):
    """The hooks of an interface that programs are attached to."""

    TCX_INGRESS = 46
    TCX_EGRESS = 47


class Attached(NamedTuple):
    """The id of a program at a hook, and of the link that it is attached by; 0 for none."""

    program: int
    link: int


def attached(ifindex: int, where: AttachType) -> tuple[Attached, ...]:
    """The programs at a hook, in their order.

    OSError(EINVAL) where the kernel has no TCX, OSError(ENODEV) for no such interface.
    """
    room = _PROGRAMS_AT_A_HOOK
    programs, links = (ctypes.c_uint32 * room)(), (ctypes.c_uint32 * room)()
    to_programs, to_links = ctypes.addressof(programs), ctypes.addressof(links)
    attributes = pack("IIIIQIIQQQ", ifindex, where, 0, 0, to_programs, room, 0, 0, to_links, 0)
    call(Command.PROG_QUERY, attributes)
    (count,) = struct.unpack_from("=I", attributes, 24)
    return tuple(map(Attached, programs[:count], links[:count]))


def attach_first(program: Program, ifindex: int, where: AttachType) -> None:
    """Attach a program before all others: an earlier program's verdict may end the chain.

    It has no link, and so stays as long as the interface, also without its process and pins.
    OSError(EEXIST) where it is attached already.
    """
    call(Command.PROG_ATTACH, pack("IIIIIIQ", ifindex, program.fd, where, _F_BEFORE, 0, 0, 0))


def replace(old: Program, program: Program, ifindex: int, where: AttachType) -> None:
    """Put a program in the place of one without a link, between two packets.

    OSError(ENOENT) where the old one is not attached there, EEXIST where the new one is.
    """
    flags = _F_REPLACE
    call(Command.PROG_ATTACH, pack("IIIIIIQ", ifindex, program.fd, where, flags, old.fd, 0, 0))


def detach(program: Program, ifindex: int, where: AttachType) -> None:
    """Detach a program that was attached without a link; OSError(ENOENT): it is not there."""
    call(Command.PROG_DETACH, pack("IIIIIIQ", ifindex, program.fd, where, 0, 0, 0, 0))


class LinkInfo(NamedTuple):
    """A link's own id, its program, and its hook; `ifindex` 0: it is detached."""

    id: int
    program: int
    ifindex: int
    attach_type: int


class Link(Handle):
    """An attachment of a program that ends when nobody holds or pins it."""

    @classmethod
    def open(cls, path: Path | str) -> Self:
        """The link pinned at `path`."""
        return cls(open_pin(path))

    @property
    def about(self) -> LinkInfo:
        """The kernel's information on the link."""
        return LinkInfo(*_LINK_INFO.unpack(self.info(_LINK_INFO.size)))

    def detach(self) -> None:
        """Detach the program from its interface before this returns.

        Unpinning alone leaves that to a work queue of the kernel.
        """
        call(Command.LINK_DETACH, pack("I", self.fd))
