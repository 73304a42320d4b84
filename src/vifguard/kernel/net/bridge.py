"""Bridges and their members: settings, VLAN membership, forwarding entries.

linux/if_link.h (IFLA_BR_*, IFLA_BRPORT_*), linux/if_bridge.h, linux/neighbour.h.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from vifguard.kernel.net import netlink
from vifguard.kernel.net.netlink import (
    Message,
    Netlink,
    NetlinkError,
    attribute,
    nest,
    text,
    u8,
    u32,
)
from vifguard.model.address import Mac

_NEW, _DELETE, _GET, _SET = 16, 17, 18, 19
_NEW_NEIGHBOUR, _GET_NEIGHBOUR = 28, 30
_LINK_LAYER, _OF_BRIDGE = 2, 9
_INFO = struct.Struct("=BxHiII")
_NEIGHBOUR = struct.Struct("=BxxxiHBB")

_LINKINFO, _AF_SPEC, _EXT_MASK, _PROTINFO = 18, 26, 29, 12
_KIND, _DATA, _SLAVE_KIND, _SLAVE_DATA = 1, 2, 4, 5
_BRIDGE = "bridge"
_VLAN_FILTERING, _VLAN_PROTOCOL, _DEFAULT_VLAN, _MAX_LEARNED = 7, 8, 39, 49
_HAIRPIN, _LEARNING, _MULTICAST_ROUTER = 4, 8, 25
_BRIDGE_FLAGS, _VLAN_INFO = 0, 2
_TO_SELF = 2
_PVID, _UNTAGGED = 0x2, 0x4
_ONLY_VLANS = 2
_SKIP_STATISTICS = 8
_TO_MASTER = 0x02
_NO_ARP, _PERMANENT = 0x40, 0x80

THE_VLAN = 1
"""The VLAN of the members of a bridge that may forward."""

SERVICE_TAG = 0x88A8
"""802.1ad: a bridge that filters by these tags leaves guests' own 802.1Q tags alone."""


@dataclass(frozen=True, slots=True)
class BridgeSettings:
    """The VLAN settings of a bridge, and the limit of its learning.

    `default_vlan` is a new member's, 0 for none. `max_learned` is the most forwarding
    entries that it learns, 0 for any number, None where the kernel has no such limit (Linux 6.7).
    """

    vlan_filtering: bool
    vlan_protocol: int
    default_vlan: int
    max_learned: int | None


@dataclass(frozen=True, slots=True)
class MemberSettings:
    """The settings of one member of a bridge.

    `multicast_router`: 0 never one, 1 learned from queries, 2 always one.
    """

    hairpin: bool
    learning: bool
    multicast_router: int


@dataclass(frozen=True, slots=True)
class Entry:
    """A forwarding entry: a MAC behind a member, and whether it was learned from a frame."""

    member: int
    mac: Mac
    learned: bool


class Bridges:
    """The bridges of the network namespace of the thread that makes this. One thread's."""

    def __init__(self) -> None:
        self._netlink = Netlink(socket.NETLINK_ROUTE)

    def close(self) -> None:
        """Close the socket."""
        self._netlink.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def settings(self, index: int) -> BridgeSettings | None:
        """The settings of a bridge; None where the link is none."""
        info = self._info(index)
        if netlink.read_text(info.get(_KIND, b"")) != _BRIDGE:
            return None
        data = netlink.attributes(info.get(_DATA, b""))
        most = data.get(_MAX_LEARNED)
        return BridgeSettings(
            _number(data.get(_VLAN_FILTERING)) != 0,
            int.from_bytes(data.get(_VLAN_PROTOCOL, b""), "big"),
            _number(data.get(_DEFAULT_VLAN)),
            None if most is None else _number(most),
        )

    def member(self, index: int) -> MemberSettings | None:
        """The settings of a bridge's member; None where the link is none."""
        info = self._info(index)
        if netlink.read_text(info.get(_SLAVE_KIND, b"")) != _BRIDGE:
            return None
        data = netlink.attributes(info.get(_SLAVE_DATA, b""))
        return MemberSettings(
            _number(data.get(_HAIRPIN)) != 0,
            _number(data.get(_LEARNING)) != 0,
            _number(data.get(_MULTICAST_ROUTER)),
        )

    def set_vlans(
        self,
        index: int,
        *,
        protocol: int | None = None,
        default: int | None = None,
        filtering: bool | None = None,
    ) -> None:
        """Set the VLAN settings of a bridge; NetlinkError where the kernel's bridges have none."""
        data = b""
        if default is not None:
            data += attribute(_DEFAULT_VLAN, struct.pack("=H", default))
        if protocol is not None:
            data += attribute(_VLAN_PROTOCOL, struct.pack("!H", protocol))
        if filtering is not None:
            data += u8(_VLAN_FILTERING, filtering)
        self._set_bridge(index, data)

    def set_max_learned(self, index: int, most: int) -> None:
        """Limit the number of forwarding entries that a bridge learns; 0: no limit."""
        self._set_bridge(index, u32(_MAX_LEARNED, most))

    def set_member(
        self,
        index: int,
        *,
        hairpin: bool | None = None,
        learning: bool | None = None,
        multicast_router: int | None = None,
    ) -> NetlinkError | None:
        """Set the settings of a member; return the refusal, if any."""
        wanted = {_HAIRPIN: hairpin, _LEARNING: learning, _MULTICAST_ROUTER: multicast_router}
        data = b"".join(u8(kind, value) for kind, value in wanted.items() if value is not None)
        body = _header(index, socket.AF_BRIDGE) + nest(_PROTINFO, data)
        return self._netlink.do_all([Message(_SET, body)])[0]

    def vlans(self) -> Mapping[int, frozenset[int]]:
        """The VLANs of each member of a bridge, by its index, and of the bridges themselves."""
        request = Message(_GET, _header(0, socket.AF_BRIDGE) + u32(_EXT_MASK, _ONLY_VLANS))
        return {
            _INFO.unpack_from(answer.body)[2]: frozenset(_vlans_of(answer.body))
            for answer in self._netlink.dump(request)
        }

    def allow_vlan(
        self, indexes: Sequence[int], *, to_self: bool = False
    ) -> list[NetlinkError | None]:
        """Put members into the one VLAN, or with `to_self` the bridges that are named."""
        info = struct.pack("=HH", _PVID | _UNTAGGED, THE_VLAN)
        return self._change_vlans(_SET, indexes, info, to_self=to_self)

    def deny_vlan(self, indexes: Sequence[int]) -> list[NetlinkError | None]:
        """Take members out of the one VLAN: they forward nothing any more."""
        return self._change_vlans(_DELETE, indexes, struct.pack("=HH", 0, THE_VLAN))

    def add_entries(self, index: int, macs: Iterable[Mac]) -> NetlinkError | None:
        """Add static entries for MACs behind a member; return the first refusal, if any."""
        head = _NEIGHBOUR.pack(socket.AF_BRIDGE, index, _NO_ARP, _TO_MASTER, 0)
        bodies = [head + attribute(_LINK_LAYER, mac.octets) for mac in macs]
        flags = netlink.CREATE | netlink.REPLACE
        results = self._netlink.do_all([Message(_NEW_NEIGHBOUR, body, flags) for body in bodies])
        return next((error for error in results if error is not None), None)

    def entries(self) -> list[Entry]:
        """The forwarding entries of all members."""
        request = Message(_GET_NEIGHBOUR, _NEIGHBOUR.pack(socket.AF_BRIDGE, 0, 0, 0, 0))
        found = []
        for answer in self._netlink.dump(request):
            _, index, state, _, _ = _NEIGHBOUR.unpack_from(answer.body)
            attributes = netlink.attributes(answer.body, _NEIGHBOUR.size)
            octets = attributes.get(_LINK_LAYER, b"")
            if len(octets) == 6 and _OF_BRIDGE in attributes:
                learned = not state & (_PERMANENT | _NO_ARP)
                found.append(Entry(index, Mac(octets), learned))
        return found

    def _info(self, index: int) -> dict[int, bytes]:
        request = Message(_GET, _header(index) + u32(_EXT_MASK, _SKIP_STATISTICS))
        found = netlink.attributes(self._netlink.query(request).body, _INFO.size)
        return netlink.attributes(found.get(_LINKINFO, b""))

    def _set_bridge(self, index: int, data: bytes) -> None:
        info = nest(_LINKINFO, text(_KIND, _BRIDGE), nest(_DATA, data))
        self._netlink.do(Message(_NEW, _header(index) + info))

    def _change_vlans(
        self, kind: int, indexes: Sequence[int], info: bytes, *, to_self: bool = False
    ) -> list[NetlinkError | None]:
        flags = attribute(_BRIDGE_FLAGS, struct.pack("=H", _TO_SELF)) if to_self else b""
        spec = nest(_AF_SPEC, flags, attribute(_VLAN_INFO, info))
        return self._netlink.do_all(
            [Message(kind, _header(index, socket.AF_BRIDGE) + spec) for index in indexes]
        )


def _header(index: int = 0, family: int = 0) -> bytes:
    return _INFO.pack(family, 0, index, 0, 0)


def _number(value: bytes | None) -> int:
    return int.from_bytes(value or b"", "little")


def _vlans_of(body: bytes) -> Iterator[int]:
    """The VLANs in an AF_BRIDGE message, which gives a range by its ends."""
    spec = netlink.attributes(body, _INFO.size).get(_AF_SPEC, b"")
    at, first = 0, 0
    while at + 4 <= len(spec):
        length, kind = struct.unpack_from("=HH", spec, at)
        if length < 4:
            return
        if kind & 0x3FFF == _VLAN_INFO:
            flags, vlan = struct.unpack_from("=HH", spec, at + 4)
            if flags & 0x8:  # BRIDGE_VLAN_INFO_RANGE_BEGIN
                first = vlan
            else:
                yield from range(first, vlan + 1) if flags & 0x10 and first else (vlan,)
        at += (length + 3) & ~3
