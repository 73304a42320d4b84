"""The host's neighbour tables, and its default gateways (rtnetlink(7))."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from ipaddress import ip_address

from vifguard.kernel.net import netlink
from vifguard.kernel.net.netlink import Message, Netlink
from vifguard.model.address import IPAddress, Mac

_GET_ROUTE, _GET_NEIGHBOUR = 26, 30
_NEIGHBOUR = struct.Struct("=BxxxiHBB")
_ROUTE = struct.Struct("=BBBBBBBBI")
_DESTINATION, _LINK_LAYER = 1, 2
_LEAVES_BY, _GATEWAY = 4, 5
_MAIN = 254


def neighbours(index: int) -> Iterator[tuple[IPAddress, Mac]]:
    """The addresses on one link whose MACs the host knows, with these."""
    with Netlink(socket.NETLINK_ROUTE) as requests:
        request = Message(_GET_NEIGHBOUR, _NEIGHBOUR.pack(socket.AF_UNSPEC, 0, 0, 0, 0))
        for answer in requests.dump(request):
            family, link, _, _, _ = _NEIGHBOUR.unpack_from(answer.body)
            found = netlink.attributes(answer.body, _NEIGHBOUR.size)
            octets = found.get(_LINK_LAYER, b"")
            if link == index and family != socket.AF_BRIDGE and len(octets) == 6:
                mac = Mac(octets)
                if not (mac.is_group or mac.is_zero):
                    yield ip_address(found[_DESTINATION]), mac


def gateways(index: int) -> Iterator[IPAddress]:
    """The gateways of the host's default routes by one link."""
    with Netlink(socket.NETLINK_ROUTE) as requests:
        request = Message(_GET_ROUTE, _ROUTE.pack(socket.AF_UNSPEC, 0, 0, 0, 0, 0, 0, 0, 0))
        for answer in requests.dump(request):
            _, length, _, _, table, *_ = _ROUTE.unpack_from(answer.body)
            found = netlink.attributes(answer.body, _ROUTE.size)
            by = int.from_bytes(found.get(_LEAVES_BY, b""), "little")
            if length == 0 and table == _MAIN and by == index and _GATEWAY in found:
                yield ip_address(found[_GATEWAY])
