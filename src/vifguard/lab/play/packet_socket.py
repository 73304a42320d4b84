"""AF_PACKET sockets: frames that a station sends raw, and every frame that its device saw."""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from vifguard.lab.attacks.attack import Offload
from vifguard.lab.world.netns import LabError, within

ETH_P_ALL = 0x0003
_SOL_PACKET = 263
_PACKET_AUXDATA = 8
_PACKET_VNET_HDR = 15
_PACKET_OUTGOING = 4
_SO_RCVBUFFORCE = 33
_VLAN_VALID, _VLAN_TPID_VALID = 1 << 4, 1 << 6
_AUXDATA = struct.Struct("=IIIHHHH")
_BUFFER = 64 << 20
_LONGEST = 1 << 17


@dataclass(frozen=True, slots=True)
class Heard:
    """One frame at a device; `outgoing` when the device's own side sent it."""

    frame: bytes
    outgoing: bool


class CannotSendError(LabError):
    """The kernel refused to take the frame from the socket: this proves nothing of any guard."""


class PacketSocket:
    """A socket on one device of a namespace; without a device, on all of them.

    With a `protocol` other than ETH_P_ALL it stands where a daemon of the host stands: it
    receives only frames that got past every hook in front of the protocol handlers.
    """

    def __init__(self, netns: str, device: str = "", protocol: int = ETH_P_ALL) -> None:
        self.netns, self.device, self.protocol = netns, device, protocol
        self._socket = within(netns, lambda: _open(device, protocol))
        self._offloading: socket.socket | None = None

    def fileno(self) -> int:
        """The descriptor for select."""
        return self._socket.fileno()

    def close(self) -> None:
        """Stop listening."""
        self._socket.close()
        if self._offloading is not None:
            self._offloading.close()

    def send(self, frame: bytes, offload: Offload | None = None) -> None:
        """Put one frame on the wire; raises CannotSendError where the kernel refuses it."""
        try:
            if offload is None:
                self._socket.send(frame)
            else:
                self._offload_socket().send(offload.header + frame)
        except OSError as error:
            name = errno.errorcode.get(error.errno or 0, "?")
            raise CannotSendError(
                f"{len(frame)} bytes on {self.device} in {self.netns}: {name} {error.strerror}"
            ) from error

    def drain(self) -> Iterator[Heard]:
        """Every frame since the last drain, tags where they were on the wire."""
        while True:
            try:
                data, ancillary, _flags, address = self._socket.recvmsg(_LONGEST, 64)
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno != errno.ENETDOWN:
                    raise
                continue  # the device was down for a while; the error comes once
            yield Heard(_with_tag(data, ancillary), outgoing=address[2] == _PACKET_OUTGOING)

    def _offload_socket(self) -> socket.socket:
        if self._offloading is None:
            self._offloading = within(self.netns, lambda: _open(self.device, 0))
            self._offloading.setsockopt(_SOL_PACKET, _PACKET_VNET_HDR, 1)
        return self._offloading


def _open(device: str, protocol: int) -> socket.socket:
    # Protocol 0 until bound to a device: else it would receive others' frames in between.
    everywhere = 0 if device else socket.htons(protocol)
    tap = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, everywhere)
    tap.setblocking(False)  # noqa: FBT003 - the standard library's own signature
    tap.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER)
    tap.setsockopt(_SOL_PACKET, _PACKET_AUXDATA, 1)
    if device:
        tap.bind((device, protocol))
    return tap


def _with_tag(data: bytes, ancillary: list[tuple[int, int, bytes]]) -> bytes:
    """The frame as it was on the wire: the kernel keeps the outer tag beside it."""
    for level, kind, value in ancillary:
        if level == _SOL_PACKET and kind == _PACKET_AUXDATA:
            status, _len, _snap, _mac, _net, tci, tpid = _AUXDATA.unpack_from(value)
            if status & _VLAN_VALID:
                tag = struct.pack("!HH", tpid if status & _VLAN_TPID_VALID else 0x8100, tci)
                return data[:12] + tag + data[12:]
    return data
