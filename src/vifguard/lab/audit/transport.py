"""Transports of an audit: sockets in namespaces, probers in guests, or a dry run."""

from __future__ import annotations

import inspect
import json
import os
import queue
import select
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Any, Protocol, Self

from vifguard.lab.attacks.attack import Offload
from vifguard.lab.audit import prober
from vifguard.lab.audit.site import Guest, Namespace, Site, SiteError, VantagePoint
from vifguard.lab.play.packet_socket import CannotSendError, Heard, PacketSocket
from vifguard.lab.world.netns import LabError, within
from vifguard.model.address import Mac

ANSWERS_WITHIN = 30.0
"""Seconds within which a guest's prober must have started, or sent."""


class Transport(Protocol):
    """The devices of a site's posts, to send and to receive.

    `spoken` are the frames that the guests' own stacks sent: nobody played them.
    """

    spoken: set[bytes]

    def send(self, post: VantagePoint, frame: bytes, offload: Offload | None = None) -> None:
        """Send from a post; raises CannotSendError where its device refuses."""

    def receive(self, patience: float) -> list[tuple[str, bytes]]:
        """Frames that came in, by post; waits for one, `patience` seconds at most."""


@dataclass(frozen=True, slots=True)
class Facts:
    """The facts of a device: its MAC, `ADDRESS/LENGTH` each, whether it leads out."""

    mac: Mac
    addresses: tuple[str, ...]
    default_route: bool

    @classmethod
    def of(cls, answer: Mapping[str, Any]) -> Self:
        """Parse the result of `prober.facts`."""
        return cls(
            Mac.parse(str(answer["mac"])),
            tuple(map(str, answer["addresses"])),
            bool(answer["default_route"]),
        )


class Device(Protocol):
    """One post's device."""

    def fileno(self) -> int:
        """The descriptor for poll: readable when a frame came in."""

    def send(self, frame: bytes, offload: Offload | None) -> None:
        """Send one frame."""

    def heard(self) -> list[Heard]:
        """Every frame since the last call: received ones, and those that the guest's stack sent."""

    def close(self) -> None:
        """Close the device."""


class _LocalDevice:
    """A device of a namespace of this machine."""

    def __init__(self, reach: Namespace) -> None:
        try:
            self._tap = PacketSocket(reach.netns, reach.device)
        except OSError as error:
            raise SiteError(f"{reach.netns}/{reach.device}: {error.strerror}") from error
        self.fileno, self.close = self._tap.fileno, self._tap.close

    def send(self, frame: bytes, offload: Offload | None) -> None:
        try:
            self._tap.send(frame, offload)
        except CannotSendError as error:
            # Where it was is known: a report says the same of every namespace.
            raise CannotSendError(str(error).rpartition(": ")[2]) from error

    def heard(self) -> list[Heard]:
        return list(self._tap.drain())


class _RemoteDevice:
    """A device of a guest, over a prober's input and output.

    A thread reads the guest's output: neither side ever waits for the other to read.
    """

    def __init__(self, reach: Guest, lifetime: float) -> None:
        self._name = f"{' '.join(reach.command)}: {reach.device}"
        self._frames: queue.SimpleQueue[Heard] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._readable, self._writable = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._process = _start(reach)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        try:
            self._tell(_program(reach.device, lifetime))
            self.facts = Facts.of(self._answer("facts"))
        except BaseException as error:
            self.close()
            if isinstance(error, LabError):
                raise SiteError(str(error)) from error
            raise

    def fileno(self) -> int:
        return self._readable

    def send(self, frame: bytes, offload: Offload | None) -> None:
        header = offload.header if offload else b""
        self._tell(json.dumps({"send": frame.hex(), "header": header.hex()}))
        if why := self._answer("sent"):
            raise CannotSendError(str(why))

    def heard(self) -> list[Heard]:
        while _clear_signal(self._readable):
            pass
        frames = []
        while not self._frames.empty():
            frames.append(self._frames.get())
        return frames

    def close(self) -> None:
        # The prober ends with its input, the thread with its output.
        assert self._process.stdin is not None  # noqa: S101 - a pipe, by `_start`
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join(5)
        if self._process.stderr is not None:
            self._process.stderr.close()
        os.close(self._readable)

    def _tell(self, line: str) -> None:
        assert self._process.stdin is not None  # noqa: S101 - a pipe, by `_start`
        try:
            self._process.stdin.write(line.encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise LabError(f"{self._name}: {self._ended()}") from None

    def _answer(self, kind: str) -> Any:
        try:
            answer = self._answers.get(timeout=ANSWERS_WITHIN)
        except queue.Empty:
            raise LabError(f"{self._name}: no answer in {ANSWERS_WITHIN:g} s") from None
        if kind not in answer:
            raise LabError(f"{self._name}: {answer.get('error') or self._ended()}")
        return answer[kind]

    def _read(self) -> None:
        assert self._process.stdout is not None  # noqa: S101 - a pipe, by `_start`
        with self._process.stdout as lines:
            for line in lines:
                answer = _read(line)
                if frame := answer.get("heard") or answer.get("spoken"):
                    self._frames.put(Heard(bytes.fromhex(frame), outgoing="spoken" in answer))
                    _signal_timeout(self._writable)
                elif answer:
                    self._answers.put(answer)
        self._answers.put({})
        os.close(self._writable)

    def _ended(self) -> str:
        assert self._process.stderr is not None  # noqa: S101 - a pipe, by `_start`
        self._process.kill()
        # The error, without the interpreter's prompts.
        said = self._process.stderr.read().decode(errors="replace").replace(">>> ", "").strip()
        return f"the command ended: {said[-500:] or self._process.wait()}"


def _start(reach: Guest) -> subprocess.Popen[bytes]:
    # With -i it takes one line at a time: a program, then that program's input.
    command = [*reach.command[:-1], "-i", "-"]
    pipe = subprocess.PIPE
    try:
        return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe)
    except OSError as error:
        raise SiteError(f"{command[0]}: {error.strerror}") from error


def _program(device: str, lifetime: float) -> str:
    """The prober and its start, in one line."""
    source = f"{inspect.getsource(prober)}\nrun({device!r}, {int(lifetime)})\n"
    return f"exec({source!r})"


def _read(line: bytes) -> dict[str, Any]:
    """Parse a line; empty if it is none of the prober's, such as a login's greeting."""
    try:
        answer = json.loads(line)
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}


def _signal_timeout(readable: int) -> None:
    with suppress(BlockingIOError):  # it is readable already
        os.write(readable, b"\0")


def _clear_signal(readable: int) -> bool:
    try:
        return bool(os.read(readable, 1 << 16))
    except BlockingIOError:
        return False


class NetworkTransport:
    """The real wire of a site: every post's device, no faster than `rate` frames a second.

    `lifetime` bounds the life of a guest's prober, in seconds, whatever happens here.
    """

    def __init__(self, site: Site, rate: float, lifetime: float) -> None:
        self._between, self._next = 1.0 / rate, 0.0
        self._cleanup = ExitStack()
        self._lines: dict[str, Device] = {}
        self.spoken: set[bytes] = set()
        self.facts: dict[str, Facts] = {}
        try:
            for post in site.posts:
                self._open(post, lifetime)
        except BaseException:
            self.close()
            raise
        self._names = {line.fileno(): name for name, line in self._lines.items()}
        self._poll = select.poll()
        for descriptor in self._names:
            self._poll.register(descriptor, select.POLLIN)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close every device."""
        self._cleanup.close()

    def send(self, post: VantagePoint, frame: bytes, offload: Offload | None = None) -> None:
        """Send from a post when it is time to."""
        now = time.monotonic()
        if now < self._next:
            time.sleep(self._next - now)
        self._next = max(now, self._next) + self._between
        self._lines[post.name].send(frame, offload)

    def receive(self, patience: float) -> list[tuple[str, bytes]]:
        """Frames that came in, by post."""
        ready = self._poll.poll(max(0.0, patience) * 1000)
        came = []
        for name in (self._names[descriptor] for descriptor, _event in ready):
            for each in self._lines[name].heard():
                if each.outgoing:
                    self.spoken.add(each.frame)
                else:
                    came.append((name, each.frame))
        return came

    def _open(self, post: VantagePoint, lifetime: float) -> None:
        line: Device
        if isinstance(post.reach, Guest):
            line = there = _RemoteDevice(post.reach, lifetime)
            self.facts[post.name] = there.facts
        else:
            self.facts[post.name] = facts_here(post.reach)
            line = _LocalDevice(post.reach)
        self._lines[post.name] = line
        self._cleanup.callback(line.close)


def facts_here(reach: Namespace) -> Facts:
    """The facts of a device of a namespace; SiteError where there is none."""
    try:
        return Facts.of(within(reach.netns, lambda: prober.facts(reach.device)))
    except OSError as error:
        raise SiteError(f"{reach.netns}/{reach.device}: {error.strerror}") from error


def facts_of(reach: Namespace | Guest) -> Facts:
    """The facts of a device, wherever it is."""
    if isinstance(reach, Namespace):
        return facts_here(reach)
    line = _RemoteDevice(reach, ANSWERS_WITHIN)
    line.close()
    return line.facts


class DryRun:
    """A dry run of a wire: nothing is sent, and each frame reaches its addressee."""

    def __init__(
        self, posts: Iterable[VantagePoint], on_frame: Callable[[VantagePoint, bytes], None]
    ) -> None:
        self._posts, self._on_frame = tuple(posts), on_frame
        self._heard: list[tuple[str, bytes]] = []
        self.spoken: set[bytes] = set()

    def send(self, post: VantagePoint, frame: bytes, offload: Offload | None = None) -> None:
        """Note the frame."""
        del offload
        self._on_frame(post, frame)
        destination = Mac(frame[:6]) if len(frame) >= 6 else post.mac
        self._heard += [
            (each.name, frame)
            for each in self._posts
            if each is not post and (destination.is_group or destination == each.mac)
        ]

    def receive(self, patience: float) -> list[tuple[str, bytes]]:
        """Frames that were noted since the last call."""
        del patience
        heard, self._heard = self._heard, []
        return heard
