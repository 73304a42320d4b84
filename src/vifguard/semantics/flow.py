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
Of each side one number is known: at first the one behind its SYN, then the last that the other
side acknowledged. RST and FIN must lie within 2^30 ahead, or 2^16 behind, of their sender's
acknowledged number; an RST ends the connection only if it hits that exactly, else it is passed
on without effect. While nothing of its sender was acknowledged, a FIN is invalid, and an RST
must follow its sender's SYN, or the challenge to it, or acknowledge its receiver's SYN where
its sender sent none. Of a connection that has ended, a SYN alone opens a new one.

**Recalled.** A TCP connection that the rules no longer allow is remembered as ended: while either
side goes on sending as if it were not, none of it passes, and only a SYN can open it anew. Else
the other side's next ACK, which the rules may well allow, would take it up again.

**Room.** A host remembers a bounded number of connections. Where there is no room for one more,
what goes first is what is over; then what is half open, of the port that has most of it; an open
connection goes only to a port that has at least two fewer. So no port's flood ends another's
connections, and the newcomer of a port that has its share is dropped (`flow-table-full`). This
and what it drops is the only thing here that is not a function of the packets.

**How long** (seconds since its last packet): TCP half-open 60, open 86400, with both FINs seen
120, reset 10, recalled 300; UDP 30, 180 once answered; ICMP 30; others 60, 600 once answered.
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
    RECALLED = auto()


_LIFETIMES = {
    TCP: {
        State.HALF_OPEN: 60,
        State.ANSWERED: 60,
        State.OPEN: 86400,
        State.FINISHED: 120,
        State.RESET: 10,
        State.RECALLED: 300,
    },
    UDP: {State.HALF_OPEN: 30, State.OPEN: 180},
    1: {State.HALF_OPEN: 30, State.OPEN: 30},
    58: {State.HALF_OPEN: 30, State.OPEN: 30},
}
_OTHERS = {State.HALF_OPEN: 60, State.OPEN: 600}


@dataclass(slots=True)
class Side:
    """What is known of what one side of a TCP connection sent.

    `number` is the sequence number that the other side waits for: as announced by a SYN, or
    as `acknowledged` by the other side. Of a side that was only asked, it is the number in
    its challenge.
    """

    number: int | None = None
    acknowledged: bool = False
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

    def recall(self, now: int) -> None:
        """End it because the rules no longer allow it."""
        self.state = State.RECALLED
        self.refresh(now)

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
            opener, answerer = self._sides(self.opening.direction)
            if segment.flags & SYN:
                opener.number = _behind_syn(segment)
            else:
                answerer.number, answerer.acknowledged = segment.acknowledged, True
        self.refresh(now)

    def is_sent(self, by: Direction, sequence: int) -> bool:
        """Whether a TCP sequence number can be of what a side sent (RFC 5927, 4.1)."""
        side = self.sides[by]
        if side.number is None or side.acknowledged:
            return side.acknowledged and _in_window(sequence, side)
        return (sequence + 1) % _SPACE == side.number

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
        sender, _ = self._sides(direction)
        if not sender.acknowledged:
            hits = self._resets_early(direction, segment)
        elif _in_window(segment.sequence, sender):
            hits = segment.sequence == sender.number
        else:
            return False
        if hits:
            self.state = State.RESET
            self.refresh(now)
        return hits or sender.acknowledged

    def _resets_early(self, direction: Direction, segment: Tcp) -> bool:
        """Whether an RST ends a connection while nothing of its sender was acknowledged."""
        sender, receiver = self._sides(direction)
        half_open = self.state is State.HALF_OPEN
        if half_open and direction is not self.opening.direction:
            return bool(segment.flags & ACK) and segment.acknowledged == receiver.number
        challenged = half_open and not receiver.acknowledged
        return segment.sequence == sender.number or (
            challenged and segment.sequence == receiver.number
        )

    def _synchronise(self, direction: Direction, segment: Tcp, now: int) -> bool:
        """SYN, with ACK or without, of a connection that has not ended."""
        sender, receiver = self._sides(direction)
        opener = direction is self.opening.direction
        if segment.flags & FIN:
            return False
        if self.state in (State.OPEN, State.FINISHED, State.RESET):
            return True
        if segment.flags & ACK:
            if segment.acknowledged != receiver.number or (
                opener and self.state is State.HALF_OPEN
            ):
                return False
            receiver.acknowledged = True
        if not sender.acknowledged:
            sender.number = _behind_syn(segment)
        if not opener:
            self.state = State.ANSWERED
        self.refresh(now)
        return True

    def _acknowledge(self, direction: Direction, segment: Tcp, now: int) -> bool:
        """A segment with ACK, and perhaps FIN."""
        sender, receiver = self._sides(direction)
        opener = direction is self.opening.direction
        if segment.flags & FIN and not (
            sender.acknowledged and _in_window(segment.sequence, sender)
        ):
            return False
        if self.state is State.HALF_OPEN and not (sender if not opener else receiver).acknowledged:
            return self._challenge(segment, now, opener=opener)
        if not receiver.acknowledged or _ahead(segment.acknowledged, receiver) < _AHEAD:
            receiver.number, receiver.acknowledged = segment.acknowledged, True
        if segment.flags & FIN:
            sender.finished = True
        self._advance(now, opener=opener)
        return True

    def _challenge(self, segment: Tcp, now: int, *, opener: bool) -> bool:
        """An ACK while nothing but the opener's SYN was seen: its answerer knows it already."""
        if opener or segment.flags & FIN:
            return False
        answerer = self.sides[_other(self.opening.direction)]
        answerer.number = segment.acknowledged
        self.refresh(now)
        return True

    def _advance(self, now: int, *, opener: bool) -> None:
        if self.state is State.RESET:
            return
        opened, answered = self._sides(self.opening.direction)
        if self.state is (State.ANSWERED if opener else State.HALF_OPEN):
            self.state = State.OPEN
        if opened.finished and answered.finished:
            self.state = State.FINISHED
        self.refresh(now)

    def _sides(self, sender: Direction) -> tuple[Side, Side]:
        """The sender's and the other one."""
        return self.sides[sender], self.sides[_other(sender)]


def may_open(segment: Tcp | None) -> bool:
    """Whether a packet that belongs to no connection may open one."""
    if segment is None:
        return True
    return segment.flags & (SYN | ACK | RST | FIN) in (SYN, ACK)


def _behind_syn(segment: Tcp) -> int:
    return (segment.sequence + 1) % _SPACE


def _in_window(sequence: int, side: Side) -> bool:
    distance = _ahead(sequence, side)
    return distance < _AHEAD or distance >= _SPACE - _BEHIND


def _ahead(sequence: int, side: Side) -> int:
    return (sequence - (side.number or 0)) % _SPACE


def _other(direction: Direction) -> Direction:
    return Direction.TO_GUEST if direction is Direction.FROM_GUEST else Direction.FROM_GUEST
