"""Catalogue group B, IPv4 source."""

from dataclasses import replace
from ipaddress import ip_network

import pytest
from tests.semantics.world import (
    ALL4,
    IP4_A,
    IP4_G,
    IP4_V,
    IP4_V2,
    MAC_A,
    MAC_G,
    MAC_V,
    OFF,
    ONLY_MAC,
    ROUTER,
    STRICT,
    ZERO4,
    Row,
    frame,
    numbered,
    said,
)

from vifguard.model.verdict import Direction, Reason
from vifguard.packet import build

UDP = build.udp(1, 1)
DISCOVER = build.udp(68, 67, build.dhcpv4(MAC_A))


def ip4(src: str, dst: str, payload=UDP, **fields) -> bytes:
    return frame(build.ipv4(src, dst, payload, **fields), MAC_G)


def forged(attack: str, dst: str, payload, *sources: str, **fields) -> list[Row]:
    """The packet from other sources; its twin is the same from the port's own."""
    twin = ip4(IP4_A, dst, payload, **fields)
    return [
        Row(attack, ip4(source, dst, payload, **fields), Reason.IPV4_SOURCE, twin=twin)
        for source in sources
    ]


DISCOVERY = frame(build.ipv4(ZERO4, ALL4, DISCOVER))
BIG = build.udp(5000, 5001, bytes(8000))
ROUTED = (131, 137)

ROWS = [
    *forged(
        "ip-src-victim",
        IP4_G,
        UDP,
        *(IP4_V, IP4_G, "10.0.0.255", "127.0.0.1", "224.0.0.1", "240.0.0.1", ALL4),
    ),
    Row(
        "ip-src-in-dhcp-ports",
        ip4(IP4_V, IP4_V2, build.udp(68, 67, b"anything")),
        Reason.IPV4_SOURCE,
        twin=ip4(IP4_A, IP4_V2, DISCOVER),
    ),
    Row("ip-src-in-dhcp-ports", ip4(IP4_V, ALL4, DISCOVER), Reason.IPV4_SOURCE, twin=DISCOVERY),
    *(
        Row("ip-src-zero-abuse", ip4(ZERO4, dst, payload), Reason.IPV4_UNSPECIFIED, twin=DISCOVERY)
        for dst, payload in (
            (IP4_V, build.udp(1234, 53)),
            (IP4_V, DISCOVER),
            (IP4_V, build.tcp(1, 80)),
            (IP4_V, build.icmpv4(8)),
            (ALL4, build.udp(68, 69)),
            (ALL4, build.udp(67, 67)),
            (ALL4, build.udp(1068, 67)),
        )
    ),
    *forged("ip-spoof-in-established", "10.0.0.13", build.udp(5000, 5001), IP4_V),
    *forged("ip-cidr-widening", IP4_G, UDP, "10.0.0.9", "10.0.0.101", "10.8.255.255", "10.10.0.0"),
    *forged("ip-fragments", IP4_G, b"12345678", IP4_V, offset=185),
    *forged("ip-fragments", IP4_G, UDP, IP4_V, more_fragments=True),
    Row(
        "ip-fragments",
        ip4(IP4_A, ALL4, build.udp(67, 68, bytes(300)), more_fragments=True),
        Reason.DHCP_ROLE,
    ),
    Row(
        "ip-fragments",
        ip4(IP4_A, ALL4, DISCOVER, more_fragments=True),
        Reason.DHCP_SHAPE,
        twin=ip4(IP4_A, ALL4, DISCOVER),
    ),
    # The ports sit in the second fragment: the first one has not even a whole UDP header.
    Row(
        "ip-fragments",
        ip4(IP4_A, ALL4, bytes(4), protocol=17, more_fragments=True),
        Reason.HEADERS_UNREADABLE,
    ),
    *(
        Row(
            "ip-options",
            ip4(IP4_A, IP4_G, options=build.ip4_option(kind, b"\x04" + bytes(4))),
            Reason.IPV4_OPTIONS,
            twin=ip4(IP4_A, IP4_G, options=build.router_alert4()),
        )
        for kind in ROUTED
    ),
    *(
        Row(
            "ip-options",
            ip4(IP4_A, IP4_G, options=options),
            Reason.IPV4_OPTIONS,
            twin=ip4(IP4_A, IP4_G, options=twin),
        )
        for options, twin in (
            (b"\x01\x01\x83\x02", b"\x01\x01\x07\x02"),
            (b"\x07\x01", b"\x07\x02"),
            (b"\x07\x05\x00\x00", b"\x07\x04\x00\x00"),
            (b"\x01\x01\x01\x07", b"\x01\x01\x01\x01"),
            (bytes((7, 41)) + bytes(38), bytes((7, 40)) + bytes(38)),
            (b"\x01\x83\x02\x00", b"\x00\x83\x02\x00"),
        )
    ),
    *(
        Row("ip-malformed-header", ip4(IP4_A, IP4_G, **wrong), *[Reason.IPV4_MALFORMED] * 2)
        for wrong in (
            {"version": 6},
            {"version": 0},
            {"ihl": 4},
            {"ihl": 0},
            {"ihl": 8},
            {"total_length": 19},
            {"total_length": 0},
            {"total_length": 29},
            {"total_length": 65535},
        )
    ),
    Row(
        "ip-malformed-header",
        ip4(IP4_A, IP4_G)[:33],
        Reason.IPV4_MALFORMED,
        Reason.IPV4_MALFORMED,
        twin=ip4(IP4_A, IP4_G, b""),
    ),
    *forged("ip-gso-super", IP4_G, build.tcp(1, 80, bytes(65000), checksum=0), IP4_V),
    *(
        Row(
            "iso-metadata-impersonation",
            ip4("169.254.169.254", IP4_V, build.tcp(80, 1, flags=flags)),
            Reason.IPV4_SOURCE,
        )
        for flags in (0x12, 0x18)
    ),
]


@pytest.mark.parametrize("row", numbered(ROWS))
def test_group_b(row: Row) -> None:
    row.check()


def test_ip_malformed_header_but_only_in_what_receivers_check() -> None:
    for legal in ({"checksum": 1}, {"protocol": 0}, {"tos": 255}, {"ttl": 0}):
        assert said(STRICT, ip4(IP4_A, IP4_G, **legal)) is None
    assert said(STRICT, ip4(IP4_A, IP4_G) + b"\xaa" * 200) is None
    assert said(STRICT, ip4(IP4_V, IP4_G) + b"\xaa" * 200) is Reason.IPV4_SOURCE


@pytest.mark.parametrize("packet", build.fragments(IP4_V, IP4_G, BIG))
def test_ip_fragments_are_judged_one_by_one(packet: build.Layer) -> None:
    assert said(STRICT, frame(packet)) is Reason.IPV4_SOURCE
    assert said(ONLY_MAC, frame(packet)) is None


def test_ip_self_and_hairpin_harm_nobody() -> None:
    for dst in (MAC_G, MAC_A):
        assert said(STRICT, frame(build.ipv4(IP4_A, IP4_A, UDP), dst)) is None


def test_ip_family_not_filtered() -> None:
    six = frozenset(prefix for prefix in STRICT.prefixes if prefix.version == 6)
    only6 = replace(STRICT, prefixes=six)
    only4 = replace(STRICT, prefixes=STRICT.prefixes - six)
    from4, from6 = ip4(IP4_A, IP4_G), frame(build.ipv6("fd00::a", "fd00::1", UDP))
    assert (said(only6, from4), said(only6, from6)) == (Reason.IPV4_SOURCE, None)
    assert (said(only4, from4), said(only4, from6)) == (None, Reason.IPV6_SOURCE)
    own_link_local = frame(build.ipv6(str(MAC_A.link_local), "ff02::fb", UDP))
    other_link_local = frame(build.ipv6(str(MAC_V.link_local), "ff02::fb", UDP))
    assert said(only4, own_link_local) is None
    assert said(only4, other_link_local) is Reason.IPV6_SOURCE


@pytest.mark.parametrize("packet", [ip4(IP4_A, IP4_G), DISCOVERY])
def test_law_1_no_prefixes_is_no_address(packet: bytes) -> None:
    nothing = replace(STRICT, prefixes=frozenset())
    assert said(nothing, packet) is (None if packet == DISCOVERY else Reason.IPV4_SOURCE)


@pytest.mark.parametrize(
    ("ttl", "dst", "kind", "size", "passes"),
    [
        (1, "224.0.0.22", 0x22, 8, True),
        (1, "239.9.9.9", 0x16, 8, True),
        (1, "224.0.0.2", 0x17, 8, True),
        (1, "239.9.9.9", 0x12, 8, True),
        (2, "224.0.0.22", 0x22, 8, False),
        (1, IP4_V, 0x16, 8, False),
        (1, "240.0.0.1", 0x16, 8, False),
        (1, "224.0.0.1", 0x11, 8, False),
        (1, "224.0.0.22", 0x22, 7, False),
    ],
)
def test_reports_from_zero_in_their_shape_only(ttl, dst, kind, size, passes) -> None:
    report = build.igmp(kind, "239.9.9.9")
    cut = build.Layer(report.octets[:size], report.number)
    packet = ip4(ZERO4, dst, cut, ttl=ttl, options=build.router_alert4())
    assert said(STRICT, packet) is (None if passes else Reason.IPV4_UNSPECIFIED)
    whole = ip4(ZERO4, dst, cut, ttl=ttl, more_fragments=True)
    assert said(STRICT, whole) is Reason.IPV4_UNSPECIFIED


def test_zero_is_never_simply_owned() -> None:
    anything = replace(STRICT, prefixes=frozenset({ip_network("0.0.0.0/0")}))
    assert said(anything, ip4(ZERO4, IP4_V)) is Reason.IPV4_UNSPECIFIED
    assert said(anything, ip4(IP4_V, IP4_A)) is None


@pytest.mark.parametrize(
    ("src", "on_router"),
    [("192.168.7.7", None), (IP4_V, None), ("198.51.100.9", Reason.PUBLIC_SOURCE)],
)
@pytest.mark.parametrize("fields", [{}, {"offset": 100}, {"more_fragments": True}])
def test_a_router_sends_from_anywhere_but_others_public_addresses(src, on_router, fields) -> None:
    packet = ip4(src, IP4_G, build.udp(5000, 53), **fields)
    assert said(ROUTER, packet) is on_router
    assert said(STRICT, packet) is Reason.IPV4_SOURCE
    assert said(OFF, packet) is None
    given = replace(ROUTER, prefixes=ROUTER.prefixes | {ip_network("198.51.100.9/32")})
    assert said(given, packet) is None


def test_the_way_to_the_guest_knows_no_source() -> None:
    for src in (IP4_V, ZERO4, "198.51.100.9"):
        heard = frame(build.ipv4(src, IP4_A, UDP), MAC_A, MAC_G)
        assert said(STRICT, heard, Direction.TO_GUEST) is None
