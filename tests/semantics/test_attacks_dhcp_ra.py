"""Catalogue group F, router advertisements and DHCP."""

from dataclasses import replace
from ipaddress import IPv4Address

import pytest
from tests.semantics.world import (
    ALL4,
    ALL6,
    BROADCAST,
    IP4_A,
    IP4_G,
    IP4_V,
    IP6_A,
    IP6_V,
    LL_A,
    LL_G,
    LL_V,
    MAC_A,
    MAC_V,
    MAC_VRRP,
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

from vifguard.model.guard import Guard, Role
from vifguard.model.verdict import Direction, Reason
from vifguard.packet import build


def asks(message: bytes, *, src: str = ZERO4, dst: str = ALL4, ports=(68, 67), **fields) -> bytes:
    return frame(build.ipv4(src, dst, build.udp(*ports, message), **fields))


def dhcp4(*args, tail: bytes | None = None, **fields) -> bytes:
    return asks(build.dhcpv4(*(args or (MAC_A,)), tail=tail, **fields))


def asks6(message: bytes, src: str = LL_A, dst: str = "ff02::1:2", ports=(546, 547)) -> bytes:
    return frame(build.ipv6(src, dst, build.udp(*ports, message), hop_limit=1))


def advertises(*options: bytes, src: str = LL_A, **fields) -> bytes:
    return frame(build.ipv6(src, ALL6, build.ra(*options, **fields), hop_limit=255))


RS = frame(build.ipv6(LL_A, "ff02::2", build.rs(build.slla(MAC_A)), hop_limit=255))
DISCOVER = dhcp4()
SOLICIT = asks6(build.dhcpv6(1, build.dhcpv6_option(1, bytes(10))))
OFFER, ACK, NAK = (build.dhcpv4(MAC_A, kind, op=2) for kind in (2, 5, 6))
RENEW = asks(build.dhcpv4(MAC_A, 3, ciaddr=IP4_A), src=IP4_A, dst=IP4_G)
RA = build.ra(build.prefix_information("fd66::"))


def tagged_ra(*tpids: int) -> bytes:
    piece = build.ipv6(LL_A, ALL6, RA, hop_limit=255)
    for tpid in tpids:
        piece = build.vlan(piece, 0, tpid=tpid)
    return frame(piece)


INNER_RA = build.ipv6(LL_A, ALL6, RA, hop_limit=255)

ROWS = [
    *(
        Row("ra-from-guest", bad, Reason.ROUTER_ADVERTISEMENT, twin=RS)
        for bad in (
            advertises(build.prefix_information("fd66::"), flags=0x08),
            advertises(build.nd_option(25, bytes(22))),
            advertises(build.nd_option(5, bytes(2) + (1280).to_bytes(4, "big"))),
            advertises(build.nd_option(38, bytes(14))),
            advertises(lifetime=0),
            advertises(),
        )
    ),
    Row("ra-from-guest", advertises(lifetime=0, src=LL_G), Reason.ND_SOURCE, twin=RS),
    *(
        Row("ra-vlan0-snap", tagged_ra(*tpids), Reason.TAGGED, Reason.TAGGED, twin=RS)
        for tpids in (
            *((0x8100,) * count for count in range(1, 6)),
            (0x88A8,),
            (0x8100, 0x88A8),
            (0x88A8, 0x8100),
            (0x9100,),
            (0x9200, 0x8100),
        )
    ),
    *(
        Row("ra-vlan0-snap", frame(piece), Reason.LENGTH_FIELD, Reason.LENGTH_FIELD, twin=RS)
        for piece in (
            build.snap(INNER_RA),
            build.snap(INNER_RA, oui=0xF8),
            build.snap(INNER_RA, length=0),
            build.snap(INNER_RA, length=0x05FF),
            build.snap(build.vlan(INNER_RA, 0)),
        )
    ),
    Row(
        "ra-vlan0-snap",
        frame(build.vlan(build.snap(INNER_RA), 0)),
        Reason.TAGGED,
        Reason.TAGGED,
        twin=RS,
    ),
    *(
        Row("ra-vlan0-snap", frame(INNER_RA, ethertype=number), *[Reason.ETHERTYPE_UNLISTED] * 2)
        for number in (0x88B7, 0x8870, 0x0600)
    ),
    *(
        Row("dhcp4-server-reply", asks(reply, src=IP4_A, dst=dst, ports=ports), reason, twin=RENEW)
        for reply in (OFFER, ACK, NAK)
        for dst, ports, reason in (
            (ALL4, (67, 68), Reason.DHCP_ROLE),
            (IP4_V, (67, 68), Reason.DHCP_ROLE),
            (IP4_V, (67, 67), Reason.DHCP_ROLE),
            (ALL4, (1067, 68), Reason.DHCP_ROLE),
            (ALL4, (68, 68), Reason.DHCP_ROLE),
            (ALL4, (68, 67), Reason.DHCP_SHAPE),
            (ALL4, (1068, 67), Reason.DHCP_SHAPE),
        )
    ),
    *(
        Row("dhcp4-chaddr-starvation", bad, reason, twin=DISCOVER)
        for bad, reason in (
            (dhcp4("7e:00:00:00:00:01"), Reason.DHCP_HARDWARE_ADDRESS),
            (dhcp4(MAC_V), Reason.DHCP_HARDWARE_ADDRESS),
            (dhcp4(hlen=16), Reason.DHCP_SHAPE),
            (dhcp4(hlen=0), Reason.DHCP_SHAPE),
            (dhcp4(htype=6), Reason.DHCP_SHAPE),
            (dhcp4(giaddr=IP4_V), Reason.DHCP_ROLE),
            (dhcp4(giaddr=IP4_A), Reason.DHCP_ROLE),
            (dhcp4(MAC_A, 1, build.dhcp_option(82, b"\x01\x01a")), Reason.DHCP_ROLE),
            (dhcp4(MAC_A, 1, magic=bytes(4)), Reason.DHCP_SHAPE),
            (asks(build.dhcpv4(MAC_A)[:239]), Reason.DHCP_SHAPE),
            (asks(b""), Reason.DHCP_SHAPE),
            (asks(build.dhcpv4(MAC_A), src=IP4_A, ports=(1068, 67)), Reason.DHCP_SHAPE),
        )
    ),
    *(
        Row("dhcp4-release-decline-forge", bad, reason, twin=RENEW)
        for kind in (4, 7, 8)
        for bad, reason in (
            (
                asks(build.dhcpv4(MAC_V, kind, ciaddr=IP4_V), src=IP4_A, dst=IP4_G),
                Reason.DHCP_HARDWARE_ADDRESS,
            ),
            (
                asks(build.dhcpv4(MAC_A, kind, ciaddr=IP4_V), src=IP4_A, dst=IP4_G),
                Reason.DHCP_CLIENT_ADDRESS,
            ),
            (
                asks(
                    build.dhcpv4(MAC_V, kind, build.dhcp_option(50, bytes(4))),
                    src=IP4_A,
                    dst=IP4_G,
                ),
                Reason.DHCP_HARDWARE_ADDRESS,
            ),
        )
    ),
    *(
        Row("dhcp6-server-and-relay", bad, reason, twin=SOLICIT)
        for bad, reason in (
            (asks6(build.dhcpv6(2), dst=LL_V, ports=(547, 546)), Reason.DHCP_ROLE),
            (asks6(build.dhcpv6(7), dst=LL_V, ports=(547, 546)), Reason.DHCP_ROLE),
            (asks6(build.dhcpv6(10), dst=LL_V, ports=(1547, 546)), Reason.DHCP_ROLE),
            (asks6(build.dhcpv6(1), ports=(547, 547)), Reason.DHCP_ROLE),
            (asks6(build.dhcpv6(1), ports=(546, 546)), Reason.DHCP_ROLE),
            (asks6(build.dhcpv6_relay(IP6_A, LL_V, build.dhcpv6(1))), Reason.DHCP_ROLE),
            (asks6(build.dhcpv6(13)), Reason.DHCP_ROLE),
            *((asks6(build.dhcpv6(kind)), Reason.DHCP_ROLE) for kind in (0, 2, 7, 10, 12, 14, 255)),
            (asks6(build.dhcpv6(1), ports=(1546, 547)), Reason.DHCP_SHAPE),
            (asks6(build.dhcpv6(1)[:3]), Reason.DHCP_SHAPE),
        )
    ),
    *(
        Row(
            "dhcp6-server-and-relay",
            frame(build.ipv6(LL_A, "ff02::1:2", wrap(build.udp(546, 547, build.dhcpv6(1))))),
            Reason.DHCP_SHAPE,
            twin=SOLICIT,
        )
        for wrap in (build.hop_by_hop, build.destination_options, build.fragment)
    ),
    *(
        Row("dhcp6-client-spoof", asks6(build.dhcpv6(1), src), reason, twin=SOLICIT)
        for src, reason in (
            (LL_V, Reason.IPV6_SOURCE),
            (IP6_V, Reason.IPV6_SOURCE),
            ("::", Reason.IPV6_UNSPECIFIED),
        )
    ),
    Row(
        "dhcp-ip-learning",
        asks(build.dhcpv4(MAC_V, 5, op=2, yiaddr=IP4_V), src=IP4_A, ports=(67, 68)),
        Reason.DHCP_ROLE,
        twin=DISCOVER,
    ),
]


@pytest.mark.parametrize("row", numbered(ROWS))
def test_group_f(row: Row) -> None:
    row.check()


@pytest.mark.parametrize(
    ("tail", "reason"),
    [
        (b"", None),
        (b"\xff", None),
        (b"\xff\x52\x00", None),
        (b"\x52\x00", Reason.DHCP_ROLE),
        (b"\x35\x01\x01\x52\x00\xff", Reason.DHCP_ROLE),
        (b"\x35", Reason.DHCP_SHAPE),
        (b"\x35\x01", Reason.DHCP_SHAPE),
        (b"\x35\x02\x01", Reason.DHCP_SHAPE),
        (b"\x52\x00\x35", Reason.DHCP_ROLE),
        (b"\x52\x01", Reason.DHCP_SHAPE),
        (bytes(63), None),
        (bytes(64), Reason.DHCP_SHAPE),
        (bytes(63) + b"\xff", None),
        (bytes(64) + b"\xff", Reason.DHCP_SHAPE),
        (bytes(63) + b"\x52\x00", Reason.DHCP_ROLE),
        (bytes(64) + b"\x52\x00", Reason.DHCP_SHAPE),
        (b"\x0c\x00" * 63 + b"\xff", None),
        (b"\x0c\x00" * 64, Reason.DHCP_SHAPE),
    ],
)
def test_options_end_are_whole_and_are_no_relays(tail: bytes, reason: Reason | None) -> None:
    assert said(STRICT, dhcp4(tail=tail)) is reason
    assert said(ONLY_MAC, dhcp4(tail=tail)) is None


def test_octets_behind_the_packet_are_no_options() -> None:
    assert said(STRICT, dhcp4(tail=b"\x35\x01") + b"\x01") is Reason.DHCP_SHAPE
    assert said(STRICT, dhcp4(tail=b"") + b"\x52\x00") is None


@pytest.mark.parametrize("policy", [STRICT, ROUTER])
def test_a_server_is_what_was_given_the_role(policy) -> None:
    given = replace(policy, roles=frozenset({Role.DHCP_SERVER}))
    four = asks(OFFER, src=IP4_A, ports=(67, 68))
    six = asks6(build.dhcpv6(2), dst=LL_V, ports=(547, 546))
    for reply in (four, six):
        assert said(policy, reply) is Reason.DHCP_ROLE
        assert said(given, reply) is None
    assert said(given, advertises()) is Reason.ROUTER_ADVERTISEMENT
    assert said(given, four.replace(MAC_A.octets, MAC_V.octets, 1)) is Reason.SOURCE_MAC


@pytest.mark.parametrize("policy", [STRICT, ROUTER])
def test_a_router_advertiser_is_what_was_given_the_role(policy) -> None:
    given = replace(policy, roles=frozenset({Role.ROUTER_ADVERTISER}))
    redirect4 = frame(build.ipv4(IP4_A, IP4_V, build.icmpv4(5, 1, bytes(32))))
    assert said(policy, redirect4) is Reason.REDIRECT
    assert said(given, redirect4) is None
    assert said(given, advertises()) is None
    assert said(given, advertises(src=LL_V)) is Reason.ND_SOURCE
    assert said(given, asks(OFFER, src=IP4_A, ports=(67, 68))) is Reason.DHCP_ROLE


@pytest.mark.parametrize("mac", [MAC_A, MAC_VRRP])
def test_any_of_the_ports_macs_is_its_hardware_address(mac) -> None:
    assert said(STRICT, dhcp4(mac)) is None


@pytest.mark.parametrize("policy", [STRICT, ROUTER])
def test_a_client_speaks_of_its_own_address_on_a_routers_port_too(policy) -> None:
    for kind in (1, 3, 4, 7, 8):
        asked = (build.dhcp_option(50, IPv4Address(IP4_A).packed),)
        own = asks(build.dhcpv4(MAC_A, kind, *asked, ciaddr=IP4_A), src=IP4_A, dst=IP4_G)
        foreign = asks(build.dhcpv4(MAC_A, kind, *asked, ciaddr=IP4_V), src=IP4_A, dst=IP4_G)
        assert said(policy, own) is None
        assert said(policy, foreign) is Reason.DHCP_CLIENT_ADDRESS


def test_the_client_address_is_no_matter_of_ip_alone() -> None:
    only_ip = replace(STRICT, guards=frozenset({Guard.IP}))
    foreign = asks(build.dhcpv4(MAC_A, 7, ciaddr=IP4_V), src=IP4_A, dst=IP4_G)
    assert said(only_ip, foreign) is None


def declined(*options: bytes, kind: int = 4) -> bytes:
    return asks(build.dhcpv4(MAC_A, kind, *options))


OWN_50, OTHERS_50 = (build.dhcp_option(50, IPv4Address(a).packed) for a in (IP4_A, IP4_V))


@pytest.mark.parametrize(
    ("octets", "reason"),
    [
        (declined(OWN_50), None),
        (declined(OTHERS_50), Reason.DHCP_CLIENT_ADDRESS),
        (declined(), Reason.DHCP_CLIENT_ADDRESS),
        (declined(OTHERS_50, kind=3), None),
        (declined(OTHERS_50, kind=1), None),
        (declined(OWN_50, OTHERS_50), Reason.DHCP_SHAPE),
        (declined(OTHERS_50, build.dhcp_option(53, b"\x04"), kind=3), Reason.DHCP_SHAPE),
        (declined(build.dhcp_option(52, b"\x01"), OWN_50), Reason.DHCP_SHAPE),
        (declined(build.dhcp_option(50, bytes(3))), Reason.DHCP_SHAPE),
    ],
)
def test_a_decline_names_the_ports_own_address(octets, reason) -> None:
    assert said(STRICT, octets) is reason
    assert said(ROUTER, octets) is reason


def test_later_fragments_are_for_others_to_judge() -> None:
    only = replace(STRICT, guards=frozenset({Guard.DHCP, Guard.RA}))
    for piece in (
        build.ipv4(IP4_V, ALL4, build.udp(67, 68, OFFER), offset=1),
        build.ipv4(IP4_V, ALL4, build.icmpv4(5), offset=1),
        build.ipv6(LL_V, ALL6, build.fragment(RA, 1)),
        build.ipv6(LL_V, ALL6, build.fragment(build.udp(547, 546, bytes(9)), 1)),
    ):
        assert said(only, frame(piece)) is None
        assert said(STRICT, frame(piece)) is not None


def test_a_redirect_and_an_advertisement_are_found_behind_headers() -> None:
    only = replace(STRICT, guards=frozenset({Guard.RA}))
    for wrap in (build.hop_by_hop, build.destination_options, build.fragment, build.routing):
        for message, reason in (
            (RA, Reason.ROUTER_ADVERTISEMENT),
            (build.redirect(LL_A, IP6_V), Reason.REDIRECT),
        ):
            assert said(only, frame(build.ipv6(LL_V, ALL6, wrap(message)))) is reason
    assert said(only, RS) is None


def test_from_the_network_servers_and_routers_are_heard() -> None:
    to = Direction.TO_GUEST
    for heard in (asks(OFFER, src=IP4_G, ports=(67, 68)), advertises(src=LL_G)):
        assert said(STRICT, heard, to) is None
        assert said(OFF, heard) is None
    assert said(STRICT, frame(INNER_RA, BROADCAST), to) is None
    assert said(STRICT, frame(build.vlan(INNER_RA), BROADCAST), to) is Reason.TAGGED


def test_icmpv4_says_what_it_wants_in_ipv6() -> None:
    """The number 58 in IPv4, and 1 in IPv6, is nobody's ICMP."""
    four = frame(build.ipv4(IP4_A, IP4_V, build.Layer(b"\x86" + bytes(30), 58)))
    six = frame(build.ipv6(IP6_A, IP6_V, build.Layer(b"\x05" + bytes(30), 1)))
    assert said(STRICT, four) is None
    assert said(STRICT, six) is None
