"""One line for any frame, safe on a terminal."""

import pytest

from vifguard.packet import build
from vifguard.packet.describe import describe, describe_cut
from vifguard.packet.link import Tag

MAC, OTHER = "02:00:00:00:00:0a", "02:00:00:00:00:0b"
UDP = build.udp(1, 2, b"abc")


@pytest.mark.parametrize(
    ("piece", "line"),
    [
        (b"ab\n\x1b[31m", "type 0x88b5 8 octets"),
        (
            build.arp(MAC, "10.0.0.5", target_ip="10.0.0.6"),
            f"ARP who has 10.0.0.6, 10.0.0.5 is {MAC}",
        ),
        (
            build.arp(MAC, "10.0.0.5", target_ip="10.0.0.6", target_mac=OTHER, op=2),
            f"ARP 10.0.0.5 is {MAC}, to 10.0.0.6 {OTHER}",
        ),
        (build.rarp(MAC), f"RARP op 3 0.0.0.0 is {MAC}, to 0.0.0.0 {MAC}"),
        (
            build.vlan(build.vlan(b"ab", 7), 0),
            "tag 0x8100 vid 0 tag 0x8100 vid 7 type 0x88b5 2 octets",
        ),
        (build.llc(b"ab"), "LLC 42 42 03 2 octets"),
        (
            build.snap(build.arp(MAC, "10.0.0.5")),
            f"SNAP 000000 ARP who has 0.0.0.0, 10.0.0.5 is {MAC}",
        ),
        (build.ipv4("10.0.0.5", "10.0.0.6", UDP), "IPv4 10.0.0.5 > 10.0.0.6 UDP 1 > 2 3 octets"),
        (
            build.ipv4("10.0.0.5", "10.0.0.6", UDP, offset=185, more_fragments=True, ident=9),
            (
                "IPv4 10.0.0.5 > 10.0.0.6 fragment 9 at 1480+ protocol 17 "
                "11 octets of a later fragment"
            ),
        ),
        (
            build.ipv4(
                "10.0.0.5", "10.0.0.6", build.tcp(1, 2, flags=0x12), options=b"\x07\x03\x04"
            ),
            "IPv4 10.0.0.5 > 10.0.0.6 options TCP 1 > 2 [SA] 0 octets",
        ),
        (
            build.ipv4("10.0.0.5", "10.0.0.6", UDP, version=5),
            "type 0x0800 unreadable: version 5 in an IPv4 header",
        ),
        (
            build.ipv4("10.0.0.5", "224.0.0.22", build.igmpv3_report("239.1.2.3")),
            "IPv4 10.0.0.5 > 224.0.0.22 IGMP v3 report 239.1.2.3",
        ),
        (
            build.ipv4("10.0.0.5", "10.0.0.6", build.icmpv4(5, 1)),
            "IPv4 10.0.0.5 > 10.0.0.6 ICMP redirect code 1",
        ),
        (
            build.ipv4("0.0.0.0", "255.255.255.255", build.udp(68, 67, build.dhcpv4(MAC))),
            f"IPv4 0.0.0.0 > 255.255.255.255 UDP 68 > 67 DHCP discover for {MAC}",
        ),
        (
            build.ipv6("fd00::5", "fd00::6", build.hop_by_hop(build.fragment(UDP, ident=7))),
            "IPv6 fd00::5 > fd00::6 hop-by-hop fragment 7 at 0 UDP 1 > 2 3 octets",
        ),
        (
            build.ipv6("fd00::5", "fd00::6", build.Layer(b"ab", 17)),
            "IPv6 fd00::5 > fd00::6 protocol 17 unreadable: UDP is shorter than 8 octets",
        ),
        (
            build.ipv6("fd00::5", "ff02::1", build.na("fd00::5", build.tlla(MAC))),
            f"IPv6 fd00::5 > ff02::1 ICMPv6 neighbour advertisement fd00::5 is {MAC}",
        ),
        (
            build.ipv6("fe80::1", "fd00::6", build.redirect("fe80::1", "fd00::9")),
            "IPv6 fe80::1 > fd00::6 ICMPv6 redirect fe80::1 for fd00::9",
        ),
        (
            build.ipv6("fd00::5", "ff02::1", build.ns("fd00::5", b"\x01\x00")),
            (
                "IPv6 fd00::5 > ff02::1 ICMPv6 neighbour solicitation fd00::5 "
                "unreadable: an option of 0 octets"
            ),
        ),
        (
            build.ipv6("::", "ff02::16", build.mldv2_report(*[f"ff02::{n}" for n in range(1, 5)])),
            "IPv6 :: > ff02::16 ICMPv6 MLDv2 report ff02::1 ff02::2 ff02::3 ...",
        ),
        (
            build.ipv6("fe80::1", "ff02::1:2", build.udp(546, 547, build.dhcpv6(1))),
            "IPv6 fe80::1 > ff02::1:2 UDP 546 > 547 DHCPv6 solicit",
        ),
        (
            build.ipv6("fe80::1", "ff02::1:2", build.udp(546, 547, build.dhcpv6(99))),
            "IPv6 fe80::1 > ff02::1:2 UDP 546 > 547 DHCPv6 type 99",
        ),
    ],
)
def test_a_frame_in_a_line(piece: build.Payload, line: str) -> None:
    assert describe(build.ethernet(MAC, OTHER, piece)) == f"{MAC} > {OTHER} {line}"


def test_a_runt_and_a_tag_that_is_off() -> None:
    assert describe(b"ab\n") == "3 octets, unreadable: shorter than an Ethernet header"
    frame = build.ethernet(MAC, OTHER, b"ab")
    assert (
        describe(frame, tag=Tag(0x8100, 9))
        == f"{MAC} > {OTHER} tag 0x8100 vid 9 type 0x88b5 2 octets"
    )


def test_what_a_record_has_no_more_of_is_said_to_be_cut() -> None:
    offer = build.ipv4("10.0.0.5", "10.0.0.6", build.udp(67, 68, build.dhcpv4(MAC, 2)))
    frame = build.ethernet(MAC, OTHER, offer)
    known = f"{MAC} > {OTHER} IPv4 10.0.0.5 > 10.0.0.6 UDP 67 > 68 "
    assert describe(frame).startswith(f"{known}DHCP offer")
    assert describe_cut(frame[:128], len(frame)) == f"{known}cut at 128 octets"
    assert describe_cut(frame, len(frame)) == describe(frame)


def test_what_is_seen_in_the_octets_that_a_record_has_is_said() -> None:
    long = build.ethernet(MAC, OTHER, build.ipv4("10.0.0.5", "10.0.0.6", bytes(900), version=5))
    assert "version 5 in an IPv4 header" in describe_cut(long[:128], len(long))
    plain = build.ethernet(
        MAC, OTHER, build.ipv4("10.0.0.5", "10.0.0.6", build.udp(1, 2, bytes(900)))
    )
    assert describe_cut(plain[:128], len(plain)) == describe(plain)
