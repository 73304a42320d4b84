"""A case of each kind of difference, whose last packet is the difference.

Each is of an IP version, and opened by one of the two sides.
"""

from __future__ import annotations

from tests.oracles.conntrack.exchange import Exchange
from tests.oracles.conntrack.icmp_errors import error
from tests.oracles.conntrack.steps import ACK, FIN, FROM, RST, SYN, URG, Case, Connection, Sent
from tests.oracles.conntrack.wire import (
    HEADER,
    fragmented,
    framed,
    in_order,
    overlapping,
    plain,
    without_last,
)

from vifguard.model.verdict import Direction
from vifguard.packet import build


def checksum(version: int, opener: Direction) -> Case:
    exchange = Exchange(version, opener)
    exchange.open()
    exchange.send(opener, ACK, 10, checksum=1, what="wrong checksum")
    return exchange.case


def flags(version: int, opener: Direction) -> Case:
    exchange = Exchange(version, opener)
    exchange.open()
    exchange.send(opener, RST | URG)
    return exchange.case


def window(version: int, opener: Direction) -> Case:
    exchange = Exchange(version, opener)
    exchange.open()
    exchange.send(opener, ACK, 10, ahead=200_000, what="beyond the window")
    return exchange.case


def syn(version: int, opener: Direction) -> Case:
    exchange = Exchange(version, opener)
    exchange.send(opener, ACK, what="the connection is older")
    exchange.send(opener, SYN | ACK)
    return exchange.case


def reset(version: int, opener: Direction) -> Case:
    exchange = Exchange(version, opener)
    exchange.send(opener, SYN)
    exchange.send(exchange.answerer, RST | ACK, ahead=-5000 % (1 << 32), what="refused")
    exchange.send(exchange.answerer, SYN | ACK, what="and accepted")
    return exchange.case


def idle(version: int, opener: Direction) -> Case:
    exchange = Exchange(version, opener)
    exchange.open()
    exchange.send(opener, ACK, 10)
    exchange.elapse(312)
    exchange.send(exchange.answerer, ACK, 10)
    return exchange.case


def early_data(version: int, opener: Direction) -> Case:
    exchange = Exchange(version, opener)
    exchange.send(opener, SYN)
    exchange.send(exchange.answerer, SYN | ACK)
    exchange.send(exchange.answerer, ACK, 10, ahead=200, what="overtakes two")
    exchange.send(exchange.answerer, ACK, 100, ahead=100, what="overtakes one")
    exchange.sides[exchange.answerer].next += 210
    exchange.send(opener, ACK)
    return exchange.case


def second_syn(version: int, opener: Direction) -> Case:
    exchange = Exchange(version, opener)
    exchange.send(opener, SYN)
    exchange.renumber(4_000_000_000)
    exchange.open()
    return exchange.case


def crossed(version: int, opener: Direction) -> Case:
    exchange = Exchange(version, opener)
    exchange.send(opener, SYN)
    exchange.send(exchange.answerer, SYN)
    exchange.send(opener, SYN | ACK, ahead=76_000)
    return exchange.case


def overshoot(version: int, opener: Direction) -> Case:
    exchange = Exchange(version, opener)
    exchange.send(opener, SYN)
    exchange.send(exchange.answerer, SYN | ACK)
    exchange.send(opener, ACK, window=1)
    exchange.send(exchange.answerer, ACK, 100, what="more than the window")
    exchange.send(exchange.answerer, ACK, ahead=-1, what="keep-alive")
    exchange.send(opener, ACK, window=1)
    return exchange.case


def overlap(version: int, opener: Direction) -> Case:
    exchange = Exchange(version, opener)
    exchange.open()
    exchange.send(opener, ACK, 300, dress=overlapping, what="overlapping")
    return exchange.case


def missing(version: int, opener: Direction) -> Case:
    exchange = Exchange(version, opener)
    exchange.open()
    exchange.send(opener, ACK, 300, dress=fragmented(128, without_last), what="the last is lost")
    return exchange.case


def picked_up(version: int, opener: Direction) -> Case:
    exchange = Exchange(version, opener)
    exchange.send(opener, SYN)
    exchange.elapse(72)
    exchange.repeat(exchange.sent[0])
    exchange.elapse(72)
    exchange.send(opener, ACK)
    return exchange.case


def fin(version: int, opener: Direction) -> Case:
    exchange = Exchange(version, opener)
    exchange.open()
    exchange.send(opener, FIN | ACK, ahead=-(1 << 29), what="long ago")
    return exchange.case


def redirect(version: int, opener: Direction) -> Case:
    exchange = Exchange(version, opener)
    exchange.open()
    about = exchange.send(opener, ACK, 10)
    kind = (5, 1) if version == 4 else (100, 0)
    exchange.steps.append(error(exchange.connection, about, kind))
    return exchange.case


def rst(version: int, opener: Direction) -> Case:
    exchange = Exchange(version, opener)
    exchange.send(opener, SYN)
    exchange.send(exchange.answerer, RST, what="without ACK: it answers nothing")
    return exchange.case


def unasked(version: int, opener: Direction) -> Case:
    exchange = Exchange(version, opener)
    exchange.send(opener, SYN)
    exchange.send(exchange.answerer, SYN | ACK)
    exchange.send(exchange.answerer, SYN | ACK, beyond=-100_000, what="of another SYN")
    return exchange.case


def unsent(version: int, opener: Direction) -> Case:
    exchange = Exchange(version, opener)
    exchange.open()
    connection = exchange.connection
    forged = Exchange(version, opener, numbers=(1 << 31, 1 << 31))
    about = forged.send(opener, ACK, 10, dress=plain)
    exchange.steps.append(error(connection, about, what="quotes what was never sent"))
    return exchange.case


def short(version: int, opener: Direction) -> Case:
    connection = Connection(version, 17, (4000, 53) if opener is FROM else (53, 4000))
    piece = build.udp(*connection.ports_of(opener), bytes(8))
    sent = Sent(opener, framed(opener, plain(connection, opener, piece)))
    quoted = sent.frames[0][HEADER:][: (20 if version == 4 else 40) + 4]
    return Case(connection, (sent, error(connection, sent, quoted=quoted, what="of ports alone")))


def quoted_later(version: int, opener: Direction) -> Case:
    connection = Connection(version, 17, (4000, 53) if opener is FROM else (53, 4000))
    piece = build.udp(*connection.ports_of(opener), bytes(3000))
    packets = fragmented(1000, in_order)(connection, opener, piece)
    sent = Sent(opener, framed(opener, packets))
    quoted = sent.frames[1][HEADER:]
    return Case(connection, (sent, error(connection, sent, quoted=quoted, what="of the second")))


def ended(version: int, opener: Direction) -> Case:
    exchange = Exchange(version, opener)
    exchange.open()
    exchange.send(exchange.answerer, RST)
    exchange.repeat(exchange.sent[0])
    exchange.send(opener, ACK, 10)
    return exchange.case


def unanswered(version: int, opener: Direction) -> Case:
    exchange = Exchange(version, opener)
    exchange.send(opener, ACK)
    exchange.send(exchange.answerer, ACK, 1)
    exchange.sides[opener].next = 3_000_000_000
    exchange.send(opener, SYN)
    exchange.send(exchange.answerer, ACK, what="not a SYN-ACK")
    exchange.send(opener, FIN | ACK)
    return exchange.case


def crossed_again(version: int, opener: Direction) -> Case:
    exchange = Exchange(version, opener)
    exchange.send(opener, SYN)
    exchange.send(exchange.answerer, SYN)
    exchange.sides[opener].next = 3_000_000_000
    exchange.send(opener, SYN | ACK)
    exchange.send(exchange.answerer, ACK)
    exchange.repeat(exchange.sent[1])
    return exchange.case


def idle_crossed(version: int, opener: Direction) -> Case:
    exchange = Exchange(version, opener)
    exchange.send(opener, SYN)
    exchange.send(exchange.answerer, SYN)
    exchange.elapse(72)
    exchange.send(opener, SYN | ACK, ahead=-1)
    return exchange.case
