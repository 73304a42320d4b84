"""Linux's own connection tracking (nf_conntrack) as a stateful filter between a guest and others.

A network namespace with two TUN devices, `guest` and `remote`, and routes between them: what is
written to one comes out of the other, within the same system call, if the filter lets it pass.
There is no other host, so nobody answers; what the namespace itself would say is dropped.

It is the filter that users of iptables, of Neutron's drivers and of OVS get: established and
related pass, what is new passes by the rules, what is invalid is dropped. Every setting of
conntrack is the kernel's default: tcp_loose 1, tcp_be_liberal 0, checksum 1, its timeouts.

Time cannot be stepped in the kernel. `elapse` shortens what an entry has left to live instead;
what has nothing left is deleted.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tests.oracles.conntrack.steps import Connection

from vifguard.kernel.net.netlink import (
    Message,
    Netlink,
    NetlinkError,
    attribute,
    attributes,
    nest,
    u8,
)
from vifguard.kernel.net.netns import in_throwaway
from vifguard.lab.world.netns import ip, run
from vifguard.model.security_group import Rule
from vifguard.model.verdict import Direction

_TUNSETIFF, _IFF_TUN, _IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
_NETFILTER = 12
_NEW, _GET, _DELETE = 0x100, 0x101, 0x102
_TUPLE, _PROTOINFO, _TIMEOUT = 1, 4, 7
_TCP_STATES = (
    "NONE",
    "SYN_SENT",
    "SYN_RECV",
    "ESTABLISHED",
    "FIN_WAIT",
    "CLOSE_WAIT",
    "LAST_ACK",
    "TIME_WAIT",
    "CLOSE",
    "SYN_SENT2",
)
_SETTINGS = {
    "ipv4/ip_forward": 1,
    "ipv4/conf/all/rp_filter": 0,
    "ipv4/conf/guest/rp_filter": 0,
    "ipv4/conf/remote/rp_filter": 0,
    "ipv6/conf/all/forwarding": 1,
}


@dataclass(frozen=True, slots=True)
class Entry:
    """What conntrack knows of a connection: of TCP its state, and how many seconds it has left."""

    state: str
    remaining: int


class Netfilter:
    """The filter; `close` ends its namespace."""

    def __init__(self, guest: Sequence[str], rules: Iterable[Rule]) -> None:
        """`guest`: the addresses behind the device `guest`. `rules`: what may be opened."""
        self._guest, self._rules = tuple(guest), tuple(rules)
        in_throwaway(self._begin)

    def _begin(self) -> None:
        self._devices = {
            Direction.FROM_GUEST: _tun("guest"),
            Direction.TO_GUEST: _tun("remote"),
        }
        self._netlink = Netlink(_NETFILTER)
        run(["nft", "-f", "-"], stdin=_ruleset(self._rules))
        ip([f"link set {name} up" for name in ("guest", "remote")])
        ip(f"route add {address} dev guest" for address in self._guest)
        ip(f"route add {prefix} dev remote" for prefix in ("0.0.0.0/0", "::/0"))
        for name, value in _SETTINGS.items():
            Path("/proc/sys/net", name).write_text(str(value))

    def close(self) -> None:
        """Give back the devices, and with them the namespace."""
        for device in self._devices.values():
            os.close(device)
        self._netlink.close()

    def renew(self) -> None:
        """Forget everything, half-assembled packets too: another namespace."""
        self.close()
        in_throwaway(self._begin)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def passes(self, direction: Direction, packets: Iterable[bytes]) -> bool:
        """Whether an IP packet comes out at the other side, when all its fragments are sent.

        What is in fragments is assembled before it is judged, and so comes out whole or not.
        """
        sender = self._devices[direction]
        (receiver,) = (fd for way, fd in self._devices.items() if way is not direction)
        for packet in packets:
            os.write(sender, packet)
        return bool(_drain(receiver))

    def forget(self) -> None:
        """Forget all connections."""
        self._netlink.do(Message(_DELETE, bytes(4)))

    def entry(self, connection: Connection) -> Entry | None:
        """What is known of a connection."""
        for asked in _tuples(connection):
            found = self._entry(connection, asked)
            if found:
                return found
        return None

    def elapse(self, connection: Connection, seconds: int) -> None:
        """Let time pass for a connection: it lives so much shorter, or no more."""
        for asked in _tuples(connection):
            entry = self._entry(connection, asked)
            if entry is None:
                continue
            # What is left is read in whole seconds, less the moment since it was set.
            left = entry.remaining + 1 - seconds
            header = _header(connection)
            if left <= 0:
                self._netlink.do(Message(_DELETE, header + asked))
            else:
                timeout = attribute(_TIMEOUT, left.to_bytes(4, "big"))
                self._netlink.do(Message(_NEW, header + asked + timeout))

    def _entry(self, connection: Connection, asked: bytes) -> Entry | None:
        try:
            answer = self._netlink.query(Message(_GET, _header(connection) + asked))
        except NetlinkError as error:
            if error.errno == errno.ENOENT:
                return None
            raise
        found = attributes(answer.body, 4)
        state = ""
        if connection.protocol == 6:
            state = _TCP_STATES[attributes(attributes(found[_PROTOINFO])[1])[1][0]]
        return Entry(state, int.from_bytes(found[_TIMEOUT], "big"))


def _tun(name: str) -> int:
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    fcntl.ioctl(device, _TUNSETIFF, struct.pack("16sH22x", name.encode(), _IFF_TUN | _IFF_NO_PI))
    return device


def _drain(device: int) -> list[bytes]:
    packets = []
    while True:
        try:
            packets.append(os.read(device, 1 << 16))
        except BlockingIOError:
            return packets


def _ruleset(rules: Iterable[Rule]) -> str:
    allowed = "\n".join(f"ct state new {_match(rule)} accept" for rule in rules)
    return f"""
table inet filter {{
  chain forward {{
    type filter hook forward priority filter; policy drop;
    ct state invalid drop
    ct state established,related accept
    {allowed}
  }}
  chain output {{
    type filter hook output priority filter; policy drop;
  }}
}}
"""


def _match(rule: Rule) -> str:
    device = "guest" if rule.direction is Direction.FROM_GUEST else "remote"
    text = f"iifname {device} meta nfproto ipv{rule.version} meta l4proto {rule.protocol}"
    if rule.ports:
        text += f" th dport {rule.ports.low}-{rule.ports.high}"
    if rule.icmp:
        text += f" icmp{'v6' * (rule.version == 6)} type {rule.icmp.kind}"
    return text


def _header(connection: Connection) -> bytes:
    return bytes((2 if connection.version == 4 else 10, 0, 0, 0))


def _tuples(connection: Connection) -> list[bytes]:
    """By which tuples it may be known: an echo by who asked, all else by either direction's."""
    from_guest, to_guest = (_tuple(connection, direction) for direction in Direction)
    return [from_guest, to_guest] if connection.is_icmp else [from_guest]


def _tuple(connection: Connection, sender: Direction) -> bytes:
    first = 1 if connection.version == 4 else 3
    source, destination = connection.packed(sender)
    addresses = nest(1, attribute(first, source), attribute(first + 1, destination))
    ends = _ends(connection, sender)
    return nest(_TUPLE, addresses, nest(2, u8(1, connection.protocol), *ends))


def _ends(connection: Connection, sender: Direction) -> list[bytes]:
    source, destination = (port.to_bytes(2, "big") for port in connection.ports_of(sender))
    if connection.is_icmp:
        first, kind = (4, 8) if connection.version == 4 else (7, 128)
        return [attribute(first, source), u8(first + 1, kind), u8(first + 2, 0)]
    return [attribute(2, source), attribute(3, destination)]
