"""The tables of a namespace's kernel: forwarding entries, neighbours, addresses.

Raw rtnetlink, since these are read twice a probe: a library's object a dump would cost more
than the probe.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address

from vifguard.kernel.net.netlink import attribute, attributes
from vifguard.lab.world.netns import LabError, within
from vifguard.model.address import IPAddress, Mac

_RTM_NEWNEIGH, _RTM_GETNEIGH = 28, 30
_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_REQUEST, _ACK, _DUMP, _REPLACE, _CREATE = 0x1, 0x4, 0x300, 0x100, 0x400
_NDA_DST, _NDA_LLADDR, _NDA_VLAN, _NDA_MASTER = 1, 2, 5, 9
_NUD_STALE, _NUD_NOARP, _NUD_PERMANENT = 0x04, 0x40, 0x80
_SOL_NETLINK, _STRICT = 270, 12
_HEADER = struct.Struct("=IHHII")
_NDMSG = struct.Struct("=BBHiHBB")


@dataclass(frozen=True, slots=True, order=True)
class Forwarding:
    """A bridge forwards frames to `mac` out of the device with this index."""

    mac: Mac
    ifindex: int


class Tables:
    """A netlink socket that stays in one namespace."""

    def __init__(self, netns: str) -> None:
        self.netns = netns
        self._socket = within(netns, _open)

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def forwarding(self, bridge: int) -> frozenset[Forwarding]:
        """The forwarding entries of the bridge with this index, its own addresses excepted."""
        only = attribute(_NDA_MASTER, struct.pack("=I", bridge))
        return frozenset(
            Forwarding(Mac(attributes[_NDA_LLADDR]), ifindex)
            for ifindex, state, attributes in self._dump(socket.AF_BRIDGE, only)
            if _NDA_LLADDR in attributes and not state & _NUD_PERMANENT
        )

    def neighbours(self) -> dict[IPAddress, Mac]:
        """The MAC of each address, as the namespace's own stack believes (both families)."""
        return {
            ip_address(attributes[_NDA_DST]): Mac(attributes[_NDA_LLADDR])
            for _ifindex, state, attributes in self._dump(socket.AF_UNSPEC)
            if _NDA_LLADDR in attributes and not state & _NUD_NOARP
        }

    def seed(self, ifindex: int, address: IPAddress, mac: Mac) -> None:
        """Make the stack believe that `address` is at `mac`, as if it had just learned it."""
        family = socket.AF_INET if address.version == 4 else socket.AF_INET6
        body = _NDMSG.pack(family, 0, 0, ifindex, _NUD_STALE, 0, 0)
        body += attribute(_NDA_DST, address.packed) + attribute(_NDA_LLADDR, mac.octets)
        self._request(_RTM_NEWNEIGH, _REQUEST | _ACK | _REPLACE | _CREATE, body)
        for _answer in self._answers():
            pass

    def _dump(self, family: int, only: bytes = b"") -> Iterator[tuple[int, int, dict[int, bytes]]]:
        body = _NDMSG.pack(family, 0, 0, 0, 0, 0, 0) + only
        self._request(_RTM_GETNEIGH, _REQUEST | _DUMP, body)
        for body in self._answers():
            _family, _p1, _p2, ifindex, state, _flags, _type = _NDMSG.unpack_from(body)
            yield ifindex, state, attributes(body, _NDMSG.size)

    def _request(self, kind: int, flags: int, body: bytes) -> None:
        self._socket.send(_HEADER.pack(_HEADER.size + len(body), kind, flags, 0, 0) + body)

    def _answers(self) -> Iterator[bytes]:
        while True:
            data = self._socket.recv(1 << 18)
            while data:
                length, kind, _flags, _sequence, _pid = _HEADER.unpack_from(data)
                body, data = data[_HEADER.size : length], data[(length + 3) & ~3 :]
                if kind == _NLMSG_DONE:
                    return
                if kind == _NLMSG_ERROR:
                    (code,) = struct.unpack_from("=i", body)
                    if code:
                        raise LabError(f"rtnetlink in {self.netns}: error {-code}")
                    return
                yield body


def ifindex(netns: str, device: str) -> int:
    """The index of a device."""
    return within(netns, lambda: socket.if_nametoindex(device))


def _open() -> socket.socket:
    link = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
    # The kernel then filters a dump itself, by the fields of the request.
    link.setsockopt(_SOL_NETLINK, _STRICT, 1)
    link.settimeout(10)
    link.bind((0, 0))
    return link
