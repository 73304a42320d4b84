"""Does one thing after another to the ports of a host, most of it to conversations that live.

Each action draws what it needs; so one vocabulary serves a search by hypothesis, a long random
walk, and the fuzzer.
"""

from collections import deque
from random import Random

from tests.triangle.sequences import host
from tests.triangle.sequences.dress import dressed
from tests.triangle.sequences.host import FROM, SECOND, STATIONS, TO
from tests.triangle.sequences.stage import Stage
from tests.triangle.sequences.steps import Passed, Renewed, Sent
from tests.triangle.sequences.talk import SPACE, Talk, frame, other, packet, remotes

from vifguard.model.address import Mac
from vifguard.model.security_group import ICMP_OF, PORTS_OF
from vifguard.model.verdict import Direction
from vifguard.packet import build
from vifguard.packet.builders.layer import multicast_mac
from vifguard.packet.frame import parse
from vifguard.packet.ip4 import IPv4
from vifguard.packet.ip6 import IPv6
from vifguard.semantics.tcp import ACK, FIN, RST, SYN

PSH = 8
LIFETIMES = (10, 30, 60, 120, 180, 300, 600, 7440, 432_000)
OFFSETS = (0, 0, 1, -1, 5000, (1 << 30) - 1, 1 << 30, -(1 << 16), -(1 << 16) - 1, 1 << 31)
_TALKS = 24


class Actor:
    """Knows the conversations that it began; `random` is what it draws from."""

    def __init__(self, stage: Stage, random: Random) -> None:
        self.random = random
        self.stage = stage
        self._talks: deque[Talk] = deque(maxlen=_TALKS)
        self._sent: deque[Sent] = deque(maxlen=48)
        self._pieces: deque[Sent] = deque(maxlen=24)
        stage.take(host.base())

    # Conversations that go as they should.

    def open_tcp(self) -> None:
        """The guest, or somebody, sends a SYN."""
        talk = self._begin(6)
        self._say(talk, talk.opener, talk.segment(talk.opener, SYN))

    def proceed(self) -> None:
        """A TCP conversation goes one step on: answer, acknowledge, then data both ways."""
        talk = self._talk(6)
        talk.turn += 1
        speaker = other(talk.opener) if talk.turn == 1 else talk.opener
        if talk.turn > 2:
            speaker = self.random.choice((FROM, TO))
        flags = SYN | ACK if talk.turn == 1 else ACK | self.random.choice((0, PSH))
        data = bytes(self.random.choice((0, 1, 100))) if talk.turn > 2 else b""
        self._say(talk, speaker, talk.segment(speaker, flags, data=data))

    def connect(self) -> None:
        """A handshake, all of it."""
        self.open_tcp()
        talk = self._talks[-1]
        answerer = other(talk.opener)
        self._say(talk, answerer, talk.segment(answerer, SYN | ACK))
        self._say(talk, talk.opener, talk.segment(talk.opener, ACK))
        talk.turn = 2

    def finish(self) -> None:
        """One side, or both, have no more to say."""
        talk = self._talk(6)
        speakers = self.random.sample((FROM, TO), self.random.choice((1, 2)))
        for speaker in speakers:
            self._say(talk, speaker, talk.segment(speaker, FIN | ACK))
        for speaker in speakers:
            if self.random.random() < 0.8:
                self._say(talk, other(speaker), talk.segment(other(speaker), ACK))

    def close(self) -> None:
        """A handshake, then a FIN and its ACK from each side."""
        self.connect()
        talk = self._talks[-1]
        for speaker in self.random.sample((FROM, TO), 2):
            self._say(talk, speaker, talk.segment(speaker, FIN | ACK))
            self._say(talk, other(speaker), talk.segment(other(speaker), ACK))

    def open_both(self) -> None:
        """Both sides send a SYN, and may go on to be connected (RFC 9293, 3.5)."""
        talk = self._begin(6)
        for flags in (SYN, SYN | ACK, ACK):
            for speaker in (talk.opener, other(talk.opener)):
                back = -1 if flags & SYN and flags & ACK else 0
                if self.random.random() < 0.9:
                    self._say(talk, speaker, talk.segment(speaker, flags, ahead=back))

    def open_fast(self) -> None:
        """SYN with data, which the other side acknowledges or not, and data before the last ACK."""
        talk = self._begin(6)
        opener, answerer = talk.opener, other(talk.opener)
        carried = self.random.choice((1, 100, 1400))
        self._say(talk, opener, talk.segment(opener, SYN, data=bytes(carried)))
        if self.random.random() < 0.4:  # Once more, with data or without, seldom with more.
            ahead, again = -1 - carried, self.random.choice((0, 0, carried, carried + 8))
            self._say(talk, opener, talk.segment(opener, SYN, ahead=ahead, data=bytes(again)))
        behind = self.random.choice((0, 0, -carried, -carried, -1 - carried, 1))
        flags = self.random.choice((SYN | ACK, SYN | ACK, SYN | ACK, RST | ACK))
        self._say(talk, answerer, talk.segment(answerer, flags, behind=behind))
        for flags in self.random.choice(((ACK,), (ACK | PSH, FIN | ACK), ())):
            self._say(talk, answerer, talk.segment(answerer, flags, data=bytes(50)))
        talk.turn = 2

    def replace(self) -> None:
        """A SYN into a conversation that goes on, and perhaps the answer that both agree on."""
        talk = self._talk(6)
        speaker = self.random.choice((talk.opener, talk.opener, other(talk.opener)))
        number, listener = self._number(), other(speaker)
        data = bytes(self.random.choice((0, 0, 9)))
        numbers = {"sequence": number, "acknowledged": 0}
        self._say(talk, speaker, build.tcp(*talk.ports(speaker), data, flags=SYN, **numbers))
        if self.random.random() < 0.3:
            self.proceed()
        behind = self.random.choice((1, 1, 1, 1 + len(data), 0, 2, 1 << 16, (1 << 16) + 1))
        acknowledged = (number + behind) % SPACE
        talk.sends[listener] = self._number()
        numbers = {"sequence": talk.sends[listener], "acknowledged": acknowledged}
        answer = build.tcp(*talk.ports(listener), flags=SYN | ACK, **numbers)
        self._say(talk, listener, answer)
        if self.random.random() < 0.7:
            talk.sends[speaker], talk.sends[listener] = acknowledged, talk.sends[listener] + 1
            self._say(talk, speaker, talk.segment(speaker, ACK))

    def abort(self) -> None:
        """Data that nobody acknowledges, then an RST behind it, within it or before it."""
        talk = self._talk(6)
        speaker = self.random.choice((FROM, TO))
        sent = self.random.choice((1, 100, 1400))
        self._say(talk, speaker, talk.segment(speaker, ACK, data=bytes(sent)))
        ahead = self.random.choice((0, 0, -1, -sent, -sent - 1, 1))
        self._say(talk, speaker, talk.segment(speaker, RST, ahead=ahead))
        if self.random.random() < 0.3:
            self._pass(self.random.choice((9, 10, 11)) * SECOND)

    def acknowledge(self) -> None:
        """An ACK of what was sent, or of a little less or more."""
        talk = self._talk(6)
        speaker = self.random.choice((FROM, TO))
        behind = self.random.choice((0, 1, -1, *OFFSETS))
        if self.random.random() < 0.5:
            self._say(talk, other(speaker), talk.segment(other(speaker), ACK, data=bytes(40)))
        self._say(talk, speaker, talk.segment(speaker, ACK, behind=behind, ahead=self._few()))

    def pick_up(self) -> None:
        """An ACK of a connection that began before anybody looked."""
        talk = self._begin(6)
        talk.turn = 2
        self._say(talk, talk.opener, talk.segment(talk.opener, ACK))

    def open_again(self) -> None:
        """A SYN on the ports of a conversation that may have ended."""
        talk = self._talk(6)
        talk.turn, talk.opener = 0, self.random.choice((FROM, TO))
        talk.sends[talk.opener] = self._number()
        self._say(talk, talk.opener, talk.segment(talk.opener, SYN))

    def datagram(self) -> None:
        """UDP, or a protocol that is known by its ports or by nothing: first or next, or answer."""
        talk = self._maybe(
            self.random.choice((*(17,) * 4, 33, 132, 136, 47, 50, 0, 59, 253, 1, 58))
        )
        speaker = self._speaker(talk)
        message = talk.message(speaker, bytes(self.random.choice((0, 0, 3, 8, 64))))
        if talk.protocol in PORTS_OF - {6, 17} and self.random.random() < 0.2:
            message = build.Layer(message.octets[:3], talk.protocol)
        self._say(talk, speaker, message)

    def echo(self) -> None:
        """A question of ICMP, another one, or its answer."""
        talk = self._maybe(None)
        speaker = self._speaker(talk)
        message = talk.message(speaker, bytes(self.random.choice((0, 8, 56))))
        if talk.version == 6 and self.random.random() < 0.2:  # It need not have an identifier.
            message = build.Layer(message.octets[: self.random.choice((4, 5))], talk.protocol)
        self._say(talk, speaker, message)

    # Conversations that go as they may not.

    def challenge(self) -> None:
        """The answerer of a SYN knows the connection already; the opener may reset that."""
        talk = self._begin(6)
        answerer = other(talk.opener)
        self._say(talk, talk.opener, talk.segment(talk.opener, SYN))
        wrong = self.random.choice(OFFSETS)
        self._say(talk, answerer, talk.segment(answerer, ACK, behind=wrong or 7))
        ahead = wrong or 7
        if self.random.random() < 0.7:
            numbers = {"sequence": (talk.sends[talk.opener] + ahead) % SPACE}
            reset = build.tcp(*talk.ports(talk.opener), flags=RST, **numbers)
            self._say(talk, talk.opener, reset)

    def reset(self) -> None:
        """RST in place: at the number that was acknowledged, or refusing a SYN."""
        talk = self._talk(6)
        speaker = self.random.choice((FROM, TO))
        ahead = talk.acknowledged[speaker] - talk.sends[speaker]
        flags = self.random.choice((RST, RST | ACK))
        self._say(talk, speaker, talk.segment(speaker, flags, ahead=ahead))

    def guess(self) -> None:
        """RST or FIN at a number near a border, or anywhere."""
        talk = self._talk(6)
        speaker = self.random.choice((FROM, TO))
        ahead = talk.acknowledged[speaker] + self._offset() - talk.sends[speaker]
        flags = self.random.choice((RST, RST | ACK, FIN | ACK, FIN | ACK))
        self._say(talk, speaker, talk.segment(speaker, flags, ahead=ahead, behind=self._few()))

    def odd_segment(self) -> None:
        """Any octet of flags, numbers near borders."""
        talk = self._talk(6)
        speaker = self.random.choice((FROM, TO))
        flags = self.random.randrange(256)
        ahead, behind = self._few(), self._few()
        self._say(talk, speaker, talk.segment(speaker, flags, ahead=ahead, behind=behind))

    def unasked(self) -> None:
        """An answer where nobody asked, or the other way round than it was asked."""
        protocol = self.random.choice((6, 17, None))
        talk = self._begin(protocol)
        speaker = other(talk.opener)
        flags = self.random.choice((SYN | ACK, RST, FIN | ACK, ACK, 0))
        said = talk.segment(speaker, flags) if protocol == 6 else talk.message(speaker)
        self._say(talk, speaker, said)

    def again(self) -> None:
        """Something is sent again, later or in another order, or comes to another port."""
        if self._sent:
            sent = self.random.choice(self._sent)
            port, direction = sent.port, sent.direction
            if self.random.random() < 0.5:
                port = self.random.randrange(4)
                direction = self.random.choice((FROM, TO))
            self.stage.take(Sent(port, direction, sent.frame))

    def piece(self) -> None:
        """A later fragment comes, or comes again."""
        if self._pieces:
            sent = self.random.choice(self._pieces)
            self.stage.take(sent)

    # Errors.

    def error(self) -> None:
        """An ICMP error about a conversation, right or a little wrong."""
        talk = self._talk()
        speaker = self.random.choice((FROM, TO))
        kinds = (3, 3, 4, 11, 12, 5) if talk.version == 4 else (1, 2, 3, 4, 4, 137)
        quoted = packet(talk, speaker, self._quoted(talk, speaker), **self._quoted_fields(talk))
        octets = build.ethernet(*talk.macs(speaker), quoted)[14:]
        if self.random.random() < 0.3:
            octets = octets[: self.random.choice((8, 20, 27, 28, 40, 47, 48))]
        if self.random.random() < 0.1:
            octets = bytes((octets[0] ^ self.random.choice((0x20, 1, 0x0F)), *octets[1:]))
        make = build.icmpv4 if talk.version == 4 else build.icmpv6
        message = make(self.random.choice(kinds), self.random.choice((0, 1, 4)), bytes(4) + octets)
        self._tell(talk, other(speaker), message)

    def error_about(self) -> None:
        """An error that quotes a frame as it was sent: a fragment, or behind other headers."""
        sent = self.random.choice((*self._pieces, *self._sent, None))
        packet = sent and parse(sent.frame).body
        if not isinstance(packet, IPv4 | IPv6):
            return
        octets = sent.frame[14:]
        if self.random.random() < 0.5:
            octets = octets[: 40 + self.random.randrange(60)]
        make = build.icmpv4 if packet.src.version == 4 else build.icmpv6
        kind = self.random.choice((3, 11) if packet.src.version == 4 else (1, 2, 3))
        about = make(kind, self.random.choice((0, 1, 4)), bytes(4) + octets)
        wrap = build.ipv4 if packet.src.version == 4 else build.ipv6
        macs = Mac(sent.frame[:6]), Mac(sent.frame[6:12])
        told = build.ethernet(*macs, wrap(packet.dst, packet.src, about))
        self.stage.take(Sent(sent.port, other(sent.direction), told))

    def _quoted(self, talk: Talk, speaker: Direction) -> build.Layer:
        if self.random.random() < 0.7 or talk.protocol != 6:
            return talk.quoted(speaker, self.random.choice((0, 0, -1, -100)))
        return talk.quoted(speaker, self._offset())

    def _quoted_fields(self, talk: Talk) -> dict[str, object]:
        if talk.version == 6 or self.random.random() < 0.85:
            return {}
        return self.random.choice(
            ({"options": bytes(4)}, {"offset": 1}, {"more_fragments": True}, {"offset": 0x1F00})
        )

    def _tell(self, talk: Talk, speaker: Direction, message: build.Layer) -> None:
        """An error comes from the other end or a router; at times to the wrong one or port."""
        src, dst = talk.addresses(speaker)
        if speaker is TO and self.random.random() < 0.4:
            src = host.ELSEWHERE[talk.version][2]
        port = talk.port
        if self.random.random() < 0.1:
            dst = self.random.choice(host.ELSEWHERE[talk.version])
        if self.random.random() < 0.1:
            port = self.random.randrange(4)
        make = build.ipv4 if talk.version == 4 else build.ipv6
        data = build.ethernet(*talk.macs(speaker), make(src, dst, message))
        if self.random.random() < 0.2:
            data = build.pad(data, len(data) + 8)
        self._take(Sent(port, speaker, data))

    # What is judged without a conversation.

    def control(self) -> None:
        """ICMP that is neither question, answer nor error; DHCP, neighbours, listeners."""
        port, version = self.random.randrange(4), self.random.choice((4, 6))
        speaker = self.random.choice((FROM, TO))
        remote = self.random.choice((*remotes(port, version), host.MANY[version][0]))
        talk = Talk(port, version, 0, remote, (0, 0))
        message = self._controlling(version, speaker)
        hops = self.random.choice((1, 1, 64, 255))
        if version == 4:
            fields, chance = {"ttl": hops, "more_fragments": self.random.random() < 0.2}, 0.0
        else:
            fields, chance = {"hop_limit": hops}, self.random.random()
        if chance > 0.8:
            message = build.destination_options(message)
        if chance > 0.5:
            message = build.hop_by_hop(message, build.router_alert6())
        elif chance > 0.4:
            message = build.fragment(message)
        self._take(Sent(port, speaker, frame(talk, speaker, message, **fields)))

    def _controlling(self, version: int, speaker: Direction) -> build.Layer:
        make = build.icmpv4 if version == 4 else build.icmpv6
        kinds = (0, 5, 9, 10, 13, 17, 130, 131, 132, 133, 135, 136, 137, 139, 143)
        client, server = (68, 67) if version == 4 else (546, 547)
        ends = (client, server) if speaker is FROM else (server, client)
        if version == 4 and self.random.random() < 0.3:
            kind = self.random.choice((0x11, 0x12, 0x16, 0x17, 0x22, 0x13, 0))
            return build.Layer(bytes((kind,)) + bytes(self.random.choice((6, 7, 11))), 2)
        return self.random.choice(
            (
                make(self.random.choice(kinds), self.random.choice((0, 1)), bytes(24)),
                build.udp(*ends, bytes(240)),
                build.udp(*ends[::-1], bytes(240)),
                build.tcp(*ends, flags=SYN),
            )
        )

    def to_many(self) -> None:
        """To a group, or to all: no conversation, whatever it looks like."""
        port, version = self.random.randrange(4), self.random.choice((4, 6))
        dst = self.random.choice(host.MANY[version])
        speaker = self.random.choice((FROM, TO))
        station = STATIONS[port if speaker is FROM else port ^ 1]
        payload = self.random.choice(
            (build.udp(5353, 5353), build.tcp(4000, 80), build.Layer(b"", 132), build.udp(9, 53))
        )
        make = build.ipv4 if version == 4 else build.ipv6
        mac = multicast_mac(dst) if version == 6 or dst.startswith("224") else "ff:ff:ff:ff:ff:ff"
        made = make(station.addresses[version], dst, payload)
        self._take(Sent(port, speaker, build.ethernet(station.mac, mac, made)))

    # The host, and the clock.

    def change(self) -> None:
        """A rule, a member or a group comes or goes, or a port has other groups."""
        self.stage.take(host.changed(self.random, self.stage.held))

    def revoke(self) -> None:
        """The rules of a port's groups go while a conversation goes on; mostly they come back."""
        talk, before = self._talk(6), self.stage.held
        self.stage.take(host.without(before, before.policies[talk.port].security_groups))
        for _ in range(self.random.choice((0, 1, 2, 3))):
            speaker = self.random.choice((FROM, TO))
            flags = self.random.choice((ACK, ACK, ACK, SYN, SYN | ACK, RST, FIN | ACK))
            self._say(talk, speaker, talk.segment(speaker, flags))
        if self.random.random() < 0.4:
            self.error()
        if self.random.random() < 0.7:
            self.stage.take(before)
        for _ in range(2):
            speaker = self.random.choice((FROM, TO))
            self._say(talk, speaker, talk.segment(speaker, ACK))

    def renew(self) -> None:
        """The guard is new on a port, and a connection goes on that began before."""
        talk = self._begin(6)
        talk.turn = 2
        self.stage.take(Renewed(talk.port, self.random.choice((0, 1, 9, 7440)) * SECOND))
        for _ in range(4):
            speaker = self.random.choice((FROM, TO))
            flags = self.random.choice((ACK, ACK, ACK | PSH, FIN | ACK, RST, SYN, SYN | ACK))
            self._say(talk, speaker, talk.segment(speaker, flags, data=bytes(9)))

    def restore(self) -> None:
        """All is as it was in the beginning."""
        if self.stage.held != host.base():
            self.stage.take(host.base())

    def tick(self) -> None:
        """A little time passes."""
        self._pass(self.random.choice((1, 10**6, 3 * 10**8, 9 * 10**8, 2 * SECOND, 9 * SECOND)))

    def wait(self) -> None:
        """As much time as something lives passes, or a little less or more."""
        lifetime = self.random.choice(LIFETIMES[:-2] * 4 + LIFETIMES) * SECOND
        self._pass(lifetime + self.random.choice((-1, 0, 1, SECOND)))

    def expire(self) -> None:
        """It is just before the end of something that lives, or its end; it goes on then."""
        ends = sorted(set(self.stage.reference.ends()))
        near = [end for end in ends if end - self.stage.now < 601 * SECOND] or ends
        if near:
            end = self.random.choice(near)
            self._pass(max(1, end - self.stage.now + self.random.choice((-1, 0, 1))))
            for _ in range(4):
                self.again()

    def _pass(self, nanoseconds: int) -> None:
        self.stage.take(Passed(nanoseconds))

    # Who talks, and how it is sent.

    def _begin(self, protocol: int | None) -> Talk:
        """A new conversation; None is ICMP of its version."""
        port, version = self.random.randrange(4), self.random.choice((4, 6))
        remote = self.random.choice(remotes(port, version))
        protocol = ICMP_OF[version] if protocol is None else protocol
        service = self.random.choice((80, 80, 53, 0, 443, 65535))
        ends = (self.random.choice((4000, 4001, 67, 0)), service)
        opener = self.random.choice((FROM, TO))
        if opener is TO:
            ends = ends[::-1]
        if protocol == ICMP_OF[version]:
            ends = (ends[0], ends[0])
        talk = Talk(port, version, protocol, remote, ends, opener)
        talk.is_timestamp = self.random.random() < 0.3
        for side in (FROM, TO):
            talk.sends[side] = talk.acknowledged[side] = self._number()
        self._talks.append(talk)
        return talk

    def _talk(self, protocol: int | None = None) -> Talk:
        """One that was begun, the latest most often; a new one where there is none."""
        found = [talk for talk in self._talks if protocol in (None, talk.protocol)]
        if not found:
            return self._begin(protocol or 17)
        return self.random.choice((*found, *found[-4:], found[-1]))

    def _maybe(self, protocol: int | None) -> Talk:
        """One of this protocol that was begun, or a new one; None is ICMP."""
        found = [t for t in self._talks if protocol == (None if t.is_icmp else t.protocol)]
        if not found or self.random.random() < 0.3:
            return self._begin(protocol)
        return self.random.choice(found)

    def _speaker(self, talk: Talk) -> Direction:
        talk.turn += 1
        return talk.opener if talk.turn == 1 else self.random.choice((FROM, TO))

    def _number(self) -> int:
        """An initial sequence number, often about to wrap."""
        return self.random.choice((1000, SPACE - 1, SPACE - 50, 1 << 31, (1 << 30) - 1))

    def _offset(self) -> int:
        if self.random.random() < 0.1:
            return self.random.randrange(SPACE)
        return self.random.choice(OFFSETS)

    def _few(self) -> int:
        return self.random.choice((0, 0, 0, self._offset()))

    def _say(self, talk: Talk, speaker: Direction, payload: build.Layer) -> None:
        """Send it; of a fragmented packet the later ones before the first, behind it, or never."""
        first, *later = dressed(self.random, talk, speaker, payload)
        early = [data for data in later if self.random.random() < 0.3]
        for data in early:
            self.stage.take(Sent(talk.port, speaker, data))
        self._take(Sent(talk.port, speaker, first))
        for data in later:
            piece = Sent(talk.port, speaker, data)
            self._pieces.append(piece)
            if self.random.random() < 0.4:
                self.stage.take(piece)

    def _take(self, sent: Sent) -> None:
        """It comes to its port, and at times to that of the other end, or of the other network."""
        self._sent.append(sent)
        self.stage.take(sent)
        chance = self.random.random()
        if chance < 0.1:
            self.stage.take(Sent(sent.port ^ 1, other(sent.direction), sent.frame))
        elif chance < 0.15:
            self.stage.take(Sent(sent.port ^ 2, sent.direction, sent.frame))


WEIGHTS = {
    "proceed": 30,
    "connect": 8,
    "open_tcp": 5,
    "open_both": 2,
    "open_fast": 4,
    "replace": 4,
    "abort": 3,
    "acknowledge": 5,
    "pick_up": 3,
    "open_again": 3,
    "finish": 4,
    "close": 2,
    "datagram": 12,
    "echo": 7,
    "challenge": 3,
    "reset": 2,
    "guess": 4,
    "odd_segment": 8,
    "unasked": 3,
    "again": 8,
    "piece": 8,
    "error": 12,
    "error_about": 6,
    "control": 4,
    "to_many": 2,
    "change": 3,
    "revoke": 2,
    "renew": 2,
    "restore": 2,
    "tick": 5,
    "wait": 1,
    "expire": 3,
}
"""How often a walk does each."""


def walk(actor: Actor, actions: int) -> None:
    """So many actions at random."""
    for name in actor.random.choices(tuple(WEIGHTS), tuple(WEIGHTS.values()), k=actions):
        getattr(actor, name)()
