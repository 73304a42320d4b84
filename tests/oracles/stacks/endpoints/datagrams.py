"""Datagrams: UDP, its errors, groups, and ICMP echo."""

from __future__ import annotations

import errno
import os
import select
import socket
import struct
import time

from octets import address, numeric, pattern, text
from sockets import ERRORS, Sockets

_MTU_DISCOVER, _MTU_DO = {4: 10, 6: 23}, 2
_RECEIVE_ERRORS = {4: 11, 6: 25}
_ERROR_QUEUE = 0x2000
_ECHO, _REPLY = {4: 8, 6: 128}, {4: 0, 6: 129}


class Datagrams(Sockets):
    """What can be done with sockets of datagrams."""

    def do_bind(self, name: str, where: str, *options: str) -> str:
        here = self.new(name, where, socket.SOCK_DGRAM, *options)
        here.bind(address(where))
        return "ok"

    def do_pair(self, name: str, where: str) -> str:
        """Connect a bound UDP socket: it takes datagrams and errors of that peer alone."""
        self.sockets[name].connect(address(where))
        return "ok"

    def do_sendto(self, name: str, where: str, octets: str) -> str:
        here = self.sockets[name]
        self.wait(here, write=True)
        here.sendto(pattern(0, int(octets)), address(where))
        return "ok"

    def do_recvfrom(self, name: str) -> str:
        here = self.sockets[name]
        self.wait(here)
        data, sender = here.recvfrom(1 << 16)
        if data != pattern(0, len(data)):
            return "corrupt"
        return f"{len(data)} from {text(sender)}"

    def do_write(self, name: str, octets: str) -> str:
        """Send a datagram of a paired socket; an error that came before is the outcome."""
        self.sockets[name].send(pattern(0, int(octets)))
        return "ok"

    def do_error(self, name: str) -> str:
        """The next error of the socket, waited for."""
        here = self.sockets[name]
        watch = select.poll()
        watch.register(here, select.POLLERR)
        if not watch.poll(self.patience * 1000):
            return "none"
        version = 4 if here.family == socket.AF_INET else 6
        level = socket.IPPROTO_IP if version == 4 else socket.IPPROTO_IPV6
        if not here.getsockopt(level, _RECEIVE_ERRORS[version]):
            return self.error_of(here)
        _, about, _, _ = here.recvmsg(1 << 16, 1024, _ERROR_QUEUE)
        for _, _, data in about:
            number, _, kind, code, value, _ = struct.unpack_from("=IBBBxII", data)
            word = ERRORS.get(number, errno.errorcode.get(number, "?"))
            sender = _offender(data[16:])
            return f"{word} {kind}/{code} {value or ''} by {sender}".replace("  ", " ")
        return "none"

    def do_watch_errors(self, name: str) -> str:
        """From now on ICMP errors can be read in whole; do not fragment."""
        here = self.sockets[name]
        version = 4 if here.family == socket.AF_INET else 6
        level = socket.IPPROTO_IP if version == 4 else socket.IPPROTO_IPV6
        here.setsockopt(level, _RECEIVE_ERRORS[version], 1)
        here.setsockopt(level, _MTU_DISCOVER[version], _MTU_DO)
        return "ok"

    def do_ttl(self, name: str, hops: str) -> str:
        here = self.sockets[name]
        if here.family == socket.AF_INET:
            here.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, int(hops))
        else:
            here.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, int(hops))
        return "ok"

    def do_join(self, name: str, group: str, device: str = "eth0") -> str:
        here, index = self.sockets[name], socket.if_nametoindex(device)
        if here.family == socket.AF_INET:
            packed = socket.inet_aton(group) + bytes(4) + struct.pack("=i", index)
            here.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, packed)
        else:
            packed = socket.inet_pton(socket.AF_INET6, group) + struct.pack("=i", index)
            here.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, packed)
        return "ok"

    def do_ping(self, where: str, octets: str) -> str:
        """An echo request, and its answer or the error that it met."""
        version = 6 if ":" in where else 4
        family, protocol = ((socket.AF_INET, 1), (socket.AF_INET6, 58))[version == 6]
        with socket.socket(family, socket.SOCK_RAW, protocol) as here:
            data = pattern(0, int(octets))
            head = struct.pack("!HH", os.getpid() & 0xFFFF, self.sent.get("ping", 0))
            self.sent["ping"] = self.sent.get("ping", 0) + 1
            request = struct.pack("!BBH", _ECHO[version], 0, 0) + head + data
            if version == 4:
                request = request[:2] + checksum(request) + request[4:]
            here.connect(numeric(where, 0))
            here.send(request)
            deadline = time.monotonic() + self.patience
            while (left := deadline - time.monotonic()) > 0 and select.select([here], [], [], left)[
                0
            ]:
                packet = here.recv(1 << 16)
                packet = packet[(packet[0] & 15) * 4 :] if version == 4 else packet
                if packet[0] == _REPLY[version] and packet[4:] == head + data:
                    return "ok"
        return "timeout"


def checksum(data: bytes) -> bytes:
    """The Internet checksum (RFC 1071)."""
    even = data + bytes(len(data) % 2)
    total = sum(struct.unpack(f"!{len(even) // 2}H", even))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return struct.pack("!H", ~total & 0xFFFF)


def _offender(data: bytes) -> str:
    family = struct.unpack_from("=H", data)[0] if len(data) >= 8 else 0
    if family == socket.AF_INET:
        return socket.inet_ntop(family, data[4:8])
    return socket.inet_ntop(family, data[8:24]) if family == socket.AF_INET6 else "the host"
