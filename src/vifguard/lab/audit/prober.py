"""The prober inside a guest: receives and sends frames for an audit that runs elsewhere.

Sent as text to a `python3 -` in the guest, so it is of the standard library alone and knows
nothing of the rest. Commands and answers are JSON, one a line:

    in   {"send": HEX, "header": HEX}   a virtio-net header, or empty for a complete frame
                                out  {"sent": WHY-NOT}     empty when it was sent
                                out  {"facts": {...}}      once, at the start
                                out  {"heard": HEX}        each frame that came in
                                out  {"spoken": HEX}       each that the guest itself sent

It ends with its input, or after its lifetime. It configures nothing: the socket asks for
promiscuous mode, which the kernel takes back with the socket.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import select
import signal
import socket
import struct
import sys
from typing import Any

_ETH_P_ALL = 3
_SOL_PACKET, _ADD_MEMBERSHIP, _AUXDATA, _VNET_HEADER, _PROMISCUOUS = 263, 1, 8, 15, 1
_OUTGOING = 4
_RCVBUFFORCE = 33
_VLAN_VALID, _VLAN_TPID_VALID = 1 << 4, 1 << 6
_SIOCGIFADDR, _SIOCGIFNETMASK, _SIOCGIFHWADDR = 0x8915, 0x891B, 0x8927
_LONGEST = 1 << 17
# Of this thread: /proc/net is of the process, which may be in another namespace.
_PROC = "/proc/thread-self/net/"


def facts(device: str) -> dict[str, Any]:
    """A device's MAC, its addresses as `ADDRESS/LENGTH`, and whether a default route uses it.

    Raises OSError where there is no such device.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        mac = _ioctl(asking, _SIOCGIFHWADDR, device)[18:24].hex(":")
        addresses = _addresses4(asking, device) + _addresses6(device)
    return {"mac": mac, "addresses": addresses, "default_route": _has_default_route(device)}


def _ioctl(asking: socket.socket, request: int, device: str) -> bytes:
    return fcntl.ioctl(asking.fileno(), request, struct.pack("256s", device.encode()))


def _addresses4(asking: socket.socket, device: str) -> list[str]:
    try:
        address = _ioctl(asking, _SIOCGIFADDR, device)[20:24]
        mask = _ioctl(asking, _SIOCGIFNETMASK, device)[20:24]
    except OSError:
        return []  # it has none
    length = bin(int.from_bytes(mask, "big")).count("1")  # noqa: FURB161 - guests of older Pythons, too
    return [f"{socket.inet_ntoa(address)}/{length}"]


def _addresses6(device: str) -> list[str]:
    found = []
    for line in _lines("if_inet6"):
        octets, _index, length, _scope, _flags, name = line.split()
        if name == device:
            address = socket.inet_ntop(socket.AF_INET6, bytes.fromhex(octets))
            found.append(f"{address}/{int(length, 16)}")
    return found


def _has_default_route(device: str) -> bool:
    four = [line.split() for line in _lines("route")[1:]]
    six = [line.split() for line in _lines("ipv6_route")]
    return any(each[0] == device and each[1] == each[7] == "00000000" for each in four) or any(
        each[-1] == device and each[0] == "0" * 32 and each[1] == "00" for each in six
    )


def _lines(name: str) -> list[str]:
    try:
        with open(_PROC + name) as table:  # noqa: PTH123 - one import less in the guest
            return table.read().splitlines()
    except OSError:
        return []  # a kernel without this family


def listen(device: str) -> socket.socket:
    """A socket that receives every frame of the device, and sends on it."""
    listener = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    listener.setblocking(False)  # noqa: FBT003 - the standard library's own signature
    listener.setsockopt(socket.SOL_SOCKET, _RCVBUFFORCE, 16 << 20)
    listener.setsockopt(_SOL_PACKET, _AUXDATA, 1)
    listener.bind((device, _ETH_P_ALL))
    index = socket.if_nametoindex(device)
    membership = struct.pack("iHH8s", index, _PROMISCUOUS, 0, b"")
    listener.setsockopt(_SOL_PACKET, _ADD_MEMBERSHIP, membership)
    return listener


def heard(listener: socket.socket) -> list[tuple[str, bytes]]:
    """Every frame since the last call, `heard` or `spoken`, tags where they were on the wire."""
    frames: list[tuple[str, bytes]] = []
    while True:
        try:
            data, ancillary, _flags, address = listener.recvmsg(_LONGEST, 64)
        except BlockingIOError:
            return frames
        kind = "spoken" if address[2] == _OUTGOING else "heard"
        frames.append((kind, _with_tag(data, ancillary)))


def _with_tag(data: bytes, ancillary: list[tuple[int, int, bytes]]) -> bytes:
    """As `kernel.net.capture` puts a tag back, which this program cannot import."""
    for level, kind, value in ancillary:
        if level == _SOL_PACKET and kind == _AUXDATA:
            status, _len, _snap, _mac, _net, tci, tpid = struct.unpack_from("=IIIHHHH", value)
            if status & _VLAN_VALID:
                kept = tpid if status & _VLAN_TPID_VALID else 0x8100
                return data[:12] + struct.pack("!HH", kept, tci) + data[12:]
    return data


def _own_ports() -> frozenset[int]:
    """The ports of the connection that carries these very lines, where it is ssh."""
    words = os.environ.get("SSH_CONNECTION", "").split()
    return frozenset(int(words[each]) for each in (1, 3)) if len(words) == 4 else frozenset()


def _is_own(frame: bytes, ports: frozenset[int]) -> bool:
    # Telling of a frame of our own connection would make the next one, for ever.
    start = {b"\x08\x00": 34, b"\x86\xdd": 54}.get(frame[12:14])
    if start is None or not ports or len(frame) < start + 4:
        return False
    return frozenset(struct.unpack_from("!HH", frame, start)) == ports


def _say(answer: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def offloading(device: str) -> socket.socket:
    """A socket that sends frames behind a virtio-net header, and receives none."""
    sender = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    sender.setsockopt(_SOL_PACKET, _VNET_HEADER, 1)
    sender.bind((device, 0))
    return sender


def _send(sockets: tuple[socket.socket, socket.socket], command: dict[str, str]) -> str:
    header, frame = (bytes.fromhex(command[each]) for each in ("header", "send"))
    try:
        sockets[bool(header)].send(header + frame)
    except OSError as error:
        return f"{errno.errorcode.get(error.errno or 0, '?')} {error.strerror}"
    return ""


def serve(device: str, lifetime: int) -> None:
    """Report the facts, then frames and commands until the input ends or `lifetime` s pass."""
    signal.alarm(lifetime)
    # Frames sent on two processors may overtake: a datagram the long frame in front of it.
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    ports, pending = _own_ports(), b""
    with listen(device) as listener, offloading(device) as sender:
        _say({"facts": facts(device)})
        while True:
            ready, _, _ = select.select([0, listener.fileno()], [], [])
            if listener.fileno() in ready:
                for kind, frame in heard(listener):
                    if not _is_own(frame, ports):
                        _say({kind: frame.hex()})
            if 0 in ready:
                data = os.read(0, 1 << 16)
                if not data:
                    return
                *lines, pending = (pending + data).split(b"\n")
                for line in lines:
                    _say({"sent": _send((listener, sender), json.loads(line))})


def run(device: str, lifetime: int) -> None:
    """Run `serve`, report an error if there was one, and end the process."""
    try:
        serve(device, lifetime)
    except (OSError, ValueError, KeyError) as error:
        _say({"error": str(error)})
    os._exit(0)  # `python3 -i` would go on to ask for more
