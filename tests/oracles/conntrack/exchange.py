"""A TCP connection as its two ends know it, whose segments become the steps of a case."""

from __future__ import annotations

from dataclasses import dataclass, replace

from tests.oracles.conntrack import wire
from tests.oracles.conntrack.steps import (
    ACK,
    FIN,
    FROM,
    SPACE,
    SYN,
    TO,
    Case,
    Connection,
    Elapsed,
    Segment,
    Sent,
    Step,
    other,
)

from vifguard.model.verdict import Direction
from vifguard.packet import build

MSS, WINDOW_SCALE, SACK_PERMITTED, SACK, TIMESTAMPS, FAST_OPEN = 2, 3, 4, 5, 8, 34


def option(kind: int, value: bytes = b"") -> bytes:
    """One TCP option."""
    return bytes((kind, 2 + len(value))) + value


@dataclass
class Side:
    """What one end has sent, and what of it the other end has acknowledged."""

    first: int
    next: int
    acknowledged: int
    window: int = 65535
    scale: int = 0
    offers_scale: bool = False


class Exchange:
    """Collects the steps; every segment that is sent is taken for received."""

    def __init__(
        self,
        version: int = 4,
        opener: Direction = FROM,
        *,
        port: int = 4000,
        numbers: tuple[int, int] = (1000, 5000),
    ) -> None:
        """`port` is the opener's, the other's is 80. `numbers`: first of guest and remote."""
        ports = (port, 80) if opener is FROM else (80, port)
        self.connection = Connection(version, 6, ports)
        self.opener, self.answerer = opener, other(opener)
        self.sides = {
            side: Side(number, number, number)
            for side, number in zip((FROM, TO), numbers, strict=True)
        }
        self.steps: list[Step] = []

    @property
    def case(self) -> Case:
        """All that happened."""
        return Case(self.connection, tuple(self.steps))

    @property
    def sent(self) -> list[Sent]:
        """The packets among the steps."""
        return [step for step in self.steps if isinstance(step, Sent)]

    def send(
        self,
        sender: Direction,
        flags: int,
        data: int = 0,
        *,
        ahead: int = 0,
        beyond: int = 0,
        window: int | None = None,
        options: bytes = b"",
        checksum: int | None = None,
        dress: wire.Dress = wire.plain,
        what: str = "",
    ) -> Sent:
        """A segment with `data` octets.

        `ahead` is how far its number is from the next one that its sender has to send, and
        `beyond` how far its acknowledgement is from all that it received. In place, it moves
        the connection on.
        """
        mine, its = self.sides[sender], self.sides[other(sender)]
        sequence = (mine.next + ahead) % SPACE
        received = (its.next + beyond) % SPACE if flags & ACK else 0
        if not ahead and checksum is None:
            mine.next = (mine.next + data + bool(flags & SYN) + bool(flags & FIN)) % SPACE
        if flags & ACK and not beyond and checksum is None:
            its.acknowledged = received
        options += b"\1" * (-len(options) % 4)
        window = mine.window if window is None else window
        piece = build.tcp(
            *self.connection.ports_of(sender),
            options + bytes(data),
            flags=flags,
            sequence=sequence,
            acknowledged=received,
            window=window,
            data_offset=5 + len(options) // 4,
            checksum=checksum,
        )
        scale = mine.scale if flags & SYN and mine.offers_scale else None
        says = Segment(sequence, received, flags, data, window, scale)
        packets = dress(self.connection, sender, piece)
        sent = Sent(sender, wire.framed(sender, packets), what, says, checksum is None)
        self.steps.append(sent)
        return sent

    def elapse(self, seconds: int) -> None:
        """Let time pass."""
        self.steps.append(Elapsed(seconds))

    def repeat(self, sent: Sent, what: str = "again") -> None:
        """The same packet again."""
        self.steps.append(replace(sent, what=what))

    def open(self, options: bytes = b"") -> None:
        """The three segments of a handshake."""
        self.send(self.opener, SYN, options=options, what="SYN")
        self.send(self.answerer, SYN | ACK, options=options, what="SYN-ACK")
        self.send(self.opener, ACK, what="ACK")

    def renumber(self, number: int) -> None:
        """Both sides choose new initial numbers, as when a port pair is used again."""
        for way, side in self.sides.items():
            first = (number + (way is TO) * 77_000) % SPACE
            side.first = side.next = side.acknowledged = first
            side.scale, side.offers_scale = 0, False
