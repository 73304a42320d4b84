"""Catalogue group A, MAC identity: and the guard's own way to the guest."""

from dataclasses import replace

import pytest
from tests.semantics.world import (
    ALL4,
    ALL6,
    BROADCAST,
    IP4_A,
    IP4_G,
    IP6_A,
    LL_A,
    MAC_A,
    MAC_G,
    MAC_V,
    MAC_VRRP,
    OFF,
    ONLY_MAC,
    STRICT,
    ZERO4,
    ZERO_MAC,
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

DISCOVER = build.ipv4(ZERO4, ALL4, build.udp(68, 67, build.dhcpv4(MAC_A)))
NA = build.ipv6(IP6_A, ALL6, build.na(IP6_A, build.tlla(MAC_A)), hop_limit=255)
NS = build.ipv6(
    IP6_A, build.solicited_node("fd00::1"), build.ns("fd00::1", build.slla(MAC_A)), hop_limit=255
)
RS = build.ipv6(LL_A, "ff02::2", build.rs(build.slla(MAC_A)), hop_limit=255)
REPORT = build.ipv6(
    LL_A,
    "ff02::16",
    build.hop_by_hop(build.mldv2_report("ff02::5"), build.router_alert6()),
    hop_limit=1,
)
ARP = build.arp(MAC_A, IP4_A, target_ip=IP4_G)
UDP = build.ipv4(IP4_A, IP4_G, build.udp(1, 1))
RARP = build.rarp(MAC_A)


def forged(attack: str, piece: build.Layer, *sources: Mac) -> list[Row]:
    """The frame under other Ethernet sources; its twin is the same from the port's own."""
    reason = Reason.SOURCE_MAC
    return [
        Row(attack, frame(piece, src=source), reason, reason, twin=frame(piece))
        for source in sources
    ]


ROWS = [
    *forged("mac-src-victim", UDP, MAC_V, MAC_G),
    *forged("mac-src-in-dhcp", DISCOVER, MAC_V, Mac.parse("7e:12:34:56:78:9a")),
    *(
        row
        for piece in (NA, NS, RS, REPORT, ARP)
        for row in forged("mac-src-in-nd-na", piece, MAC_V)
    ),
    *(row for piece in (ARP, RARP, NA) for row in forged("mac-src-in-nonip", piece, MAC_V)),
    *(
        Row("mac-src-group-or-zero", frame(UDP, src=Mac.parse(source)), *[Reason.SOURCE_GROUP] * 3)
        for source in (
            "ff:ff:ff:ff:ff:ff",
            "01:00:5e:00:00:01",
            "33:33:00:00:00:01",
            "00:00:00:00:00:00",
        )
    ),
    *(
        Row(
            "mac-rarp-announce",
            frame(build.rarp(MAC_V), src=source),
            reason,
            reason,
            twin=frame(RARP),
        )
        for source, reason in ((MAC_A, Reason.ARP_SENDER_MAC), (MAC_V, Reason.SOURCE_MAC))
    ),
    *(
        Row("mac-src-tagged", frame(tagged, src=MAC_V), Reason.TAGGED, Reason.TAGGED)
        for tagged in (build.vlan(ARP, 0), build.vlan(ARP, 100), build.vlan(ARP, 0, tpid=0x88A8))
    ),
]


@pytest.mark.parametrize("row", numbered(ROWS))
def test_group_a(row: Row) -> None:
    row.check()


@pytest.mark.parametrize("policy", [STRICT, ONLY_MAC])
def test_the_mac_is_judged_whatever_type_is_listed(policy) -> None:
    listed = replace(policy, ethertypes=frozenset({0x88B5, 0x8100}))
    for piece in (b"payload", build.vlan(ARP, 100)):
        assert said(listed, frame(piece, src=MAC_V)) is Reason.SOURCE_MAC
        assert said(listed, frame(piece)) is None
        assert said(listed, frame(piece, src=MAC_V), tag=Tag(0x8100, 100)) is Reason.SOURCE_MAC
        assert said(listed, frame(piece), tag=Tag(0x8100, 100)) is None


@pytest.mark.parametrize("octet", range(6))
def test_a_mac_one_nibble_off_is_another_mac(octet: int) -> None:
    near = bytearray(Mac.parse("02:00:00:0a:00:00").octets)
    policy = replace(STRICT, macs=frozenset({Mac(bytes(near))}))
    assert said(policy, frame(UDP, src=Mac(bytes(near)))) is None
    near[octet] ^= 0x10
    assert said(policy, frame(UDP, src=Mac(bytes(near)))) is Reason.SOURCE_MAC


def test_law_1_a_port_without_macs_sends_and_hears_nothing_of_its_own() -> None:
    policy = replace(STRICT, macs=frozenset())
    assert said(policy, frame(UDP)) is Reason.SOURCE_MAC
    assert said(policy, frame(UDP, MAC_A, MAC_V), Direction.TO_GUEST) is Reason.DESTINATION_MAC


@pytest.mark.parametrize("mac", [MAC_A, MAC_VRRP])
def test_every_listed_mac_may_be_used_everywhere(mac: Mac) -> None:
    assert said(STRICT, frame(UDP, src=mac)) is None
    assert said(STRICT, frame(build.arp(mac, IP4_A, target_ip=IP4_G))) is None
    na = build.ipv6(IP6_A, ALL6, build.na(IP6_A, build.tlla(mac)), hop_limit=255)
    assert said(STRICT, frame(na)) is None
    # VRRP: from the physical MAC, announcing the virtual one.
    assert said(STRICT, frame(build.arp(MAC_VRRP, IP4_A), src=MAC_A)) is None


@pytest.mark.parametrize(
    ("dst", "reason"),
    [
        (MAC_A, None),
        (MAC_VRRP, None),
        (BROADCAST, None),
        (Mac.parse("33:33:00:00:00:01"), None),
        (MAC_V, Reason.DESTINATION_MAC),
        (ZERO_MAC, Reason.DESTINATION_MAC),
    ],
)
def test_a_guest_hears_its_own_frames_and_groups(dst: Mac, reason: Reason | None) -> None:
    heard = frame(UDP, dst, MAC_V)
    assert said(STRICT, heard, Direction.TO_GUEST) is reason
    assert said(OFF, heard, Direction.TO_GUEST) is None


@pytest.mark.parametrize("piece", [NA, DISCOVER, build.ipv6(LL_A, ALL6, build.ra())])
def test_identity_is_not_judged_on_the_way_to_the_guest(piece: build.Layer) -> None:
    assert said(STRICT, frame(piece, src=MAC_G), Direction.TO_GUEST) is None


@pytest.mark.parametrize("kind", [0x0806, 0x8035])
@pytest.mark.parametrize(
    "wrong",
    [{"hardware": 6}, {"protocol": 0x86DD}, {"hardware_length": 8}, {"protocol_length": 16}],
)
def test_arp_whose_addresses_lie_elsewhere_is_unreadable(kind: int, wrong: dict) -> None:
    packet = build.arp(MAC_A, IP4_A, ethertype=kind, **wrong)
    policy = replace(ONLY_MAC, guards=ONLY_MAC.guards - {Guard.ETHERTYPE})
    assert said(policy, frame(packet)) is Reason.ARP_UNREADABLE
    assert said(policy, frame(build.arp(MAC_A, IP4_A, ethertype=kind, target_mac=MAC_A))) is None
    assert said(policy, frame(packet)[:41]) is Reason.ARP_UNREADABLE
