"""Security groups: who may talk with the port, by the rules of its groups.

Only IPv4 and IPv6 are judged; all other types are the business of `ethertype`. This guard
comes last, when the packet has shown whose it is: no connection excuses a forged source, and
none is remembered of a packet that another guard drops.

**Always allowed**, since no rule should cut a machine from its own addresses: neighbour
discovery (ICMPv6 133 to 136, hop limit 255) and listener discovery (130 to 132 and 143, hop
limit 1, after a hop-by-hop header), whole; a DHCP client's messages and the answers to them
(UDP 68 and 67, 546 and 547, from the guest and to it), whole. Redirects are not among them.

**Rules** allow; there are none that deny. A rule names a direction and an IP version, and may
name a protocol, the ports that the packet is addressed to, an ICMP type and code, and the
remote: a prefix, or a set of addresses. A packet is allowed if one rule of one group matches
it wholly. A group that is not known, a group without rules and an empty set allow nothing.

**Stateless** groups judge every packet by the rules.

**Stateful** groups judge what opens a connection; what belongs to one passes, in both
directions, and asks no rule. A connection lives only while the rules still allow the packet
that opened it: what a removed rule, group or member had allowed ends with its next packet, and
nothing else does. An ICMP error (IPv4 3, 4, 11, 12; IPv6 1 to 4) passes only if it quotes a
packet of a connection of this very port that went the other way, is addressed to who sent
that, and, for TCP, quotes a sequence number that may have been sent (RFC 5927); it opens
nothing and prolongs nothing. An answer to an echo or timestamp that nobody asked for is no
opening either.

**Fragments** share the fate of their first: a later fragment passes for 30 seconds after the
first one of the same addresses, protocol and identification did, in the same direction, if it
does not reach into the header that was judged (RFC 3128, RFC 5722). One that overtakes its
first is dropped: its sender sends again.

**Reject.** Where a group of the port says so, the sender of what no rule allows is told: TCP
gets a reset (RFC 9293, 3.10.7.1), all else an ICMP error that says "administratively
prohibited" (IPv4 3/13, IPv6 1/1); an ICMP error, a reset, a later fragment and what is to or
from many or nobody get nothing (RFC 1122, 3.2.2; RFC 4443, 2.4). Programs in the kernel only
drop: the agent answers, at most 100 times a second and port, out of the port's interface to
the guest, and as if from the guest to others, through the port's other guards. While no agent
runs, what is refused is refused in silence.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Address

from vifguard.model.address import IPAddress, IPNetwork
from vifguard.model.guard import Guard
from vifguard.model.policy import PortPolicy
from vifguard.model.security_group import PORTS_OF, IcmpType, Rule, Rulebook
from vifguard.model.verdict import Direction, Reason, Verdict
from vifguard.packet.frame import Frame
from vifguard.packet.icmp6 import MLD_DONE, MLD_QUERY, MLD_REPORT, MLDV2_REPORT, NA, RS, Icmp6
from vifguard.packet.ip4 import IPv4
from vifguard.packet.ip6 import HOP_BY_HOP, IPv6
from vifguard.packet.quoted import Quoted, read_quoted
from vifguard.packet.upper import ICMP, ICMPV6, TCP, Icmp4, LaterFragment, Tcp, Udp
from vifguard.semantics.flow import SECOND, Flow, Key, Opening, State, may_open
from vifguard.semantics.headers import upper_unread
from vifguard.semantics.objection import drop

_BROADCAST = IPv4Address("255.255.255.255")
_LISTENER = frozenset({MLD_QUERY, MLD_REPORT, MLD_DONE, MLDV2_REPORT})
_ERRORS = {4: frozenset({3, 4, 11, 12}), 6: frozenset({1, 2, 3, 4})}
_QUESTIONS = {(4, 8), (4, 13), (6, 128)}
_ANSWERS = {(4, 0), (4, 14), (6, 129)}
_CLIENT_SERVER = {4: (68, 67), 6: (546, 547)}
_FIRST_UNITS = {TCP: 3}
"""8-octet units of upper header that a first fragment holds at least; 1 where not named."""
_FRAGMENT_LIFETIME = 30 * SECOND

Packet = IPv4 | IPv6
FragmentKey = tuple[Direction, IPAddress, IPAddress, int, int]


@dataclass(slots=True)
class Memory:
    """What the groups say now, and what a port remembers of what passed.

    `firsts` are first fragments, and until when (ns) their later ones may follow.
    """

    book: Rulebook = field(default_factory=Rulebook)
    flows: dict[Key, Flow] = field(default_factory=dict)
    firsts: dict[FragmentKey, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Judge:
    """One port's groups and its memory, at one moment."""

    groups: frozenset[str]
    stateful: bool
    memory: Memory
    now: int

    def say(self, direction: Direction, frame: Frame) -> Verdict | None:
        """What the guard says of a frame that every other guard lets pass."""
        packet = frame.body
        unread = upper_unread(Guard.GROUPS, frame)
        if unread or not isinstance(packet, IPv4 | IPv6) or _is_basic(direction, packet):
            return unread
        if isinstance(packet.upper, LaterFragment):
            return self._later(direction, packet)
        objection = self._first(direction, packet)
        if objection is None and _has_more(packet):
            self.memory.firsts[_fragment_key(direction, packet)] = self.now + _FRAGMENT_LIFETIME
        return objection

    def _later(self, direction: Direction, packet: Packet) -> Verdict | None:
        if _offset(packet) < _FIRST_UNITS.get(packet.protocol, 1):
            return drop(Guard.GROUPS, Reason.FRAGMENT_OVERLAP, _offset(packet) * 8)
        if self.memory.firsts.get(_fragment_key(direction, packet), 0) <= self.now:
            return drop(Guard.GROUPS, Reason.FRAGMENT_UNKNOWN, packet.src)
        return None

    def _first(self, direction: Direction, packet: Packet) -> Verdict | None:
        opening = _opening(direction, packet)
        kind = (packet.src.version, opening.icmp[0]) if opening.icmp else None
        if not self.stateful or _is_to_many(packet):
            return self._by_rules(opening)
        if kind and kind[1] in _ERRORS[kind[0]]:
            return self._error(direction, packet)
        if kind and kind not in _QUESTIONS | _ANSWERS:
            return self._by_rules(opening)
        return self._flow(direction, packet, opening)

    def _flow(self, direction: Direction, packet: Packet, opening: Opening) -> Verdict | None:
        segment = packet.upper if isinstance(packet.upper, Tcp) else None
        key = _key(direction, packet)
        flow = self._living(key)
        opens = may_open(segment) and not _is_answer(packet)
        if flow is not None and flow.state is State.RECALLED:
            if not (opens and _is_syn(segment)):
                flow.refresh(self.now)
                return drop(Guard.GROUPS, Reason.NOT_ALLOWED, opening.remote)
            flow = None
        if flow is not None and not (flow.has_ended and opens and _is_syn(segment)):
            if flow.take(direction, segment, self.now):
                return None
            return drop(Guard.GROUPS, Reason.FLOW_INVALID, packet.src)
        if not opens:
            return drop(Guard.GROUPS, Reason.FLOW_INVALID, packet.src)
        objection = self._by_rules(opening)
        if objection is None:
            flow = self.memory.flows[key] = Flow(key, opening)
            flow.open_with(segment, self.now)
        return objection

    def _error(self, direction: Direction, packet: Packet) -> Verdict | None:
        """RELATED, or nothing."""
        quoted = read_quoted(packet)
        if quoted is not None and quoted.src == packet.dst:
            ports = (quoted.sport, quoted.dport)
            if direction is Direction.FROM_GUEST:
                ends, local, remote, sent_by = ports[::-1], quoted.dst, quoted.src, _TO
            else:
                ends, local, remote, sent_by = ports, quoted.src, quoted.dst, _FROM
            flow = self._living(_quoted_key(quoted, local, remote, ends, sent_by))
            if (
                flow is not None
                and flow.state is not State.RECALLED
                and (quoted.sequence is None or flow.is_sent(sent_by, quoted.sequence))
            ):
                return None
        return drop(Guard.GROUPS, Reason.ICMP_UNRELATED, packet.src)

    def _living(self, key: Key) -> Flow | None:
        """The connection, if its time is not over; recalled if the rules would not let it open."""
        flow = self.memory.flows.get(key)
        if flow is None or flow.expires <= self.now:
            self.memory.flows.pop(key, None)
            return None
        if flow.state is not State.RECALLED and not self._allows(flow.opening):
            if key.protocol != TCP:
                del self.memory.flows[key]
                return None
            flow.recall(self.now)
        return flow

    def _by_rules(self, opening: Opening) -> Verdict | None:
        if self._allows(opening):
            return None
        return drop(Guard.GROUPS, Reason.NOT_ALLOWED, opening.remote)

    def _allows(self, opening: Opening) -> bool:
        rules = (rule for group in self.groups for rule in self.memory.book.rules.get(group, ()))
        return any(self._matches(rule, opening) for rule in rules)

    def _matches(self, rule: Rule, opening: Opening) -> bool:
        return (
            (rule.direction, rule.version) == (opening.direction, opening.remote.version)
            and rule.protocol in (None, opening.protocol)
            and (rule.ports is None or (opening.port is not None and opening.port in rule.ports))
            and (rule.icmp is None or _is_of_type(rule.icmp, opening.icmp))
            and self._reaches(rule.remote, opening.remote)
        )

    def _reaches(self, remote: IPNetwork | str | None, address: IPAddress) -> bool:
        if isinstance(remote, str):
            return any(address in prefix for prefix in self.memory.book.sets.get(remote, ()))
        return remote is None or address in remote


_FROM, _TO = Direction.FROM_GUEST, Direction.TO_GUEST


def check(
    policy: PortPolicy, direction: Direction, frame: Frame, memory: Memory, now: int
) -> Verdict | None:
    """What the guard says of a frame that every other guard lets pass; `memory` learns of it."""
    return _Judge(policy.security_groups, policy.stateful, memory, now).say(direction, frame)


def _is_of_type(wanted: IcmpType, said: tuple[int, int] | None) -> bool:
    return said is not None and wanted.kind == said[0] and wanted.code in (None, said[1])


def _is_basic(direction: Direction, packet: Packet) -> bool:
    upper = packet.upper
    if _is_fragment(packet):
        return False
    if isinstance(upper, Udp):
        guest, other = (
            (upper.sport, upper.dport) if direction is _FROM else (upper.dport, upper.sport)
        )
        return (guest, other) == _CLIENT_SERVER[packet.src.version]
    if not isinstance(upper, Icmp6) or not isinstance(packet, IPv6):
        return False
    chain = tuple(extension.kind for extension in packet.extensions)
    if upper.kind in _LISTENER:
        return packet.hop_limit == 1 and chain == (HOP_BY_HOP,)
    return RS <= upper.kind <= NA and packet.hop_limit == 255 and not chain


def _is_to_many(packet: Packet) -> bool:
    return packet.dst.is_multicast or packet.dst == _BROADCAST


def _is_answer(packet: Packet) -> bool:
    upper = packet.upper
    return isinstance(upper, Icmp4 | Icmp6) and (packet.src.version, upper.kind) in _ANSWERS


def _is_syn(segment: Tcp | None) -> bool:
    return segment is not None and bool(segment.flags & 2)


def _opening(direction: Direction, packet: Packet) -> Opening:
    upper = packet.upper
    remote = packet.dst if direction is _FROM else packet.src
    ports = _ports(packet)
    icmp = (upper.kind, upper.code) if isinstance(upper, Icmp4 | Icmp6) else None
    return Opening(direction, packet.protocol, remote, ports[1] if ports else None, icmp)


def _ports(packet: Packet) -> tuple[int, int] | None:
    """Source and destination, of the protocols that have them."""
    if isinstance(packet.upper, Tcp | Udp):
        return packet.upper.sport, packet.upper.dport
    octets = getattr(packet.upper, "octets", b"")
    if packet.protocol in PORTS_OF and len(octets) >= 4:
        return octets[0] << 8 | octets[1], octets[2] << 8 | octets[3]
    return None


def _key(direction: Direction, packet: Packet) -> Key:
    upper = packet.upper
    local, remote = (packet.src, packet.dst) if direction is _FROM else (packet.dst, packet.src)
    if isinstance(upper, Icmp4 | Icmp6):
        ident = int.from_bytes(upper.body[:2], "big")
        asked_by_guest = (direction is _FROM) != _is_answer(packet)
        return Key(packet.protocol, local, remote, ident, 0 if asked_by_guest else 1)
    sport, dport = _ports(packet) or (0, 0)
    ends = (sport, dport) if direction is _FROM else (dport, sport)
    return Key(packet.protocol, local, remote, *ends)


def _quoted_key(
    quoted: Quoted, local: IPAddress, remote: IPAddress, ends: tuple[int, int], sent_by: Direction
) -> Key:
    if quoted.protocol in (ICMP, ICMPV6):
        # An echo is quoted as it was sent: the question, or the answer to it.
        asked_by_guest = (sent_by is _FROM) != quoted.answers
        return Key(quoted.protocol, local, remote, quoted.ident, 0 if asked_by_guest else 1)
    return Key(quoted.protocol, local, remote, *(ends if quoted.protocol in PORTS_OF else (0, 0)))


def _is_fragment(packet: Packet) -> bool:
    if isinstance(packet, IPv4):
        return packet.is_fragment
    return packet.fragment is not None


def _has_more(packet: Packet) -> bool:
    if isinstance(packet, IPv4):
        return packet.more_fragments
    return packet.fragment is not None and packet.fragment.more


def _offset(packet: Packet) -> int:
    """Of a later fragment, in 8-octet units."""
    if isinstance(packet, IPv4):
        return packet.offset
    return packet.fragment.offset if packet.fragment else 0


def _fragment_key(direction: Direction, packet: Packet) -> FragmentKey:
    ident = packet.ident if isinstance(packet, IPv4) else getattr(packet.fragment, "ident", 0)
    return direction, packet.src, packet.dst, packet.protocol, ident
