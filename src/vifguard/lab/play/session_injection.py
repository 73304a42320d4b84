"""TCP injection into somebody's session: the forged segments, and that each is dropped.

It is played on a backend network of a database and its clients, against a session that is open
all the while.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network

from vifguard.lab.attacks import frames as f
from vifguard.lab.attacks.actors import Actors, Station
from vifguard.lab.play.packet_socket import PacketSocket
from vifguard.lab.play.world_segments import endpoint
from vifguard.lab.result.checks import Checks, until
from vifguard.lab.world.services import DATABASE_PORT, DatabaseSession
from vifguard.lab.world.world import Guest, Nic, World
from vifguard.packet import build
from vifguard.packet.build import Layer

_RST, _ACK, _DATA = 0x04, 0x10, 0x18
_HALF = 1 << 31
_ETHERNET, _HEADER = 14, {4: 20, 6: 40}
_DNS = 53


@dataclass(frozen=True, slots=True)
class _TcpState:
    """A connection as an eavesdropper knows it: its next numbers, and the client's port."""

    port: int
    sequence: int
    acknowledged: int

    def segment(self, flags: int, sequence: int | None = None) -> Layer:
        """A segment that the client could send next."""
        data = f.DATA if flags == _DATA else b""
        number = self.sequence if sequence is None else sequence
        return build.tcp(
            self.port,
            DATABASE_PORT,
            data,
            flags=flags,
            sequence=number,
            acknowledged=self.acknowledged,
        )

    def answer(self, flags: int) -> Layer:
        """A segment that the server could send next."""
        return build.tcp(
            DATABASE_PORT,
            self.port,
            b"",
            flags=flags,
            sequence=self.acknowledged,
            acknowledged=self.sequence,
        )


@dataclass(frozen=True, slots=True)
class _Forgery:
    """A frame that some guest sends, the port that objects, and its guard or reason."""

    what: str
    sender: Guest
    frame: bytes
    target: Guest
    objector: Nic
    by: str


def inject(story: Checks, world: World, session: DatabaseSession, version: int) -> None:
    """Forge into the session of `www` with `database`, from beside it and from a twin network."""
    story.check(f"IPv{version}: the session that is guessed", expected=True, seen=session.answers())
    for forgery in _forgeries(world, _overheard(world, session, version), version):
        _assert_dropped(story, world, forgery, f"IPv{version}: {forgery.what}")
    story.check(f"IPv{version}: the session lives", expected=True, seen=session.answers())


def _forgeries(world: World, line: _TcpState, version: int) -> list[_Forgery]:
    www, attacker, database = (world.guests[name] for name in ("www", "intruder", "database"))
    inside = www.nics[1]
    packet = _packet(version)
    c = _cast(attacker, www, database)
    to_www, twin = c.with_peer(c.v), c.with_attacker(c.v)

    def at_database(what: str, frame: bytes, by: str) -> _Forgery:
        return _Forgery(what, attacker, frame, database, database.nic, by)

    def at_www(what: str, frame: bytes, by: str) -> _Forgery:
        return _Forgery(what, attacker, frame, www, inside, by)

    def at_twin(what: str, piece: Layer, by: str) -> _Forgery:
        sender, target = world.guests["twin-www"], world.guests["twin-database"]
        t = _cast(sender, sender, target)
        return _Forgery(what, sender, packet(t, piece), target, target.nic, by)

    stolen = packet(c, line.segment(_DATA), src=_address(c.v, version))
    answered = packet(to_www, line.answer(_RST), src=_address(c.p, version))
    return [
        _Forgery("data in another's name", attacker, stolen, database, attacker.nic, "ip"),
        _Forgery("a reset in the server's name", attacker, answered, www, attacker.nic, "ip"),
        at_database("data in its own name", packet(c, line.segment(_DATA)), "not-allowed"),
        at_database("a reset in its own name", packet(c, line.segment(_RST)), "flow-invalid"),
        at_www("a reset to the client", packet(to_www, line.answer(_RST)), "flow-invalid"),
        at_www("an error with a guessed number", _error(to_www, line, version), "icmp-unrelated"),
        at_twin("the same data on a twin network", line.segment(_DATA), "not-allowed"),
        at_twin("the same reset on a twin network", line.segment(_RST), "flow-invalid"),
        at_www("a fragment into a TCP header", _later(to_www, version), "fragment-overlap"),
        at_www(
            "an answer of a name server nobody asked",
            packet(to_www, build.udp(_DNS, 40000, f.DATA)),
            "not-allowed",
        ),
        _Forgery(
            "a guessed segment of the client itself",
            www,
            packet(twin, line.segment(_RST | _ACK, line.sequence + _HALF & 0xFFFFFFFF)),
            database,
            inside,
            "flow-invalid",
        ),
    ]


def _assert_dropped(story: Checks, world: World, forgery: _Forgery, what: str) -> None:
    """Check that the expected port objects, and that the target never receives the frame."""
    sender = PacketSocket(forgery.sender.netns, _device(forgery.sender, forgery.objector), 0)
    listener = PacketSocket(forgery.target.netns)
    try:
        sender.send(forgery.frame)
        story.must(what, f"drop {forgery.by}", lambda: _named(world, forgery))
        heard = sum(each.frame == forgery.frame for each in listener.drain() if not each.outgoing)
        story.check(f"{what}, heard at {forgery.target.name}", 0, heard)
    finally:
        sender.close()
        listener.close()


def _device(guest: Guest, beside: Nic) -> str:
    """The guest's interface on the network of another's."""
    return next(nic.interface.device for nic in guest.nics if nic.net is beside.net)


def _named(world: World, forgery: _Forgery) -> bool:
    return any(
        forgery.by in (record["guard"], record["reason"])
        and forgery.frame.startswith(bytes.fromhex(record["head"]))
        for record in world.drops(forgery.objector)["drops"]
    )


def _overheard(world: World, session: DatabaseSession, version: int) -> _TcpState:
    """The session's last segment to the database, as its client's own line shows it."""
    www = world.guests["www"].nics[1]
    listener = PacketSocket(www.interface.netns, www.interface.device)
    heard: list[_TcpState] = []
    try:

        def hears() -> bool:
            session.answers()
            segments = (_line(each.frame, version) for each in listener.drain() if each.outgoing)
            heard.extend(line for line in segments if line)
            return bool(heard)

        until("a segment of the session", hears)
    finally:
        listener.close()
    return heard[-1]


def _line(frame: bytes, version: int) -> _TcpState | None:
    """The numbers behind a segment to the database; None for any other frame."""
    start = _ETHERNET + _HEADER[version]
    protocol = frame[_ETHERNET + (9 if version == 4 else 6)] if len(frame) > start + 20 else 0
    if protocol != f.TCP or int.from_bytes(frame[start + 2 : start + 4], "big") != DATABASE_PORT:
        return None
    port, sequence, acknowledged = (
        int.from_bytes(frame[start + at : start + at + size], "big")
        for at, size in ((0, 2), (4, 4), (8, 4))
    )
    length = len(frame) - start - (frame[start + 12] >> 4) * 4
    return _TcpState(port, sequence + length & 0xFFFFFFFF, acknowledged)


def _cast(a: Guest, v: Guest, p: Guest) -> Actors:
    """The forger, the forged and the addressee, on the last network of each."""
    one, victim, peer = (endpoint(guest, guest.nics[-1]).station for guest in (a, v, p))
    net = a.nics[-1].net
    return Actors(
        a=one,
        v=victim,
        p=peer,
        g=peer,
        net4=IPv4Network(str(net.cidr(4))),
        net6=IPv6Network(str(net.cidr(6))),
        vip4=one.ip4,
        vip6=one.ip6,
        vmac4=one.mac,
        vmac6=one.mac,
        routed4=IPv4Network(one.ip4),
        routed6=IPv6Network(one.ip6),
    )


def _packet(version: int) -> Callable[..., bytes]:
    return f.ip4 if version == 4 else f.ip6


def _address(station: Station, version: int) -> object:
    return station.ip4 if version == 4 else station.ip6


def _error(c: Actors, line: _TcpState, version: int) -> bytes:
    """`unreachable` about a segment of the client's that it never sent."""
    segment = line.segment(_ACK, line.sequence + _HALF & 0xFFFFFFFF)
    if version == 4:
        quoted = build.ipv4(c.v.ip4, c.g.ip4, segment).octets
        return f.icmp4(c, 3, 3, bytes(4) + quoted)
    quoted = build.ipv6(c.v.ip6, c.g.ip6, segment).octets
    return f.icmp6(c, 1, bytes(4) + quoted, code=4)


def _later(c: Actors, version: int) -> bytes:
    """A fragment that would rewrite the judged header of its first."""
    if version == 4:
        return f.ip4(c, f.DATA, f.TCP, offset=1)
    return f.ip6(c, build.fragment(f.DATA, 1, ident=0x7666, next_header=f.UDP))
