"""A guest in a namespace of its own: its interface, what it sends and what it hears."""

from __future__ import annotations

import os
import re
import select
import signal
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from tests.agent.netns import PATIENCE, eventually, in_namespace, no_ipv6, run, within
from tests.agent.ports import legal, mac_of, tap_of

from vifguard.model.address import Mac

if TYPE_CHECKING:
    from tests.agent.host import Host

_RCVBUFFORCE = 33


def send_marks(send: Callable[[bytes], object], number: int) -> list[bytes]:
    """Frames legal for a guest of which each overtakes nothing: one through each CPU's queue."""
    before = os.sched_getaffinity(0)
    marks = []
    try:
        for cpu in sorted(before):
            os.sched_setaffinity(0, {cpu})
            marks.append(legal(number, b"mark of CPU %d" % cpu))
            send(marks[-1])
    finally:
        os.sched_setaffinity(0, before)
    return marks


class Ear:
    """Everything that arrives at an interface."""

    def __init__(self, netns: str, interface: str) -> None:
        self._socket: socket.socket = within(netns, lambda: self._open(interface))

    @staticmethod
    def _open(interface: str) -> socket.socket:
        ear = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        ear.setsockopt(socket.SOL_SOCKET, _RCVBUFFORCE, 1 << 26)
        ear.bind((interface, 0))
        return ear

    def fileno(self) -> int:
        """For select."""
        return self._socket.fileno()

    def heard(self) -> list[bytes]:
        """What arrived since the last call and is there now."""
        frames = []
        # An interface that was down says so once.
        self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        with suppress(BlockingIOError):
            while True:
                frame, about = self._socket.recvfrom(1 << 16, socket.MSG_DONTWAIT)
                if about[2] != socket.PACKET_OUTGOING:
                    frames.append(frame)
        return frames

    def until(self, *frames: bytes) -> list[bytes]:
        """What arrives until all of `frames` have, which must come."""
        deadline = time.monotonic() + PATIENCE
        found: list[bytes] = []
        while missing := [frame for frame in frames if frame not in found]:
            left = deadline - time.monotonic()
            assert left > 0, f"{missing} did not arrive; {len(found)} others did"
            select.select([self._socket], [], [], left)
            found += self.heard()
        return [frame for frame in found if frame not in frames]

    def send(self, frame: bytes) -> None:
        """Send as soon as the interface can."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                self._socket.send(frame)
            except OSError:
                assert time.monotonic() < deadline
            else:
                return

    def hears(self, frame: bytes) -> bool:
        """Whether `frame` arrives within a moment."""
        select.select([self._socket], [], [], 0.05)
        return frame in self.heard()

    def close(self) -> None:
        self._socket.close()


class Flood:
    """A process that sends one frame from a guest, from before it has an interface."""

    def __init__(self, netns: str, frame: bytes) -> None:
        self._process = in_namespace(netns, "flood.py", "eth0", frame.hex())

    def end(self) -> int:
        """How many frames were sent."""
        self._process.send_signal(signal.SIGTERM)
        sent = self._process.communicate()[0]
        return int(sent)


class Guest:
    """A namespace that gets its interface, `eth0`, when it is plugged."""

    def __init__(self, host: Host, number: int) -> None:
        self.host, self.number = host, number
        self.name = f"{host.name}-{number}"
        self.tap = tap_of(number)
        run("ip", "netns", "add", self.name)
        within(self.name, no_ipv6)

    def plug(self, tap: str = "", *, mac: Mac | None = None, bridge: str = "") -> None:
        """Make the interface, up at once; `mac` is the host side's, `bridge` a hasty joining."""
        self.tap = tap or self.tap
        mine = ["address", str(mac)] if mac else []
        self.host.ip(
            "link", "add", self.tap, *mine, "type", "veth", "peer", "eth0", "netns", self.name
        )
        self.ear = Ear(self.name, "eth0")
        if bridge:
            self.host.ip("link", "set", self.tap, "master", bridge)
        self.host.ip("link", "set", self.tap, "up")
        run("ip", "-n", self.name, "link", "set", "eth0", "address", str(mac_of(self.number)), "up")

    def unplug(self) -> None:
        self.ear.close()
        self.host.ip("link", "del", self.tap)

    def send(self, frame: bytes) -> None:
        self.ear.send(frame)

    def heard_by(self, other: Guest, *frames: bytes) -> list[bytes]:
        """Which of `frames`, and what else, `other` hears when they are sent."""
        start = legal(self.number, b"start")
        # A bridge forwards only once it has noticed the carrier; until then all are lost.
        eventually(lambda: self.send(start) or other.ear.hears(start))
        for frame in frames:
            self.send(frame)
        return [frame for frame in other.ear.until(*self.send_marks()) if frame != start]

    def send_marks(self) -> list[bytes]:
        """As `send_marks`, its own frames."""
        return send_marks(self.send, self.number)

    def flood(self, frame: bytes) -> Flood:
        return Flood(self.name, frame)

    def is_flooding(self) -> bool:
        """Whether frames have come in at the interface, whatever became of them."""
        told = self.host.ip("-s", "link", "show", self.tap, check=False)
        found = re.search(r"RX:.*\n\s*(\d+)\s+(\d+)", told)
        return bool(found) and int(found[2]) > 20

    def close(self) -> None:
        if hasattr(self, "ear"):
            self.ear.close()
        run("ip", "netns", "del", self.name, check=False)
