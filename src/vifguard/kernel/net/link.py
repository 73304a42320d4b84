"""Links (network devices): reading, watching, making and changing them.

rtnetlink(7), linux/if_link.h, linux/if_bridge.h.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv4Interface, IPv6Interface, ip_interface
from typing import Any, Self

from vifguard.kernel.net import netlink
from vifguard.kernel.net.netlink import (
    Message,
    Netlink,
    NetlinkError,
    attribute,
    nest,
    text,
    u8,
    u16,
    u32,
)
from vifguard.model.address import Mac

_NEW, _DELETE, _GET = 16, 17, 18
_GET_ADDRESSES = 22
_DELETE_QDISC, _DELETE_FILTER = 37, 45
_GROUP_LINK, _GROUP_TC = 1, 4
_INFO = struct.Struct("=BxHiII")
_ADDRESS_INFO = struct.Struct("=BBBBi")
_TC_INFO = struct.Struct("=xxxxi")
_UP, _LOOPBACK = 0x1, 0x8
_ETHERNET = 1
_SCOPE_GLOBAL = 0
_ANY_ADDRESS, _LOCAL_ADDRESS = 1, 2

_ADDRESS, _NAME, _MTU, _LOWER, _MASTER = 1, 3, 4, 5, 10
_LINKINFO, _ALIAS, _EXT_MASK = 18, 20, 29
_LOWER_NAMESPACE, _PORT_NAME, _BUS = 37, 38, 57
_KIND, _DATA, _SLAVE_KIND, _SLAVE_DATA = 1, 2, 4, 5
_SKIP_STATISTICS = 8

_STP, _VLAN_FILTERING, _VLAN_PROTOCOL, _MULTICAST_ROUTER, _SNOOPING = 5, 7, 8, 22, 23
_DEFAULT_VLAN, _MAX_LEARNED = 39, 49
_PORT_HAIRPIN = 4
_SERVICE_TAG = 0x88A8

BRIDGE = "bridge"


@dataclass(frozen=True, slots=True)
class Link:
    """A network device. `kind` is empty for hardware, `tun` for a tap.

    `master` is the index of the bridge or bond that it is a member of, `lower` that of the
    device below it (macvtap, VLAN), both 0 for none. `mac` is None where the device is
    not an Ethernet one. `hairpin`: as a bridge's member, it gets its own frames back. `bus` is
    that of its hardware (`pci`, `virtio`; Linux 5.14), `port_name` the name of its port there;
    empty where the kernel has none.
    """

    index: int
    name: str
    mac: Mac | None
    kind: str = ""
    master: int = 0
    lower: int = 0
    mtu: int = 1500
    up: bool = False
    loopback: bool = False
    hairpin: bool = False
    alias: str = ""
    bus: str = ""
    port_name: str = ""


@dataclass(frozen=True, slots=True)
class LinkChange:
    """The changes to a link; None leaves a property as it is. `master` 0 is none."""

    index: int
    master: int | None = None
    up: bool | None = None
    mtu: int | None = None
    mac: Mac | None = None
    alias: str | None = None


def changed(link: Link, change: LinkChange) -> Link:
    """The link as it is once the change is made."""
    wanted: dict[str, Any] = {
        "master": change.master,
        "up": change.up,
        "mtu": change.mtu,
        "mac": change.mac,
        "alias": change.alias,
    }
    return replace(link, **{name: value for name, value in wanted.items() if value is not None})


@dataclass(frozen=True, slots=True)
class NewBridge:
    """A bridge to make: no spanning tree, no snooping; down until somebody sets it up.

    `vlan_quarantine`: a new member forwards nothing until `Bridges.allow_vlan`. The bridge
    then filters by 802.1ad tags, so that guests' own 802.1Q tags stay opaque to it.
    It learns at most `max_learned` forwarding entries, where the kernel can limit them
    (Linux 6.7): a guest without guards would fill the host's memory.
    """

    name: str
    mac: Mac
    mtu: int
    vlan_quarantine: bool = False
    max_learned: int = 65536


class Links:
    """The links of the network namespace of the thread that makes this. One thread's."""

    def __init__(self) -> None:
        self._netlink = Netlink(socket.NETLINK_ROUTE)

    def close(self) -> None:
        """Close the socket."""
        self._netlink.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def all(self) -> list[Link]:
        """Every link."""
        request = Message(_GET, _header() + u32(_EXT_MASK, _SKIP_STATISTICS))
        return [link for answer in self._netlink.dump(request) if (link := _link(answer.body))]

    def named(self, name: str) -> Link | None:
        """The link with this name."""
        return self._one(_header() + text(_NAME, name))

    def at(self, index: int) -> Link | None:
        """The link with this index."""
        return self._one(_header(index))

    def change(self, changes: Sequence[LinkChange]) -> list[NetlinkError | None]:
        """Change links, each on its own; return the refusal of each, or None.

        Within one change the master comes before up: a link is never up and still free.
        """
        return self._netlink.do_all([_setting(change) for change in changes])

    def make_bridge(self, bridge: NewBridge) -> Link:
        """Make a bridge; raises NetlinkError (EEXIST where the name is taken)."""
        body = (
            _header()
            + text(_NAME, bridge.name)
            + attribute(_ADDRESS, bridge.mac.octets)
            + u32(_MTU, bridge.mtu)
            + nest(_LINKINFO, text(_KIND, BRIDGE), nest(_DATA, *_bridge_data(bridge)))
        )
        self._netlink.do(Message(_NEW, body, netlink.CREATE | netlink.EXCLUSIVE))
        made = self.named(bridge.name)
        if made is None:
            raise NetlinkError(errno.ENODEV, f"the bridge {bridge.name} went as it came")
        return made

    def remove(self, index: int) -> None:
        """Remove a link; one that is gone already is no error."""
        try:
            self._netlink.do(Message(_DELETE, _header(index)))
        except NetlinkError as error:
            if error.errno != errno.ENODEV:
                raise

    def addresses(self, index: int) -> list[IPv4Interface | IPv6Interface]:
        """The addresses of global scope that the host itself has on a link, with their lengths."""
        request = Message(_GET_ADDRESSES, _ADDRESS_INFO.pack(0, 0, 0, 0, 0))
        found: list[IPv4Interface | IPv6Interface] = []
        for answer in self._netlink.dump(request):
            _, length, _, scope, owner = _ADDRESS_INFO.unpack_from(answer.body)
            if owner == index and scope == _SCOPE_GLOBAL:
                attributes = netlink.attributes(answer.body, _ADDRESS_INFO.size)
                # On a point-to-point link the local address is the host's, the other the peer's.
                packed = attributes.get(_LOCAL_ADDRESS) or attributes[_ANY_ADDRESS]
                found.append(ip_interface((packed, length)))
        return found

    def _one(self, body: bytes) -> Link | None:
        request = Message(_GET, body + u32(_EXT_MASK, _SKIP_STATISTICS))
        try:
            return _link(self._netlink.query(request).body)
        except NetlinkError as error:
            if error.errno == errno.ENODEV:
                return None
            raise


@dataclass(frozen=True, slots=True)
class LinkRemoved:
    """A link was removed, or moved to another namespace."""

    index: int


@dataclass(frozen=True, slots=True)
class NotificationsLost:
    """The kernel had more notifications than there was room for: read all links anew."""


@dataclass(frozen=True, slots=True)
class FilterRemoved:
    """A tc filter or qdisc was taken from a link."""

    index: int


LinkNotification = Link | LinkRemoved | FilterRemoved | NotificationsLost


class LinkWatch:
    """A subscription to changes of links, and of filters on them, in the maker's namespace.

    It gets all changes from its making on: make it first, then read all links.
    """

    def __init__(self) -> None:
        self._netlink = Netlink(socket.NETLINK_ROUTE, [_GROUP_LINK, _GROUP_TC])
        self._ended, self._end = os.pipe()

    def close(self) -> None:
        """Close the socket; `notifications` must have ended."""
        self._netlink.close()
        os.close(self._ended)
        os.close(self._end)

    def stop(self) -> None:
        """End `notifications`; for another thread."""
        os.write(self._end, b".")

    def notifications(self) -> Iterator[list[LinkNotification]]:
        """The notifications as they arrive, until `stop`; of each link the latest."""
        poll = select.poll()
        poll.register(self._netlink.fileno(), select.POLLIN)
        poll.register(self._ended, select.POLLIN)
        while all(fd != self._ended for fd, _ in poll.poll()):
            latest: dict[object, LinkNotification] = {}
            # The kernel notifies one change of a link in several steps; the first ones are
            # out of date by then.
            for notice in self._received():
                latest[_subject(notice)] = notice
            yield list(latest.values())

    def _received(self) -> Iterator[LinkNotification]:
        """All notifications that have arrived by now."""
        while self._netlink.has_notifications():
            try:
                messages = self._netlink.notifications()
            except NetlinkError as error:
                if not netlink.is_overflow(error):
                    raise
                yield NotificationsLost()
                continue
            yield from filter(None, map(_notice, messages))


def interfaces() -> list[int]:
    """The indexes of all interfaces of this network namespace."""
    return [index for index, _ in socket.if_nameindex()]


def described(ifindex: int) -> str:
    """The name of an interface for a text; its index where there is none any more."""
    try:
        return socket.if_indextoname(ifindex)
    except OSError:
        return f"with index {ifindex}"


def _subject(notice: LinkNotification) -> object:
    if isinstance(notice, NotificationsLost):
        return NotificationsLost
    return isinstance(notice, FilterRemoved), notice.index


def _notice(message: Message) -> LinkNotification | None:
    if message.kind in (_DELETE_QDISC, _DELETE_FILTER):
        return FilterRemoved(_TC_INFO.unpack_from(message.body)[0])
    # AF_BRIDGE notices are of membership, which the link's own, following, contains as well.
    if message.body[0] == socket.AF_BRIDGE:
        return None
    if message.kind == _NEW:
        return _link(message.body)
    if message.kind == _DELETE:
        return LinkRemoved(_INFO.unpack_from(message.body)[2])
    return None


def _header(index: int = 0, family: int = 0, flags: int = 0, changed: int = 0) -> bytes:
    return _INFO.pack(family, 0, index, flags, changed)


def _link(body: bytes) -> Link | None:
    _, kind, index, flags, _ = _INFO.unpack_from(body)
    found = netlink.attributes(body, _INFO.size)
    if _NAME not in found:
        return None
    info = netlink.attributes(found[_LINKINFO]) if _LINKINFO in found else {}
    address = found.get(_ADDRESS, b"")
    return Link(
        index,
        netlink.read_text(found[_NAME]),
        Mac(address) if kind == _ETHERNET and len(address) == 6 else None,
        netlink.read_text(info.get(_KIND, b"")),
        _number(found.get(_MASTER, b"")),
        # The index of a device in another namespace has no meaning here.
        0 if _LOWER_NAMESPACE in found else _number(found.get(_LOWER, b"")),
        _number(found.get(_MTU, b"")),
        bool(flags & _UP),
        bool(flags & _LOOPBACK),
        _is_hairpin(info),
        netlink.read_text(found.get(_ALIAS, b"")),
        netlink.read_text(found.get(_BUS, b"")),
        netlink.read_text(found.get(_PORT_NAME, b"")),
    )


def _is_hairpin(info: dict[int, bytes]) -> bool:
    if _SLAVE_DATA not in info or netlink.read_text(info.get(_SLAVE_KIND, b"")) != BRIDGE:
        return False
    return netlink.attributes(info[_SLAVE_DATA]).get(_PORT_HAIRPIN, b"\0") != b"\0"


def _setting(change: LinkChange) -> Message:
    flags = _UP if change.up else 0
    body = [_header(change.index, 0, flags, _UP if change.up is not None else 0)]
    if change.mac is not None:
        body.append(attribute(_ADDRESS, change.mac.octets))
    if change.mtu is not None:
        body.append(u32(_MTU, change.mtu))
    if change.alias is not None:
        body.append(text(_ALIAS, change.alias))
    if change.master is not None:
        body.append(u32(_MASTER, change.master))
    # RTM_NEWLINK without CREATE: unlike RTM_SETLINK it takes every attribute in one message.
    return Message(_NEW, b"".join(body))


def _bridge_data(bridge: NewBridge) -> list[bytes]:
    data = [u32(_STP, 0), u8(_SNOOPING, 0), u8(_MULTICAST_ROUTER, 0)]
    data.append(u32(_MAX_LEARNED, bridge.max_learned))
    if bridge.vlan_quarantine:
        data += [
            attribute(_VLAN_PROTOCOL, struct.pack("!H", _SERVICE_TAG)),
            u8(_VLAN_FILTERING, 1),
            u16(_DEFAULT_VLAN, 0),
        ]
    return data


def _number(value: bytes) -> int:
    return int.from_bytes(value[:4], "little")
