"""Catalogue group D, IPv6 neighbour discovery."""

from dataclasses import replace
from ipaddress import ip_network

import pytest
from tests.semantics.world import (
    ALL6,
    IP6_A,
    IP6_V,
    IP6_V2,
    LL_A,
    LL_G,
    LL_V,
    MAC_A,
    MAC_G,
    MAC_V,
    MAC_VRRP,
    OFF,
    ONLY_MAC,
    ROUTER,
    STRICT,
    Row,
    frame,
    numbered,
    said,
)

from vifguard.model.guard import Guard, LinkLocal, Role
from vifguard.model.verdict import Reason
from vifguard.packet import build

TLLA, SLLA = build.tlla(MAC_A), build.slla(MAC_A)
PADDING = build.nd_option(14)
DAD_GROUP = build.solicited_node(IP6_A)


def nd6(src: str, dst, message: build.Layer, hop_limit: int = 255, **fields) -> bytes:
    """A frame of neighbour discovery from the attacker's MAC."""
    packet = build.ipv6(src, dst, message, hop_limit=hop_limit, **fields)
    return frame(
        packet, build.multicast_mac(packet_dst) if (packet_dst := str(dst))[:2] == "ff" else MAC_V
    )


def na(target: str = IP6_A, *options: bytes, src: str = IP6_A, dst: str = ALL6, **flags) -> bytes:
    return nd6(src, dst, build.na(target, *(options or (TLLA,)), **flags))


def ns(target: str = IP6_V2, *options: bytes, src: str = IP6_A, dst=None) -> bytes:
    group = build.solicited_node(target) if dst is None else dst
    return nd6(src, group, build.ns(target, *(options or (SLLA,))))


def dad(target: str = IP6_A, *options: bytes, dst=None) -> bytes:
    group = build.solicited_node(target) if dst is None else dst
    return nd6("::", group, build.ns(target, *options))


NA, NS, DAD = na(), ns(), dad()
RS = nd6(LL_A, "ff02::2", build.rs(SLLA))
BARE_NA = build.na(IP6_A, TLLA)


def hidden(piece: build.Layer, mac_reason: Reason | None = None, *, src: str = IP6_A) -> Row:
    """An advertisement behind a header; visible, it passes."""
    return Row("nd-exthdr", nd6(src, ALL6, piece), Reason.ND_SHAPE, mac_reason, twin=NA)


ROWS = [
    *(
        Row("nd-na-target-spoof", na(IP6_V, src=src, dst=dst, **flags), Reason.ND_TARGET, twin=NA)
        for src in (IP6_A, LL_A)
        for dst, flags in (
            (ALL6, {}),
            (ALL6, {"override": False}),
            (IP6_V2, {"solicited": True, "override": False}),
            (IP6_V2, {"solicited": True}),
            (IP6_V2, {}),
        )
    ),
    Row("nd-na-target-spoof", na(src=IP6_V), Reason.ND_SOURCE, twin=NA),
    Row("nd-na-target-spoof", na(src="::"), Reason.ND_SOURCE, twin=NA),
    Row(
        "nd-na-target-spoof",
        na(solicited=True),
        Reason.ND_SHAPE,
        twin=na(solicited=True, dst=IP6_V),
    ),
    Row("nd-na-target-spoof", na("ff02::1"), Reason.ND_SHAPE, twin=na("fd09::1")),
    *(
        Row(
            "nd-icmpv6-blanket",
            frame(build.ipv6(IP6_V, IP6_V2, build.icmpv6(kind, 0, bytes(20)))),
            Reason.IPV6_SOURCE,
            twin=frame(build.ipv6(IP6_A, IP6_V2, build.icmpv6(kind, 0, bytes(20)))),
        )
        for kind in (128, 129, 1, 2, 3, 4, 130, 131, 132, 143)
    ),
    Row("nd-icmpv6-blanket", nd6(IP6_V, "ff02::2", build.rs()), Reason.ND_SOURCE, twin=RS),
    Row("nd-ns-src-spoof", ns(src=IP6_V), Reason.ND_SOURCE, twin=NS),
    Row("nd-ns-src-spoof", ns(dst=ALL6), Reason.ND_SHAPE, twin=ns(dst=IP6_V2)),
    Row("nd-ns-src-spoof", ns("ff02::1", dst=IP6_V2), Reason.ND_SHAPE, twin=NS),
    Row(
        "nd-ns-src-spoof",
        ns(dst=build.solicited_node(IP6_V)),
        Reason.ND_SHAPE,
        twin=ns(dst=build.solicited_node(IP6_V2)),
    ),
    *(
        Row(attack, bad, *[Reason.ND_LINK_LAYER_ADDRESS] * 2, twin=twin)
        for attack, bad, twin in (
            ("nd-ns-sll-mismatch", ns(IP6_V2, build.slla(MAC_V)), NS),
            ("nd-ns-sll-mismatch", ns(IP6_V2, build.slla("7e:00:00:00:00:01")), NS),
            ("nd-ns-sll-mismatch", ns(IP6_V2, SLLA, build.tlla(MAC_V)), ns(IP6_V2, SLLA, TLLA)),
            ("nd-ns-sll-mismatch", nd6(LL_A, "ff02::2", build.rs(build.slla(MAC_V))), RS),
            ("nd-na-tlla-mismatch", na(IP6_A, build.tlla(MAC_V)), NA),
            ("nd-na-tlla-mismatch", na(IP6_A, TLLA, build.tlla(MAC_V)), na(IP6_A, TLLA, TLLA)),
            ("nd-na-tlla-mismatch", na(IP6_A, build.slla(MAC_V)), na(IP6_A, SLLA)),
        )
    ),
    # 32 octets of options with the attacker's own MAC where a fixed offset would look.
    Row(
        "nd-exthdr-offset",
        nd6(
            IP6_A,
            ALL6,
            build.destination_options(
                build.na(IP6_A, build.tlla(MAC_V)),
                build.ip6_option(0x1E, bytes(22) + MAC_A.octets),
            ),
        ),
        Reason.ND_LINK_LAYER_ADDRESS,
        Reason.ND_LINK_LAYER_ADDRESS,
        twin=NA,
    ),
    hidden(build.hop_by_hop(BARE_NA)),
    hidden(build.destination_options(BARE_NA)),
    hidden(build.hop_by_hop(build.destination_options(BARE_NA))),
    hidden(build.routing(BARE_NA)),
    hidden(build.authentication(BARE_NA)),
    *(hidden(build.extension(kind, BARE_NA)) for kind in (135, 139, 140)),
    *(
        Row("nd-dad-hijack", bad, Reason.ND_TARGET, twin=DAD)
        for bad in (dad(IP6_V), dad(LL_V), na(IP6_V))
    ),
    Row("nd-unspecified-abuse", dad(IP6_A, SLLA), Reason.ND_UNSPECIFIED, twin=DAD),
    Row("nd-unspecified-abuse", dad(dst=IP6_A), Reason.ND_UNSPECIFIED, twin=DAD),
    Row("nd-unspecified-abuse", dad(dst=ALL6), Reason.ND_UNSPECIFIED, twin=dad(LL_A)),
    Row("nd-unspecified-abuse", nd6("::", "ff02::2", build.rs(SLLA)), Reason.ND_UNSPECIFIED),
    Row("nd-unspecified-abuse", nd6("::", ALL6, build.rs()), Reason.IPV6_UNSPECIFIED),
    Row("nd-unspecified-abuse", nd6("::", ALL6, build.icmpv6(128)), Reason.IPV6_UNSPECIFIED),
    Row("nd-unspecified-abuse", nd6("::", ALL6, build.udp(1, 1)), Reason.IPV6_UNSPECIFIED),
    *(
        Row("nd-hoplimit-and-code", nd6(src, dst, message, hop), Reason.ND_SHAPE, twin=twin)
        for hop in (254, 64, 225, 1, 0)
        for src, dst, message, twin in (
            (IP6_A, ALL6, BARE_NA, NA),
            (IP6_A, build.solicited_node(IP6_V2), build.ns(IP6_V2, SLLA), NS),
            (LL_A, "ff02::2", build.rs(SLLA), RS),
        )
    ),
    Row(
        "nd-hoplimit-and-code",
        nd6(IP6_A, ALL6, build.na(IP6_V, TLLA, code=1)),
        Reason.ND_SHAPE,
        twin=NA,
    ),
    *(
        Row("nd-option-length", na(IP6_A, broken), *[Reason.ND_UNREADABLE] * 2, twin=NA)
        for broken in (
            build.nd_option(2, MAC_A.octets, length=0),
            build.nd_option(2, MAC_A.octets, length=255),
            build.nd_option(2, MAC_A.octets + bytes(8)),
            build.nd_option(1, MAC_A.octets + bytes(8)),
            build.nd_option(14, length=2),
            build.nd_option(14, length=0),
            TLLA[:7],
            TLLA + b"\x0e",
            TLLA + b"\x0e\x01",
        )
    ),
    *(
        Row(
            "nd-option-length",
            nd6(IP6_A, ALL6, build.icmpv6(kind, 0, bytes(fixed - 5))),
            *[Reason.ND_UNREADABLE] * 2,
            twin=NA,
        )
        for kind, fixed in ((133, 8), (134, 16), (135, 24), (136, 24), (137, 40))
    ),
    Row(
        "nd-option-length", nd6(IP6_A, ALL6, build.icmpv6(136, 0, b"")), *[Reason.ND_UNREADABLE] * 2
    ),
    Row(
        "nd-option-length",
        nd6(IP6_A, ALL6, build.Layer(b"\x88\0\0", 58)),
        *[Reason.HEADERS_UNREADABLE] * 2,
    ),
    *(
        Row("nd-fragmented", nd6(IP6_A, ALL6, piece), reason, reason, twin=NA)
        for piece, reason in (
            (build.fragment(BARE_NA), Reason.ND_UNREADABLE),
            (build.fragment(BARE_NA, more=True), Reason.ND_UNREADABLE),
            (build.hop_by_hop(build.fragment(BARE_NA)), Reason.ND_UNREADABLE),
        )
    ),
    # The advertisement is all in the second fragment: the first ends inside the chain.
    Row(
        "nd-fragmented",
        nd6(IP6_A, ALL6, build.fragment(build.destination_options(b"", next_header=58), more=True)),
        *[Reason.HEADERS_UNREADABLE] * 2,
    ),
    *(
        Row("nd-redirect", nd6(src, IP6_V, build.redirect(LL_A, IP6_V2, *options)), reason, mac)
        for src, options, reason, mac in (
            (LL_A, (TLLA,), Reason.REDIRECT, None),
            (LL_G, (TLLA,), Reason.ND_SOURCE, None),
            (LL_A, (build.tlla(MAC_G),), *[Reason.ND_LINK_LAYER_ADDRESS] * 2),
        )
    ),
    Row(
        "nd-redirect",
        frame(build.ipv4("10.0.0.10", "10.0.0.11", build.icmpv4(5, 1, bytes(32)))),
        Reason.REDIRECT,
        twin=frame(build.ipv4("10.0.0.10", "10.0.0.11", build.icmpv4(3, 4, bytes(32)))),
    ),
    *(
        Row("nd-ll-not-pinned", bad, reason, twin=twin)
        for bad, reason, twin in (
            (nd6(LL_V, "ff02::2", build.rs()), Reason.ND_SOURCE, RS),
            (
                nd6(LL_V, "ff02::1:2", build.udp(546, 547, build.dhcpv6()), 1),
                Reason.IPV6_SOURCE,
                nd6(LL_A, "ff02::1:2", build.udp(546, 547, build.dhcpv6()), 1),
            ),
            (nd6(LL_V, "ff02::fb", build.udp(5353, 5353), 255), Reason.IPV6_SOURCE, RS),
        )
    ),
]


@pytest.mark.parametrize("row", numbered(ROWS))
def test_group_d(row: Row) -> None:
    row.check()


@pytest.mark.parametrize(
    ("count", "reason"), [(15, None), (16, Reason.ND_UNREADABLE), (40, Reason.ND_UNREADABLE)]
)
def test_sixteen_options_are_read_and_no_more(count: int, reason: Reason | None) -> None:
    assert said(STRICT, na(IP6_A, *[PADDING] * count, TLLA)) is reason
    assert said(ONLY_MAC, na(IP6_A, *[PADDING] * count, TLLA)) is reason
    only_nd = replace(STRICT, guards=frozenset({Guard.ND}))
    assert said(only_nd, na(IP6_A, *[PADDING] * count, TLLA)) is (reason and Reason.ND_SHAPE)


def test_options_are_judged_in_order() -> None:
    other, broken = build.tlla(MAC_V), build.nd_option(14, length=0)
    assert said(STRICT, na(IP6_A, other, broken)) is Reason.ND_LINK_LAYER_ADDRESS
    assert said(STRICT, na(IP6_A, broken, other)) is Reason.ND_UNREADABLE
    assert said(STRICT, na(IP6_A, other, *[PADDING] * 16)) is Reason.ND_LINK_LAYER_ADDRESS
    assert said(STRICT, na(IP6_A, *[PADDING] * 16, other)) is Reason.ND_UNREADABLE


def test_whose_it_is_comes_before_its_flags() -> None:
    assert said(STRICT, na(src=IP6_V, solicited=True)) is Reason.ND_SOURCE
    assert said(STRICT, na(IP6_V, solicited=True)) is Reason.ND_TARGET


@pytest.mark.parametrize("flags", [0x80, 0x20, 0x3F, 0x01])
def test_only_the_solicited_flag_is_judged(flags: int) -> None:
    octets = build.na(IP6_A, TLLA).octets
    message = build.icmpv6(136, 0, bytes((flags,)) + octets[5:])
    assert said(STRICT, nd6(IP6_A, ALL6, message)) is None


def test_a_router_is_pinned_in_nd_too() -> None:
    assert said(ROUTER, na(IP6_V)) is Reason.ND_TARGET
    assert said(ROUTER, ns(src=IP6_V)) is Reason.ND_SOURCE
    assert said(ROUTER, NA) is None


@pytest.mark.parametrize(
    ("link_local", "address", "reason"),
    [
        (LinkLocal.EUI64, LL_A, None),
        (LinkLocal.EUI64, str(MAC_VRRP.link_local), None),
        (LinkLocal.EUI64, "fe80::1234", Reason.ND_SOURCE),
        (LinkLocal.ANY, "fe80::1234", None),
        (LinkLocal.ANY, LL_V, None),
        (LinkLocal.ANY, "fe80:0:0:1::1", Reason.ND_SOURCE),
        (LinkLocal.NONE, LL_A, Reason.ND_SOURCE),
    ],
)
def test_link_local_addresses_as_the_network_says(link_local, address, reason) -> None:
    policy = replace(STRICT, link_local=link_local)
    assert said(policy, nd6(address, "ff02::2", build.rs(SLLA))) is reason
    answer = na(address, src=address)
    assert said(policy, answer) is reason


def test_the_unspecified_address_is_nobodys() -> None:
    everything = replace(STRICT, prefixes=frozenset({ip_network("::/0")}))
    assert said(everything, na(IP6_V, src=IP6_V)) is None
    assert said(everything, na(src="::")) is Reason.ND_SOURCE
    assert said(everything, na("::")) is Reason.ND_TARGET
    assert said(everything, dad("::")) is Reason.ND_TARGET


def test_law_1_a_port_without_addresses_says_nothing_of_any() -> None:
    nothing = replace(STRICT, prefixes=frozenset(), link_local=LinkLocal.NONE)
    assert said(nothing, NA) is Reason.ND_SOURCE
    assert said(nothing, NS) is Reason.ND_SOURCE
    assert said(nothing, DAD) is Reason.ND_TARGET
    assert said(nothing, nd6("::", "ff02::2", build.rs())) is None


@pytest.mark.parametrize("message", [build.ra(SLLA), build.redirect(LL_A, IP6_V, TLLA)])
@pytest.mark.parametrize(
    ("src", "reason"),
    [
        (LL_A, None),
        (LL_V, Reason.ND_SOURCE),
        (IP6_A, Reason.ND_SOURCE),
        ("fe80:0:0:1::1", Reason.ND_SOURCE),
    ],
)
def test_an_advertiser_speaks_from_its_own_link_local_address(message, src, reason) -> None:
    advertiser = replace(STRICT, roles=frozenset({Role.ROUTER_ADVERTISER}))
    assert said(advertiser, nd6(src, ALL6, message)) is reason
    assert said(advertiser, nd6(src, ALL6, message, 64)) is Reason.ND_SHAPE


def test_nd_behind_esp_or_in_a_later_fragment_is_not_nd() -> None:
    esp = nd6(IP6_A, IP6_V, build.Layer(BARE_NA.octets, 50))
    later = nd6(IP6_A, IP6_V, build.fragment(build.na(IP6_V), 1))
    for packet in (esp, later):
        assert said(STRICT, packet) is None
        assert said(OFF, packet) is None
