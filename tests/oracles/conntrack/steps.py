"""A case: what happens to one connection, step by step."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address

from vifguard.model.security_group import ICMP_OF
from vifguard.model.verdict import Direction
from vifguard.packet.describe import describe

FROM, TO = Direction.FROM_GUEST, Direction.TO_GUEST
GUEST = {4: "10.0.0.10", 6: "fd00::a"}
REMOTE = {4: "10.0.0.11", 6: "fd00::b"}
ROUTER = {4: "198.51.100.7", 6: "2001:db8::7"}
"""Somebody on the way, who sends ICMP errors."""

FIN, SYN, RST, PSH, ACK, URG = 1, 2, 4, 8, 16, 32
SPACE = 1 << 32


def other(direction: Direction) -> Direction:
    """The other side."""
    return TO if direction is FROM else FROM


def ahead(number: int, of: int) -> int:
    """How far a sequence number is ahead of another, negative behind it (RFC 9293, 3.4)."""
    return (number - of + (1 << 31)) % SPACE - (1 << 31)


@dataclass(frozen=True, slots=True)
class Connection:
    """The guest's end and the remote's; `ports` are the guest's and the remote's.

    An echo has its identifier for both.
    """

    version: int
    protocol: int
    ports: tuple[int, int]

    @property
    def is_icmp(self) -> bool:
        """Whether it is an echo."""
        return self.protocol == ICMP_OF[self.version]

    def addresses(self, sender: Direction) -> tuple[str, str]:
        """Source and destination."""
        ends = GUEST[self.version], REMOTE[self.version]
        return ends if sender is FROM else ends[::-1]

    def packed(self, sender: Direction) -> tuple[bytes, bytes]:
        """Source and destination in network byte order."""
        source, destination = map(ip_address, self.addresses(sender))
        return source.packed, destination.packed

    def ports_of(self, sender: Direction) -> tuple[int, int]:
        """Source and destination."""
        return self.ports if sender is FROM else self.ports[::-1]


@dataclass(frozen=True, slots=True)
class Segment:
    """What a TCP packet says; `scale` is the window scale option's, None without it."""

    sequence: int
    acknowledged: int
    flags: int
    length: int
    window: int = 65535
    scale: int | None = None

    @property
    def end(self) -> int:
        """The number behind it."""
        taken = self.length + bool(self.flags & SYN) + bool(self.flags & FIN)
        return (self.sequence + taken) % SPACE

    @property
    def kind(self) -> str:
        """Its flags but PSH and URG, as letters."""
        return "".join(
            name for bit, name in enumerate("FSR-A") if self.flags >> bit & 1 and name != "-"
        )


@dataclass(frozen=True, slots=True)
class Sent:
    """One packet, as its fragments where it has several.

    `what` says what it is meant to be, `segment` what a TCP packet says, `is_sound` whether its
    checksum and lengths are right.
    """

    direction: Direction
    frames: tuple[bytes, ...]
    what: str = ""
    segment: Segment | None = None
    is_sound: bool = True

    @property
    def is_fragmented(self) -> bool:
        """Whether it is in fragments, be it in one that others should follow."""
        return len(self.frames) > 1 or " fragment " in describe(self.frames[0])


@dataclass(frozen=True, slots=True)
class Elapsed:
    """So many seconds pass."""

    seconds: int


Step = Sent | Elapsed


@dataclass(frozen=True, slots=True)
class Case:
    """A connection and its steps."""

    connection: Connection
    steps: tuple[Step, ...]

    @property
    def is_fragmented(self) -> bool:
        """Whether any packet of it is in fragments."""
        return any(isinstance(step, Sent) and step.is_fragmented for step in self.steps)

    @property
    def has_ages(self) -> bool:
        """Whether time passes in it."""
        return any(isinstance(step, Elapsed) for step in self.steps)

    def __str__(self) -> str:
        """One step a line; TCP's numbers as distances from each side's first."""
        first: dict[Direction, int] = {}
        lines = [str(self.connection)]
        for step in self.steps:
            if isinstance(step, Elapsed):
                lines.append(f"  {step.seconds} s pass")
                continue
            sender = "guest " if step.direction is FROM else "remote"
            text = _shown(step, first)
            if len(step.frames) > 1:
                text += f", in {len(step.frames)} fragments: {_offsets(step)}"
            lines.append(f"  {sender} {text}" + (f"  ({step.what})" if step.what else ""))
        return "\n".join(lines)


def _offsets(step: Sent) -> str:
    """Where each fragment begins, `+` where more follow."""
    found = (describe(frame).partition(" at ")[2] for frame in step.frames)
    return " ".join(text.split(" ")[0] for text in found)


def _shown(step: Sent, first: dict[Direction, int]) -> str:
    segment = step.segment
    if segment is None:
        return describe(step.frames[0]).split(" ", 3)[-1]
    base = first.setdefault(step.direction, segment.sequence)
    text = f"{segment.kind or 'no flags'} seq {ahead(segment.sequence, base)}"
    if segment.flags & ACK:
        base = first.setdefault(other(step.direction), segment.acknowledged)
        text += f" ack {ahead(segment.acknowledged, base)}"
    return f"{text} len {segment.length} win {segment.window}"
