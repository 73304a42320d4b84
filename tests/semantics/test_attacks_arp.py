"""Catalogue group C, ARP and RARP."""

from dataclasses import replace

import pytest
from tests.semantics.world import (
    BROADCAST,
    IP4_A,
    IP4_G,
    IP4_V,
    IP4_V2,
    IP4_VIP,
    MAC_A,
    MAC_G,
    MAC_V,
    MAC_VRRP,
    OFF,
    ROUTER,
    STRICT,
    ZERO4,
    Row,
    frame,
    numbered,
    said,
)

from vifguard.model.guard import Guard
from vifguard.model.verdict import Direction, Reason
from vifguard.packet import build
from vifguard.packet.link import Tag

ASK = frame(build.arp(MAC_A, IP4_A, target_ip=IP4_V2))
PROBE = frame(build.arp(MAC_A, ZERO4, target_ip=IP4_A))
ANNOUNCE = frame(build.rarp(MAC_A))


def both_ops(attack: str, spa: str, reason: Reason, *, tpa: str = IP4_V2) -> list[Row]:
    """A request and a reply of this sender, and beside them the port's own."""
    return [
        Row(
            attack,
            frame(build.arp(MAC_A, spa, target_ip=tpa, op=op)),
            reason,
            twin=frame(build.arp(MAC_A, IP4_A, target_ip=tpa, op=op)),
        )
        for op in (1, 2)
    ]


FORGED = build.arp(MAC_A, IP4_V, target_ip=IP4_V2)

ROWS = [
    *(
        row
        for spa in (IP4_V, IP4_G, "169.254.169.254", "10.0.0.255")
        for row in both_ops("arp-spa-spoof", spa, Reason.ARP_SENDER_ADDRESS)
    ),
    *both_ops("arp-spa-spoof", IP4_V, Reason.ARP_SENDER_ADDRESS, tpa=IP4_V),
    *(
        Row(
            "arp-sha-mismatch",
            frame(build.arp(sha, IP4_A, target_ip=IP4_V2, op=op)),
            Reason.ARP_SENDER_MAC,
            Reason.ARP_SENDER_MAC,
            twin=ASK,
        )
        for sha in (MAC_V, "7e:12:34:56:78:9a", BROADCAST)
        for op in (1, 2)
    ),
    Row(
        "arp-probe-abuse",
        frame(build.arp(MAC_A, ZERO4, target_ip=IP4_V, op=2)),
        Reason.ARP_PROBE,
        twin=PROBE,
    ),
    Row(
        "arp-probe-abuse",
        frame(build.arp(MAC_A, ZERO4, target_ip=IP4_A, op=2)),
        Reason.ARP_PROBE,
        twin=PROBE,
    ),
    Row(
        "arp-probe-abuse",
        frame(build.arp(MAC_V, ZERO4, target_ip=IP4_A)),
        Reason.ARP_SENDER_MAC,
        Reason.ARP_SENDER_MAC,
        twin=PROBE,
    ),
    Row(
        "arp-probe-abuse",
        frame(build.arp(MAC_VRRP, ZERO4, target_ip=IP4_A), src=MAC_A),
        Reason.ARP_PROBE,
        twin=frame(build.arp(MAC_VRRP, ZERO4, target_ip=IP4_A), src=MAC_VRRP),
    ),
    Row(
        "arp-probe-abuse",
        frame(build.arp(MAC_A, ZERO4, target_ip=IP4_V)),
        Reason.ARP_PROBE,
        twin=frame(build.arp(MAC_A, ZERO4, target_ip=IP4_VIP)),
    ),
    *(
        Row(
            "arp-odd-lengths-and-types",
            frame(build.arp(MAC_A, IP4_A, **wrong)),
            Reason.ARP_UNREADABLE,
            Reason.ARP_UNREADABLE,
            twin=ASK,
        )
        for wrong in (
            {"hardware_length": 8},
            {"protocol_length": 16},
            {"protocol": 0x86DD},
            {"hardware": 6},
        )
    ),
    *(
        Row(
            "arp-odd-lengths-and-types",
            ASK[:size],
            Reason.ARP_UNREADABLE,
            Reason.ARP_UNREADABLE,
            twin=build.pad(ASK),
        )
        for size in (14, 28, 41)
    ),
    *(
        Row(
            "arp-odd-lengths-and-types",
            build.pad(ASK, size),
            Reason.ARP_SHAPE,
            twin=build.pad(ASK, 60, 0xAA),
        )
        for size in (61, 1442)
    ),
    *(
        Row(
            "rarp-and-inarp",
            frame(build.arp(MAC_A, IP4_A, op=op)),
            Reason.ARP_SHAPE,
            twin=ASK,
        )
        for op in (0, 3, 4, 8, 9, 0x0101, 0x0201)
    ),
    *(
        Row("rarp-and-inarp", frame(wrong), *[Reason.RARP_SHAPE] * 2, twin=ANNOUNCE)
        for wrong in (
            build.rarp(MAC_A, op=4),
            build.rarp(MAC_A, op=1),
            build.rarp(MAC_A, sender_ip=IP4_V),
            build.rarp(MAC_A, target_ip=IP4_V),
            build.rarp(MAC_A, target_mac=MAC_V),
            build.rarp(MAC_A, target_mac=MAC_VRRP),
        )
    ),
    Row("rarp-and-inarp", ANNOUNCE[:41], *[Reason.RARP_SHAPE] * 2, twin=build.pad(ANNOUNCE)),
    Row("rarp-and-inarp", build.pad(ANNOUNCE, 61), *[Reason.RARP_SHAPE] * 2, twin=ANNOUNCE),
    *(
        Row("arp-tagged-vlan0", frame(tagged), Reason.TAGGED, Reason.TAGGED)
        for tagged in (
            build.vlan(FORGED, 0),
            build.vlan(build.vlan(FORGED, 0), 0),
            build.vlan(FORGED, 0, tpid=0x88A8),
            build.vlan(build.vlan(FORGED, 0), 0, tpid=0x88A8),
            build.vlan(build.vlan(FORGED, 0, tpid=0x88A8), 0),
        )
    ),
    Row("arp-tagged-vlan0", frame(FORGED), Reason.TAGGED, Reason.TAGGED, tag=Tag(0x8100, 0)),
]


@pytest.mark.parametrize("row", numbered(ROWS))
def test_group_c(row: Row) -> None:
    row.check()


def test_arp_tagged_nine_times() -> None:
    piece = FORGED
    for _ in range(9):
        piece = build.vlan(piece, 0)
    assert said(STRICT, frame(piece)) is Reason.TAGGED


def test_arp_ip_filter_l3_only_is_no_port_of_ours() -> None:
    """A router's own ARP is as strict as any; only its sources are free."""
    for policy in (STRICT, ROUTER):
        assert said(policy, frame(FORGED)) is Reason.ARP_SENDER_ADDRESS
        assert said(policy, ASK) is None


def test_law_1_a_port_without_prefixes_neither_asks_nor_probes() -> None:
    policy = replace(STRICT, prefixes=frozenset())
    assert said(policy, ASK) is Reason.ARP_SENDER_ADDRESS
    assert said(policy, PROBE) is Reason.ARP_PROBE
    assert said(policy, ANNOUNCE) is None


def test_a_held_prefix_is_held_whole_and_no_further() -> None:
    for spa, reason in (
        ("10.9.0.0", None),
        ("10.9.0.255", None),
        ("10.8.255.255", Reason.ARP_SENDER_ADDRESS),
        ("10.9.1.0", Reason.ARP_SENDER_ADDRESS),
    ):
        assert said(STRICT, frame(build.arp(MAC_A, spa))) is reason


def test_another_rarp_than_the_ports_is_its_mac_guards_matter() -> None:
    assert said(STRICT, frame(build.rarp(MAC_V))) is Reason.ARP_SENDER_MAC
    half = replace(STRICT, guards=frozenset({Guard.MAC}))
    assert said(half, frame(build.rarp(MAC_A, target_mac=MAC_V))) is Reason.ARP_SENDER_MAC
    assert said(OFF, frame(build.rarp(MAC_V))) is None


def test_arp_to_the_guest_passes_but_rarp_has_its_shape_both_ways() -> None:
    to = Direction.TO_GUEST
    assert said(STRICT, frame(build.arp(MAC_G, IP4_G, op=9), src=MAC_G), to) is None
    assert said(STRICT, frame(build.rarp(MAC_G), src=MAC_G), to) is None
    assert said(STRICT, frame(build.rarp(MAC_G, op=4), src=MAC_G), to) is Reason.RARP_SHAPE
