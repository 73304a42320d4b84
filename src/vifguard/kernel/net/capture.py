"""Capture of a device's frames as they pass, without changing one (packet(7))."""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

_SOL_PACKET = 263
_AUXDATA_OPTION = 8
_OUTGOING = 4
_EVERY_PROTOCOL = 3
_RECEIVE_BUFFER_FORCE = 33
_BUFFER = 16 << 20
_LONGEST = 1 << 17
_VLAN_VALID, _VLAN_TYPE_VALID = 1 << 4, 1 << 6
_AUXDATA = struct.Struct("=IIIHHHH")
_STATISTICS, _COUNTS = 6, struct.Struct("=II")
_TAG = 0x8100


@dataclass(frozen=True, slots=True)
class Captured:
    """One frame, its outer tag where it was on the wire; `outgoing`: the device sent it."""

    frame: bytes
    outgoing: bool


class Capture:
    """The frames of one device, in the network namespace of the thread that makes this."""

    def __init__(self, device: str) -> None:
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        self._socket.setblocking(False)  # noqa: FBT003 - the standard library's own signature
        self._socket.setsockopt(socket.SOL_SOCKET, _RECEIVE_BUFFER_FORCE, _BUFFER)
        self._socket.setsockopt(_SOL_PACKET, _AUXDATA_OPTION, 1)
        self._socket.bind((device, _EVERY_PROTOCOL))

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def fileno(self) -> int:
        """The descriptor, for select()."""
        return self._socket.fileno()

    def frames(self) -> Iterator[Captured]:
        """Every frame since the last call."""
        while True:
            try:
                data, ancillary, _, address = self._socket.recvmsg(_LONGEST, 64)
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in (errno.ENODEV, errno.ENXIO):
                    return
                if error.errno != errno.ENETDOWN:
                    raise
                continue  # the device went down; the socket reports that once
            yield Captured(_with_tag(data, ancillary), address[2] == _OUTGOING)

    def lost(self) -> int:
        """The number of frames lost for lack of room since the last call."""
        counts = self._socket.getsockopt(_SOL_PACKET, _STATISTICS, _COUNTS.size)
        _, dropped = _COUNTS.unpack(counts)
        return int(dropped)


def _with_tag(data: bytes, ancillary: list[tuple[int, int, bytes]]) -> bytes:
    for level, kind, value in ancillary:
        if (level, kind) == (_SOL_PACKET, _AUXDATA_OPTION):
            status, _, _, _, _, control, tag = _AUXDATA.unpack_from(value)
            if status & _VLAN_VALID:
                tag = tag if status & _VLAN_TYPE_VALID else _TAG
                return data[:12] + struct.pack("!HH", tag, control) + data[12:]
    return data
