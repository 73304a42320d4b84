"""Connections as a port sees them: their openings, their packets, their ends.

Each port has, as it were, a table of its own: nothing of it is known to another port, so that
equal addresses on two networks, or on both ends of one connection, never meet. *Local* is the
guest's side, *remote* the other.

**The key of a connection.** Both addresses, the protocol, and: for TCP, UDP, DCCP, SCTP and
UDP-Lite both ports; for an ICMP echo or timestamp its identifier and the side that asked; for
other protocols nothing more. Other ICMP messages, and packets to multicast or 255.255.255.255,
have no connection: each is judged by the rules alone. The next section defines which segments
belong to a TCP connection.

**Lifetimes** (seconds since the last packet that belonged to the connection): TCP half-open 120,
answered 60, picked up 300, open 432000, closing 120, half-closed 7440, finished 120, reset 10,
revoked 300; UDP 30, 180 once answered; ICMP 30; others 60, 600 once answered. Time is counted in
ticks of 2^28 ns, about a quarter of a second: a connection ends up to one tick early.

An open connection may be silent for five days, as with netfilter: over a weekend, and more than
the 2 h 4 min that RFC 5382 (REQ-5) asks for. It costs nobody anything, as the longest idle one
goes first where room is needed. Where a FIN was acknowledged, the other side lives, and may well
take an hour to answer a client that has sent all it had to send: netfilter's 60 s would cut it
off.

**Room.** A host remembers a bounded number of connections (`--connections`), eight in a *bucket*
that a secret hash chooses. In a full bucket the newcomer takes the slot of a connection that is
over or has ended; else of one that is not yet open, or closing; else of an open one. It takes
from its own port, or from a port that has more connections than its own in eight neighbouring
buckets; first from the port with most, its own before one that has just one more, and of one
port's the longest idle. So no port that has fewer connections than others is locked out, whatever
they opened; a port that is flooded ends its own connections, and takes from another port no more
than that has above its own number. Only where all slots are of ports that have no more is the
newcomer dropped (`flow-table-full`). Evictions and these drops are the only thing here that is
not a function of the packets.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto

from vifguard.model.address import IPAddress
from vifguard.model.verdict import Direction
from vifguard.packet.transport import TCP, UDP

SECOND = 1_000_000_000
TICK = 1 << 28
"""Nanoseconds in which lifetimes are counted."""


@dataclass(frozen=True, slots=True)
class FlowKey:
    """The key of a port's connection. An echo has its identifier, and whether the remote asked."""

    protocol: int
    local: IPAddress
    remote: IPAddress
    local_port: int = 0
    remote_port: int = 0


@dataclass(frozen=True, slots=True)
class FlowStart:
    """The packet that opened it, as far as a rule can ask."""

    direction: Direction
    protocol: int
    remote: IPAddress
    port: int | None = None
    icmp: tuple[int, int] | None = None


class FlowState(Enum):
    """The state of a connection; UDP and others know HALF_OPEN and OPEN only."""

    HALF_OPEN = auto()
    PICKED_UP = auto()
    ANSWERED = auto()
    OPEN = auto()
    CLOSING = auto()
    HALF_CLOSED = auto()
    FINISHED = auto()
    RESET = auto()
    REVOKED = auto()


_LIFETIMES = {
    TCP: {
        FlowState.HALF_OPEN: 120,
        FlowState.PICKED_UP: 300,
        FlowState.ANSWERED: 60,
        FlowState.OPEN: 432_000,
        FlowState.CLOSING: 120,
        FlowState.HALF_CLOSED: 7440,
        FlowState.FINISHED: 120,
        FlowState.RESET: 10,
        FlowState.REVOKED: 300,
    },
    UDP: {FlowState.HALF_OPEN: 30, FlowState.OPEN: 180},
    1: {FlowState.HALF_OPEN: 30, FlowState.OPEN: 30},
    58: {FlowState.HALF_OPEN: 30, FlowState.OPEN: 30},
}
_OTHERS = {FlowState.HALF_OPEN: 60, FlowState.OPEN: 600}


@dataclass(slots=True)
class Flow:
    """One connection. `expires` is a tick of the clock that the port is judged by."""

    key: FlowKey
    opening: FlowStart
    state: FlowState = field(default=FlowState.HALF_OPEN, kw_only=True)
    expires: int = field(default=0, kw_only=True)

    @property
    def may_be_replaced(self) -> bool:
        """Whether a SYN begins a new connection in its place."""
        return self.state in (FlowState.FINISHED, FlowState.RESET, FlowState.REVOKED)

    def is_expired(self, now: int) -> bool:
        """Whether its time is over at `now` (ns)."""
        return self.expires <= now // TICK

    def revoke(self, now: int) -> None:
        """End it because the rules no longer allow it."""
        self.state = FlowState.REVOKED
        self.refresh(now)

    def refresh(self, now: int) -> None:
        """Set its end to the lifetime of its state from `now` (ns) on."""
        self.expires = self._end(self.state, now)

    def take(self, direction: Direction, now: int) -> None:
        """Advance by a packet that belongs to it, which came in this direction."""
        if direction is not self.opening.direction:
            self.state = FlowState.OPEN
        self.refresh(now)

    def _end(self, state: FlowState, now: int) -> int:
        lifetime = _LIFETIMES.get(self.key.protocol, _OTHERS)[state]
        return (now + lifetime * SECOND) // TICK
