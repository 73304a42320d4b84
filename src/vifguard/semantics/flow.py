"""Connections as a port sees them: what opens one, what belongs to it, when it ends.

Each port has a table of its own; nothing in it is known to another port, so that equal
addresses on two networks, or on both ends of one connection, never meet. *Local* is the
guest's side, *remote* the other.

**What one is.** Both addresses, the protocol, and: for TCP, UDP, DCCP, SCTP and UDP-Lite both
ports; for an ICMP echo or timestamp its identifier and who asked; for other protocols nothing
more. Other ICMP messages, and packets to multicast or 255.255.255.255, have none: each is
judged by the rules alone.

**TCP** (RFC 9293, windows loosely). A segment with SYN alone opens a connection; so does one
with ACK and none of SYN, RST, FIN, so that connections survive the loss of a table (each is
judged by the rules then). Without a connection all else is invalid, as is any segment without
SYN, ACK and RST. Of a connection whose opener's SYN alone was seen:

* SYN with ACK must come from the other side and acknowledge that SYN; SYN alone from the other
  side is a simultaneous open (RFC 9293, 3.5);
* ACK alone is legal from the other side only (a challenge, RFC 9293, 3.5.1).

In an open connection a SYN is passed on without effect: the receiver challenges it (RFC 5961).
RST and FIN must lie within 2^30 ahead, or 2^16 behind, of what their receiver acknowledged
last; an RST ends the connection only if it hits that number exactly, else it is passed on
without effect. Before any acknowledgment, an RST must acknowledge the receiver's SYN, or
continue its own sender's. Of a connection that has ended, a SYN alone opens a new one.

**How long** (seconds since its last packet): TCP half-open 60, open 86400, with both FINs seen
120, reset 10; UDP 30, 180 once answered; ICMP 30; others 60, 600 once answered.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto

from vifguard.model.address import IPAddress
from vifguard.model.verdict import Direction
from vifguard.packet.upper import TCP, UDP, Tcp

SECOND = 1_000_000_000
FIN, SYN, RST, ACK = 1, 2, 4, 16
_AHEAD, _BEHIND = 1 << 30, 1 << 16
_SPACE = 1 << 32


@dataclass(frozen=True, slots=True)
class Key:
    """Which connection of a port. An echo has its identifier, and whether the remote asked."""

    protocol: int
    local: IPAddress
    remote: IPAddress
    local_port: int = 0
    remote_port: int = 0


@dataclass(frozen=True, slots=True)
class Opening:
    """The packet that opened it, as far as a rule can ask."""

    direction: Direction
    protocol: int
    remote: IPAddress
    port: int | None = None
    icmp: tuple[int, int] | None = None


class State(Enum):
    """How far a connection has come; UDP and others know HALF_OPEN and OPEN only."""

    HALF_OPEN = auto()
    ANSWERED = auto()
    OPEN = auto()
    FINISHED = auto()
    RESET = auto()


_LIFETIMES = {
    TCP: {
        State.HALF_OPEN: 60,
        State.ANSWERED: 60,
        State.OPEN: 86400,
        State.FINISHED: 120,
        State.RESET: 10,
    },
    UDP: {State.HALF_OPEN: 30, State.OPEN: 180},
    1: {State.HALF_OPEN: 30, State.OPEN: 30},
    58: {State.HALF_OPEN: 30, State.OPEN: 30},
}
_OTHERS = {State.HALF_OPEN: 60, State.OPEN: 600}


@dataclass(slots=True)
class Side:
    """What one side of a TCP connection said: the number behind its SYN, its last ACK."""

    start: int | None = None
    acked: int | None = None
    finished: bool = False


@dataclass(slots=True)
class Flow:
    """One connection. `expires` is in ns of the clock that the port is judged by."""

    key: Key
    opening: Opening
    state: State = State.HALF_OPEN
    expires: int = 0
    sides: dict[Direction, Side] = field(
        default_factory=lambda: {direction: Side() for direction in Direction}
    )

    @property
    def has_ended(self) -> bool:
        """Whether a new connection may take its place."""
        return self.state in (State.FINISHED, State.RESET)

    def refresh(self, now: int) -> None:
        """Let it live as long as its state allows from now on."""
        lifetime = _LIFETIMES.get(self.key.protocol, _OTHERS)[self.state]
        self.expires = now + lifetime * SECOND

    def take(self, direction: Direction, segment: Tcp | None, now: int) -> bool:
        """Whether a packet belongs to it; the connection is then as far as the packet says."""
        if segment is not None:
            return self._take_segment(direction, segment, now)
        if direction is not self.opening.direction:
            self.state = State.OPEN
        self.refresh(now)
        return True

    def open_with(self, segment: Tcp | None, now: int) -> None:
        """Begin with a packet that `may_open`."""
        if segment is not None:
            side = self.sides[self.opening.direction]
            if segment.flags & SYN:
                side.start = _behind_syn(segment)
            else:
                side.acked = segment.acknowledged
        self.refresh(now)

    def is_sent(self, by: Direction, sequence: int) -> bool:
        """Whether a TCP sequence number can be of what a side sent (RFC 5927, 4.1)."""
        other = self.sides[_other(by)]
        if other.acked is None:
            start = self.sides[by].start
            return start is not None and (sequence + 1) % _SPACE == start
        return _in_window(sequence, other.acked)

    def _take_segment(self, direction: Direction, segment: Tcp, now: int) -> bool:
        flags = segment.flags
        if flags & RST:
            return self._reset(direction, segment, now)
        if flags & SYN:
            return self._synchronise(direction, segment, now)
        if not flags & ACK:
            return False
        return self._acknowledge(direction, segment, now)

    def _reset(self, direction: Direction, segment: Tcp, now: int) -> bool:
        sender, receiver = self.sides[direction], self.sides[_other(direction)]
        if receiver.acked is not None:
            if not _in_window(segment.sequence, receiver.acked):
                return False
            hits = segment.sequence == receiver.acked
        elif segment.flags & ACK and receiver.start is not None:
            hits = segment.acknowledged == receiver.start
        else:
            hits = sender.start is not None and segment.sequence == sender.start
        if receiver.acked is None and not hits:
            return False
        if hits:
            self.state = State.RESET
            self.refresh(now)
        return True

    def _synchronise(self, direction: Direction, segment: Tcp, now: int) -> bool:
        """SYN, with ACK or without, of a connection that has not ended."""
        sender, receiver = self.sides[direction], self.sides[_other(direction)]
        opener = direction is self.opening.direction
        if segment.flags & FIN:
            return False
        if self.state in (State.OPEN, State.FINISHED, State.RESET):
            return True
        if segment.flags & ACK:
            answers = receiver.start is not None and segment.acknowledged == receiver.start
            if not answers or (opener and self.state is State.HALF_OPEN):
                return False
            sender.acked = segment.acknowledged
        sender.start = _behind_syn(segment)
        if not opener:
            self.state = State.ANSWERED
        self.refresh(now)
        return True

    def _acknowledge(self, direction: Direction, segment: Tcp, now: int) -> bool:
        """A segment with ACK, and perhaps FIN."""
        sender, receiver = self.sides[direction], self.sides[_other(direction)]
        opener = direction is self.opening.direction
        if segment.flags & FIN and not (
            receiver.acked is not None and _in_window(segment.sequence, receiver.acked)
        ):
            return False
        if self.state is State.HALF_OPEN and opener and sender.acked is None:
            return False
        if sender.acked is None or (segment.acknowledged - sender.acked) % _SPACE < _AHEAD:
            sender.acked = segment.acknowledged
        if segment.flags & FIN:
            sender.finished = True
        self._advance(now, opener=opener)
        return True

    def _advance(self, now: int, *, opener: bool) -> None:
        if self.state is State.RESET:
            return
        opened, answered = (self.sides[d] for d in (self.opening.direction, self._answering))
        if self.state is State.HALF_OPEN and not opener:
            # A challenge opens nothing; an answer to what began without a SYN does.
            self.state = State.HALF_OPEN if opened.acked is None else State.OPEN
        elif self.state is State.ANSWERED and opener:
            self.state = State.OPEN
        if opened.finished and answered.finished:
            self.state = State.FINISHED
        self.refresh(now)

    @property
    def _answering(self) -> Direction:
        return _other(self.opening.direction)


def may_open(segment: Tcp | None) -> bool:
    """Whether a packet that belongs to no connection may open one."""
    if segment is None:
        return True
    return segment.flags & (SYN | ACK | RST | FIN) in (SYN, ACK)


def _behind_syn(segment: Tcp) -> int:
    return (segment.sequence + 1) % _SPACE


def _in_window(sequence: int, acked: int) -> bool:
    distance = (sequence - acked) % _SPACE
    return distance < _AHEAD or distance >= _SPACE - _BEHIND


def _other(direction: Direction) -> Direction:
    return Direction.TO_GUEST if direction is Direction.FROM_GUEST else Direction.FROM_GUEST
