"""TCX: programs at an interface's hooks, by links and without (Linux 6.6).

OSError as of `bpf`.
"""

from __future__ import annotations

import ctypes
import struct
from enum import IntEnum
from pathlib import Path
from typing import NamedTuple, Self

from vifguard.kernel.bpf import Command, Handle, Program, call, open_pin, pack

_LINK_INFO = struct.Struct("=8xI4xII")
_F_BEFORE, _F_AFTER, _F_LINK = 1 << 3, 1 << 4, 1 << 13
_PROGRAMS_AT_A_HOOK = 64
"""`BPF_MPROG_MAX`: no hook takes more."""


class AttachType(IntEnum):
    """Where on an interface a TCX link stands (Linux 6.6)."""

    TCX_INGRESS = 46
    TCX_EGRESS = 47


class LinkInfo(NamedTuple):
    """Which program a link runs, and where; `ifindex` 0: its interface is gone."""

    program: int
    ifindex: int
    attach_type: int


class Link(Handle):
    """An attachment of a program to an interface; it ends when nobody holds or pins it."""

    @classmethod
    def attach(cls, program: Program, ifindex: int, where: AttachType) -> Self:
        """Attach before whatever stands there: what passes first may end the chain."""
        attributes = pack("IIIIIIQ", program.fd, ifindex, where, _F_BEFORE, 0, 0, 0)
        return cls(call(Command.LINK_CREATE, attributes))

    @classmethod
    def open(cls, path: Path | str) -> Self:
        """The link pinned at `path`."""
        return cls(open_pin(path))

    @classmethod
    def by_id(cls, number: int) -> Self:
        """The link of an id; OSError(ENOENT) where there is none any more."""
        return cls(call(Command.LINK_GET_FD_BY_ID, pack("III", number, 0, 0)))

    @property
    def about(self) -> LinkInfo:
        """What the kernel says of the link."""
        return LinkInfo(*_LINK_INFO.unpack(self.info(_LINK_INFO.size)))

    def detach(self) -> None:
        """Take the program off its interface before this returns.

        Unpinning alone leaves that to a work queue of the kernel.
        """
        call(Command.LINK_DETACH, pack("I", self.fd))

    def update(self, program: Program) -> None:
        """Put `program` in the place of the link's present one, between two packets."""
        call(Command.LINK_UPDATE, pack("IIII", self.fd, program.fd, 0, 0))


def attached(ifindex: int, where: AttachType) -> tuple[int, ...]:
    """The ids of the programs at a TCX hook, in their order.

    OSError(EINVAL) where the kernel has no TCX, OSError(ENODEV) for no such interface.
    """
    return tuple(program for program, _ in attached_by(ifindex, where))


def attached_by(ifindex: int, where: AttachType) -> tuple[tuple[int, int], ...]:
    """The same with the id of the link of each; 0 for one without."""
    room = _PROGRAMS_AT_A_HOOK
    programs, links = (ctypes.c_uint32 * room)(), (ctypes.c_uint32 * room)()
    to_programs, to_links = ctypes.addressof(programs), ctypes.addressof(links)
    attributes = pack("IIIIQIIQQQ", ifindex, where, 0, 0, to_programs, room, 0, 0, to_links, 0)
    call(Command.PROG_QUERY, attributes)
    (count,) = struct.unpack_from("=I", attributes, 24)
    return tuple(zip(programs[:count], links[:count], strict=True))


def attach_behind(program: Program, link: Link, ifindex: int, where: AttachType) -> None:
    """Let a program stand right behind a link's, without a link of its own.

    It then stays there as long as the interface, whatever ends and is unpinned.
    """
    attributes = pack("IIIIIIQ", ifindex, program.fd, where, _F_AFTER | _F_LINK, 0, link.fd, 0)
    call(Command.PROG_ATTACH, attributes)


def detach(program: Program, ifindex: int, where: AttachType) -> None:
    """Take away a program that was attached without a link; OSError(ENOENT): it is not there."""
    call(Command.PROG_DETACH, pack("IIIIIIQ", ifindex, program.fd, where, 0, 0, 0, 0))
