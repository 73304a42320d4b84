"""Parsing: every field that was built is read, and what cannot be read is said where it is."""

from ipaddress import IPv4Address, IPv6Address

import pytest

from vifguard.model.address import Mac
from vifguard.packet import build
from vifguard.packet.arp import Arp
from vifguard.packet.dhcp import Dhcp4, Dhcp6, DhcpOption
from vifguard.packet.frame import parse
from vifguard.packet.icmp6 import Icmp6, Mld, Nd, NdOption
from vifguard.packet.igmp import Igmp
from vifguard.packet.ip4 import Ip4Option, IPv4
from vifguard.packet.ip6 import Extension, Fragment, IPv6
from vifguard.packet.link import Ethernet, Llc, Tag, Tagged
from vifguard.packet.transport import Icmp4, LaterFragment, Tcp, Udp
from vifguard.packet.undecoded import Opaque, Unreadable

MAC, OTHER = Mac.parse("02:00:00:00:00:0a"), Mac.parse("02:00:00:00:00:0b")
FOUR = (IPv4Address("10.0.0.5"), IPv4Address("10.0.0.6"))
SIX = (IPv6Address("fd00::5"), IPv6Address("fd00::6"))


def body(piece: build.Payload, **fields):
    return parse(build.ethernet(MAC, OTHER, piece, **fields)).body


def upper4(piece: build.Payload, **fields):
    packet = body(build.ipv4(*FOUR, piece, **fields))
    assert isinstance(packet, IPv4)
    return packet.upper


def upper6(piece: build.Payload, **fields):
    packet = body(build.ipv6(*SIX, piece, **fields))
    assert isinstance(packet, IPv6)
    return packet.upper


def test_ethernet() -> None:
    frame = parse(build.ethernet(MAC, OTHER, b"abc", ethertype=0x88B5))
    assert frame.ethernet == Ethernet(OTHER, MAC, 0x88B5)
    assert (frame.src, frame.dst, frame.ethertype) == (MAC, OTHER, 0x88B5)
    assert frame.body == Opaque(b"abc")
    assert not frame.is_to_group
    assert parse(build.ethernet(MAC, "01:00:5e:00:00:01")).is_to_group


@pytest.mark.parametrize("size", range(14))
def test_a_runt_has_no_header(size: int) -> None:
    frame = parse(bytes(range(1, size + 1)))
    assert (frame.ethernet, frame.src, frame.dst, frame.is_to_group) == (None, None, None, False)
    assert isinstance(frame.body, Unreadable)


def test_tags() -> None:
    arp = build.arp(MAC, FOUR[0])
    double = body(build.vlan(build.vlan(arp, 7, pcp=3), 100, tpid=0x88A8))
    assert isinstance(double, Tagged)
    assert double.tags == (Tag(0x88A8, 100, 0), Tag(0x8100, 7, 3))
    assert (double.ethertype, double.body) == (0x0806, body(arp))
    cut = body(build.Layer(bytes.fromhex("00648100aa"), 0x8100))
    assert cut == Tagged((Tag(0x8100, 100),), 0x8100, Unreadable("a tag is cut short", b"\xaa"))
    assert body(build.Layer(b"abc", 0x8100)) == Unreadable("a tag is cut short", b"abc")


def test_a_tag_that_the_kernel_took_off() -> None:
    frame = parse(build.ethernet(MAC, OTHER, build.arp(MAC, FOUR[0])), tag=Tag(0x88A8, 3))
    assert frame.ethertype == 0x88A8
    assert isinstance(frame.body, Tagged)
    assert (frame.body.tags, frame.body.ethertype) == ((Tag(0x88A8, 3),), 0x0806)
    assert isinstance(frame.body.body, Arp)


def test_llc_and_snap() -> None:
    assert body(build.llc(b"bpdu")) == Llc(7, 0x42, 0x42, 3, Opaque(b"bpdu"))
    arp = build.arp(MAC, FOUR[0])
    wrapped = body(build.snap(arp, oui=0xF8))
    assert wrapped == Llc(36, 0xAA, 0xAA, 3, body(arp), 0xF8, 0x0806)
    assert isinstance(body(build.Layer(b"ab", 2)), Unreadable)
    assert body(build.Layer(b"\xaa\xaa\x03abc", 6)) == Llc(6, 0xAA, 0xAA, 3, Opaque(b"abc"))


def test_the_border_between_lengths_and_types() -> None:
    assert isinstance(body(b"abc", ethertype=0x05FF), Llc)
    assert body(b"abc", ethertype=0x0600) == Opaque(b"abc")
    assert body(build.llc(b"")) == Llc(3, 0x42, 0x42, 3, Opaque(b""))
    assert body(build.snap(b"")) == Llc(8, 0xAA, 0xAA, 3, Opaque(b""), 0, 0x88B5)
    almost = build.llc(b"\0\0\0\x08\x06", dsap=0xAA, ssap=0xAB)
    assert body(almost) == Llc(8, 0xAA, 0xAB, 3, Opaque(b"\0\0\0\x08\x06"))
    assert body(build.vlan(b"", 7)) == Tagged((Tag(0x8100, 7, 0),), 0x88B5, Opaque(b""))


def test_sixteen_tags_are_followed() -> None:
    piece = build.arp(MAC, FOUR[0])
    for _ in range(16):
        piece = build.vlan(piece)
    sixteen = body(piece)
    assert isinstance(sixteen, Tagged)
    assert (len(sixteen.tags), sixteen.ethertype) == (16, 0x0806)
    seventeen = body(build.vlan(piece))
    assert isinstance(seventeen, Tagged)
    assert (len(seventeen.tags), seventeen.ethertype) == (16, 0x8100)
    assert isinstance(seventeen.body, Opaque)


@pytest.mark.parametrize("wrap", [build.vlan, build.snap])
def test_a_stack_has_an_end(wrap) -> None:
    piece = build.Layer(b"", 0x88B5)
    for _ in range(2000):
        piece = wrap(piece, **({"length": 0} if wrap is build.snap else {}))
    assert isinstance(body(piece), Tagged | Llc)


def test_arp() -> None:
    packet = build.arp(MAC, FOUR[0], target_ip=FOUR[1], target_mac=OTHER, op=2)
    assert body(packet) == Arp(2, MAC, FOUR[0], OTHER, FOUR[1])
    assert body(build.rarp(MAC)) == Arp(3, MAC, IPv4Address(0), MAC, IPv4Address(0))
    assert isinstance(body(packet.octets[:27], ethertype=0x0806), Unreadable)


def test_ipv4() -> None:
    packet = body(
        build.ipv4(
            *FOUR,
            build.tcp(1, 2, b"abc", flags=0x12, sequence=5, acknowledged=6),
            ttl=9,
            tos=8,
            ident=77,
            dont_fragment=True,
            options=build.router_alert4() + b"\x01\x00\xff",
        )
    )
    assert packet == IPv4(
        *FOUR,
        protocol=6,
        ttl=9,
        tos=8,
        ident=77,
        dont_fragment=True,
        more_fragments=False,
        offset=0,
        total_length=20 + 8 + 23,
        options=(Ip4Option(148, build.router_alert4()), Ip4Option(1, b"\x01")),
        upper=Tcp(1, 2, 5, 6, 0x12, b"abc"),
        header_length=28,
    )
    assert (packet.is_fragment, packet.size) == (False, 51)


@pytest.mark.parametrize("more", [False, True])
@pytest.mark.parametrize("offset", [0, 1, 8191])
def test_ipv4_fragments(offset, more) -> None:
    packet = body(build.ipv4(*FOUR, build.udp(1, 2), offset=offset, more_fragments=more))
    assert isinstance(packet, IPv4)
    assert (packet.offset, packet.more_fragments) == (offset, more)
    assert packet.is_fragment == (offset > 0 or more)
    assert isinstance(packet.upper, LaterFragment if offset else Udp)


def test_ipv6() -> None:
    chain = build.hop_by_hop(build.routing(build.fragment(build.udp(1, 2, b"abc"), more=True)))
    packet = body(build.ipv6(*SIX, chain, hop_limit=3, traffic_class=0xB8, flow_label=0xABCDE))
    assert packet == IPv6(
        *SIX,
        hop_limit=3,
        traffic_class=0xB8,
        flow_label=0xABCDE,
        payload_length=35,
        next_header=0,
        extensions=(
            Extension(0, chain.octets[:8]),
            Extension(43, chain.octets[8:16]),
            Extension(44, chain.octets[16:24]),
        ),
        fragment=Fragment(0, more=True, ident=1),
        protocol=17,
        upper=Udp(1, 2, 11, b"abc"),
    )
    assert packet.size == 75


def test_a_fragment_header_says_which() -> None:
    packet = body(build.ipv6(*SIX, build.fragment(b"", 0x1ABC, more=True, ident=0x12345678)))
    assert isinstance(packet, IPv6)
    assert packet.fragment == Fragment(0x1ABC, more=True, ident=0x12345678)


def test_padding_belongs_to_nobody() -> None:
    for piece in (build.ipv4(*FOUR, build.udp(1, 2, b"abc")), build.ipv6(*SIX, build.udp(1, 2))):
        frame = build.ethernet(MAC, OTHER, piece)
        assert parse(frame + bytes(99)).body == parse(frame).body


def test_udp_and_icmp() -> None:
    assert upper4(build.udp(1, 2, b"abc", length=3)) == Udp(1, 2, 3, b"abc")
    assert upper4(build.icmpv4(8, 1, b"abcdef")) == Icmp4(8, 1, b"abcdef")
    assert upper6(build.icmpv6(128, 1, b"abcdef")) == Icmp6(128, 1, b"abcdef")
    assert upper4(build.Layer(b"abc", 47)) == Opaque(b"abc")
    for short in (build.Layer(bytes(7), 17), build.Layer(bytes(19), 6), build.Layer(bytes(7), 1)):
        assert isinstance(upper4(short), Unreadable)
    assert isinstance(upper6(build.Layer(bytes(3), 58)), Unreadable)


def test_neighbour_discovery() -> None:
    options = (NdOption(1, MAC.octets), NdOption(14, bytes(6)))
    told = (build.slla(MAC), build.nd_option(14))
    assert options[0].mac == MAC
    assert options[1].mac is None
    expected = {
        133: (build.rs(*told), Nd(0, None, None, options)),
        134: (build.ra(*told, hop_limit=64), Nd(64, None, None, options)),
        135: (build.ns(SIX[0], *told), Nd(0, SIX[0], None, options)),
        136: (
            build.na(SIX[0], *told, router=True, solicited=True),
            Nd(0xE0, SIX[0], None, options),
        ),
        137: (build.redirect(*SIX, *told), Nd(0, *SIX, options)),
    }
    for kind, (piece, message) in expected.items():
        upper = upper6(piece, hop_limit=255)
        assert isinstance(upper, Icmp6)
        assert (upper.kind, upper.message) == (kind, message)


def test_broken_neighbour_discovery_says_how() -> None:
    broken = {
        "an option is cut short": b"\x0e",
        "an option of 0 octets": build.nd_option(14, length=0),
        "an option of 64 octets": build.nd_option(14, length=8),
        "a link-layer address option of 16 octets": build.nd_option(1, bytes(14)),
        "more than 16 options": build.nd_option(14) * 17,
    }
    for why, options in broken.items():
        upper = upper6(build.ns(SIX[0], build.tlla(MAC), options))
        assert isinstance(upper.message, Nd)
        assert upper.message.broken == why
        assert upper.message.options[0] == NdOption(2, MAC.octets)
    assert upper6(build.icmpv6(136, 0, bytes(19))).message.broken == "shorter than 24 octets"


def test_listeners() -> None:
    groups = ("ff02::5", "ff02::6")
    assert upper6(build.mld(131, "ff02::5")).message == Mld((IPv6Address("ff02::5"),))
    assert upper6(build.mldv2_report(*groups)).message == Mld(tuple(map(IPv6Address, groups)))
    assert upper6(build.icmpv6(131)).message == Mld(())
    assert upper4(build.igmp(0x16, "239.1.2.3")) == Igmp(0x16, (IPv4Address("239.1.2.3"),))
    report = build.igmpv3_report("239.1.2.3", "239.1.2.4")
    assert upper4(report) == Igmp(0x22, (IPv4Address("239.1.2.3"), IPv4Address("239.1.2.4")))
    assert isinstance(upper4(build.Layer(bytes(7), 2)), Opaque)


def test_records_with_sources_and_auxiliary_data_are_passed_over() -> None:
    first, second = IPv6Address("ff02::5"), IPv6Address("ff02::6")
    record = b"\x01\x02\x01\x01" + first.packed + bytes(257 * 16 + 2 * 4)
    report = build.icmpv6(143, 0, b"\0\0\0\x02" + record + bytes(4) + second.packed)
    assert upper6(report).message == Mld((first, second))
    record4 = b"\x01\x02\x01\x01" + FOUR[0].packed + bytes(257 * 4 + 2 * 4)
    report4 = build.igmp(0x22, "0.0.0.2", rest=record4 + bytes(4) + FOUR[1].packed)
    assert upper4(report4) == Igmp(0x22, FOUR)


def test_the_type_of_a_dhcp_message() -> None:
    for tail, kind in ((b"\x0c\x01a\x35\x01\x05", 5), (b"\x35\x00", None), (b"\x0c\x01a", None)):
        assert upper4(build.udp(68, 67, build.dhcpv4(MAC, tail=tail))).message.kind == kind


def test_dhcp() -> None:
    addresses = {"ciaddr": "10.0.0.1", "yiaddr": "10.0.0.2", "giaddr": "10.0.0.4"}
    message = build.dhcpv4(MAC, 3, build.dhcp_option(82, b"ab"), xid=9, **addresses)
    expected = Dhcp4(
        op=1,
        htype=1,
        hlen=6,
        xid=9,
        ciaddr=IPv4Address("10.0.0.1"),
        yiaddr=IPv4Address("10.0.0.2"),
        giaddr=IPv4Address("10.0.0.4"),
        chaddr=MAC,
        options=(DhcpOption(53, b"\x03"), DhcpOption(82, b"ab")),
    )
    assert upper4(build.udp(68, 67, message)).message == expected
    assert expected.kind == 3
    assert upper4(build.udp(68, 69, message)).message == expected
    assert upper4(build.udp(1, 2, message)).message is None
    cut = upper4(build.udp(68, 67, message[:244])).message
    assert cut.options == (DhcpOption(53, b"\x03"),)
    assert cut.broken == "an option is cut short"
    assert isinstance(upper4(build.udp(68, 67, message[:239])).message, Unreadable)
    assert isinstance(
        upper4(build.udp(68, 67, message.replace(b"\x63\x82", b"ab"))).message, Unreadable
    )


def test_dhcp_is_read_on_either_port_of_its_family() -> None:
    four, six = build.dhcpv4(MAC), build.dhcpv6()
    for ports in ((67, 9), (9, 67), (68, 9), (9, 68)):
        assert isinstance(upper4(build.udp(*ports, four)).message, Dhcp4)
        assert upper6(build.udp(*ports, four)).message is None
    for ports in ((546, 9), (9, 546), (547, 9), (9, 547)):
        assert isinstance(upper6(build.udp(*ports, six)).message, Dhcp6)
        assert upper4(build.udp(*ports, six)).message is None


def test_dhcpv6() -> None:
    message = build.dhcpv6(1, build.dhcpv6_option(1, b"duid"), transaction=7)
    asked = upper6(build.udp(546, 547, message)).message
    assert asked == Dhcp6(1, 7, None, None, (DhcpOption(1, b"duid"),))
    relayed = upper6(build.udp(547, 547, build.dhcpv6_relay(*SIX, message))).message
    assert relayed == Dhcp6(12, 0, *SIX, (DhcpOption(9, message),))
    assert upper6(build.udp(547, 547, b"\x0c" + bytes(32))).message.broken
    assert upper6(build.udp(546, 547, message[:-1])).message.broken == "an option is cut short"
    assert isinstance(upper6(build.udp(546, 547, b"\x01\0\0")).message, Unreadable)
    many = build.dhcpv6(1, *[build.dhcpv6_option(8)] * 65)
    assert upper6(build.udp(546, 547, many)).message.broken == "more than 64 options"
