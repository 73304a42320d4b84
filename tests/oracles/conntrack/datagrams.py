"""UDP, ICMP echoes and other protocols at random: whole and in fragments, and errors about them."""

from __future__ import annotations

from random import Random

from tests.oracles.conntrack import wire
from tests.oracles.conntrack.icmp_errors import error_about
from tests.oracles.conntrack.steps import FROM, TO, Case, Connection, Elapsed, Sent, Step, other

from vifguard.model.security_group import ICMP_OF
from vifguard.model.verdict import Direction
from vifguard.packet import build

AGES = (2, 12, 22, 42, 72, 112, 152, 312, 702)
_AGES_IN_A_ROW = 4
_STEPS = 16
ECHO = {4: (8, 0), 6: (128, 129)}
"""Types of question and answer."""


def datagram_case(random: Random, steps: int = _STEPS) -> Case:
    """An exchange of about so many packets."""
    version = random.choice((4, 6))
    protocol = random.choice((17, 17, 17, ICMP_OF[version], 47))
    return DatagramWalk(random, version, protocol).walk(steps)


def message(
    connection: Connection, sender: Direction, opener: Direction, data: bytes, **lies: int
) -> build.Layer:
    """What a side sends: a datagram, a question or the answer to it, or octets of a protocol.

    `lies` are fields of UDP or ICMP that are not as they should be.
    """
    if connection.protocol == 17:
        return build.udp(*connection.ports_of(sender), data, **lies)
    if connection.is_icmp:
        kind = ECHO[connection.version][sender is not opener]
        make = build.icmpv4 if connection.version == 4 else build.icmpv6
        return make(kind, 0, connection.ports[0].to_bytes(2, "big") + b"\0\1" + data, **lies)
    return build.Layer(bytes(4) + data, connection.protocol)  # GRE without a key


class DatagramWalk:
    """What happens to one exchange; `random` decides."""

    def __init__(self, random: Random, version: int, protocol: int) -> None:
        self.random = random
        self.opener = random.choice((FROM, TO))
        ports = (4000, 53) if self.opener is FROM else (53, 4000)
        if protocol == ICMP_OF[version]:
            ports = (77, 77)
        if protocol == 47:
            ports = (0, 0)
        self.connection = Connection(version, protocol, ports)
        self.steps: list[Step] = []
        self._ages = 0

    def walk(self, steps: int) -> Case:
        """Steps until there are enough."""
        if self.random.random() < 0.9:
            self._send(self.opener)
        while len(self.steps) < steps:
            chance = self.random.random()
            if chance < 0.7:
                self._send(self.random.choice((FROM, TO)))
            elif chance < 0.8 and self._ages < _AGES_IN_A_ROW:
                self._ages += 1
                self.steps.append(Elapsed(self.random.choice(AGES)))
            else:
                self._error()
        return Case(self.connection, tuple(self.steps))

    def _send(self, sender: Direction) -> None:
        data = bytes(self.random.choice((0, 8, 100, 1000, 3000)))
        asker = self.opener if self.random.random() < 0.95 else other(self.opener)
        lies = self._lies()
        piece = message(self.connection, sender, asker, data, **lies)
        frames = wire.framed(sender, self._dress(data)(self.connection, sender, piece))
        is_sound = not any(lies.values())
        self.steps.append(Sent(sender, frames, str(lies or ""), is_sound=is_sound))

    def _lies(self) -> dict[str, int]:
        chance = self.random.random()
        if self.connection.protocol == 17 and chance < 0.04:
            return self.random.choice(({"checksum": 1}, {"length": 4}, {"checksum": 0}))
        return {"checksum": 1} if self.connection.is_icmp and chance < 0.02 else {}

    def _dress(self, data: bytes) -> wire.Dress:
        if len(data) > 1400:
            return wire.fragmented(self.random.choice((1024, 1400)), wire.any_order(self.random))
        return wire.any_dress(self.random, fragments=0.2 if data else 0)

    def _error(self) -> None:
        sent = [step for step in self.steps if isinstance(step, Sent)][-4:]
        step = error_about(self.random, self.connection, self.random.choice(sent)) if sent else None
        if step is not None:
            self.steps.append(step)
