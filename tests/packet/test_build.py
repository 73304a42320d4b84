"""Constructors: what they make is what tcpdump calls correct, and every field may lie."""

import struct
from ipaddress import IPv4Address, IPv6Address

import pytest

from vifguard.packet import build

MAC, OTHER = "02:00:00:00:00:0a", "02:00:00:00:00:0b"


def folded(octets: bytes) -> int:
    total = sum(struct.unpack(f"!{(len(octets) + 1) // 2}H", octets + bytes(len(octets) % 2)))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return total


@pytest.mark.parametrize("octets", [b"", b"\x00\x00", b"\xff\xff", b"\xff", bytes(range(255))])
def test_a_checksum_complements_the_sum(octets: bytes) -> None:
    assert build.internet_checksum(octets) == 0xFFFF - folded(octets)


@pytest.mark.parametrize("piece", [build.udp(1, 2, b"abc"), build.tcp(1, 2, b"abcd")])
def test_checksums_cover_the_pseudo_header_of_ipv4(piece: build.Layer) -> None:
    packet = build.ipv4("10.0.0.5", "10.0.0.6", piece).octets
    upper = packet[20:]
    pseudo = packet[12:20] + bytes((0, piece.number)) + len(upper).to_bytes(2, "big")
    assert folded(pseudo + upper) == 0xFFFF
    assert folded(packet[:20]) == 0xFFFF


@pytest.mark.parametrize(
    "piece", [build.udp(1, 2, b"abc"), build.tcp(1, 2), build.ns("fd00::1", build.slla(MAC))]
)
def test_checksums_cover_the_pseudo_header_of_ipv6_behind_any_headers(piece: build.Layer) -> None:
    wrapped = build.hop_by_hop(build.destination_options(build.fragment(piece)))
    packet = build.ipv6("fd00::5", "fd00::6", wrapped).octets
    upper = packet[40 + 24 :]
    pseudo = packet[8:40] + len(upper).to_bytes(4, "big") + bytes((0, 0, 0, piece.number))
    assert folded(pseudo + upper) == 0xFFFF
    assert (packet[6], packet[40], packet[48], packet[56]) == (0, 60, 44, piece.number)


def test_fragments_carry_the_whole_datagram() -> None:
    datagram = build.udp(5000, 5001, bytes(3000))
    four = build.fragments("10.0.0.5", "10.0.0.6", datagram)
    assert b"".join(p.octets[20:] for p in four)[8:] == bytes(3000)
    assert [p.octets[6:8].hex() for p in four] == ["2000", "20af", "015e"]
    six = build.fragments("fd00::5", "fd00::6", datagram)
    assert b"".join(p.octets[48:] for p in six)[8:] == bytes(3000)
    assert [p.octets[42:44].hex() for p in six] == ["0001", "0579", "0af0"]


def test_groups_have_their_addresses() -> None:
    assert str(build.multicast_mac("224.0.0.251")) == "01:00:5e:00:00:fb"
    assert str(build.multicast_mac("239.255.1.2")) == "01:00:5e:7f:01:02"
    assert str(build.multicast_mac("ff02::1:ff00:5")) == "33:33:ff:00:00:05"
    assert str(build.multicast_mac(IPv6Address("ff02::fb"))) == "33:33:00:00:00:fb"
    assert str(build.multicast_mac(IPv4Address("224.0.0.1"))) == "01:00:5e:00:00:01"
    assert str(build.solicited_node("fd00::a:b:c")) == "ff02::1:ff0b:c"


def test_every_layer_announces_what_is_inside() -> None:
    frame = build.ethernet(MAC, OTHER, build.vlan(build.snap(build.arp(MAC, "10.0.0.5")), 7))
    assert frame.hex(" ", 1) == (
        "02 00 00 00 00 0b 02 00 00 00 00 0a 81 00 00 07 00 24 aa aa 03 00 00 00 08 06 "
        "00 01 08 00 06 04 00 01 02 00 00 00 00 0a 0a 00 00 05 00 00 00 00 00 00 00 00 00 00"
    )


def test_every_length_and_sum_may_lie() -> None:
    packet = build.ipv4(
        "10.0.0.5",
        "10.0.0.6",
        build.udp(68, 67, length=3, checksum=0),
        version=7,
        ihl=4,
        total_length=9,
        checksum=1,
        protocol=6,
    ).octets
    assert packet.hex() == "740000090000000040060001" + "0a0000050a000006" + "0044004300030000"
    short = build.ipv6("::", "ff02::2", build.rs(checksum=5), payload_length=0, version=4)
    assert short.octets[:8].hex() == "4000000000003a40"
    assert build.rarp(MAC, op=4).number == 0x8035
    assert len(build.pad(build.ethernet(MAC, OTHER, build.arp(MAC, "10.0.0.5")))) == 60


@pytest.mark.parametrize("call", [build.ipv4, build.ipv6])
def test_an_address_of_the_other_family_is_refused(call) -> None:
    with pytest.raises((TypeError, ValueError), match="is not"):
        call("fd00::5" if call is build.ipv4 else IPv4Address(1), "10.0.0.1")
