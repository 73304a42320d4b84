"""One conversation of a guest with somebody, as its two ends would know it."""

from dataclasses import dataclass, field

from tests.triangle.sequences.host import ELSEWHERE, FROM, ROUTER, STATIONS, TO, A, V

from vifguard.model.security_group import ICMP_OF, PORTS_OF
from vifguard.model.verdict import Direction
from vifguard.packet import build
from vifguard.semantics.tcp import ACK, FIN, SYN

SPACE = 1 << 32
_KINDS = {(4, False): (8, 0), (4, True): (13, 14), (6, False): (128, 129), (6, True): (128, 129)}


def other(direction: Direction) -> Direction:
    """The other way."""
    return TO if direction is FROM else FROM


@dataclass
class Talk:
    """What a guest (FROM_GUEST speaks) and a remote say to each other.

    `ends` are the guest's port and the remote's; of an echo, the identifier twice. `sends` are
    the next sequence number of each side, `acknowledged` what the other side said of it.
    """

    port: int
    version: int
    protocol: int
    remote: str
    ends: tuple[int, int]
    opener: Direction = FROM
    is_timestamp: bool = False
    turn: int = 0
    sends: dict[Direction, int] = field(default_factory=lambda: {FROM: 1000, TO: 5000})
    acknowledged: dict[Direction, int] = field(default_factory=lambda: {FROM: 1000, TO: 5000})

    @property
    def local(self) -> str:
        """The guest's address."""
        return STATIONS[self.port % len(STATIONS)].addresses[self.version]

    @property
    def is_icmp(self) -> bool:
        """Whether it is an echo or timestamp."""
        return self.protocol == ICMP_OF[self.version]

    def addresses(self, speaker: Direction) -> tuple[str, str]:
        """Source and destination."""
        return (self.local, self.remote) if speaker is FROM else (self.remote, self.local)

    def macs(self, speaker: Direction) -> tuple[str, str]:
        """Ethernet source and destination."""
        far = next((s.mac for s in (A, V) if s.addresses[self.version] == self.remote), ROUTER)
        near = STATIONS[self.port % len(STATIONS)].mac
        return (near, far) if speaker is FROM else (far, near)

    def ports(self, speaker: Direction) -> tuple[int, int]:
        """Source and destination."""
        return self.ends if speaker is FROM else self.ends[::-1]

    def segment(
        self, speaker: Direction, flags: int, *, ahead: int = 0, behind: int = 0, data: bytes = b""
    ) -> build.Layer:
        """A TCP segment, its numbers so far ahead of what is next, and of what was received.

        One that is in place moves the conversation on, whether it arrives or not.
        """
        listener = other(speaker)
        sequence = (self.sends[speaker] + ahead) % SPACE
        received = (self.sends[listener] + behind) % SPACE if flags & ACK else 0
        if not ahead:
            consumed = len(data) + bool(flags & SYN) + bool(flags & FIN)
            self.sends[speaker] = (sequence + consumed) % SPACE
        if flags & ACK and not behind:
            self.acknowledged[listener] = received
        numbers = {"sequence": sequence, "acknowledged": received}
        return build.tcp(*self.ports(speaker), data, flags=flags, **numbers)

    def message(self, speaker: Direction, data: bytes = b"") -> build.Layer:
        """What is no TCP: a datagram, a question or an answer, or octets of a protocol."""
        source, destination = self.ports(speaker)
        if self.protocol == 17:
            return build.udp(source, destination, data)
        if self.is_icmp:
            kind = _KINDS[self.version, self.is_timestamp][speaker is not self.opener]
            make = build.icmpv4 if self.version == 4 else build.icmpv6
            return make(kind, 0, self.ends[0].to_bytes(2, "big") + b"\0\1" + data)
        if self.protocol in PORTS_OF:
            heads = source.to_bytes(2, "big") + destination.to_bytes(2, "big")
            return build.Layer(heads + data, self.protocol)
        return build.Layer(data, self.protocol)

    def quoted(self, speaker: Direction, ahead: int = 0) -> build.Layer:
        """The first 8 octets of what was sent, as an error quotes it, `ahead` of what is next."""
        if self.protocol != 6:
            return self.message(speaker, b"anything")
        sequence = (self.sends[speaker] + ahead) % SPACE
        return build.tcp(*self.ports(speaker), flags=ACK, sequence=sequence)


def frame(talk: Talk, speaker: Direction, payload: build.Payload, **fields) -> bytes:
    """A frame of the conversation, in the plainest dress."""
    return build.ethernet(*talk.macs(speaker), packet(talk, speaker, payload, **fields))


def packet(talk: Talk, speaker: Direction, payload: build.Payload, **fields) -> build.Layer:
    """A packet of the conversation."""
    make = build.ipv4 if talk.version == 4 else build.ipv6
    return make(*talk.addresses(speaker), payload, **fields)


def remotes(port: int, version: int) -> tuple[str, ...]:
    """Whom a guest may talk with; most of all the other station."""
    mine = STATIONS[port]
    neighbour = (V if mine is A else A).addresses[version]
    return (neighbour, neighbour, *ELSEWHERE[version])
