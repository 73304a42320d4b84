"""TCP connections: their openings, their segments, their states (RFC 9293).

Of each side two numbers are known: the *acknowledged* number, at first the one behind its SYN,
and the *sent* number, the one behind the highest octet that it sent; SYN and FIN count as one
octet each, and a segment that comes in fragments as 2^16. The windows that the sides announce are
not followed: a sequence number is *in the window* if it is less than 2^30 ahead of its sender's
acknowledged number and at most 2^16 behind. An ACK *fits* if it acknowledges no more than the
sent number, and at most 2^16 less than was acknowledged already (RFC 5961, 5.2). A segment that
passes *without effect* changes nothing here and prolongs nothing; its receiver knows better than a
filter how to treat it.

**Opening.** A segment with SYN alone opens a connection, if the rules allow; so does one with ACK
and none of SYN, RST, FIN, so that connections survive the loss of a table: it is *picked up*.
Without a connection all else is invalid. So is any segment without SYN, ACK and RST, and one with
more than one of SYN, FIN and RST. While nothing but the opener's SYN was seen:

* SYN with ACK must come from the other side and acknowledge the SYN; with it, any of the data
  that the SYN carried (TCP Fast Open, RFC 7413, 3.1). The opener may send its SYN again, with data
  or without. The other side may then send data, and a FIN, before anything of it is acknowledged;
* SYN alone from the other side is a simultaneous open (RFC 9293, 3.5);
* ACK alone is legal from the other side only (a challenge, RFC 9293, 3.5.1).

It is open once something of both sides was acknowledged. Of one that was picked up, the first ACK
of the other side may acknowledge up to 2^16 less or more than was seen.

**Open.** An ACK that does not fit passes without effect. A FIN must be in the window, else it is
invalid. Until it is acknowledged the connection is *closing*; then it is *half-closed*, and the
other side may go on sending, or, with the FINs of both sides, *finished*.

**RST.** One at exactly its sender's acknowledged number, or its sent number, ends the
connection (RFC 5961, 3.2). Elsewhere in the window it passes; between the two it may be right,
if its sender's segments before it were lost: the connection then lives for 10 s, and on with the
next packet. Outside of the window it is invalid. While nothing of its sender was acknowledged, it
must follow its SYN, or the challenge to it; where its sender sent nothing, it must
acknowledge the SYN, with any of its data. After an RST segments pass without effect; an ICMP
error does not pass.

**A connection in the place of another.** A SYN into an open connection passes without effect: if
it is none of its sender's, the receiver challenges it (RFC 5961, 4). But it is noted, for where
both ends have lost the connection, the receiver answers with a SYN with ACK that acknowledges it;
then a new connection begins with the numbers of the two. The SYN of the side that did not open
the old one asks the rules first, as any SYN does, unless the other's was noted. Of a connection
that has ended, a SYN opens a new one.

An old SYN that comes late, at most 2^16 behind its sender's acknowledged number, is not noted,
and begins nothing in the place of a finished one (RFC 9293, 3.10.7.4).

**A guard that is new** at a guest that was running before it does not know the connections that
there are: at a member of an adopted bridge that was there first, and at a port whose guard is of
another build, or of another size of the table, and could not be taken over with its memory. For
2 h 4 min an ACK, with FIN or without, is picked up if the rules allow its connection to be opened
by either side: a host that keeps a connection alive sends something in that time (RFC 5382, REQ-5;
RFC 1122, 4.2.3.6). It opens nothing that was not open: a stranger's reaches the guest too, which
has no such connection and answers it with a reset, and a SYN of the side that the rules do not
allow is dropped. Datagrams wait until the side that the rules allow sends one.

**Recalled.** A TCP connection that the rules no longer allow is remembered as ended: while either
side goes on sending as if it were not, none of it passes, and only a SYN can open it anew. Else
the other side's next ACK, which the rules may well allow, would pick it up again.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from vifguard.model.verdict import Direction
from vifguard.packet.transport import TCP, Tcp
from vifguard.semantics.flow import Flow, FlowKey, FlowStart, FlowState

FIN, SYN, RST, ACK = 1, 2, 4, 16
_AHEAD, _BEHIND = 1 << 30, 1 << 16
_SPACE = 1 << 32
_BEGUN = (FlowState.HALF_OPEN, FlowState.ANSWERED)
_NOT_YET_OPEN = (FlowState.HALF_OPEN, FlowState.PICKED_UP, FlowState.ANSWERED)


@dataclass(frozen=True, slots=True)
class Segment:
    """The numbers and flags of a segment; `end` is the number behind its last octet."""

    flags: int
    sequence: int
    acknowledged: int
    end: int

    @classmethod
    def of(cls, tcp: Tcp, *, more: bool) -> Segment:
        """The segment of a packet, or of the first fragment of one that has `more`."""
        data = _BEHIND if more else len(tcp.payload)
        length = data + bool(tcp.flags & SYN) + bool(tcp.flags & FIN)
        return cls(tcp.flags, tcp.sequence, tcp.acknowledged, (tcp.sequence + length) % _SPACE)


@dataclass(slots=True)
class Side:
    """The sequence numbers that are known of one side of a connection.

    `number` is the sequence number that the other side waits for: as announced by a SYN, or as
    `acknowledged` by the other side; None where neither was seen. Of a side that was only asked,
    it is the number in its challenge. `sent` is the one behind all that it sent. `noted` is the
    number behind a SYN that passed without effect.
    """

    number: int | None = None
    sent: int = 0
    acknowledged: bool = False
    finished: bool = False
    noted: int | None = None

    def begin(self, number: int, sent: int) -> None:
        """Forget everything but these numbers."""
        self.number, self.sent = number, sent
        self.acknowledged = self.finished = False
        self.noted = None

    def ahead(self, sequence: int) -> int:
        """The distance of a sequence number ahead of the number, modulo 2^32."""
        return (sequence - (self.number or 0)) % _SPACE

    @property
    def in_flight(self) -> int:
        """Octets that were sent and not acknowledged."""
        return 0 if self.noted is not None else self.ahead(self.sent)

    def in_window(self, sequence: int) -> bool:
        """Whether a segment of this side may begin there."""
        return (self.ahead(sequence) + _BEHIND) % _SPACE < _AHEAD + _BEHIND

    def has_sent(self, sequence: int) -> bool:
        """Whether a sequence number may be of a segment on its way, now or a moment ago."""
        behind = _BEHIND if self.acknowledged else 1
        return (self.ahead(sequence) + behind) % _SPACE <= self.in_flight + behind

    def reaches(self, end: int) -> None:
        """Note the end of a segment in the window."""
        start = self.number or 0
        before = self.in_flight
        ahead = self.ahead(end)
        self.sent = (start + (ahead if before < ahead < _SPACE // 2 else before)) % _SPACE
        self.noted = None

    def fits(self, acknowledgement: int) -> bool:
        """Whether the other side may acknowledge this."""
        behind = _BEHIND if self.acknowledged else 0
        return (self.ahead(acknowledgement) + behind) % _SPACE <= self.in_flight + behind

    def is_near(self, acknowledgement: int) -> bool:
        """Whether the other side's first ACK of a picked up connection may acknowledge this."""
        ahead = (self.ahead(acknowledgement) + _BEHIND) % _SPACE
        return not self.acknowledged and ahead <= self.in_flight + 2 * _BEHIND

    def acknowledge(self, acknowledgement: int) -> None:
        """Note that the other side has all that is before a number that `fits`."""
        if self.ahead(acknowledgement) <= self.in_flight:
            self.number, self.acknowledged = acknowledgement, True


@dataclass(slots=True)
class TcpFlow(Flow):
    """A connection of TCP."""

    sides: dict[Direction, Side] = field(
        default_factory=lambda: {direction: Side() for direction in Direction}
    )

    def open_with(self, direction: Direction, segment: Segment, now: int) -> None:
        """Begin with a segment that `may_open`, which came in this direction."""
        sender, receiver = self._sides(direction)
        if segment.flags & SYN:
            sender.begin(_behind_syn(segment), segment.end)
        else:
            self.state = FlowState.PICKED_UP
            sender.begin(segment.sequence, segment.end)
            sender.finished = bool(segment.flags & FIN)
            receiver.begin(segment.acknowledged, segment.acknowledged)
            receiver.acknowledged = True
        self.refresh(now)

    def asks_rules(self, direction: Direction, segment: Segment) -> bool:
        """Whether the rules must allow a segment though it is of this connection."""
        replaces = is_opening(segment) and self.state not in _BEGUN
        opener = self.opening.direction
        return replaces and direction is not opener and self.sides[opener].noted is None

    def is_late(self, direction: Direction, segment: Segment) -> bool:
        """Whether a SYN is an old one of this very connection."""
        sender = self.sides[direction]
        behind = (sender.ahead(_behind_syn(segment)) + _BEHIND) % _SPACE
        return sender.acknowledged and behind <= _BEHIND

    def may_be_replaced_by(self, direction: Direction, segment: Segment) -> bool:
        """Whether a segment begins a new connection in its place."""
        late = self.state is FlowState.FINISHED and self.is_late(direction, segment)
        return is_opening(segment) and self.may_be_replaced and not late

    def is_sent(self, by: Direction, sequence: int) -> bool:
        """Whether a side can have sent a sequence number (RFC 5927, 4.1)."""
        asked = self.state is FlowState.HALF_OPEN and by is not self.opening.direction
        if asked or self.state is FlowState.RESET:
            return False
        return self.sides[by].has_sent(sequence)

    def take_segment(self, direction: Direction, segment: Segment, now: int) -> bool:
        """Whether a segment belongs to it; if so, advance the connection by it."""
        kind = segment.flags & (SYN | FIN | RST)
        if kind not in (0, SYN, FIN, RST) or not segment.flags & (SYN | RST | ACK):
            return False
        if kind == SYN:
            return self._synchronise(direction, segment, now)
        if self.state is FlowState.RESET:
            return True
        if kind == RST:
            return self._reset(direction, segment, now)
        return self._acknowledge(direction, segment, now)

    def _reset(self, direction: Direction, segment: Segment, now: int) -> bool:
        sender, _ = self._sides(direction)
        if not sender.acknowledged:
            hits = self._resets_early(direction, segment)
        elif not sender.in_window(segment.sequence):
            return False
        else:
            hits = sender.ahead(segment.sequence) in (0, sender.in_flight)
            if sender.ahead(segment.sequence) < sender.in_flight:
                self.expires = min(self.expires, self._end(FlowState.RESET, now))
        if hits:
            self.state = FlowState.RESET
            self.refresh(now)
        return hits or sender.acknowledged

    def _resets_early(self, direction: Direction, segment: Segment) -> bool:
        """Whether an RST ends a connection while nothing of its sender was acknowledged."""
        sender, receiver = self._sides(direction)
        half_open = self.state is FlowState.HALF_OPEN
        if half_open and direction is not self.opening.direction:
            return bool(segment.flags & ACK) and receiver.fits(segment.acknowledged)
        return sender.ahead(segment.sequence) <= sender.in_flight or (
            half_open and segment.sequence == receiver.number
        )

    def _synchronise(self, direction: Direction, segment: Segment, now: int) -> bool:
        """Judge a SYN, with ACK or without, of a connection that has not ended."""
        sender, receiver = self._sides(direction)
        if segment.flags & ACK and _answers(receiver.noted, segment.acknowledged):
            self._begin_anew(direction, segment, now)
            return True
        if self.state not in _BEGUN or (sender.acknowledged and is_opening(segment)):
            if is_opening(segment) and not self.is_late(direction, segment):
                sender.noted = _behind_syn(segment)
            return True
        if segment.flags & ACK:
            opener = direction is self.opening.direction
            early = opener and self.state is FlowState.HALF_OPEN
            if early or receiver.ahead(segment.acknowledged) > receiver.in_flight:
                return False
            receiver.acknowledge(segment.acknowledged)
        self._learn_syn(direction, segment)
        self._advance(now)
        return True

    def _learn_syn(self, direction: Direction, segment: Segment) -> None:
        sender, receiver = self._sides(direction)
        opener = direction is self.opening.direction
        has_sent_syn = opener or self.state is FlowState.ANSWERED
        if sender.acknowledged:
            return
        if not opener:
            self.state = FlowState.ANSWERED
        if has_sent_syn and sender.number == _behind_syn(segment):
            sender.reaches(segment.end)
            return
        sender.begin(_behind_syn(segment), segment.end)
        if self.state is FlowState.HALF_OPEN:
            receiver.number = None

    def _begin_anew(self, direction: Direction, segment: Segment, now: int) -> None:
        """Begin the connection that both sides agree on, from the other side's noted SYN."""
        sender, receiver = self._sides(direction)
        both = sender.noted is not None
        receiver.begin(receiver.noted or 0, segment.acknowledged)
        receiver.acknowledge(receiver.number or 0)
        sender.begin(_behind_syn(segment), segment.end)
        if not both:
            self.opening = opening_of(self.key, _other(direction))
        self.state = FlowState.ANSWERED
        self.refresh(now)

    def _acknowledge(self, direction: Direction, segment: Segment, now: int) -> bool:
        """Judge a segment with ACK, and perhaps FIN."""
        sender, receiver = self._sides(direction)
        if self.state is FlowState.HALF_OPEN:
            return self._challenge(direction, segment, now)
        in_window = sender.in_window(segment.sequence)
        if segment.flags & FIN and not in_window:
            return False
        if self.state is FlowState.PICKED_UP and receiver.is_near(segment.acknowledged):
            receiver.reaches(segment.acknowledged)
            receiver.number, receiver.acknowledged = segment.acknowledged, True
        if not receiver.fits(segment.acknowledged):
            return True
        receiver.acknowledge(segment.acknowledged)
        if in_window:
            sender.reaches(segment.end)
        sender.finished |= bool(segment.flags & FIN)
        self._advance(now)
        return True

    def _challenge(self, direction: Direction, segment: Segment, now: int) -> bool:
        """Judge an ACK while only the opener's SYN was seen: its sender knows the connection."""
        if direction is self.opening.direction or segment.flags & FIN:
            return False
        self.sides[direction].number = segment.acknowledged
        self.refresh(now)
        return True

    def _advance(self, now: int) -> None:
        sides = self.sides.values()
        if self.state in _NOT_YET_OPEN and all(side.acknowledged for side in sides):
            self.state = FlowState.OPEN
        if self.state not in _NOT_YET_OPEN:
            self._close()
        self.refresh(now)

    def _close(self) -> None:
        """Set the state by the FINs that were seen."""
        finished = [side for side in self.sides.values() if side.finished]
        if any(side.in_flight for side in finished):
            self.state = FlowState.CLOSING
        elif finished:
            self.state = (FlowState.HALF_CLOSED, FlowState.FINISHED)[len(finished) - 1]

    def _sides(self, sender: Direction) -> tuple[Side, Side]:
        """The sender's and the other one."""
        return self.sides[sender], self.sides[_other(sender)]


def opening_of(key: FlowKey, direction: Direction) -> FlowStart:
    """The opening by which the rules judge a connection that was opened in this direction."""
    port = key.remote_port if direction is Direction.FROM_GUEST else key.local_port
    return FlowStart(direction, TCP, key.remote, port)


def is_opening(segment: Segment) -> bool:
    """Whether a segment is a SYN alone."""
    return segment.flags & (SYN | ACK | RST | FIN) == SYN


def is_of_open(segment: Segment) -> bool:
    """Whether a segment may be of any connection that is open: an ACK, with FIN or without."""
    return segment.flags & (SYN | ACK | RST) == ACK


def may_open(segment: Segment) -> bool:
    """Whether a segment that belongs to no connection may open one."""
    return segment.flags & (SYN | ACK | RST | FIN) in (SYN, ACK)


def _answers(noted: int | None, acknowledged: int) -> bool:
    """Whether an acknowledgement is of a SYN that was noted, with any of its data."""
    return noted is not None and (acknowledged - noted) % _SPACE < _BEHIND


def _behind_syn(segment: Segment) -> int:
    return (segment.sequence + 1) % _SPACE


def _other(direction: Direction) -> Direction:
    return Direction.TO_GUEST if direction is Direction.FROM_GUEST else Direction.FROM_GUEST
