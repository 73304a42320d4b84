"""Security groups: the remotes that may talk with the port, by the rules of its groups.

Only IPv4 and IPv6 are judged; all other types are the business of `ethertype`. This guard comes
last, when the other guards have judged the packet's addresses: no connection excuses a forged
source, and none is remembered of a packet that another guard drops.

**Always allowed**, since no rule should cut a machine from its own addresses: neighbour
discovery (ICMPv6 133 to 136, hop limit 255) and listener discovery (130 to 132 and 143, hop
limit 1, after a hop-by-hop header), whole; its twin of IPv4, IGMP (queries 0x11, reports 0x12,
0x16 and 0x22, leaving 0x17; at least 8 octets, TTL 1, to a multicast address), whole, without
which a bridge or switch that looks for members takes the guest from its groups; a DHCP client's
messages and the answers to them (UDP 68 and 67, 546 and 547, from the guest and to it), whole.
Redirects are not among them.

**Rules** allow; there are none that deny. A rule names a direction and an IP version, and may
name a protocol, the ports that the packet is addressed to, an ICMP type and code, and the
remote: a prefix, or a set of addresses. A packet is allowed if one rule of one group matches
it wholly. A group that is not known, a group without rules and an empty set allow nothing.

**Stateless** groups judge every packet by the rules.

**Stateful** groups judge the packet that opens a connection; packets that belong to one pass, in
both directions, without a rule. A connection lives only while the rules still allow the packet that
opened it: a connection that a removed rule, group or member had allowed ends with its next packet,
and no other does. An ICMP error (IPv4 3, 4, 11, 12; IPv6 1 to 4) passes only if it is whole, quotes
a packet of a connection of this very port that went the other way, is addressed to the sender of
that packet, and, for TCP, quotes a sequence number that may have been sent (RFC 5927); of a packet
that came in fragments it may quote any that passed behind the first. It opens nothing and prolongs
nothing. An answer to an echo or timestamp that nobody asked for is no opening either.

**Fragments** have a section of their own.

**Reject.** Where a group of the port rejects, the sender of a packet that no rule allows gets an
answer: to a SYN a reset (RFC 9293, 3.10.7.1), to all else but TCP an ICMP error "administratively
prohibited" (IPv4 3/13, IPv6 1/1). No answer goes to any other segment of TCP, which may be of a
connection that lives and that this guard does not know, to an ICMP error, to a later fragment, nor
to a packet to or from many or nobody (RFC 1122, 3.2.2; RFC 4443, 2.4). Programs in the kernel only
drop: the agent answers, at most 100 times a second and port, out of the port's interface to
the guest, and as if from the guest to others, through the port's other guards. While no agent
runs, packets are dropped without an answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Address

from vifguard.model.address import IPAddress, IPNetwork
from vifguard.model.guard import Guard
from vifguard.model.policy import PortPolicy
from vifguard.model.security_group import PORTS_OF, IcmpType, Rule, Ruleset
from vifguard.model.verdict import Direction, Reason, Verdict
from vifguard.packet import igmp
from vifguard.packet.frame import Frame
from vifguard.packet.icmp6 import MLD_DONE, MLD_QUERY, MLD_REPORT, MLDV2_REPORT, NA, RS, Icmp6
from vifguard.packet.icmp_quote import Quoted, read_quoted
from vifguard.packet.ip4 import IPv4
from vifguard.packet.ip6 import HOP_BY_HOP, IPv6
from vifguard.packet.transport import ICMP, ICMPV6, TCP, Icmp4, LaterFragment, Tcp, Udp
from vifguard.semantics.drops import drop
from vifguard.semantics.flow import Flow, FlowKey, FlowStart, FlowState
from vifguard.semantics.fragments import Fragments, Packet, has_more, offset, reaches_into_tcp
from vifguard.semantics.headers import upper_unread
from vifguard.semantics.tcp import Segment, TcpFlow, is_of_open, may_open, opening_of

_BROADCAST = IPv4Address("255.255.255.255")
_LISTENER = frozenset({MLD_QUERY, MLD_REPORT, MLD_DONE, MLDV2_REPORT})
_ERRORS = {4: frozenset({3, 4, 11, 12}), 6: frozenset({1, 2, 3, 4})}
_ICMP_REQUESTS = {(4, 8), (4, 13), (6, 128)}
_ICMP_REPLIES = {(4, 0), (4, 14), (6, 129)}
_CLIENT_SERVER = {4: (68, 67), 6: (546, 547)}
_MEMBERSHIP = frozenset({igmp.QUERY, igmp.REPORT_V1, igmp.REPORT_V2, igmp.LEAVE, igmp.REPORT_V3})


@dataclass(slots=True)
class GroupState:
    """The rules of the groups now, and a port's memory of packets that passed.

    `new_until` is the time (ns) until which the guard is new on the port.
    """

    ruleset: Ruleset = field(default_factory=Ruleset)
    flows: dict[FlowKey, Flow] = field(default_factory=dict)
    fragments: Fragments = field(default_factory=Fragments)
    new_until: int = 0


@dataclass(frozen=True, slots=True)
class _GroupJudge:
    """One port's groups and its memory, at one moment."""

    groups: frozenset[str]
    stateful: bool
    memory: GroupState
    now: int

    def verdict(self, direction: Direction, frame: Frame) -> Verdict | None:
        """Judge a frame that every other guard lets pass; None: no objection."""
        packet = frame.body
        unread = upper_unread(Guard.SECURITY_GROUPS, frame)
        if unread or not isinstance(packet, IPv4 | IPv6) or _is_basic(direction, packet):
            return unread
        if isinstance(packet.upper, LaterFragment):
            return self._judge_later_fragment(direction, packet)
        fragments = self.memory.fragments
        if has_more(packet) and fragments.overlaps(direction, packet, self.now):
            return drop(Guard.SECURITY_GROUPS, Reason.FRAGMENT_OVERLAP, packet.src)
        objection = self._judge_first(direction, packet)
        if objection is None and has_more(packet):
            fragments.take_first(direction, packet, self.now)
        return objection

    def _judge_later_fragment(self, direction: Direction, packet: Packet) -> Verdict | None:
        """Judge a later fragment by the first one of its packet that passed."""
        fragments = self.memory.fragments
        judged = fragments.judged_header_end(direction, packet, self.now)
        if reaches_into_tcp(packet) or offset(packet) < judged:
            return drop(Guard.SECURITY_GROUPS, Reason.FRAGMENT_OVERLAP, offset(packet) * 8)
        if not judged and not self._may_precede_first(direction, packet):
            return drop(Guard.SECURITY_GROUPS, Reason.FRAGMENT_UNKNOWN, packet.src)
        fragments.take_later(direction, packet, self.now)
        return None

    def _may_precede_first(self, direction: Direction, packet: Packet) -> bool:
        """Whether a later fragment may arrive before the first of its packet."""
        remote = packet.dst if direction is _FROM else packet.src
        if self._has_rule_about(direction, remote):
            return True
        may_answer = self.stateful and not _is_to_many(packet)
        other = _TO if direction is _FROM else _FROM
        return (
            may_answer
            and self._has_rule_about(other, remote)
            and self.memory.fragments.draw(self.now)
        )

    def _judge_first(self, direction: Direction, packet: Packet) -> Verdict | None:
        """Judge a whole packet or a first fragment: by rules, as an ICMP error, or as a flow's."""
        opening = _opening(direction, packet)
        kind = (packet.src.version, opening.icmp[0]) if opening.icmp else None
        if not self.stateful or _is_to_many(packet):
            return self._by_rules(opening)
        if kind and kind[1] in _ERRORS[kind[0]]:
            return self._judge_error(direction, packet)
        if kind and kind not in _ICMP_REQUESTS | _ICMP_REPLIES:
            return self._by_rules(opening)
        return self._judge_flow(direction, packet, opening)

    def _judge_flow(
        self, direction: Direction, packet: Packet, opening: FlowStart
    ) -> Verdict | None:
        """Judge a packet by its connection, which it may open."""
        key = _key(direction, packet)
        if isinstance(packet.upper, Tcp):
            segment = Segment.of(packet.upper, more=has_more(packet))
            return self._judge_tcp(key, segment, opening)
        flow = self._living(key)
        if flow is None and _is_answer(packet):
            return drop(Guard.SECURITY_GROUPS, Reason.FLOW_INVALID, packet.src)
        if flow is None:
            objection = self._by_rules(opening)
            if objection is not None:
                return objection
            flow = self.memory.flows[key] = Flow(key, opening)
        flow.take(direction, self.now)
        return None

    def _judge_tcp(self, key: FlowKey, segment: Segment, opening: FlowStart) -> Verdict | None:
        """Judge a TCP segment by its connection, which it may open."""
        flow, direction = self._living(key), opening.direction
        if isinstance(flow, TcpFlow) and not flow.may_be_replaced_by(direction, segment):
            if flow.state is FlowState.REVOKED:
                flow.refresh(self.now)
                return drop(Guard.SECURITY_GROUPS, Reason.NOT_ALLOWED, opening.remote)
            objection = self._by_rules(opening) if flow.asks_rules(direction, segment) else None
            if objection is None and not flow.take_segment(direction, segment, self.now):
                return drop(Guard.SECURITY_GROUPS, Reason.FLOW_INVALID, opening.remote)
            return objection
        is_new = self.now < self.memory.new_until and is_of_open(segment)
        if not may_open(segment) and not is_new:
            return drop(Guard.SECURITY_GROUPS, Reason.FLOW_INVALID, opening.remote)
        objection = self._by_rules(opening)
        if objection is not None and is_new:
            opening = opening_of(key, _TO if direction is _FROM else _FROM)
            objection = self._by_rules(opening) and objection
        if objection is None:
            opened = self.memory.flows[key] = TcpFlow(key, opening)
            opened.open_with(direction, segment, self.now)
        return objection

    def _judge_error(self, direction: Direction, packet: Packet) -> Verdict | None:
        """Judge an ICMP error: it must be related to a connection or to a fragmented packet."""
        quoted = None if has_more(packet) else read_quoted(packet)
        sent_by = _TO if direction is _FROM else _FROM
        if quoted is not None and quoted.src == packet.dst and self._is_known(quoted, sent_by):
            return None
        return drop(Guard.SECURITY_GROUPS, Reason.ICMP_UNRELATED, packet.src)

    def _is_known(self, quoted: Quoted, sent_by: Direction) -> bool:
        """Whether a quoted packet is of a living connection, or of one that came in fragments."""
        if quoted.later is not None:
            return self.memory.fragments.is_quoted(sent_by, quoted, self.now)
        flow = self._living(_quoted_key(quoted, sent_by))
        if flow is None or flow.state is FlowState.REVOKED:
            return False
        return not isinstance(flow, TcpFlow) or flow.is_sent(sent_by, quoted.sequence or 0)

    def _living(self, key: FlowKey) -> Flow | None:
        """The connection, unless it is over; revoked if the rules no longer allow its opening."""
        flow = self.memory.flows.get(key)
        if flow is None or flow.is_expired(self.now):
            self.memory.flows.pop(key, None)
            return None
        if flow.state is not FlowState.REVOKED and not self._allows(flow.opening):
            if key.protocol != TCP:
                del self.memory.flows[key]
                return None
            flow.revoke(self.now)
        return flow

    def _has_rule_about(self, direction: Direction, remote: IPAddress) -> bool:
        """Whether some rule is about a remote."""
        return any(
            (rule.direction, rule.version) == (direction, remote.version)
            and self._reaches(rule.remote, remote)
            for rule in self._rules()
        )

    def _by_rules(self, opening: FlowStart) -> Verdict | None:
        """Judge what opens a connection by the rules of the groups."""
        if self._allows(opening):
            return None
        return drop(Guard.SECURITY_GROUPS, Reason.NOT_ALLOWED, opening.remote)

    def _allows(self, opening: FlowStart) -> bool:
        return any(self._matches(rule, opening) for rule in self._rules())

    def _rules(self) -> Iterator[Rule]:
        return (rule for group in self.groups for rule in self.memory.ruleset.rules.get(group, ()))

    def _matches(self, rule: Rule, opening: FlowStart) -> bool:
        return (
            (rule.direction, rule.version) == (opening.direction, opening.remote.version)
            and rule.protocol in (None, opening.protocol)
            and (rule.ports is None or (opening.port is not None and opening.port in rule.ports))
            and (rule.icmp is None or _is_of_type(rule.icmp, opening.icmp))
            and self._reaches(rule.remote, opening.remote)
        )

    def _reaches(self, remote: IPNetwork | str | None, address: IPAddress) -> bool:
        if isinstance(remote, str):
            return any(address in prefix for prefix in self.memory.ruleset.sets.get(remote, ()))
        return remote is None or address in remote


_FROM, _TO = Direction.FROM_GUEST, Direction.TO_GUEST


def check(
    policy: PortPolicy, direction: Direction, frame: Frame, memory: GroupState, now: int
) -> Verdict | None:
    """Judge a frame that every other guard lets pass, and update `memory`; None: no objection."""
    return _GroupJudge(policy.security_groups, policy.stateful, memory, now).verdict(
        direction, frame
    )


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
    if isinstance(upper, igmp.Igmp) and isinstance(packet, IPv4):
        return packet.ttl == 1 and packet.dst.is_multicast and upper.kind in _MEMBERSHIP
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
    return isinstance(upper, Icmp4 | Icmp6) and (packet.src.version, upper.kind) in _ICMP_REPLIES


def _opening(direction: Direction, packet: Packet) -> FlowStart:
    upper = packet.upper
    remote = packet.dst if direction is _FROM else packet.src
    ports = _ports(packet)
    icmp = (upper.kind, upper.code) if isinstance(upper, Icmp4 | Icmp6) else None
    return FlowStart(direction, packet.protocol, remote, ports[1] if ports else None, icmp)


def _ports(packet: Packet) -> tuple[int, int] | None:
    """Source and destination, of the protocols that have them."""
    if isinstance(packet.upper, Tcp | Udp):
        return packet.upper.sport, packet.upper.dport
    octets = getattr(packet.upper, "octets", b"")
    if packet.protocol in PORTS_OF and len(octets) >= 4:
        return octets[0] << 8 | octets[1], octets[2] << 8 | octets[3]
    return None


def _key(direction: Direction, packet: Packet) -> FlowKey:
    upper = packet.upper
    local, remote = (packet.src, packet.dst) if direction is _FROM else (packet.dst, packet.src)
    if isinstance(upper, Icmp4 | Icmp6):
        ident = int.from_bytes(upper.body[:2], "big")
        asked_by_guest = (direction is _FROM) != _is_answer(packet)
        return FlowKey(packet.protocol, local, remote, ident, 0 if asked_by_guest else 1)
    sport, dport = _ports(packet) or (0, 0)
    ends = (sport, dport) if direction is _FROM else (dport, sport)
    return FlowKey(packet.protocol, local, remote, *ends)


def _quoted_key(quoted: Quoted, sent_by: Direction) -> FlowKey:
    local, remote = quoted.src, quoted.dst
    ends = quoted.sport, quoted.dport
    if sent_by is _TO:
        local, remote, ends = remote, local, ends[::-1]
    if quoted.protocol in (ICMP, ICMPV6):
        # The quoted echo may be the request or the reply.
        asked_by_guest = (sent_by is _FROM) != quoted.answers
        return FlowKey(quoted.protocol, local, remote, quoted.ident, 0 if asked_by_guest else 1)
    return FlowKey(
        quoted.protocol, local, remote, *(ends if quoted.protocol in PORTS_OF else (0, 0))
    )


def _is_fragment(packet: Packet) -> bool:
    if isinstance(packet, IPv4):
        return packet.is_fragment
    return packet.fragment is not None
