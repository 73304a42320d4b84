"""Laws of the reference, over frames and policies of the tiny world and over junk."""

from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address
from random import Random

from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.property import strategies as tiny

from vifguard.model.address import Mac
from vifguard.model.guard import Guard, LinkLocal, with_implied
from vifguard.model.policy import Storm
from vifguard.model.verdict import PASS, Action, Direction, Reason, Verdict
from vifguard.packet import build
from vifguard.packet.arp import Arp
from vifguard.packet.describe import describe
from vifguard.packet.frame import parse
from vifguard.packet.ip4 import IPv4
from vifguard.packet.ip6 import IPv6
from vifguard.packet.link import IPV4, IPV6, Tag
from vifguard.packet.offload import NO_OFFLOAD
from vifguard.packet.transport import Udp
from vifguard.semantics.storm import Bucket, draw
from vifguard.semantics.verdict import judge, verdict

DIRECTIONS = st.sampled_from(Direction)
ANYTHING = st.one_of(tiny.frames(), tiny.frames(), st.binary(max_size=300))
MANY = settings(max_examples=500)


@MANY
@given(ANYTHING, tiny.policies(), DIRECTIONS, tiny.tags(), tiny.offloads(), st.integers(0, 2**63))
@example(b"", tiny.policy_of(b""), Direction.FROM_GUEST, None, NO_OFFLOAD, 0)
def test_law_6_any_bytes_have_a_verdict(data, policy, direction, tag, offload, now) -> None:
    frame = parse(data, tag=tag, offload=offload)
    told, after = judge(policy, direction, frame, now=now, bucket=Bucket())
    assert isinstance(told, Verdict)
    assert isinstance(after, Bucket)
    assert (told.action is Action.PASS) == (told.reason is None)
    if told.reason is Reason.HELD_CLOSED:
        assert told.guard is None
    elif told.reason is not None:
        assert told.guard is Guard.HOST or told.guard in policy.guards
    line = str(told)
    assert line.isprintable()
    assert line.isascii()


@MANY
@given(ANYTHING, tiny.tags())
def test_any_bytes_have_a_line(data: bytes, tag: Tag | None) -> None:
    line = describe(data, tag=tag)
    assert line
    assert line.isprintable()
    assert line.isascii()


@MANY
@given(ANYTHING, tiny.policies(), DIRECTIONS, tiny.tags())
def test_a_verdict_is_a_function(data, policy, direction, tag) -> None:
    once = verdict(policy, direction, data, tag=tag)
    assert verdict(policy, direction, bytes(data), tag=tag) == once
    assert verdict(policy, direction, parse(data, tag=tag)) == once


@MANY
@given(
    ANYTHING,
    tiny.policies(),
    tiny.guard_sets(),
    DIRECTIONS,
    tiny.offloads(),
    st.booleans(),
)
def test_law_2_more_guards_never_pass_more(data, policy, more, direction, offload, closed) -> None:
    larger = policy.guards | more
    if closed:
        policy = replace(policy, guards=with_implied(policy.guards))
        larger = with_implied(policy.guards | more)
    frame = parse(data, offload=offload)
    few = verdict(policy, direction, frame, bucket=Bucket())
    many = verdict(replace(policy, guards=larger), direction, frame, bucket=Bucket())
    if few is not PASS:
        assert many is not PASS


@MANY
@given(ANYTHING, tiny.policies(), DIRECTIONS)
def test_law_1_less_owned_never_passes_more(data, policy, direction) -> None:
    nothing = replace(
        policy,
        macs=frozenset(),
        prefixes=frozenset(),
        learned=frozenset(),
        link_local=LinkLocal.NONE,
        roles=frozenset(),
        ethertypes=frozenset(),
    )
    if verdict(policy, direction, data) is not PASS:
        assert verdict(nothing, direction, data) is not PASS


@MANY
@given(tiny.frames(), tiny.policies())
def test_law_1_who_owns_no_mac_sends_nothing(data, policy) -> None:
    guarded = replace(policy, guards=policy.guards | {Guard.MAC}, macs=frozenset())
    assert verdict(guarded, Direction.FROM_GUEST, data) is not PASS


@MANY
@given(tiny.frames(), tiny.policies())
def test_law_1_who_owns_no_address_sends_from_none(data, policy) -> None:
    guarded = replace(
        policy,
        guards=with_implied(policy.guards | {Guard.IP}),
        prefixes=frozenset(),
        learned=frozenset(),
        link_local=LinkLocal.NONE,
    )
    if verdict(guarded, Direction.FROM_GUEST, data) is PASS:
        packet = parse(data).body
        if isinstance(packet, IPv4 | IPv6):
            assert int(packet.src) == 0
        if isinstance(packet, Arp):
            assert int(packet.sender_ip) == 0


@MANY
@given(tiny.frames(), tiny.policies(), DIRECTIONS, st.binary(min_size=1, max_size=80))
def test_padding_changes_nothing(data, policy, direction, padding) -> None:
    frame = parse(data)
    if isinstance(frame.body, IPv4 | IPv6):
        padded = data + padding
    elif isinstance(frame.body, Arp) and len(data) <= 60:
        padded = (data + padding)[:60]
    else:
        return
    assert parse(padded).body == frame.body
    assert verdict(policy, direction, padded) == verdict(policy, direction, data)


@MANY
@given(tiny.frames(), tiny.policies(), tiny.macs())
def test_what_the_mac_guard_passes_came_from_the_ports_mac(data, policy, src) -> None:
    moved = data[:6] + src.octets + data[12:]
    guarded = replace(policy, guards=policy.guards | {Guard.MAC})
    if verdict(guarded, Direction.FROM_GUEST, moved) is PASS:
        assert src in policy.macs


@MANY
@given(tiny.frames(), tiny.policies())
def test_checksums_are_not_judged(data, policy) -> None:
    frame = parse(data)
    if frame.ethertype == IPV4 and isinstance(frame.body, IPv4):
        flipped = data[:24] + bytes((data[24] ^ 0xFF, data[25] ^ 0xFF)) + data[26:]
        assert verdict(policy, Direction.FROM_GUEST, flipped) == verdict(
            policy, Direction.FROM_GUEST, data
        )
    elif frame.ethertype == IPV6 and isinstance(frame.body, IPv6):
        assert frame.body.size <= len(data) - 14


def test_the_tiny_world_reaches_every_reason() -> None:
    """A strategy that never comes near a rule would prove nothing of it.

    The reasons of `groups`, from 110 on, are those of frames that came before.
    """
    dice, seen = Random(1), set()
    for _ in range(20_000):
        policy = tiny.policy_of(dice.randbytes(40))
        frame = tiny.frame_of(dice.randbytes(tiny.TAPE))
        direction = dice.choice(tuple(Direction))
        offload = tiny.offload_of(dice.randbytes(8))
        parsed = parse(frame, offload=offload)
        seen.add(verdict(policy, direction, parsed, bucket=Bucket()).reason)
    single = {reason for reason in Reason if reason < Reason.NOT_ALLOWED}
    # Two that a kernel alone comes to: an interface nobody spoke of, and no memory left.
    assert seen == {None, *single} - {Reason.NO_POLICY, Reason.NO_MEMORY}


ADDRESSES4 = st.integers(1, 2**32 - 1).map(IPv4Address)
ADDRESSES6 = st.integers(1, 2**128 - 1).map(IPv6Address)
PORTS = st.sampled_from((0, 1, 53, 5353, 65535))
MACS = st.binary(min_size=6, max_size=6).map(Mac)


@given(ADDRESSES4, ADDRESSES4, PORTS, PORTS, st.binary(max_size=64), st.integers(0, 255))
def test_what_is_built_is_read_in_ipv4(src, dst, sport, dport, payload, ttl) -> None:
    packet = build.ipv4(src, dst, build.udp(sport, dport, payload), ttl=ttl)
    read = parse(build.ethernet(tiny.MAC, tiny.OTHER_MAC, packet)).body
    assert isinstance(read, IPv4)
    assert (read.src, read.dst, read.ttl) == (src, dst, ttl)
    assert read.upper == Udp(sport, dport, 8 + len(payload), payload)


@given(ADDRESSES6, ADDRESSES6, PORTS, PORTS, st.binary(max_size=64), st.integers(0, 7))
def test_what_is_built_is_read_in_ipv6(src, dst, sport, dport, payload, depth) -> None:
    chain = build.udp(sport, dport, payload)
    for _ in range(depth):
        chain = build.destination_options(chain)
    packet = build.ipv6(src, dst, build.hop_by_hop(chain))
    read = parse(build.ethernet(tiny.MAC, tiny.OTHER_MAC, packet)).body
    assert isinstance(read, IPv6)
    assert (read.src, read.dst, len(read.extensions)) == (src, dst, depth + 1)
    assert read.upper == Udp(sport, dport, 8 + len(payload), payload)


@given(MACS, ADDRESSES4, MACS, ADDRESSES4, st.integers(0, 65535))
def test_what_is_built_is_read_in_arp(sha, spa, tha, tpa, op) -> None:
    packet = build.arp(sha, spa, target_mac=tha, target_ip=tpa, op=op)
    read = parse(build.ethernet(tiny.MAC, tiny.OTHER_MAC, packet)).body
    assert read == Arp(op, sha, spa, tha, tpa)


@given(
    st.integers(1, 2000),
    st.integers(0, 50),
    st.lists(st.integers(0, 10**9), min_size=1, max_size=60),
)
def test_no_second_passes_more_than_the_rate_and_the_burst(rate, burst, gaps) -> None:
    bucket, now, passed = Bucket(), 0, []
    for gap in gaps:
        now += gap
        told, bucket = draw(Storm(rate, burst), bucket, now)
        if told is PASS:
            passed.append(now)
    interval = 10**9 // rate
    for place, start in enumerate(passed):
        window = [at for at in passed[place:] if at <= start + 10**9]
        assert len(window) <= burst + 10**9 // interval
