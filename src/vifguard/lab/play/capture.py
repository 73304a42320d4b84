"""Packet capture at every endpoint of a topology, with barrier frames."""

from __future__ import annotations

import select
import time
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

from vifguard.lab.attacks.attack import Offload
from vifguard.lab.play.packet_socket import PacketSocket
from vifguard.lab.play.topology import Endpoint, Topology
from vifguard.lab.world.netns import LabError
from vifguard.packet import build
from vifguard.packet.frame import parse
from vifguard.packet.ip4 import IPv4
from vifguard.packet.ip6 import IPv6
from vifguard.packet.transport import Tcp, Udp

PATIENCE = 10.0
"""Seconds after which a marker that has not arrived is an error."""

_HOST_PROTOCOLS = (
    0x0800, 0x0806, 0x86DD, 0x8035, 0x0004, 0x0001, 0x8100, 0x88A8, 0x88CC, 0x888E, 0x8808,
    0x8809, 0x88E5, 0x88C7, 0x8902, 0x9000, 0x88B5,
)  # fmt: skip
"""Protocols that a host's daemons receive; 1 and 4 are the kernel's for raw 802.3 and LLC."""


@dataclass(slots=True)
class Capture:
    """All frames received between two marks: by place, at the host's end of it, by the host."""

    heard: dict[str, list[bytes]] = field(default_factory=dict)
    arrived: dict[str, list[bytes]] = field(default_factory=dict)
    host: list[bytes] = field(default_factory=list)


class CaptureSet:
    """The sockets of a topology."""

    def __init__(self, topology: Topology, patience: float = PATIENCE) -> None:
        self._patience = patience
        self._cleanup = ExitStack()
        places = [place for segment in topology.segments for place in segment.everyone]
        host = topology.host_netns
        try:
            self._sockets = {place.name: self._open(place.netns, place.device) for place in places}
            self._ends = {place.name: self._open(host, place.tap) for place in places if place.tap}
            self._host = [self._open(host, "", protocol) for protocol in _HOST_PROTOCOLS]
        except BaseException:
            self._cleanup.close()
            raise
        self._names = {listener.fileno(): name for name, listener in self._sockets.items()}
        self._end_names = {end.fileno(): name for name, end in self._ends.items()}
        self._host_by_fd = {listener.fileno(): listener for listener in self._host}
        self._poll = _polling(self._names)
        self._host_poll = _polling((*self._end_names, *self._host_by_fd))
        self._marks = 0
        self._sent: set[bytes] = set()

    def close(self) -> None:
        """Close every socket."""
        self._cleanup.close()

    def send(self, place: Endpoint, frame: bytes, offload: Offload | None = None) -> None:
        """Send a frame from a place; raises CannotSendError."""
        self._sockets[place.name].send(frame, offload)
        self._sent.add(frame)  # a socket does not receive its own frames
        if offload is not None:
            self._sent.add(offload.completed(frame))

    def barrier(self, place: Endpoint, listeners: Iterable[Endpoint]) -> Capture:
        """Send a marker from a place and receive until every listener has it.

        The marker is a RARP announcement with a number in its padding: legal on every port,
        believed by nobody. Returns the frames that came in before it.
        """
        marker = self._marker(place)
        self._sockets[place.name].send(marker)
        return self._until(marker, place, {each.name for each in listeners} - {place.name})

    def announce(self, places: Sequence[Endpoint]) -> None:
        """Announce the MAC of every place; all of them have received it when this returns."""
        for place in places[:-1]:
            self.send(place, self._marker(place))
        self.barrier(places[-1], places)

    def _marker(self, place: Endpoint) -> bytes:
        self._marks += 1
        number = self._marks.to_bytes(8, "big") + bytes(10)
        mac = place.station.mac
        return build.ethernet(mac, "ff:ff:ff:ff:ff:ff", build.rarp(mac)) + number

    def is_extra(self, frame: bytes) -> bool:
        """Whether nobody sent a frame that was received."""
        return frame not in self._sent and _without_checksum(frame) not in self._sent

    def _until(self, marker: bytes, sender: Endpoint, waiting: set[str]) -> Capture:
        noise = Capture()
        deadline = time.monotonic() + self._patience
        while waiting:
            ready = self._poll.poll(max(0.0, deadline - time.monotonic()) * 1000)
            if not ready:
                raise LabError(
                    f"the marker from {sender.name} was not heard by {', '.join(sorted(waiting))}"
                )
            for fd, _event in ready:
                self._drain(self._names[fd], marker, waiting, noise)
        # A frame is noted at its sender before it arrives, but receivers may have been read first.
        for fd, _event in self._poll.poll(0):
            self._drain(self._names[fd], marker, waiting, noise)
        self._drain_host(noise)
        return noise

    def _drain(self, name: str, marker: bytes, waiting: set[str], noise: Capture) -> None:
        for each in self._sockets[name].drain():
            if each.outgoing:
                self._sent |= {each.frame, _without_checksum(each.frame)}
            elif each.frame == marker:
                waiting.discard(name)
            else:
                noise.heard.setdefault(name, []).append(each.frame)

    def _drain_host(self, noise: Capture) -> None:
        for fd, _event in self._host_poll.poll(0):
            if fd in self._end_names:
                name = self._end_names[fd]
                noise.arrived[name] = _incoming(self._ends[name])
            else:
                noise.host += _incoming(self._host_by_fd[fd])

    def _open(self, netns: str, device: str, protocol: int = 0x0003) -> PacketSocket:
        tap = PacketSocket(netns, device, protocol)
        self._cleanup.callback(tap.close)
        return tap


def _without_checksum(frame: bytes) -> bytes:
    """The frame with a TCP or UDP checksum of zero: a stack leaves it to the receiver."""
    body = parse(frame).body
    if not isinstance(body, IPv4 | IPv6) or not isinstance(body.upper, Tcp | Udp):
        return frame
    at = 14 + body.header_length + (16 if isinstance(body.upper, Tcp) else 6)
    return frame[:at] + bytes(2) + frame[at + 2 :]


def _incoming(tap: PacketSocket) -> list[bytes]:
    return [each.frame for each in tap.drain() if not each.outgoing]


def _polling(descriptors: Iterable[int]) -> select.poll:
    polling = select.poll()
    for descriptor in descriptors:
        polling.register(descriptor, select.POLLIN)
    return polling
