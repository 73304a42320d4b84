"""Catalogue group K: look-alikes that must pass under every profile, both ways where they go."""

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
    IP4_VIP,
    IP6_A,
    IP6_V,
    LL_A,
    MAC_A,
    MAC_G,
    MAC_V,
    MAC_VRRP,
    OFF,
    ONLY_MAC,
    ROUTER,
    STRICT,
    ZERO4,
    ZERO_MAC,
    frame,
    said,
)

from vifguard.model.guard import Role
from vifguard.model.policy import PortPolicy
from vifguard.model.verdict import Direction
from vifguard.packet import build
from vifguard.packet.build import (
    arp,
    dhcpv4,
    dhcpv6,
    hop_by_hop,
    icmpv4,
    icmpv6,
    ipv4,
    ipv6,
    multicast_mac,
    na,
    ns,
    pad,
    rarp,
    rs,
    slla,
    solicited_node,
    tcp,
    tlla,
    udp,
)
from vifguard.packet.describe import describe
from vifguard.packet.link import Tag

POLICIES = {"strict": STRICT, "router": ROUTER, "mac": ONLY_MAC, "off": OFF}


def discovers(kind: int = 1, *options: bytes, **fields) -> build.Layer:
    return ipv4(ZERO4, ALL4, udp(68, 67, dhcpv4(MAC_A, kind, *options, **fields)))


def renews(kind: int, dst: str = IP4_G) -> build.Layer:
    return ipv4(IP4_A, dst, udp(68, 67, dhcpv4(MAC_A, kind, ciaddr=IP4_A)))


def six(src: str, message: build.Layer, dst=ALL6, hop_limit: int = 255) -> bytes:
    group = multicast_mac(dst) if str(dst).startswith("ff") else MAC_G
    return frame(ipv6(src, dst, message, hop_limit=hop_limit), group)


def group4(dst: str, payload: build.Layer, **fields) -> bytes:
    return frame(ipv4(IP4_A, dst, payload, **fields), multicast_mac(dst))


def report6(message: build.Layer, src: str, dst: str = "ff02::16") -> bytes:
    return six(src, hop_by_hop(message, build.router_alert6()), dst, 1)


def report4(message: build.Layer, src: str, dst: str = "224.0.0.22") -> bytes:
    packet = ipv4(src, dst, message, ttl=1, options=build.router_alert4())
    return frame(packet, multicast_mac(dst))


BIG = udp(5000, 5001, bytes(8000))
NONCE = build.nd_option(14, b"\1\2\3\4\5\6")
EXPIRY = ipv4(IP4_V, IP4_A, udp(33434, 33434)).octets

LEGAL = {
    "L01 probe": frame(arp(MAC_A, ZERO4, target_ip=IP4_A)),
    "L01 probe for the VIP": frame(arp(MAC_A, ZERO4, target_ip=IP4_VIP)),
    "L02 announcement": frame(arp(MAC_A, IP4_A, target_ip=IP4_A)),
    "L03 gratuitous reply to all": frame(
        arp(MAC_A, IP4_A, target_ip=IP4_A, target_mac=BROADCAST, op=2)
    ),
    "L03 gratuitous reply to itself": frame(
        arp(MAC_A, IP4_A, target_ip=IP4_A, target_mac=MAC_A, op=2)
    ),
    "L04 request": frame(arp(MAC_A, IP4_A, target_ip=IP4_G)),
    "L04 unicast request": frame(arp(MAC_A, IP4_A, target_ip=IP4_G, target_mac=MAC_G), MAC_G),
    "L04 beyond the subnet": frame(arp(MAC_A, IP4_A, target_ip="169.254.169.254")),
    "L05 reply": frame(arp(MAC_A, IP4_A, target_ip=IP4_V, target_mac=MAC_V, op=2), MAC_V),
    "L06 discover": frame(discovers()),
    "L06 broadcast flag": frame(discovers(flags=0x8000)),
    "L06 request": frame(discovers(3)),
    "L06 decline": frame(discovers(4, build.dhcp_option(50, IPv4Address(IP4_A).packed))),
    "L06 padded": frame(discovers(tail=b"\x35\x01\x01\xff" + bytes(60))),
    "L06 type of service": frame(ipv4(ZERO4, ALL4, udp(68, 67, dhcpv4(MAC_A)), tos=0x10)),
    "L07 renew": frame(renews(3), MAC_G),
    "L07 rebind": frame(renews(3, ALL4)),
    "L07 release": frame(renews(7), MAC_G),
    "L07 inform": frame(renews(8, ALL4)),
    **{
        f"L08 message {kind}": six(LL_A, udp(546, 547, dhcpv6(kind)), "ff02::1:2", 1)
        for kind in (1, 3, 4, 5, 6, 8, 9, 11)
    },
    "L08 unicast": six(IP6_A, udp(546, 547, dhcpv6(5)), IP6_V),
    "L09 from nobody": six("::", rs(), "ff02::2"),
    "L09 from its own": six(LL_A, rs(slla(MAC_A)), "ff02::2"),
    "L09 without option": six(LL_A, rs(), "ff02::2"),
    "L10 address": six("::", ns(IP6_A), solicited_node(IP6_A)),
    "L10 link-local": six("::", ns(LL_A), solicited_node(LL_A)),
    "L10 nonce": six("::", ns(IP6_A, NONCE), solicited_node(IP6_A)),
    **{
        f"L11 {source} {flags} to {dst}": six(source, na(source, tlla(MAC_A), **flags), dst)
        for source in (IP6_A, LL_A)
        for dst, flags in (
            (ALL6, {}),
            (ALL6, {"override": False}),
            (IP6_V, {"solicited": True}),
            (IP6_V, {"solicited": True, "override": False, "router": True}),
        )
    },
    "L11 another own target": six(LL_A, na(IP6_A, tlla(MAC_A))),
    "L12 bare": six(IP6_A, na(IP6_A, solicited=True), IP6_V),
    "L13 probe": six(LL_A, ns(IP6_V), IP6_V),
    "L13 probe with option": six(IP6_A, ns(IP6_V, slla(MAC_A)), IP6_V),
    "L13 to the group": six(IP6_A, ns(IP6_V, slla(MAC_A)), solicited_node(IP6_V)),
    **{
        f"L14 {name} from {source}": report6(message, source)
        for source in ("::", LL_A)
        for name, message in (
            ("MLDv2", build.mldv2_report("ff02::5", "ff02::1:ff00:a")),
            ("MLDv1", build.mld(131, "ff02::5")),
            ("done", build.mld(132, "ff02::5")),
        )
    },
    "L15 VIP request": frame(arp(MAC_A, IP4_VIP, target_ip=IP4_VIP)),
    "L15 VIP traffic": frame(ipv4(IP4_VIP, IP4_V, tcp(80, 1024))),
    "L16 routed": frame(ipv4("10.9.0.77", IP4_V, tcp(80, 1024))),
    "L16 routed IPv6": six("fd09::1234", tcp(80, 1024), IP6_V),
    "L17 from the virtual MAC": build.ethernet(
        MAC_VRRP,
        multicast_mac("224.0.0.18"),
        ipv4(IP4_A, "224.0.0.18", build.vrrp(7, IP4_VIP), ttl=255),
    ),
    "L17 ARP": frame(arp(MAC_VRRP, IP4_VIP, target_ip=IP4_VIP)),
    "L17 ARP, all virtual": frame(arp(MAC_VRRP, IP4_VIP, target_ip=IP4_VIP), src=MAC_VRRP),
    "L17 NA": six(LL_A, na(IP6_A, tlla(MAC_VRRP))),
    "L18 mDNS": group4("224.0.0.251", udp(5353, 5353)),
    "L18 SSDP": group4("239.255.255.250", udp(1900, 1900)),
    "L18 broadcast": frame(ipv4(IP4_A, ALL4, udp(9, 9))),
    "L18 subnet broadcast": frame(ipv4(IP4_A, "10.0.0.255", udp(137, 137))),
    "L18 mDNS in IPv6": six(LL_A, udp(5353, 5353), "ff02::fb"),
    "L18 LLMNR from the address": six(IP6_A, udp(5355, 5355), "ff02::1:3", 1),
    "L19 RARP": frame(rarp(MAC_A)),
    "L20 IGMPv3": report4(build.igmpv3_report("239.1.2.3"), IP4_A),
    "L20 IGMPv3 from zero": report4(build.igmpv3_report("239.1.2.3"), ZERO4),
    "L20 IGMPv2": report4(build.igmp(0x16, "239.1.2.3"), IP4_A, "239.1.2.3"),
    "L20 IGMPv2 from zero": report4(build.igmp(0x16, "239.1.2.3"), ZERO4, "239.1.2.3"),
    "L20 leave": report4(build.igmp(0x17, "239.1.2.3"), IP4_A, "224.0.0.2"),
    "L22 ARP": pad(frame(arp(MAC_A, IP4_A))),
    "L22 ARP, junk": pad(frame(arp(MAC_A, IP4_A)), 60, 0xAA),
    "L22 RARP": pad(frame(rarp(MAC_A)), 60, 0xAA),
    "L22 IPv4": pad(frame(ipv4(IP4_A, IP4_V, b"")), 60, 0xAA),
    "L22 ND": pad(six(LL_A, rs(), "ff02::2"), 90, 0xAA),
    "L22 DHCP": pad(frame(discovers()), 600, 0x52),
    **{
        f"L23 IPv{number} {place}": frame(packet, MAC_V)
        for number, addresses in ((4, (IP4_A, IP4_V)), (6, (IP6_A, IP6_V)))
        for place, packet in enumerate(build.fragments(*addresses, BIG))
    },
    "L24 too big": frame(ipv4(IP4_A, IP4_V, icmpv4(3, 4, bytes(4) + EXPIRY))),
    "L24 time exceeded": frame(ipv4(IP4_A, IP4_V, icmpv4(11, 0, bytes(4) + EXPIRY))),
    **{
        f"L24 ICMPv6 {kind}": six(IP6_A, icmpv6(kind, 0, bytes(48)), IP6_V) for kind in (1, 2, 3, 4)
    },
    "L26 TSO": frame(ipv4(IP4_A, IP4_V, tcp(80, 1024, bytes(65000), checksum=0x1234)), MAC_V),
    "L26 TSO in IPv6": six(IP6_A, tcp(80, 1024, bytes(65000), checksum=0x1234), IP6_V),
}


@pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)
@pytest.mark.parametrize("legal", LEGAL.values(), ids=LEGAL)
def test_group_k(legal: bytes, policy: PortPolicy) -> None:
    assert said(policy, legal) is None, describe(legal)


HEARING = replace(STRICT, macs=frozenset({MAC_V}))


@pytest.mark.parametrize("legal", LEGAL.values(), ids=LEGAL)
def test_what_one_port_may_send_another_may_hear(legal: bytes) -> None:
    to_neighbour = legal if legal[0] & 1 else MAC_V.octets + legal[6:]
    assert said(HEARING, to_neighbour, Direction.TO_GUEST) is None, describe(legal)


def test_l24_errors_come_in_from_any_router() -> None:
    too_big = icmpv6(2, 0, bytes(48))
    assert said(STRICT, frame(ipv6("2001:db8::ffff", IP6_A, too_big), MAC_A, MAC_G), _TO) is None
    unreachable = icmpv4(3, 4, bytes(4) + EXPIRY)
    assert said(STRICT, frame(ipv4("192.0.2.1", IP4_A, unreachable), MAC_A, MAC_G), _TO) is None


_TO = Direction.TO_GUEST


def test_l21_a_listed_tag_passes() -> None:
    trunk = replace(STRICT, ethertypes=frozenset({0x8100}))
    assert said(trunk, frame(build.vlan(arp(MAC_A, IP4_A), 100))) is None
    assert said(trunk, frame(arp(MAC_A, IP4_A)), tag=Tag(0x8100, 100)) is None


def test_l27_ports_with_roles_serve() -> None:
    server = replace(STRICT, roles=frozenset(Role))
    offer = ipv4(IP4_A, ALL4, udp(67, 68, dhcpv4(MAC_V, 2, op=2, yiaddr=IP4_V)))
    reply = six(LL_A, udp(547, 546, dhcpv6(7)), IP6_V)
    advertisement = six(LL_A, build.ra(slla(MAC_A)))
    for sent in (frame(offer), reply, advertisement):
        assert said(server, sent) is None


def test_a_request_may_know_nobody_yet() -> None:
    """An Ethernet request with its target's hardware address zero, and one with it known."""
    for target in (ZERO_MAC, MAC_G):
        assert said(STRICT, frame(arp(MAC_A, IP4_A, target_ip=IP4_G, target_mac=target))) is None
