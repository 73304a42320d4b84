"""Catalogue group E, IPv6 source and header chain."""

from dataclasses import replace
from ipaddress import ip_network

import pytest
from tests.semantics.world import (
    ALL6,
    IP6_A,
    IP6_V,
    LL_A,
    MAC_A,
    MAC_V,
    ONLY_MAC,
    ROUTER,
    STRICT,
    Row,
    frame,
    numbered,
    said,
)

from vifguard.model.guard import Guard
from vifguard.model.verdict import Direction, Reason
from vifguard.packet import build

UDP, SYN = build.udp(1, 1), build.tcp(1, 80)
NA = build.na(IP6_A, build.tlla(MAC_A))
RA = build.ra(build.slla(MAC_A))
OFFER = build.udp(547, 546, build.dhcpv6(2))


def ip6(src: str, payload, dst: str = IP6_V, **fields) -> bytes:
    return frame(build.ipv6(src, dst, payload, **fields), MAC_V)


OWN = ip6(IP6_A, UDP)


def repeat(wrap, piece: build.Layer, times: int) -> build.Layer:
    for _ in range(times):
        piece = wrap(piece)
    return piece


def nine(piece: build.Layer) -> build.Layer:
    return repeat(build.destination_options, piece, 9)


def both(piece: build.Layer) -> build.Layer:
    return build.hop_by_hop(build.destination_options(piece))


def behind(piece: build.Layer, reason: Reason, src: str = LL_A, mac: Reason | None = None):
    """The banned message behind each kind of header, where it can still be read."""
    return [
        Row("ip6-nexthdr-vs-l4proto", ip6(src, wrap(piece), hop_limit=255), reason, mac, twin=OWN)
        for wrap in (build.hop_by_hop, build.destination_options, both, build.routing)
    ]


ROWS = [
    *(
        Row("ip6-src-victim", ip6(src, payload), Reason.IPV6_SOURCE, twin=ip6(IP6_A, payload))
        for src in (IP6_V, "ff02::1", "::1", "fd00::1:a", "fd08:ffff::1", "fd09:0:0:1::")
        for payload in (UDP, SYN)
    ),
    *behind(RA, Reason.ND_SHAPE),
    *behind(NA, Reason.ND_SHAPE, IP6_A),
    # Behind a routing header it is the ip guard that objects, before dhcp.
    *behind(OFFER, Reason.DHCP_ROLE)[:3],
    *behind(SYN, Reason.IPV6_SOURCE, IP6_V),
    *(
        Row("ip6-nexthdr-vs-l4proto", ip6(LL_A, nine(piece)), *[Reason.HEADERS_UNREADABLE] * 2)
        for piece in (RA, NA, OFFER, SYN)
    ),
    *(
        Row(
            "ip6-routing-header",
            ip6(IP6_A, build.routing(UDP, **fields)),
            Reason.IPV6_ROUTING_HEADER,
            twin=OWN,
        )
        for fields in (
            {"kind": 0, "segments_left": 1, "data": bytes(4) + bytes(16)},
            {"kind": 0},
            {"kind": 2, "segments_left": 1, "data": bytes(20)},
            {"kind": 4, "data": bytes(20)},
        )
    ),
    *(
        Row("ip6-embedded-v4", ip6(src, UDP), Reason.IPV6_SOURCE, twin=OWN)
        for src in (
            "::ffff:10.0.0.10",
            "::10.0.0.10",
            "2002:a00:b::1",
            "fe80::5efe:10.0.0.11",
            "64:ff9b::10.0.0.11",
        )
    ),
    *(
        Row("ip6-length-lies", bad, *[Reason.IPV6_MALFORMED] * 2, twin=OWN)
        for bad in (
            ip6(IP6_A, UDP, payload_length=0),
            ip6(IP6_A, UDP, payload_length=9),
            ip6(IP6_A, UDP, payload_length=65535),
            ip6(IP6_A, UDP, version=4),
            ip6(IP6_A, UDP)[:53],
            ip6(IP6_A, build.hop_by_hop(b""), payload_length=0),
        )
    ),
]


@pytest.mark.parametrize("row", numbered(ROWS))
def test_group_e(row: Row) -> None:
    row.check()


def test_tunnels_are_payload_of_their_outer_source() -> None:
    inner = build.ipv6(IP6_V, ALL6, UDP).octets
    assert said(STRICT, ip6(IP6_A, build.Layer(inner, 41))) is None
    assert said(STRICT, ip6(IP6_V, build.Layer(inner, 41))) is Reason.IPV6_SOURCE
    four = build.ipv4("10.0.0.10", "10.0.0.11", build.Layer(inner, 41))
    assert said(STRICT, frame(four)) is None


def test_octets_behind_the_packet_are_nothing() -> None:
    assert said(STRICT, ip6(IP6_A, UDP, payload_length=8) + NA.octets) is None
    short = ip6(IP6_A, build.udp(1, 1, bytes(40)), payload_length=7)
    assert said(STRICT, short) is Reason.HEADERS_UNREADABLE
    empty = frame(build.ipv6(IP6_A, IP6_V, b"")) + UDP.octets
    assert said(STRICT, empty) is None


@pytest.mark.parametrize(
    ("chain", "reason"),
    [
        (repeat(build.destination_options, UDP, 8), None),
        (repeat(build.destination_options, UDP, 9), Reason.HEADERS_UNREADABLE),
        (build.hop_by_hop(repeat(build.destination_options, UDP, 7)), None),
        (build.hop_by_hop(repeat(build.destination_options, UDP, 8)), Reason.HEADERS_UNREADABLE),
        (build.destination_options(build.hop_by_hop(UDP)), Reason.HEADERS_UNREADABLE),
        (build.hop_by_hop(build.hop_by_hop(UDP)), Reason.HEADERS_UNREADABLE),
        (build.fragment(UDP), None),
        (build.fragment(build.fragment(UDP)), Reason.HEADERS_UNREADABLE),
        (build.fragment(build.destination_options(build.fragment(UDP))), Reason.HEADERS_UNREADABLE),
        (build.fragment(UDP, 1), None),
        # What a later fragment names is in the first one (RFC 8200, 4.5).
        (build.fragment(build.destination_options(UDP), 1), None),
        *(
            (build.fragment(UDP, 1, next_header=number), None)
            for number in (0, 43, 44, 51, 60, 135, 139, 140)
        ),
        *((build.fragment(UDP, 1, next_header=number), None) for number in (6, 50, 58, 59, 253)),
        (build.authentication(UDP), None),
        (build.authentication(UDP, bytes(6)), None),
        (build.authentication(UDP, length=6), Reason.HEADERS_UNREADABLE),
        *((build.extension(number, UDP), None) for number in (60, 135, 139, 140)),
        (build.destination_options(UDP, length=1), Reason.HEADERS_UNREADABLE),
        (build.destination_options(build.Layer(bytes(7), 17)), Reason.HEADERS_UNREADABLE),
        (build.Layer(bytes(7), 0), Reason.HEADERS_UNREADABLE),
        (build.Layer(bytes(1), 60), Reason.HEADERS_UNREADABLE),
        (build.Layer(bytes(7), 44), Reason.HEADERS_UNREADABLE),
        (build.Layer(bytes(7), 17), Reason.HEADERS_UNREADABLE),
        (build.Layer(bytes(19), 6), Reason.HEADERS_UNREADABLE),
        (build.Layer(bytes(3), 58), Reason.HEADERS_UNREADABLE),
        (build.Layer(bytes(4), 58), None),
        (build.Layer(bytes(20), 6), None),
        (build.Layer(b"\0", 50), None),
        (build.Layer(b"\0", 59), None),
        # Headers that end where the packet ends, and headers that say they end behind it.
        (build.Layer(b"", 59), None),
        (build.destination_options(build.Layer(b"", 59)), None),
        (build.fragment(build.Layer(b"", 59)), None),
        (build.authentication(build.Layer(b"", 50), bytes(6)), None),
        *(
            (build.destination_options(build.Layer(bytes(8), 50), length=length), reason)
            for length, reason in (
                (0, None),
                (1, None),
                (2, Reason.HEADERS_UNREADABLE),
                (255, Reason.HEADERS_UNREADABLE),
            )
        ),
        *(
            (build.authentication(build.Layer(bytes(8), 50), bytes(6), length=length), reason)
            for length, reason in (
                (0, None),
                (2, None),
                (3, Reason.HEADERS_UNREADABLE),
                (255, Reason.HEADERS_UNREADABLE),
            )
        ),
        (build.fragment(build.destination_options(UDP)), None),
        (build.fragment(build.authentication(build.extension(135, UDP))), None),
        (build.Layer(b"\0", 1), None),
    ],
)
def test_the_chain_is_followed_or_the_packet_dies(chain: build.Layer, reason) -> None:
    packet = ip6(IP6_A, chain)
    assert said(STRICT, packet) is reason
    assert said(ONLY_MAC, packet) is reason
    assert said(STRICT, packet + bytes(64)) is reason
    only_public = replace(STRICT, guards=frozenset({Guard.PUBLIC_IP}))
    assert said(only_public, packet) is None


ALERT = build.router_alert6()


@pytest.mark.parametrize(
    ("fields", "payload", "reason"),
    [
        ({}, build.hop_by_hop(build.mldv2_report("ff02::5"), ALERT), None),
        ({}, build.hop_by_hop(build.mld(131, "ff02::5"), ALERT), None),
        ({}, build.hop_by_hop(build.mld(132, "ff02::5"), ALERT), None),
        ({}, build.hop_by_hop(build.mld(131), b"\x01\x00\x05\x02\x00\x00"), None),
        ({}, build.hop_by_hop(build.mld(130), ALERT), Reason.IPV6_UNSPECIFIED),
        ({}, build.hop_by_hop(build.mld(131), build.router_alert6(1)), Reason.IPV6_UNSPECIFIED),
        ({}, build.hop_by_hop(build.mld(131)), Reason.IPV6_UNSPECIFIED),
        ({}, build.hop_by_hop(build.mld(131), ALERT + bytes(8)), Reason.IPV6_UNSPECIFIED),
        ({}, build.mld(131), Reason.IPV6_UNSPECIFIED),
        ({}, build.destination_options(build.mld(131), ALERT), Reason.IPV6_UNSPECIFIED),
        (
            {},
            build.hop_by_hop(build.destination_options(build.mld(131)), ALERT),
            Reason.IPV6_UNSPECIFIED,
        ),
        ({}, build.hop_by_hop(build.fragment(build.mld(131)), ALERT), Reason.IPV6_UNSPECIFIED),
        ({"hop_limit": 2}, build.hop_by_hop(build.mld(131), ALERT), Reason.IPV6_UNSPECIFIED),
        ({"dst": IP6_V}, build.hop_by_hop(build.mld(131), ALERT), Reason.IPV6_UNSPECIFIED),
    ],
)
def test_reports_from_unspecified_in_their_shape_only(fields, payload, reason) -> None:
    packet = ip6("::", payload, **({"dst": "ff02::16", "hop_limit": 1} | fields))
    assert said(STRICT, packet) is reason
    assert said(ROUTER, packet) is None


GROUP = str(build.solicited_node(IP6_A))


@pytest.mark.parametrize(
    ("dst", "payload", "fields", "passes"),
    [
        ("ff02::2", build.rs(), {}, True),
        (GROUP, build.ns(IP6_A), {}, True),
        (GROUP, build.ns(IP6_V), {}, True),
        (ALL6, build.rs(), {}, False),
        (GROUP, build.rs(), {}, False),
        ("ff02::2", build.ns(IP6_A), {}, False),
        ("ff02::1:fe00:a", build.ns(IP6_A), {}, False),
        (IP6_V, build.ns(IP6_A), {}, False),
        ("ff02::2", build.icmpv6(134, 0, bytes(12)), {}, False),
        (GROUP, build.na(IP6_A), {}, False),
        ("ff02::2", build.rs(), {"hop_limit": 254}, False),
        (GROUP, build.ns(IP6_A), {"hop_limit": 254}, False),
        ("ff02::2", build.destination_options(build.rs()), {}, False),
        (GROUP, build.hop_by_hop(build.ns(IP6_A)), {}, False),
        (GROUP, build.fragment(build.ns(IP6_A)), {}, False),
    ],
)
def test_solicitations_from_unspecified_in_their_shape_only(dst, payload, fields, passes) -> None:
    """What this guard alone says, where none of the others helps it."""
    only_ip = replace(STRICT, guards=frozenset({Guard.IP}))
    packet = ip6("::", payload, **({"dst": dst, "hop_limit": 255} | fields))
    assert said(only_ip, packet) is (None if passes else Reason.IPV6_UNSPECIFIED)


def test_a_report_from_unspecified_is_whole() -> None:
    only_ip = replace(STRICT, guards=frozenset({Guard.IP}))
    report = build.hop_by_hop(build.mld(131, "ff02::5"), ALERT)
    cut = build.fragment(build.mld(131, "ff02::5"))
    for payload, reason in ((report, None), (cut, Reason.IPV6_UNSPECIFIED)):
        assert said(only_ip, ip6("::", payload, "ff02::16", hop_limit=1)) is reason


@pytest.mark.parametrize(
    ("src", "on_router"), [("fd77::1", None), (IP6_V, None), ("2001:db8::9", Reason.PUBLIC_SOURCE)]
)
def test_a_router_sends_from_anywhere_but_others_public_addresses(src, on_router) -> None:
    for packet in (ip6(src, UDP), ip6(src, build.fragment(UDP, 9)), ip6(src, build.routing(UDP))):
        assert said(ROUTER, packet) is on_router
    given = replace(ROUTER, prefixes=ROUTER.prefixes | {ip_network("2001:db8::9/128")})
    assert said(given, ip6(src, UDP)) is None


def test_towards_the_guest_only_the_header_is_judged() -> None:
    to = Direction.TO_GUEST
    assert said(STRICT, frame(build.ipv6(IP6_V, IP6_A, nine(UDP)), MAC_A, MAC_V), to) is None
    broken = frame(build.ipv6(IP6_V, IP6_A, UDP, payload_length=9), MAC_A, MAC_V)
    assert said(STRICT, broken, to) is Reason.IPV6_MALFORMED
    assert said(replace(STRICT, guards=frozenset({Guard.MAC, Guard.IP})), broken, to) is None
