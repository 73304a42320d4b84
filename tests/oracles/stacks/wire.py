"""The wire between one guest and its port: it can lose, hold and reorder what it carries.

What it does is said in advance and counted, so that every run is the same. It carries frames
of ordinary size with whole checksums: the offloads at both of its ends are off.
"""

from __future__ import annotations

import select
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address
from threading import Condition, Lock, Thread

from tests.agent.netns import within

OUT, IN = "out", "in"
PATIENCE = 10.0
_TCP, _UDP = 6, 17
_FLAGS = {"fin": 1, "syn": 2, "rst": 4}


@dataclass
class Task:
    """Something to be done to the frames of one kind that go one way."""

    way: str
    kind: str
    act: Callable[[list[bytes]], list[bytes] | None]
    """Gets what has been waiting and the newest; None is `wait for more`."""
    waiting: list[bytes] = field(default_factory=list)


class Wire:
    """Two devices of one namespace, and a thread that carries frames between them."""

    def __init__(self, netns: str, guest: str, host: str) -> None:
        self._ends = {OUT: _open(netns, guest), IN: _open(netns, host)}
        """Where what goes that way is read: at the guest's end what goes out."""
        self._lock = Lock()
        self._came = Condition(self._lock)
        self._tasks: list[Task] = []
        self._held: list[tuple[str, bytes]] | None = None
        self._is_cut = False
        self._counts: dict[tuple[str, str], int] = {}
        self._wake, self._woken = socket.socketpair()
        self._thread = Thread(target=self._carry)
        self._thread.start()

    def answer(self, line: str) -> str:
        """Do what a line of a script says."""
        operation, *arguments = line.split()
        with self._lock:
            result: str = getattr(self, "_do_" + operation)(*arguments)
        return result

    def close(self) -> None:
        """Carry nothing any more."""
        self._wake.send(b"x")
        self._thread.join()
        for each in (*self._ends.values(), self._wake, self._woken):
            each.close()

    def _do_clear(self) -> str:
        self._tasks, self._held, self._is_cut = [], None, False
        self._counts.clear()
        return "ok"

    def _do_lose(self, way: str, kind: str, *which: str) -> str:
        """Lose the n-th frames of a kind from now on, counted from one."""
        numbers, count = set(map(int, which)), 0

        def act(frames: list[bytes]) -> list[bytes]:
            nonlocal count
            count += 1
            return [] if count in numbers else frames

        self._tasks.append(Task(way, kind, act))
        return "ok"

    def _do_stop(self, way: str, kind: str) -> str:
        """Lose all frames of a kind, or for an address, from now on."""
        self._tasks.append(Task(way, kind, lambda _: []))
        return "ok"

    def _do_order(self, way: str, kind: str, *order: str) -> str:
        """Deliver as many frames of a kind as there are numbers in this order."""
        numbers = list(map(int, order))
        task = Task(way, kind, lambda _: None)

        def act(frames: list[bytes]) -> list[bytes] | None:
            if len(frames) < len(numbers):
                return None
            self._tasks.remove(task)
            return [frames[number - 1] for number in numbers]

        task.act = act
        self._tasks.append(task)
        return "ok"

    def _do_repeat(self, way: str, kind: str) -> str:
        """Deliver each frame of a kind twice."""
        self._tasks.append(Task(way, kind, lambda frames: frames * 2))
        return "ok"

    def _do_timestamps(self, first: str) -> str:
        """Let the guest's TCP timestamps (RFC 7323) begin with this value."""
        shift: list[int] = []

        def out(frames: list[bytes]) -> list[bytes]:
            if not shift and (found := timestamps(frames[0])):
                shift.append(int(first) - found[0])
            return [_shifted(frames[0], shift[0], 0)] if shift else frames

        self._tasks.append(Task(OUT, "tcp", out))
        self._tasks.append(
            Task(IN, "tcp", lambda f: [_shifted(f[0], 0, -shift[0])] if shift else f)
        )
        return "ok"

    def _do_hold(self) -> str:
        """Keep what comes either way."""
        self._held = []
        return "ok"

    def _do_release(self) -> str:
        """Deliver what was kept, and what comes."""
        held, self._held = self._held or [], None
        for way, frame in held:
            self._deliver(way, frame)
        return "ok"

    def _do_cut(self) -> str:
        """Lose everything."""
        self._is_cut = True
        return "ok"

    def _do_mend(self) -> str:
        """Lose nothing more."""
        self._is_cut = False
        return "ok"

    def _do_await(self, way: str, kind: str, count: str = "1") -> str:
        """Wait until so many frames of a kind have come."""
        if self._came.wait_for(lambda: self._counts.get((way, kind), 0) >= int(count), PATIENCE):
            return "ok"
        return f"timeout: {self._counts.get((way, kind), 0)} came"

    def _do_count(self, way: str, kind: str) -> str:
        """How many frames of a kind have come since the situation began."""
        return str(self._counts.get((way, kind), 0))

    def _carry(self) -> None:
        ways = {each: way for way, each in self._ends.items()}
        while True:
            ready = select.select([*ways, self._woken], [], [])[0]
            if self._woken in ready:
                return
            for each in ready:
                frame, about = each.recvfrom(1 << 16)
                if about[2] != socket.PACKET_OUTGOING:
                    with self._lock:
                        self._take(ways[each], frame)

    def _take(self, way: str, frame: bytes) -> None:
        kinds = kinds_of(frame)
        for kind in kinds:
            self._counts[way, kind] = self._counts.get((way, kind), 0) + 1
        self._came.notify_all()
        if self._is_cut:
            return
        frames = [frame]
        for task in [task for task in self._tasks if task.way == way and task.kind in kinds]:
            task.waiting += frames
            done = task.act(task.waiting)
            if done is None:
                return
            frames, task.waiting = done, []
        for each in frames:
            if self._held is None:
                self._deliver(way, each)
            else:
                self._held.append((way, each))

    def _deliver(self, way: str, frame: bytes) -> None:
        self._ends[IN if way == OUT else OUT].send(frame)


def _open(netns: str, device: str) -> socket.socket:
    def make() -> socket.socket:
        end = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        end.bind((device, 0))
        return end

    end: socket.socket = within(netns, make)
    return end


def kinds_of(frame: bytes) -> set[str]:
    """What a frame is: `tcp`, `syn`, `data`, `ack`, `fragment`, its destination's address."""
    protocol, rest = _upper(frame)
    kinds = {"any", *_destination(frame)}
    if protocol == -1:
        return kinds | {"fragment"}
    if protocol != _TCP:
        return kinds | ({"udp"} if protocol == _UDP else set())
    flags, header = rest[13], (rest[12] >> 4) * 4
    kinds |= {"tcp"}
    kinds |= {name for name, flag in _FLAGS.items() if flags & flag}
    kinds |= {"data"} if len(rest) > header else {"ack"} if not flags & 7 else set()
    return kinds | ({"syn-data"} if {"syn", "data"} <= kinds else set())


def _destination(frame: bytes) -> set[str]:
    if frame[12:14] == b"\x08\x00":
        return {str(IPv4Address(frame[30:34]))}
    return {str(IPv6Address(frame[38:54]))} if frame[12:14] == b"\x86\xdd" else set()


def _upper(frame: bytes) -> tuple[int, bytes]:
    """The protocol above IP and its octets; -1 for a fragment, -2 for what is not IP."""
    kind = frame[12:14]
    if kind == b"\x08\x00":
        packet = frame[14 : 14 + struct.unpack_from("!H", frame, 16)[0]]
        if struct.unpack_from("!H", packet, 6)[0] & 0x3FFF:
            return -1, b""
        return packet[9], packet[(packet[0] & 15) * 4 :]
    if kind == b"\x86\xdd":
        packet = frame[14 : 54 + struct.unpack_from("!H", frame, 18)[0]]
        return (-1, b"") if packet[6] == 44 else (packet[6], packet[40:])
    return -2, b""


def timestamps(frame: bytes) -> tuple[int, int, int] | None:
    """The value, the echoed one, and where they are, of a frame that is TCP."""
    _, segment = _upper(frame)
    at, end = 20, (segment[12] >> 4) * 4
    while at < end and segment[at]:
        if segment[at] == 8:
            place = frame.index(segment[:20]) + at + 2
            value, echoed = struct.unpack_from("!II", frame, place)
            return value, echoed, place
        at += 1 if segment[at] == 1 else segment[at + 1]
    return None


def _shifted(frame: bytes, value: int, echoed: int) -> bytes:
    found = timestamps(frame)
    if not found:
        return frame
    old_value, old_echoed, place = found
    new = (old_value + value & 0xFFFFFFFF, (old_echoed + echoed if old_echoed else 0) & 0xFFFFFFFF)
    start = frame.index(_upper(frame)[1][:20])
    return _rewritten(frame, start, place, struct.pack("!II", *new))


def _rewritten(frame: bytes, segment: int, place: int, octets: bytes) -> bytes:
    """The frame with other octets in its TCP segment, and the checksum for them (RFC 1624)."""
    out = bytearray(frame)
    # The checksum adds words; an option may begin at an odd place.
    first, last = place - (place - segment) % 2, place + len(octets)
    last += (last - segment) % 2
    before = bytes(out[first:last])
    out[place : place + len(octets)] = octets
    total = ~struct.unpack_from("!H", out, segment + 16)[0] & 0xFFFF
    for old, new in zip(_words(before), _words(bytes(out[first:last])), strict=True):
        total += (~old & 0xFFFF) + new
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    struct.pack_into("!H", out, segment + 16, ~total & 0xFFFF)
    return bytes(out)


def _words(data: bytes) -> tuple[int, ...]:
    return struct.unpack(f"!{len(data) // 2}H", data)
