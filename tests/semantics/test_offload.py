"""What may be left to be done to a frame: a checksum where it belongs, segments of a stream."""

import pytest
from tests.semantics.world import (
    ALL4,
    ALL6,
    BROADCAST,
    IP4_A,
    IP4_V,
    IP6_A,
    IP6_V,
    LL_A,
    MAC_A,
    MAC_V,
    OFF,
    ROUTER,
    STRICT,
    ZERO4,
    frame,
    said,
)

from vifguard.model.verdict import Direction, Reason
from vifguard.packet import build
from vifguard.packet.frame import parse
from vifguard.packet.link import Tag
from vifguard.packet.offload import Offload, PartialChecksum
from vifguard.semantics.verdict import verdict

PROFILES = (STRICT, ROUTER, OFF)
TCP = build.tcp(1, 2, payload=bytes(100))
UDP = build.udp(1, 4789, bytes(100))
SCTP = build.Layer(bytes(12) + bytes(16), 132)
DHCP = build.udp(68, 67, build.dhcpv4(MAC_A))
DHCP6 = build.udp(546, 547, build.dhcpv6(1))


def in4(inner: build.Payload, **fields) -> bytes:
    return frame(build.ipv4(IP4_A, IP4_V, inner, **fields), MAC_V)


def in6(inner: build.Payload) -> bytes:
    return frame(build.ipv6(IP6_A, IP6_V, inner), MAC_V)


def left(data: bytes, start: int, offset: int, *, crc: bool = False, tag: Tag | None = None):
    return parse(data, tag=tag, offload=Offload(PartialChecksum(start, offset, crc)))


BELONGS = {
    "tcp4": (in4(TCP), 34, 16),
    "udp4": (in4(UDP), 34, 6),
    "tcp6": (in6(TCP), 54, 16),
    "udp6": (in6(UDP), 54, 6),
    "tcp4 behind options": (in4(TCP, options=build.router_alert4()), 38, 16),
    "tcp6 behind an extension header": (in6(build.destination_options(TCP)), 62, 16),
    "dhcp4": (
        frame(build.ipv4(ZERO4, ALL4, DHCP), BROADCAST),
        34,
        6,
    ),
    "dhcp6": (frame(build.ipv6(LL_A, "ff02::1:2", DHCP6), "33:33:00:01:00:02"), 54, 6),
    "carried by udp": (in4(UDP), 34 + 8 + 8 + 14 + 20, 16),
    "carried by udp, at once": (in6(UDP), 62, 0),
    "carried by gre": (in4(build.Layer(bytes(60), 47)), 34 + 4 + 20, 6),
    "carried by ipv4": (in4(build.Layer(bytes(60), 4)), 54, 16),
    "carried by ipv6": (in6(build.destination_options(build.Layer(bytes(60), 41))), 62, 0),
}

ELSEWHERE = {
    "arp sender": (frame(build.arp(MAC_A, IP4_A)), 20, 10),
    "arp padding": (frame(build.arp(MAC_A, IP4_A)) + bytes(18), 44, 2),
    "ethernet source": (in4(TCP), 0, 10),
    "ipv4 source": (in4(UDP), 20, 8),
    "ipv6 source": (in6(UDP), 22, 4),
    "icmpv6 type": (in6(build.icmpv6(128, 0, bytes(12))), 40, 14),
    "icmpv6 checksum": (in6(build.icmpv6(128, 0, bytes(12))), 54, 2),
    "icmp checksum": (in4(build.icmpv4(8, 0, bytes(12))), 34, 2),
    "igmp": (in4(build.igmp(0x16, "224.1.2.3")), 34, 2),
    "udp port": (in4(UDP), 34, 2),
    "udp, as tcp": (in4(build.udp(1, 68, bytes(100))), 34, 16),
    "tcp, as udp": (in4(TCP), 34, 6),
    "tcp flags": (in4(TCP), 34, 12),
    "tcp checksum, summed from before": (in4(TCP), 30, 20),
    "tcp payload": (in4(TCP), 60, 0),
    "dhcp hardware address": (frame(build.ipv4(ZERO4, ALL4, DHCP), BROADCAST), 50, 20),
    "dhcp6 message": (frame(build.ipv6(LL_A, "ff02::1:2", DHCP6)), 62, 0),
    "dhcp4 server's message": (in4(build.udp(67, 5000, bytes(300))), 42, 0),
    "gre, from before": (in4(build.Layer(bytes(60), 47)), 30, 16),
    "esp": (in4(build.Layer(bytes(60), 50)), 54, 16),
    "vrrp": (in4(build.Layer(bytes(60), 112)), 34, 6),
    "first fragment": (in4(UDP, more_fragments=True), 34, 6),
    "later fragment": (in4(UDP, offset=10), 34, 6),
    "sctp, as an internet checksum": (in4(SCTP), 34, 8),
    "ipv4 that is malformed": (in4(TCP, total_length=10), 34, 16),
    "ipv6 that is unreadable": (in6(build.Layer(bytes(3), 60)), 54, 16),
    "rarp": (frame(build.rarp(MAC_A)), 44, 2),
}


@pytest.mark.parametrize("direction", Direction)
@pytest.mark.parametrize("name", BELONGS)
def test_a_checksum_where_it_belongs_passes(name, direction) -> None:
    for policy in PROFILES:
        to_guest = direction is Direction.TO_GUEST
        data, start, offset = BELONGS[name]
        data = (MAC_A.octets + data[6:]) if to_guest else data
        assert said(policy, left(data, start, offset), direction) is None


@pytest.mark.parametrize("direction", Direction)
@pytest.mark.parametrize("name", ELSEWHERE)
def test_a_checksum_anywhere_else_is_dropped_whatever_the_profile(name, direction) -> None:
    for policy in PROFILES:
        assert said(policy, left(*ELSEWHERE[name]), direction) is Reason.CHECKSUM_OFFLOAD


def test_every_other_place_of_a_tcp_segment_is_dropped() -> None:
    for start in range(120):
        for offset in range(60):
            passes = (start, offset) == (34, 16)
            reason = None if passes else Reason.CHECKSUM_OFFLOAD
            assert said(OFF, left(in4(TCP), start, offset)) is reason


@pytest.mark.parametrize("start", [0, 14, 17, 18, 38])
def test_behind_a_tag_all_is_the_guests(start: int) -> None:
    reason = None if start >= 18 else Reason.CHECKSUM_OFFLOAD
    trunk = frame(build.vlan(build.ipv4(IP4_V, IP4_A, TCP), 100))
    assert said(OFF, left(trunk, start, 16)) is reason
    assert said(OFF, left(in4(TCP), start, 16, tag=Tag(0x8100, 100))) is reason


def test_sctp_wants_its_own_sum_in_its_own_place() -> None:
    for data, header in ((in4(SCTP), 34), (in6(SCTP), 54)):
        assert said(STRICT, left(data, header, 8, crc=True)) is None
        for start, offset in ((header, 6), (header, 4), (header - 1, 9), (header + 4, 8)):
            dropped = said(OFF, left(data, start, offset, crc=True))
            assert dropped is Reason.CHECKSUM_OFFLOAD
    for data in (in4(UDP), in4(build.Layer(bytes(11), 132)), frame(b"", ethertype=0x88B5)):
        assert said(OFF, left(data, 34, 8, crc=True)) is Reason.CHECKSUM_OFFLOAD


@pytest.mark.parametrize("message", [DHCP, build.udp(1, 68), build.udp(67, 1)])
def test_a_dhcp_message_is_not_cut_into_several(message) -> None:
    for size in (1, 1448):
        whole = parse(in4(message), offload=Offload(gso_size=size))
        assert said(OFF, whole) is Reason.SEGMENTATION_OFFLOAD
        # To the guest nothing inside a message is judged.
        assert said(OFF, whole, Direction.TO_GUEST) is None


def test_streams_and_datagrams_are_cut() -> None:
    for inner in (TCP, UDP, SCTP, build.udp(546, 547)):
        assert said(STRICT, parse(in4(inner), offload=Offload(gso_size=100))) is None
    assert said(OFF, parse(in6(DHCP6), offload=Offload(gso_size=9))) is Reason.SEGMENTATION_OFFLOAD
    assert said(STRICT, parse(in6(build.udp(67, 68)), offload=Offload(gso_size=9))) is None


def test_a_drop_says_what_would_be_written() -> None:
    seen = verdict(STRICT, Direction.FROM_GUEST, left(*ELSEWHERE["arp sender"]))
    assert seen.object == "octets 30 to 31, summed from 20 on"


HUGE = bytes(70_000)


def big4(total_length: int = 0) -> bytes:
    return in4(build.Layer(build.tcp(1, 2).octets + HUGE, 6), total_length=total_length)


def big6(*, jumbo: bool) -> bytes:
    segment = build.Layer(build.tcp(1, 2).octets + HUGE, 6)
    if not jumbo:
        return frame(build.ipv6(IP6_A, IP6_V, segment, payload_length=0), MAC_V)
    option = b"\xc2\x04" + (len(segment.octets) + 8).to_bytes(4, "big")
    return frame(
        build.ipv6(IP6_A, IP6_V, build.extension(0, segment, option), payload_length=0), MAC_V
    )


@pytest.mark.parametrize("policy", [STRICT, ROUTER, OFF])
def test_a_packet_of_big_tcp_has_the_length_of_its_frame(policy) -> None:
    offload = Offload(PartialChecksum(34, 16), gso_size=1448)
    assert said(policy, parse(big4(), offload=offload)) is None
    for jumbo, header in ((False, 54), (True, 62)):
        offload = Offload(PartialChecksum(header, 16), gso_size=1428)
        assert said(policy, parse(big6(jumbo=jumbo), offload=offload)) is None


def test_without_segmentation_or_below_the_limit_no_length_is_a_lie() -> None:
    for data, reason in (
        (big4(), Reason.IPV4_MALFORMED),
        (big6(jumbo=True), Reason.IPV6_MALFORMED),
        (big6(jumbo=False), Reason.IPV6_MALFORMED),
    ):
        assert said(STRICT, parse(data)) is reason
        assert said(STRICT, parse(data[:65549], offload=Offload(gso_size=1448))) is reason
        assert said(STRICT, parse(data[:65550], offload=Offload(gso_size=1448))) is None


def test_what_big_tcp_carries_is_judged() -> None:
    forged = big4()[:26] + bytes((10, 0, 0, 77)) + big4()[30:]
    assert said(STRICT, parse(forged, offload=Offload(gso_size=1448))) is Reason.IPV4_SOURCE
    everyone = frame(build.ipv6(IP6_V, ALL6, build.tcp(1, 2)))[:14] + big6(jumbo=True)[14:22]
    everyone += build.ipv6(IP6_V, ALL6, b"").octets[8:40] + big6(jumbo=True)[54:]
    assert said(STRICT, parse(everyone, offload=Offload(gso_size=1428))) is Reason.IPV6_SOURCE
