"""A TCP connection at random: mostly as two stacks would do it, with what networks do to it."""

from __future__ import annotations

from random import Random

from tests.oracles.conntrack import wire
from tests.oracles.conntrack.exchange import (
    FAST_OPEN,
    MSS,
    SACK,
    SACK_PERMITTED,
    TIMESTAMPS,
    WINDOW_SCALE,
    Exchange,
    option,
)
from tests.oracles.conntrack.icmp_errors import KINDS, error, error_about
from tests.oracles.conntrack.steps import (
    ACK,
    FIN,
    FROM,
    PSH,
    RST,
    SPACE,
    SYN,
    TO,
    URG,
    Case,
    other,
)

from vifguard.model.verdict import Direction

AGES = (2, 12, 42, 72, 112, 152, 312, 3602, 90_002, 500_002)
"""Seconds that pass at once: all lifetimes divide by ten, so that none is met within two."""
_AGES_IN_A_ROW = 4
_STEPS = 24


def tcp_case(random: Random, steps: int = _STEPS) -> Case:
    """A connection of about so many packets, in half of the cases with forged ones among them."""
    return TcpWalk(random, is_usual=random.random() < 0.5).walk(steps)


class TcpWalk:
    """What happens to one connection; `random` decides."""

    def __init__(self, random: Random, *, is_usual: bool) -> None:
        self.random = random
        self._weights = USUAL if is_usual else USUAL | FORGED
        numbers = (self._number(), self._number())
        self.exchange = Exchange(random.choice((4, 6)), random.choice((FROM, TO)), numbers=numbers)
        self._turn = 0
        self._ages = 0

    def walk(self, steps: int) -> Case:
        """Steps until there are enough."""
        self._proceed()
        while len(self.exchange.steps) < steps:
            if self.random.random() < 0.6:
                self._proceed()
            else:
                name = self._drawn()
                getattr(self, f"_{name}")()
        return self.exchange.case

    # As it should be.

    def _proceed(self) -> None:
        """The next thing that two stacks would do."""
        self._turn += 1
        exchange, opener = self.exchange, self.exchange.opener
        if self._turn == 1:
            self._syn(opener)
        elif self._turn == 2:
            self._send(exchange.answerer, SYN | ACK, options=self._handshake(exchange.answerer))
        elif self._turn == 3:
            self._send(opener, ACK)
        else:
            self._send(self._either(), ACK | self.random.choice((0, PSH)), self._size())

    def _syn(self, sender: Direction) -> None:
        options = self._handshake(sender)
        data = 0
        if self.random.random() < 0.15:
            options += option(FAST_OPEN, bytes(8))
            data = self.random.choice((0, 1, 100))
        self._send(sender, SYN, data, options=options, what="SYN")

    def _handshake(self, sender: Direction) -> bytes:
        """Options of a SYN."""
        options = b""
        if self.random.random() < 0.6:
            options += option(MSS, b"\x05\xb4")
        if self.random.random() < 0.5:
            options += option(SACK_PERMITTED)
        if self.random.random() < 0.5:
            scale = self.random.choice((0, 2, 7, 14))
            side = self.exchange.sides[sender]
            side.scale, side.offers_scale = scale, True
            options += option(WINDOW_SCALE, bytes((scale,)))
        if self.random.random() < 0.3:
            options += option(TIMESTAMPS, bytes(8))
        return options

    def _finish(self) -> None:
        """One side, or both, have nothing more to send."""
        for sender in self.random.sample((FROM, TO), self.random.choice((1, 2))):
            self._send(sender, FIN | ACK, self.random.choice((0, 0, 10)), what="FIN")
            if self.random.random() < 0.7:
                self._send(other(sender), ACK)

    def _early_finish(self) -> None:
        """FIN with the handshake's last ACK, or before it."""
        self._send(self._either(), FIN | ACK, what="early FIN")

    # What stacks and networks do at times.

    def _again(self) -> None:
        """A retransmission, or a packet that the network delivers twice."""
        sent = self.random.choice(self.exchange.sent[-6:])
        if len(sent.frames) == 1:
            self.exchange.repeat(sent)

    def _gap(self) -> None:
        """Segments that overtake each other, and what is acknowledged of them meanwhile."""
        sender = self._either()
        first, second = self._size() or 1, self._size() or 1
        self._send(sender, ACK, second, ahead=first, what="ahead of the one before it")
        its = self.exchange.sides[sender]
        if self.random.random() < 0.5:
            edges = ((its.next + first) % SPACE, (its.next + first + second) % SPACE)
            blocks = b"".join(edge.to_bytes(4, "big") for edge in edges)
            self._send(other(sender), ACK, options=option(SACK, blocks), what="SACK")
        self._send(sender, ACK, first, what="the one before")
        its.next = (its.next + second) % SPACE
        self._send(other(sender), ACK)

    def _keep_alive(self) -> None:
        """One octet before what is next, or none (RFC 9293, 3.8.4), and the answer."""
        sender = self._either()
        self._send(sender, ACK, self.random.choice((0, 1)), ahead=-1, what="keep-alive")
        self._send(other(sender), ACK)

    def _window(self) -> None:
        """A receiver closes its window; it is probed, and opens it again."""
        receiver = self._either()
        self._send(receiver, ACK, window=0, what="zero window")
        self._send(other(receiver), ACK, 1, ahead=0, what="probe")
        self._send(receiver, ACK, beyond=-1, window=0, what="still zero")
        self.exchange.sides[other(receiver)].next -= 1
        self.exchange.sides[other(receiver)].next %= SPACE
        self._send(receiver, ACK, window=self.random.choice((100, 65535)), what="window opens")

    def _shrink(self) -> None:
        """Another window from now on."""
        self.exchange.sides[self._either()].window = self.random.choice((1, 500, 65535))

    def _stale(self) -> None:
        """An acknowledgement of what was acknowledged before."""
        self._send(self._either(), ACK, beyond=-self.random.choice((1, 50, 2000)), what="old ACK")

    def _both_open(self) -> None:
        """The other side's SYN crosses (RFC 9293, 3.5)."""
        if self._turn == 1:
            answerer = self.exchange.answerer
            self._syn(answerer)
            for sender in self.random.sample((FROM, TO), 2):
                self._send(sender, SYN | ACK, ahead=-1, what="SYN-ACK of a simultaneous open")
            self._turn = 3

    def _challenge(self) -> None:
        """An ACK that answers a SYN: the answerer has an older connection (RFC 9293, 3.5.1)."""
        sender = self._either()
        beyond = self.random.choice((-100, 7, 1 << 31))
        self._send(sender, ACK, beyond=beyond, ahead=7, what="challenge")

    # Ends.

    def _reset(self) -> None:
        """RST where it belongs: at what was acknowledged, or at what is next."""
        sender = self._either()
        side = self.exchange.sides[sender]
        ahead = self.random.choice((0, side.acknowledged - side.next))
        flags = self.random.choice((RST, RST | ACK))
        self._send(sender, flags, ahead=ahead % SPACE, what="RST")

    def _reset_near(self) -> None:
        """RST in the window, or outside."""
        ahead = self.random.choice((1, 100, 60_000, -1, -100, 1 << 20, 1 << 31))
        flags = self.random.choice((RST, RST | ACK))
        self._send(self._either(), flags, ahead=ahead, what="RST elsewhere")

    def _refuse(self) -> None:
        """RST with ACK and number 0: a closed port's answer to a SYN (RFC 9293, 3.10.7.1)."""
        sender = self._either()
        side = self.exchange.sides[sender]
        self._send(sender, RST | ACK, ahead=-side.next % SPACE, what="refusal")

    def _reopen(self) -> None:
        """A SYN on the same ports, with new numbers or the old ones."""
        if self.random.random() < 0.7:
            self.exchange.renumber(self._number())
        sender = self._either()
        self.exchange.opener, self.exchange.answerer = sender, other(sender)
        self._turn = 1
        self._syn(sender)

    def _fin_elsewhere(self) -> None:
        """FIN ahead of what was sent, or far away."""
        ahead = self.random.choice((1, 1000, 1 << 20, 1 << 31))
        self._send(self._either(), FIN | ACK, ahead=ahead, what="FIN elsewhere")

    # What no stack sends.

    def _ack_elsewhere(self) -> None:
        """An acknowledgement of what was never sent."""
        beyond = self.random.choice((1, 1000, 70_000, 1 << 29, 1 << 31))
        self._send(self._either(), ACK, self._size(), beyond=beyond, what="ACK beyond")

    def _data_elsewhere(self) -> None:
        """Data before or behind the window."""
        ahead = self.random.choice((70_000, 1 << 20, 1 << 31, -70_000, -(1 << 20)))
        self._send(self._either(), ACK, self._size(), ahead=ahead, what="data elsewhere")

    def _odd(self) -> None:
        """Any flags."""
        self._send(self._either(), self.random.randrange(64), self._size(), ahead=0, what="odd")

    def _sum(self) -> None:
        """A checksum that is wrong."""
        self._send(self._either(), ACK, self._size(), checksum=1, what="wrong checksum")

    def _urgent(self) -> None:
        self._send(self._either(), ACK | URG, self._size(), what="urgent")

    # Around it.

    def _age(self) -> None:
        """Time passes; only so often that the error of each cannot add up to two seconds."""
        if self._ages < _AGES_IN_A_ROW:
            self._ages += 1
            self.exchange.elapse(self.random.choice(AGES))

    def _error(self) -> None:
        """An ICMP error about one of the last packets."""
        about = self.random.choice(self.exchange.sent[-4:])
        if about.segment is not None:
            kind = self.random.choice(KINDS[self.exchange.connection.version][:-1])
            self.exchange.steps.append(error(self.exchange.connection, about, kind))

    def _wrong_error(self) -> None:
        """An ICMP error, a little wrong."""
        about = self.random.choice(self.exchange.sent[-4:])
        step = error_about(self.random, self.exchange.connection, about)
        if step is not None:
            self.exchange.steps.append(step)

    # What is drawn.

    def _drawn(self) -> str:
        return self.random.choices(tuple(self._weights), tuple(self._weights.values()))[0]

    def _send(self, sender: Direction, flags: int, data: int = 0, **more) -> None:
        dress = wire.any_dress(self.random, fragments=0.05 if data else 0)
        self.exchange.send(sender, flags, data, dress=dress, **more)

    def _either(self) -> Direction:
        return self.random.choice((FROM, TO))

    def _size(self) -> int:
        return self.random.choice((0, 1, 100, 1000))

    def _number(self) -> int:
        """An initial number, often about to wrap."""
        return self.random.choice(
            (1000, SPACE - 1, SPACE - 50, 1 << 31, self.random.getrandbits(32))
        )


USUAL = {
    "finish": 6,
    "early_finish": 1,
    "again": 8,
    "gap": 4,
    "keep_alive": 4,
    "window": 3,
    "shrink": 2,
    "stale": 3,
    "both_open": 6,
    "reset": 3,
    "reopen": 4,
    "urgent": 1,
    "age": 4,
    "error": 5,
}
FORGED = {
    "challenge": 2,
    "reset_near": 3,
    "refuse": 2,
    "fin_elsewhere": 1,
    "ack_elsewhere": 3,
    "data_elsewhere": 2,
    "odd": 3,
    "sum": 1,
    "wrong_error": 3,
}
"""How often what."""
