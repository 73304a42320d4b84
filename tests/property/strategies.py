"""Hypothesis strategies of a tiny world: addresses, policies, and frames good and bad.

The world is small on purpose: few MACs and addresses, half of them the port's, so that drawn
frames lie on both sides of the border between pass and drop, and close to it. Each example is
one draw: a *tape* of octets from which plain functions read their choices. A zero on the tape
is the usual choice, and every function alone makes a legal frame; so a failure shrinks to the
frame with the fewest and simplest deviations, and a hundred thousand frames are made in
seconds (`frame_of(random.randbytes(TAPE))`).

`frames()` has every stack of headers that the guards know, then for about a third of them a
mutation: padding, a cut at a boundary or anywhere, flipped bits, overwritten octets.
"""

from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from hypothesis import strategies as st

from vifguard.model.address import Mac
from vifguard.model.guard import GUARDS_OF, Guard, LinkLocal, Profile, Role, with_implied
from vifguard.model.policy import PortPolicy, Storm
from vifguard.packet import build
from vifguard.packet.build import Layer
from vifguard.packet.link import Tag
from vifguard.packet.offload import NO_OFFLOAD, Offload, PartialChecksum

MAC = Mac.parse("02:00:00:00:00:0a")
VIRTUAL_MAC = Mac.parse("00:00:5e:00:01:07")
OTHER_MAC = Mac.parse("02:00:00:00:00:0b")
BROADCAST = Mac.parse("ff:ff:ff:ff:ff:ff")
ZERO_MAC = Mac(bytes(6))

OWN4, ROUTED4, OTHER4, PUBLIC4 = "10.0.0.5", "10.1.0.200", "10.0.0.6", "198.51.100.7"
OWN6, ROUTED6, OTHER6, PUBLIC6 = "fd00::5", "fd01::77", "fd00::6", "2001:db8::7"
CHOSEN6, CLAIMED6, LEARNED6 = "fd00::a0b0:1:2:3", "fe80::a0b0:1:2:3", "fd00::a0b0:1:2:4"
CLAIMABLE = frozenset({ip_network("fe80::/64"), ip_network("fd00::/64")})
LINK_LOCAL, OTHER_LINK_LOCAL = str(MAC.link_local), str(OTHER_MAC.link_local)
ZERO4 = "0.0.0.0"

USUAL = frozenset(ip_network(p) for p in (f"{OWN4}/32", "10.1.0.0/24", f"{OWN6}/128", "fd01::/64"))
PUBLIC = frozenset({ip_network("198.51.100.0/24"), ip_network("2001:db8::/32")})

TAPE = 96
"""Octets of a frame's tape; more choices than these are the usual ones."""


class Tape:
    """Choices read from octets, one octet each; a zero, or the tape's end, is the usual one."""

    def __init__(self, octets: bytes) -> None:
        self._octets = iter(octets)

    def octet(self) -> int:
        return next(self._octets, 0)

    def pick(self, *options):
        """One of the options, all alike; the first is the simplest."""
        return options[self.octet() % len(options)]

    def mostly(self, usual, *others):
        """The usual value, or one time in eleven one of the others (at most 24)."""
        place = self.octet() - 232
        return usual if place < 0 else others[place % len(others)]

    def junk(self, most: int) -> bytes:
        return bytes(self.octet() for _ in range(self.octet() % (most + 1)))


# Policies.


def macs() -> st.SearchStrategy[Mac]:
    """MACs of the tiny world, seldom any other."""
    near = st.sampled_from((MAC, VIRTUAL_MAC, OTHER_MAC, BROADCAST, ZERO_MAC))
    return st.one_of(near, st.binary(min_size=6, max_size=6).map(Mac))


SINGLE = tuple(guard for guard in Guard if guard is not Guard.SECURITY_GROUPS)
"""The guards that judge a frame by itself, and not by the frames before it."""


def guard_sets() -> st.SearchStrategy[frozenset[Guard]]:
    """Profiles, sets closed under what a guard brings along, and any sets at all."""
    any_set = st.frozensets(st.sampled_from(SINGLE))
    return st.one_of(st.sampled_from(tuple(GUARDS_OF.values())), any_set.map(with_implied), any_set)


def policies() -> st.SearchStrategy[PortPolicy]:
    """Policies of a port in the tiny world; strict and owning something most often."""
    return st.binary(min_size=40, max_size=40).map(policy_of)


def policy_of(octets: bytes) -> PortPolicy:
    """The policy of a tape."""
    tape = Tape(octets)
    return PortPolicy(
        "p",
        guards=guards_of(tape),
        macs=tape.pick(frozenset({MAC}), frozenset({MAC, VIRTUAL_MAC}))
        if tape.mostly(1, 0)
        else frozenset(),
        prefixes=prefixes_of(tape),
        link_local=tape.pick(LinkLocal.LEARNED, LinkLocal.EUI64, LinkLocal.ANY, LinkLocal.NONE),
        claimable=tape.mostly(CLAIMABLE, frozenset()),
        tentative=tape.mostly(frozenset({ip_address(CLAIMED6)}), frozenset()),
        learned=tape.mostly(frozenset({ip_address(LEARNED6)}), frozenset()),
        public=tape.mostly(PUBLIC, frozenset()),
        roles=tape.mostly(frozenset(), *(frozenset({role}) for role in Role), frozenset(Role)),
        ethertypes=tape.pick(
            frozenset(), frozenset({0x8100, 0x88B5}), frozenset({0x88A8, 0x9100, 0x0026, 0x0842})
        ),
        foreign_vrids4=tape.pick(frozenset({51, 200}), frozenset()),
        foreign_vrids6=tape.pick(frozenset({51}), frozenset()),
        storm=Storm(tape.pick(1000, 0, 1, 3), tape.pick(1000, 0, 1, 3)),
        closed=tape.mostly("", "", "", "", "asked for"),
    )


def guards_of(tape: Tape) -> frozenset[Guard]:
    kind = tape.pick(*([Profile.STRICT] * 6), *Profile, None, None)
    if kind is not None:
        return GUARDS_OF[kind]
    drawn = frozenset(guard for guard in SINGLE if tape.octet() % 2)
    return tape.pick(drawn, with_implied(drawn))


def prefixes_of(tape: Tape) -> frozenset:
    texts = (f"{PUBLIC4}/32", f"{PUBLIC6}/128", "fe80::/64", "0.0.0.0/0", "::/0", f"{OTHER4}/31")
    further = frozenset(ip_network(text) for text in texts if tape.mostly(0, 1))
    return tape.mostly(USUAL, frozenset()) | further


def tags() -> st.SearchStrategy[Tag | None]:
    """A tag that the kernel took off; mostly none."""
    return st.sampled_from((None,) * 15 + (Tag(0x8100, 100), Tag(0x88A8, 1), Tag(0x8100, 0)))


def offloads() -> st.SearchStrategy[Offload]:
    """What is left to be done to a frame: nothing, what is right of many frames, or anything."""
    return st.binary(min_size=8, max_size=8).map(offload_of)


def offload_of(octets: bytes) -> Offload:
    """The offload of a tape."""
    tape = Tape(octets)
    if not tape.pick(0, 1):
        return NO_OFFLOAD
    checksum = PartialChecksum(
        start=tape.pick(34, 54, 14, 17, 18, 33, 42, 46, 62, tape.octet()),
        offset=tape.pick(6, 16, 8, 0, 2, 18, tape.octet()),
        crc=bool(tape.mostly(0, 1)),
    )
    return Offload(tape.pick(checksum, None), tape.mostly(0, 1, 1448, 0xFFFF))


# Frames: each function makes a legal frame unless its tape deviates.


def frames() -> st.SearchStrategy[bytes]:
    """Frames of every stack, legal, nearly legal and broken."""
    return st.binary(min_size=TAPE, max_size=TAPE).map(frame_of)


def frame_of(octets: bytes) -> bytes:
    """The frame of a tape."""
    tape = Tape(octets)
    piece, destination = tape.pick(*_KINDS)(tape)
    for _ in range(tape.mostly(0, 0, 1, 1, 2, 17)):
        piece = tape.pick(*_LINKS)(piece)
    src = tape.mostly(MAC, MAC, VIRTUAL_MAC, OTHER_MAC, BROADCAST, ZERO_MAC)
    dst = tape.mostly(
        destination,
        MAC,
        OTHER_MAC,
        BROADCAST,
        Mac.parse("01:80:c2:00:00:00"),
        Mac.parse("01:80:c2:00:00:0f"),
        Mac.parse("01:80:c2:00:00:10"),
    )
    frame = build.ethernet(src, dst, piece)
    mutate = tape.pick(*_MUTATIONS)
    return mutate(tape, frame) if mutate else frame


Drawn = tuple[Layer, Mac]
"""What is in a frame, and where it should go."""


def arp(tape: Tape) -> Drawn:
    sender_ip = tape.pick(OWN4, OWN4, ROUTED4, ZERO4, OTHER4)
    piece = build.arp(
        tape.mostly(MAC, VIRTUAL_MAC, OTHER_MAC),
        sender_ip,
        target_ip=OWN4 if sender_ip == ZERO4 and tape.mostly(1, 0) else tape.pick(OTHER4, OWN4),
        target_mac=tape.pick(ZERO_MAC, OTHER_MAC),
        op=tape.pick(1, 2) if tape.mostly(1, 0) else tape.pick(0, 3, 8, 0x0101),
        hardware=tape.mostly(1, 6),
        protocol=tape.mostly(0x0800, 0x86DD),
        hardware_length=tape.mostly(6, 8),
        protocol_length=tape.mostly(4, 16),
    )
    return piece, BROADCAST


def rarp(tape: Tape) -> Drawn:
    piece = build.rarp(
        tape.mostly(MAC, VIRTUAL_MAC, OTHER_MAC),
        target_mac=tape.mostly(None, MAC, OTHER_MAC),
        sender_ip=tape.mostly(ZERO4, OWN4),
        target_ip=tape.mostly(ZERO4, OWN4),
        op=tape.mostly(3, 1, 4),
    )
    return piece, BROADCAST


def dhcp4(tape: Tape) -> Drawn:
    message = build.dhcpv4(
        tape.mostly(MAC, VIRTUAL_MAC, OTHER_MAC),
        tape.pick(*range(1, 9)),
        op=tape.mostly(1, 2),
        htype=tape.mostly(1, 6),
        hlen=tape.mostly(6, 16),
        ciaddr=tape.pick(ZERO4, OWN4) if tape.mostly(1, 0) else OTHER4,
        giaddr=tape.mostly(ZERO4, OTHER4),
        magic=tape.mostly(bytes.fromhex("63825363"), bytes(4)),
        tail=dhcp4_tail(tape) if tape.octet() % 3 == 2 else None,
    )
    asks = tape.pick((ZERO4, "255.255.255.255"), (OWN4, OTHER4))
    ports = tape.mostly((68, 67), (68, 67), (67, 68), (67, 67), (68, 68), (1067, 68), (1068, 67))
    return ip4(tape, build.udp(*ports, message), *asks)


def dhcp4_tail(tape: Tape) -> bytes:
    """Options: few, or as many as the limit of 64 steps allows; ended, cut, relayed."""
    few = b"".join(
        tape.pick(
            b"\x35\x01\x01",
            b"\x35\x01\x04",
            b"\x32\x04" + IPv4Address(tape.pick(OWN4, OTHER4)).packed,
            b"\x34\x01\x03",
            b"\x3d\x00",
            b"\x00",
            b"\x52\x02\x01\x00",
            b"\x0c\x03a",
        )
        for _ in range(tape.octet() % 5)
    )
    run = tape.pick(b"", b"\x00", b"\x0c\x00", b"\x0c\x01a") * (60 + tape.octet() % 7)
    return (
        few + run + tape.pick(b"\xff", b"", b"\xff\x52\x00", b"\x52\x00\xff", b"\x35", b"\x35\x02a")
    )


def dhcp6(tape: Tape) -> Drawn:
    message = build.dhcpv6(
        tape.pick(1, 3, 5, 8, 9, 11, 36) if tape.mostly(1, 0) else tape.octet() % 40,
        build.dhcpv6_option(1, tape.junk(8), length=tape.mostly(None, 0, 65535)),
        *(lease6(tape) for _ in range(tape.octet() % 3)),
    )
    if not tape.mostly(1, 0):
        message = build.dhcpv6_relay(OTHER6, OTHER6, message)
    ports = tape.mostly((546, 547), (547, 546), (547, 547), (546, 546), (1546, 547), (1547, 546))
    return ip6(tape, build.udp(*ports, message[: tape.mostly(999, 3, 4)]), LINK_LOCAL, "ff02::1:2")


def lease6(tape: Tape) -> bytes:
    """An address of a lease, on its own or in an association; lengths may lie."""
    octets = IPv6Address(str(tape.mostly(OWN6, OTHER6, LINK_LOCAL))).packed
    inner = build.dhcpv6_option(5, octets + bytes(8), length=tape.mostly(None, 3, 40))
    if tape.octet() % 4 == 0:
        inner = build.dhcpv6_option(26, bytes(9) + octets)
    kind, head = tape.mostly((3, 12), (4, 4), (25, 12), (5, 24))
    if tape.octet() % 4 == 0:
        return inner
    return build.dhcpv6_option(kind, bytes(head) + inner, length=tape.mostly(None, 11, 64))


def nd(tape: Tape) -> Drawn:
    """Neighbour discovery: RS, DAD, NS to a group and to one, NA, RA, redirect."""
    code = tape.mostly(0, 1)
    own = tape.pick(OWN6, LINK_LOCAL, ROUTED6, CHOSEN6, CLAIMED6, LEARNED6)
    target = tape.mostly(own, OWN6, OTHER6, OTHER_LINK_LOCAL, "::", "ff02::1", CLAIMED6)
    asked = tape.pick(OTHER6, OTHER_LINK_LOCAL) if tape.mostly(1, 0) else "ff02::1"
    group = str(build.solicited_node(asked))
    piece, src, dst = tape.pick(
        lambda: (build.na(target, *lla(tape, build.tlla), code=code), own, "ff02::1"),
        lambda: (
            build.na(target, *lla(tape, build.tlla), solicited=True, code=code),
            own,
            tape.mostly(OTHER6, "ff02::1"),
        ),
        lambda: (
            build.ns(asked, *lla(tape, build.slla), code=code),
            own,
            tape.mostly(group, OTHER6, "ff02::1"),
        ),
        lambda: (
            build.ns(target, *dad_options(tape), code=code),
            "::",
            tape.mostly(str(build.solicited_node(target)), "ff02::1", OWN6),
        ),
        lambda: (build.rs(*lla(tape, build.slla), code=code), LINK_LOCAL, "ff02::2"),
        lambda: (build.rs(*dad_options(tape), code=code), "::", "ff02::2"),
        lambda: (
            build.ra(build.prefix_information("fd00::"), *lla(tape, build.slla), code=code),
            LINK_LOCAL,
            "ff02::1",
        ),
        lambda: (
            build.redirect(asked, OTHER6, *lla(tape, build.tlla), code=code),
            LINK_LOCAL,
            OTHER6,
        ),
    )()
    return ip6(tape, piece, src, dst, hop_limit=tape.mostly(255, 254, 64, 1))


def lla(tape: Tape, option: Callable[[Mac], bytes]) -> tuple[bytes, ...]:
    """The options of a message that may tell a link-layer address."""
    options = (option(tape.mostly(MAC, VIRTUAL_MAC, OTHER_MAC)),) if tape.pick(1, 1, 0) else ()
    return options + further_options(tape)


def dad_options(tape: Tape) -> tuple[bytes, ...]:
    """The options of a message from the unspecified address."""
    told = tape.mostly((), (build.slla(MAC),), (build.tlla(MAC),), (build.slla(OTHER_MAC),))
    return told + further_options(tape)


def further_options(tape: Tape) -> tuple[bytes, ...]:
    """Seldom: other options, too many, or broken ones."""
    return tape.mostly(
        (),
        (build.nd_option(14),),
        (build.nd_option(14),) * 14,
        (build.nd_option(14),) * 15,
        (build.nd_option(14),) * 16,
        (*(build.nd_option(14),) * 15, build.tlla(OTHER_MAC)),
        (*(build.nd_option(14),) * 16, build.tlla(OTHER_MAC)),
        (build.nd_option(14, length=0),),
        (build.nd_option(1, bytes(14)),),
        (build.nd_option(2, MAC.octets, length=2),),
        (build.nd_option(24, bytes(22)), build.slla(OTHER_MAC)),
        (build.nd_option(3, length=255),),
        (build.tlla(OTHER_MAC), b"\x0e"),
        (b"\x01\x01",),
        (b"\x01",),
    )


def mld(tape: Tape) -> Drawn:
    report = tape.pick(
        build.mldv2_report("ff02::1:3"),
        build.mld(131, "ff02::1:3"),
        build.mld(132, "ff02::1:3"),
        build.mld(130),
        build.icmpv6(131),
    )
    options = tape.mostly(
        build.router_alert6(), b"\x01\x00" + build.router_alert6()[:4], build.router_alert6(1), b""
    )
    if tape.mostly(1, 0):
        report = build.hop_by_hop(report, options)
    src = tape.pick(LINK_LOCAL, "::")
    return ip6(tape, report, src, tape.mostly("ff02::16", OTHER6), hop_limit=tape.mostly(1, 255))


def igmp(tape: Tape) -> Drawn:
    kind = tape.pick(0x16, 0x12, 0x17, 0x11, 0x13)
    report = tape.pick(build.igmpv3_report("239.1.2.3"), build.igmp(kind, "239.1.2.3"))
    if not tape.mostly(1, 0):
        report = Layer(report.octets[:7], report.number)
    src, dst = tape.pick(OWN4, ZERO4), tape.mostly("224.0.0.22", "239.1.2.3", OTHER4)
    return ip4(tape, report, src, dst, ttl=tape.mostly(1, 64))


def vrrp4(tape: Tape) -> Drawn:
    vrid = tape.mostly(tape.pick(7, 51, 200), 0)
    address = tape.mostly(OWN4, OTHER4)
    piece = tape.pick(
        build.vrrp(vrid, address, kind=tape.mostly(0x31, 0x21), count=tape.mostly(None, 2, 7)),
        build.vrrp2(vrid, OWN4, address),
        build.vrrp(vrid, *(OWN4,) * (60 + tape.octet() % 8), address),
        build.carp(vrid, kind=tape.mostly(0x21, 0x31), count=tape.mostly(7, 5)),
    )
    dst = tape.mostly("224.0.0.18", OTHER4, "224.0.0.1")
    return ip4(tape, piece, tape.mostly(OWN4, OTHER4), dst, ttl=tape.mostly(255, 254))


def vrrp6(tape: Tape) -> Drawn:
    vrid = tape.mostly(tape.pick(7, 51, 200), 0)
    address = tape.mostly(OWN6, OTHER6)
    piece = tape.pick(
        build.vrrp(vrid, LINK_LOCAL, address, kind=tape.mostly(0x31, 0x21)),
        build.carp(vrid, count=tape.mostly(7, 5)),
    )
    dst = tape.mostly("ff02::12", OTHER6, "ff02::1")
    return ip6(tape, piece, tape.mostly(LINK_LOCAL, OTHER6), dst, hop_limit=tape.mostly(255, 254))


def plain4(tape: Tape) -> Drawn:
    """What a guest says all day, and ICMPv4."""
    piece = tape.pick(
        build.udp(5000, tape.pick(53, 67, 68, 547), tape.junk(24), length=tape.mostly(None, 0, 9)),
        build.tcp(1024, 80, b"abc"),
        build.icmpv4(tape.pick(8, 0, 3, 5, 11)),
        Layer(tape.junk(24), tape.pick(41, 47, 58, 112, 253)),
    )
    return ip4(tape, piece, OWN4, tape.pick(OTHER4, "239.1.2.3", "10.0.0.255"))


def plain6(tape: Tape) -> Drawn:
    """What a guest says all day, and ICMPv6."""
    piece = tape.pick(
        build.udp(5000, tape.pick(53, 546, 547, 67), tape.junk(24), length=tape.mostly(None, 0, 9)),
        build.tcp(1024, 80, b"abc"),
        build.icmpv6(tape.pick(128, 129, 1, 2, 132, 138, 141)),
        Layer(tape.junk(24), tape.pick(41, 50, 59, 1, 2, 112)),
    )
    return ip6(tape, piece, tape.pick(OWN6, LINK_LOCAL, ROUTED6), tape.pick(OTHER6, "ff02::fb"))


def ip4(tape: Tape, payload: Layer, src: str, dst: str, *, ttl: int = 64) -> Drawn:
    """The packet around a payload; seldom forged, fragmented, with options, with lies."""
    dst = tape.mostly(dst, OTHER4, "255.255.255.255", "224.0.0.1")
    piece = build.ipv4(
        tape.mostly(src, OWN4, OTHER4, ZERO4, PUBLIC4, PUBLIC4, "127.0.0.1", "224.0.0.1"),
        dst,
        payload,
        ttl=tape.mostly(ttl, 1, 64),
        more_fragments=tape.mostly(0, 1) == 1,
        offset=tape.mostly(0, 1, 185),
        options=tape.mostly(
            b"",
            build.router_alert4(),
            build.ip4_option(131, bytes(5)),
            build.ip4_option(137, bytes(5)),
            b"\x01\x00\x83\x03",
            b"\x01\x01\x01\x83",
            b"\x01\x01\x89\x02",
            build.ip4_option(7, length=1),
            build.ip4_option(7, length=9),
            bytes(40),
        ),
        version=tape.mostly(4, 6),
        ihl=tape.mostly(None, 4, 6, 15),
        total_length=tape.mostly(None, 0, 19, 20, 27, 28, 1500),
        checksum=tape.mostly(None, 0),
        protocol=tape.mostly(None, None, 17, 1, 58),
    )
    return piece, group_or_other(dst)


def ip6(tape: Tape, payload: Layer, src: str, dst: str, *, hop_limit: int = 64) -> Drawn:
    """The packet around a payload; seldom forged, behind headers, with lies."""
    for _ in range(tape.mostly(0, 1, 1, 1, 2, 2, 3)):
        payload = tape.pick(*_HEADERS)(payload)
    for _ in range(tape.mostly(0, 0, 7, 8, 9)):
        payload = build.destination_options(payload)
    dst = tape.mostly(dst, OTHER6, "ff02::1", LINK_LOCAL)
    strangers = (OTHER6, OTHER_LINK_LOCAL, "fe80:0:0:1::1", "febf::1", "ff02::1", f"::ffff:{OWN4}")
    piece = build.ipv6(
        tape.mostly(src, OWN6, LINK_LOCAL, "::", PUBLIC6, PUBLIC6, LEARNED6, CLAIMED6, *strangers),
        dst,
        payload,
        hop_limit=tape.mostly(hop_limit, 1, 64, 255),
        version=tape.mostly(6, 4),
        payload_length=tape.mostly(None, 0, 1, 8, 24, 1500),
        next_header=tape.mostly(None, None, 59, 0, 44, 58),
    )
    return piece, group_or_other(dst)


def group_or_other(address: str) -> Mac:
    """The Ethernet destination for an IP destination."""
    if address == "255.255.255.255":
        return BROADCAST
    group = address.startswith(("ff", "224.", "239."))
    return build.multicast_mac(address) if group else OTHER_MAC


def opaque(tape: Tape) -> Drawn:
    """Types that nothing looks into, control protocols, and the border of the 802.3 lengths."""
    types = (0x88B5, 0x0842, 0x8863, 0x88CC, 0x8808, 0x888E, 0x9000, 0x0026, 0x05FF, 0x0600)
    return Layer(tape.junk(40), tape.pick(*types)), tape.pick(OTHER_MAC, BROADCAST)


_KINDS = (
    plain4,
    plain6,
    arp,
    arp,
    rarp,
    dhcp4,
    dhcp4,
    dhcp6,
    *(nd,) * 4,
    mld,
    igmp,
    opaque,
    vrrp4,
    vrrp6,
)

_HEADERS = (
    build.hop_by_hop,
    build.destination_options,
    build.fragment,
    lambda piece: build.fragment(piece, more=True),
    lambda piece: build.fragment(piece, 1),
    lambda piece: build.fragment(piece, 181, next_header=44),
    lambda piece: build.routing(piece, segments_left=1),
    lambda piece: build.routing(piece, kind=4, data=bytes(20)),
    build.authentication,
    lambda piece: build.authentication(piece, bytes(6)),
    lambda piece: build.authentication(piece, length=255),
    lambda piece: build.extension(135, piece),
    lambda piece: build.extension(139, piece, bytes(14)),
    lambda piece: build.extension(140, piece),
    lambda piece: build.destination_options(piece, build.ip6_option(0x1E, bytes(28))),
    lambda piece: build.destination_options(piece, length=255),
    lambda piece: build.destination_options(piece, length=1),
)

_LINKS = (
    lambda piece: build.vlan(piece, 0),
    lambda piece: build.vlan(piece, 100),
    lambda piece: build.vlan(piece, 100, tpid=0x88A8),
    lambda piece: build.vlan(piece, 4095, tpid=0x9100),
    build.snap,
    lambda piece: build.snap(piece, oui=0xF8, length=0x05FF),
    lambda piece: build.llc(piece.octets),
)


# What may be done to a frame.


def padded(tape: Tape, frame: bytes) -> bytes:
    """The frame with octets behind it: to Ethernet's least, around it, or more."""
    size = tape.pick(60, 61, len(frame) + 1, len(frame) + 64)
    return build.pad(frame, size, tape.pick(0, 255, 1))


def cut(tape: Tape, frame: bytes) -> bytes:
    """The frame cut: near its end, or one octet around a boundary between headers."""
    edges = (14, 34, 42, 54, 58, 62, 70, 78, 86, 94, 282, 286, 6, 18, 22, 28)
    end = len(frame) - 1 - tape.octet() % 16
    near = tape.pick(*edges) + tape.pick(0, -1, 1)
    return frame[: max(0, tape.pick(end, near))]


def flipped(tape: Tape, frame: bytes) -> bytes:
    """The frame with one to three bits of its first hundred octets flipped."""
    changed = bytearray(frame)
    for _ in range(1 + tape.octet() % 3):
        changed[tape.octet() % min(len(frame), 100)] ^= 1 << tape.octet() % 8
    return bytes(changed)


def overwritten(tape: Tape, frame: bytes) -> bytes:
    """The frame with an octet replaced by a value that headers care about, or any."""
    values = (0, 1, 2, 3, 4, 5, 6, 16, 17, 43, 44, 51, 58, 59, 60, 82, 127, 128, 134, 137, 255)
    at = tape.octet() % len(frame)
    value = tape.pick(tape.pick(*values), tape.octet())
    return frame[:at] + bytes((value,)) + frame[at + 1 :]


_MUTATIONS = (*(None,) * 8, padded, cut, flipped, overwritten)
