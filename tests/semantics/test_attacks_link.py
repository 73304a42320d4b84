"""Catalogue group G, Ethernet types, tags and encapsulations; and the host's own guard."""

from dataclasses import replace

import pytest
from tests.semantics.world import (
    ALL6,
    BROADCAST,
    IP4_A,
    IP4_V,
    LL_A,
    MAC_A,
    MAC_V,
    OFF,
    ONLY_MAC,
    STRICT,
    Row,
    frame,
    numbered,
    said,
)

from vifguard.model.address import Mac
from vifguard.model.guard import Guard
from vifguard.model.verdict import Direction, Reason
from vifguard.packet import build
from vifguard.packet.link import Tag

ARP = build.arp(MAC_A, IP4_A, target_ip=IP4_V)
UDP = build.ipv4(IP4_A, IP4_V, build.udp(1, 1))
RS = build.ipv6(LL_A, "ff02::2", build.rs(), hop_limit=255)
LEGAL = frame(ARP)


def unlisted(attack: str, *types: int, payload: bytes = bytes(46), dst=BROADCAST) -> list[Row]:
    reason = Reason.ETHERTYPE_UNLISTED
    return [
        Row(attack, frame(payload, dst, ethertype=number), reason, reason, twin=LEGAL)
        for number in types
    ]


def control(attack: str, bad: bytes, reason: Reason) -> Row:
    return Row(attack, bad, reason, reason, reason, twin=LEGAL)


def tagged(attack: str, *pieces: build.Layer) -> list[Row]:
    return [Row(attack, frame(piece), Reason.TAGGED, Reason.TAGGED, twin=LEGAL) for piece in pieces]


def length(attack: str, *pieces: build.Layer, dst="01:00:0c:cc:cc:cc") -> list[Row]:
    reason = Reason.LENGTH_FIELD
    return [Row(attack, frame(piece, dst), reason, reason, twin=LEGAL) for piece in pieces]


BPDU = build.llc(bytes(35))

ROWS = [
    *tagged(
        "vlan-single-nonzero",
        *(build.vlan(inner, vid) for vid in (1, 100, 4094, 4095) for inner in (ARP, UDP, RS)),
    ),
    *(
        Row("vlan-single-nonzero", frame(inner), Reason.TAGGED, Reason.TAGGED, tag=Tag(tpid, 100))
        for inner in (ARP, UDP, RS)
        for tpid in (0x8100, 0x88A8)
    ),
    *tagged(
        "qinq-and-odd-tpid",
        build.vlan(build.vlan(ARP), tpid=0x88A8),
        build.vlan(build.vlan(ARP, tpid=0x88A8)),
        build.vlan(ARP, tpid=0x9100),
        build.vlan(ARP, tpid=0x9200),
        build.vlan(build.vlan(build.vlan(ARP))),
        build.Layer(b"", 0x8100),
        build.Layer(b"\0", 0x88A8),
    ),
    *unlisted("qinq-and-odd-tpid", 0x88E7),
    *tagged("vlan-double-tag-hop", build.vlan(build.vlan(ARP, 7), 1)),
    *length(
        "snap-llc",
        *(build.snap(piece) for piece in (ARP, UDP, RS)),
        *(build.snap(piece, oui=0xF8) for piece in (ARP, UDP, RS)),
        build.snap(ARP, length=0),
        build.snap(ARP, length=0x05DD),
        build.snap(ARP, length=0x05FF),
        build.llc(b"", dsap=0xFE, ssap=0xFE),
        build.Layer(b"\xff\xff" + bytes(40), 42),
        build.Layer(b"", 0),
    ),
    *unlisted("snap-llc", 0x8870, 0x88B7, 0x0600),
    *(
        control("stp-bpdu", frame(BPDU, group), Reason.CONTROL_GROUP)
        for group in ("01:80:c2:00:00:00", "01:80:c2:00:00:0f", "01:80:c2:00:00:08")
    ),
    *length("stp-bpdu", BPDU, dst="01:00:0c:cc:cc:cd"),
    *length("stp-bpdu", BPDU, dst="01:80:c2:00:00:10"),
    control(
        "lldp-to-host",
        frame(bytes(40), "01:80:c2:00:00:0e", ethertype=0x88CC),
        Reason.CONTROL_GROUP,
    ),
    *(
        control(
            "host-control-l2", frame(bytes(46), dst, ethertype=number), Reason.CONTROL_ETHERTYPE
        )
        for number in (0x8808, 0x8809, 0x888E, 0x88C7, 0x88CC, 0x88E5, 0x8902, 0x9000)
        for dst in (BROADCAST, MAC_V)
    ),
    *(
        control("host-control-l2", frame(bytes(46), dst, ethertype=number), Reason.CONTROL_GROUP)
        for number, dst in (
            (0x8808, "01:80:c2:00:00:01"),
            (0x8809, "01:80:c2:00:00:02"),
            (0x888E, "01:80:c2:00:00:03"),
            (0x0800, "01:80:c2:00:00:0e"),
        )
    ),
    *unlisted(
        "vendor-l2",
        *(0x22F3, 0x88F7, 0x8892, 0x8906, 0x8914, 0x88A2, 0x8915, 0x893A, 0x4305, 0x0842),
    ),
    *length("vendor-l2", build.snap(b"", oui=0x0C, pid=0x2000)),
    *unlisted("pppoe-mpls-nsh", 0x8863, 0x8864, payload=b"\x11\0\0\x01\0\x1e\0\x21" + UDP.octets),
    *unlisted("pppoe-mpls-nsh", 0x8847, payload=bytes(4) * 100),
    *unlisted("pppoe-mpls-nsh", 0x894F, payload=bytes(2)),
    control("runt-jumbo", LEGAL[:13], Reason.RUNT),
    control("runt-jumbo", b"", Reason.RUNT),
    *(
        Row("runt-jumbo", frame(b"", ethertype=number), reason, reason, twin=LEGAL)
        for number, reason in (
            (0x0800, Reason.IPV4_MALFORMED),
            (0x86DD, Reason.IPV6_MALFORMED),
            (0x0806, Reason.ARP_UNREADABLE),
            (0x8035, Reason.RARP_SHAPE),
        )
    ),
]


@pytest.mark.parametrize("row", numbered(ROWS))
def test_group_g(row: Row) -> None:
    row.check()


def test_a_jumbo_frame_is_a_frame() -> None:
    big = build.ipv4(IP4_A, IP4_V, build.udp(1, 1, bytes(8950)))
    for policy in (STRICT, ONLY_MAC, OFF):
        assert said(policy, frame(big)) is None


@pytest.mark.parametrize("direction", Direction)
@pytest.mark.parametrize("listed", [0x8100, 0x88A8, 0x9100, 0x9200, 0x88B5, 0x8863])
def test_what_is_listed_passes_opaque_and_nothing_else(direction, listed: int) -> None:
    policy = replace(STRICT, ethertypes=frozenset({listed}))
    inside = build.ipv4(IP4_V, IP4_A, build.udp(67, 68)).octets
    assert said(policy, frame(inside, ethertype=listed), direction) is None
    assert said(policy, LEGAL, direction, tag=Tag(listed, 100)) is None
    other = frame(inside, ethertype=0x88B6)
    assert said(policy, other, direction) is Reason.ETHERTYPE_UNLISTED
    only_ethertype = replace(policy, guards=frozenset({Guard.ETHERTYPE}))
    assert said(only_ethertype, frame(inside, ethertype=listed), direction) is None


@pytest.mark.parametrize("number", [0, 3, 46, 0x05DC, 0x05FF])
def test_a_length_cannot_be_listed(number: int) -> None:
    policy = replace(STRICT, ethertypes=frozenset({number}))
    assert said(policy, frame(bytes(46), ethertype=number)) is Reason.LENGTH_FIELD


def test_the_four_types_need_no_listing_and_get_none_of_it() -> None:
    policy = replace(STRICT, ethertypes=frozenset({0x0800, 0x86DD, 0x8035, 0x0806}))
    assert said(policy, frame(b"", ethertype=0x0800)) is Reason.IPV4_MALFORMED
    assert said(policy, frame(build.rarp(MAC_A, op=4))) is Reason.RARP_SHAPE


@pytest.mark.parametrize("direction", Direction)
@pytest.mark.parametrize("policy", [STRICT, OFF])
def test_the_host_is_guarded_both_ways_whatever_the_profile(direction, policy) -> None:
    for last in range(16):
        group = Mac(bytes.fromhex("0180c20000") + bytes((last,)))
        assert said(policy, frame(UDP, group), direction) is Reason.CONTROL_GROUP
    for near in ("01:80:c2:00:00:10", "01:80:c2:00:01:00", "01:80:c2:00:00:ff"):
        assert said(OFF, frame(UDP, near), direction) is None
    lldp = frame(b"", ethertype=0x88CC)
    assert said(policy, lldp, direction) is Reason.CONTROL_ETHERTYPE
    assert said(policy, LEGAL, direction, tag=Tag(0x88CC, 0)) is Reason.CONTROL_ETHERTYPE
    assert said(policy, LEGAL[:13], direction) is Reason.RUNT


def test_the_source_is_the_hosts_matter_only_from_the_guest() -> None:
    heard = frame(UDP, MAC_A, "01:00:5e:00:00:01")
    assert said(STRICT, heard, Direction.TO_GUEST) is None
    assert said(OFF, heard) is Reason.SOURCE_GROUP


def test_a_tag_taken_off_hides_the_inner_packet_from_nobody_but_the_ports_listing() -> None:
    forged = frame(build.ipv6(LL_A, ALL6, build.ra(), hop_limit=255))
    assert said(STRICT, forged) is Reason.ROUTER_ADVERTISEMENT
    tag = Tag(0x8100, 100)
    assert said(STRICT, forged, tag=tag) is Reason.TAGGED
    assert said(replace(STRICT, ethertypes=frozenset({0x8100})), forged, tag=tag) is None


@pytest.mark.parametrize("direction", Direction)
@pytest.mark.parametrize(
    ("tpid", "vid", "reason"),
    [
        (0x8100, 0, Reason.TAG_WITHOUT_VLAN),
        (0x8100, 1, None),
        (0x88A8, 0, Reason.TAG_WITHOUT_VLAN),
        (0x88A8, 1, Reason.TAG_WITHOUT_VLAN),
        (0x88A8, 2, None),
        (0x9100, 0, Reason.TAG_WITHOUT_VLAN),
        (0x9200, 4095, None),
    ],
)
def test_a_listed_tag_names_a_vlan(direction, tpid: int, vid: int, reason: Reason | None) -> None:
    trunk = replace(STRICT, ethertypes=frozenset({tpid}))
    within, stripped = frame(build.vlan(ARP, vid, pcp=5, tpid=tpid)), Tag(tpid, vid, 5)
    assert said(trunk, within, direction) is reason
    assert said(trunk, frame(ARP), direction, tag=stripped) is reason
    # What is in a VLAN of the guest's own is the guest's own.
    inner = build.vlan(build.vlan(ARP, 0), 100, tpid=tpid)
    assert said(trunk, frame(inner), direction) is None


@pytest.mark.parametrize("length", range(14, 18))
def test_a_listed_tag_that_is_cut_short_names_no_vlan(length: int) -> None:
    trunk = replace(STRICT, ethertypes=frozenset({0x8100}))
    cut = frame(build.vlan(ARP, 100))[:length]
    assert said(trunk, cut) is Reason.TAG_WITHOUT_VLAN
