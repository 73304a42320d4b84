"""The order of the guards, what a verdict tells, and the bucket of a storm."""

from dataclasses import replace

import pytest
from tests.semantics.world import (
    ALL4,
    BROADCAST,
    IP4_A,
    IP4_V,
    IP6_A,
    IP6_V,
    LL_V,
    MAC_A,
    MAC_V,
    OFF,
    STRICT,
    frame,
    said,
)

from vifguard.model.guard import SELECTABLE, Guard, Role
from vifguard.model.policy import Storm
from vifguard.model.verdict import PASS, Action, Direction, Reason, Verdict
from vifguard.packet import build
from vifguard.packet.frame import parse
from vifguard.packet.link import Tag
from vifguard.semantics.storm import Bucket
from vifguard.semantics.verdict import CHECKS, judge, verdict

FROM, TO = Direction.FROM_GUEST, Direction.TO_GUEST
UDP = build.udp(1, 1)
BROKEN4 = frame(build.ipv4(IP4_A, IP4_V, UDP, version=5))
BROKEN6 = frame(build.ipv6(IP6_A, IP6_V, UDP, version=5))
UNREADABLE4 = frame(build.ipv4(IP4_A, IP4_V, build.Layer(bytes(7), 17)))
UNREADABLE6 = frame(build.ipv6(IP6_A, IP6_V, build.Layer(bytes(7), 17)))

NEEDS = {
    BROKEN4: (Reason.IPV4_MALFORMED, "ethertype ip public-ip dhcp ra vrrp"),
    BROKEN6: (Reason.IPV6_MALFORMED, "ethertype mac nd ip public-ip dhcp ra vrrp"),
    UNREADABLE4: (Reason.HEADERS_UNREADABLE, "ip dhcp ra vrrp"),
    UNREADABLE6: (Reason.HEADERS_UNREADABLE, "mac nd ip dhcp ra vrrp"),
}


def named(policy, data, direction=FROM) -> Guard | None:
    return verdict(policy, direction, data).guard


@pytest.mark.parametrize("data", NEEDS)
@pytest.mark.parametrize("guard", sorted(SELECTABLE))
def test_whoever_needs_what_cannot_be_read_objects(data: bytes, guard: Guard) -> None:
    reason, needs = NEEDS[data]
    alone = replace(STRICT, guards=frozenset({guard}))
    assert said(alone, data) is (reason if guard in needs.split() else None)
    assert named(alone, data) == (guard if guard in needs.split() else None)
    heard = MAC_A.octets + data[6:]
    judged = guard is Guard.ETHERTYPE and guard in needs.split()
    assert said(alone, heard, TO) is (reason if judged else None)


@pytest.mark.parametrize("data", NEEDS)
def test_the_first_in_order_is_named(data: bytes) -> None:
    order = NEEDS[data][1].split()
    for place, first in enumerate(order):
        left = frozenset(Guard(name) for name in order[place:])
        assert named(replace(STRICT, guards=left), data) == first


def test_what_cannot_be_read_is_said_before_whose_it_is() -> None:
    only_mac = replace(STRICT, guards=frozenset({Guard.MAC}))
    for data in (BROKEN6, UNREADABLE6):
        foreign = data[:6] + MAC_V.octets + data[12:]
        assert said(only_mac, foreign) is NEEDS[data][0]


@pytest.mark.parametrize(
    ("role", "guard"), [(Role.DHCP_SERVER, Guard.DHCP), (Role.ROUTER_ADVERTISER, Guard.RA)]
)
@pytest.mark.parametrize("data", NEEDS)
def test_a_guard_that_a_role_lifts_says_nothing(data: bytes, role: Role, guard: Guard) -> None:
    lifted = replace(STRICT, guards=frozenset({guard}), roles=frozenset({role}))
    assert said(lifted, data) is None
    assert said(replace(lifted, roles=frozenset(Role) - {role}), data) is NEEDS[data][0]


def test_the_guards_stand_in_the_order_of_their_names() -> None:
    for checks in CHECKS.values():
        guards = [guard for guard, _ in checks]
        assert guards == [guard for guard in Guard if guard in guards]
    assert [guard for guard, _ in CHECKS[FROM]] == list(Guard)[:-2]


@pytest.mark.parametrize("direction", Direction)
@pytest.mark.parametrize("data", [b"", frame(build.arp(MAC_A, IP4_A)), b"\0" * 60])
def test_a_closed_port_passes_nothing(direction: Direction, data: bytes) -> None:
    closed = replace(OFF, closed="the network is down")
    told = verdict(closed, direction, data)
    assert told == Verdict(Action.DROP, None, Reason.HELD_CLOSED, "the network is down")
    assert str(told) == "drop closed/held-closed the network is down"


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"short", "drop host/runt 5 octets"),
        (frame(build.arp(MAC_A, IP4_A), src=MAC_V), f"drop mac/source-mac {MAC_V}"),
        (frame(build.arp(MAC_V, IP4_A)), f"drop mac/arp-sender-mac {MAC_V}"),
        (frame(build.arp(MAC_A, IP4_V)), f"drop arp/arp-sender-address {IP4_V}"),
        (frame(build.arp(MAC_A, IP4_A, op=9)), "drop arp/arp-shape op 9"),
        (frame(build.vlan(build.arp(MAC_A, IP4_A))), "drop ethertype/tagged 0x8100"),
        (frame(b"", ethertype=0x88CC), "drop host/control-ethertype 0x88cc"),
        (frame(build.ipv4(IP4_V, IP4_A, UDP)), f"drop ip/ipv4-source {IP4_V}"),
        (frame(build.ipv6(LL_V, IP6_V, UDP)), f"drop ip/ipv6-source {LL_V}"),
        (
            frame(build.ipv4(IP4_A, ALL4, build.udp(67, 68))),
            "drop dhcp/dhcp-role UDP 67 to 68",
        ),
        (BROKEN4, "drop ethertype/ipv4-malformed version 5 in an IPv4 header"),
        (UNREADABLE6, "drop mac/headers-unreadable UDP is shorter than 8 octets"),
        (frame(build.ipv4(IP4_A, IP4_V, UDP)), "pass"),
    ],
)
def test_a_verdict_names_who_why_and_the_offending_value(data: bytes, text: str) -> None:
    assert str(verdict(STRICT, FROM, data)) == text


def test_a_frame_may_be_given_parsed() -> None:
    data = frame(build.vlan(build.arp(MAC_V, IP4_A)))
    assert verdict(STRICT, FROM, parse(data)) == verdict(STRICT, FROM, data)
    taken_off = parse(frame(build.arp(MAC_A, IP4_A)), tag=Tag(0x88A8, 100))
    assert verdict(STRICT, FROM, taken_off).reason is Reason.TAGGED


# The storm guard.

SHOUT = frame(build.arp(MAC_A, IP4_A))
SECOND = 1_000_000_000


def shouts(storm: Storm, times: list[int], data: bytes = SHOUT) -> str:
    """What becomes of the frame at these times: one letter each."""
    policy, bucket, seen = replace(STRICT, storm=storm), Bucket(), ""
    for now in times:
        told, after = judge(policy, FROM, data, now=now, bucket=bucket)
        assert after is not None
        bucket = after
        seen += "p" if told is PASS else "D"
    return seen


@pytest.mark.parametrize("start", [0, 1, 10**18])
def test_the_bucket_starts_full_and_fills_at_the_rate(start: int) -> None:
    tenth = SECOND // 10
    assert shouts(Storm(10, 3), [start] * 5) == "pppDD"
    assert shouts(Storm(10, 3), [start] * 4 + [start + tenth - 1, start + tenth]) == "pppDDp"
    assert shouts(Storm(10, 1), [start + n * tenth for n in range(5)]) == "ppppp"
    assert shouts(Storm(10, 1), [start + n * (tenth - 1) for n in range(3)]) == "pDp"
    assert shouts(Storm(10, 2), [start] * 3 + [start + SECOND] * 3) == "ppDppD"


def test_law_1_no_rate_and_no_burst_is_nothing() -> None:
    assert shouts(Storm(0, 5), [0, SECOND]) == "DD"
    assert shouts(Storm(5, 0), [0, SECOND]) == "DD"
    assert shouts(Storm(0, 0), [0]) == "D"


def test_a_clock_that_goes_back_gives_no_tokens() -> None:
    assert shouts(Storm(1, 1), [5 * SECOND, 4 * SECOND, 6 * SECOND]) == "pDp"


def test_only_groups_count_and_only_what_passes_the_rest() -> None:
    nothing = replace(STRICT, storm=Storm(0, 0))
    whisper = frame(build.ipv4(IP4_A, IP4_V, UDP), MAC_V)
    assert shouts(Storm(0, 0), [0, 0], whisper) == "pp"
    forged = frame(build.arp(MAC_A, IP4_V))
    told, after = judge(nothing, FROM, forged, bucket=Bucket(7))
    assert (told.guard, after) == (Guard.ARP, Bucket(7))
    told, after = judge(nothing, FROM, SHOUT, bucket=Bucket(7))
    assert (told.guard, told.reason, after) == (Guard.STORM, Reason.STORM_RATE, Bucket(7))
    opaque = frame(b"", BROADCAST, ethertype=0x88B5)
    listed = replace(nothing, ethertypes=frozenset({0x88B5}))
    assert said(listed, opaque, bucket=Bucket()) is Reason.STORM_RATE


def test_storm_is_silent_where_it_is_off_to_the_guest_and_without_a_bucket() -> None:
    nothing = replace(STRICT, storm=Storm(0, 0))
    heard = frame(build.arp(MAC_V, IP4_V), src=MAC_V)
    assert judge(nothing, TO, heard, bucket=Bucket()) == (PASS, Bucket())
    off = replace(nothing, guards=nothing.guards - {Guard.STORM})
    assert judge(off, FROM, SHOUT, bucket=Bucket()) == (PASS, Bucket())
    assert judge(nothing, FROM, SHOUT) == (PASS, None)
