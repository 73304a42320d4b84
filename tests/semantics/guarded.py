"""A port with security groups, and what it says of one packet after another."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from ipaddress import ip_network

from tests.semantics.world import MAC_A, MAC_V, STRICT

from vifguard.model.guard import Guard
from vifguard.model.policy import PortPolicy
from vifguard.model.security_group import PortRange, Rule, Ruleset
from vifguard.model.verdict import Direction, Reason
from vifguard.packet import build
from vifguard.semantics.groups import GroupState
from vifguard.semantics.tcp import ACK, SYN
from vifguard.semantics.verdict import verdict

FROM, TO = Direction.FROM_GUEST, Direction.TO_GUEST
SECOND = 1_000_000_000
ISN, PEER = 1000, 0xFFFFFFF0
"""The guest's first sequence number, and that of the other side, which is about to wrap."""
GUARDED = replace(
    STRICT, guards=STRICT.guards | {Guard.SECURITY_GROUPS}, security_groups=frozenset({"web"})
)


@dataclass(frozen=True)
class Family:
    """The guest's address and two others', of one IP version."""

    version: int
    guest: str
    other: str
    third: str

    def packet(self, src: str, dst: str, payload: build.Payload, **fields) -> build.Layer:
        """A packet of the family."""
        return (build.ipv4 if self.version == 4 else build.ipv6)(src, dst, payload, **fields)

    def icmp(self, kind4: int, kind6: int, body: bytes = bytes(4), code: int = 0) -> build.Layer:
        """An ICMP message of the family's own number."""
        if self.version == 4:
            return build.icmpv4(kind4, code, body)
        return build.icmpv6(kind6, code, body)

    @property
    def icmp_protocol(self) -> int:
        """Its ICMP."""
        return 1 if self.version == 4 else 58


FAMILIES = (
    Family(4, "10.0.0.10", "10.0.0.11", "10.0.0.12"),
    Family(6, "fd00::a", "fd00::b", "fd00::c"),
)


def rule(direction: Direction, family: Family, protocol: int | None = None, **fields) -> Rule:
    """A rule; `port` is a range of one, `remote` a prefix or the id of a set."""
    if "port" in fields:
        port = fields.pop("port")
        fields["ports"] = PortRange(port, port)
    remote = fields.pop("remote", None)
    if (remote is not None and "." in remote) or ":" in (remote or ""):
        remote = ip_network(remote)
    return Rule(direction, family.version, protocol, remote=remote, **fields)


@dataclass
class Port:
    """One port under the reference, with a clock of its own."""

    family: Family
    policy: PortPolicy = GUARDED
    memory: GroupState = field(default_factory=GroupState)
    now: int = SECOND

    def allow(self, *rules: Rule, sets: dict[str, list[str]] | None = None) -> None:
        """Let these be all rules of its group."""
        prefixes = {
            name: frozenset(ip_network(p) for p in found) for name, found in (sets or {}).items()
        }
        self.memory.ruleset = Ruleset({"web": frozenset(rules)}, prefixes)

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.now += int(seconds * SECOND)

    def out(self, payload: build.Payload, dst: str = "", **fields) -> Reason | None:
        """Why the guest may not send this; None where it may."""
        packet = self.family.packet(self.family.guest, dst or self.family.other, payload, **fields)
        return self.frame(FROM, build.ethernet(MAC_A, MAC_V, packet))

    def back(self, payload: build.Payload, src: str = "", **fields) -> Reason | None:
        """Why the guest may not hear this; None where it may."""
        packet = self.family.packet(src or self.family.other, self.family.guest, payload, **fields)
        return self.frame(TO, build.ethernet(MAC_V, MAC_A, packet))

    def frame(self, direction: Direction, data: bytes) -> Reason | None:
        """Why this frame may not pass; None where it may."""
        return verdict(self.policy, direction, data, now=self.now, memory=self.memory).reason


def segment(sport: int, dport: int, flags: int, sequence: int, acknowledged: int = 0, data=b""):
    return build.tcp(sport, dport, data, flags=flags, sequence=sequence, acknowledged=acknowledged)


def connect(client: Port) -> None:
    """From port 4000 to 80, the sequence numbers of the peer about to wrap."""
    assert client.out(segment(4000, 80, SYN, ISN)) is None
    assert client.back(segment(80, 4000, SYN | ACK, PEER, ISN + 1)) is None
    assert client.out(segment(4000, 80, ACK, ISN + 1, PEER + 1)) is None
