"""What the programs say of frames: every guard's refusals, each beside what must pass."""

import pytest
from tests.enforce.driver_ports import hold_one
from tests.enforce.guard_frames import (
    ALL,
    DATA,
    FROM_GUEST,
    IP6_V,
    IP_A,
    IP_V,
    TO_GUEST,
    A,
    V,
    out,
    raw,
)

from vifguard.model.address import Mac, parse_address, parse_network, parse_prefix
from vifguard.model.guard import ALWAYS, GUARDS_OF, SELECTABLE, LinkLocal, Profile, Role
from vifguard.model.policy import Storm
from vifguard.model.verdict import Direction
from vifguard.packet.build import (
    arp,
    ethernet,
    icmpv4,
    icmpv6,
    ipv4,
    ipv6,
    pad,
    tcp,
    vlan,
)

pytestmark = pytest.mark.kernel


@pytest.fixture
def private(shared_private):
    return shared_private


def said(driver, direction, frame):
    drop = driver.test(direction, frame)
    if drop is None:
        return ""
    guard = drop.guard.value if drop.guard else "closed"
    return f"{guard}/{drop.reason.name.lower().replace('_', '-')}"


@pytest.mark.parametrize(
    ("direction", "frames"),
    [(Direction.FROM_GUEST, FROM_GUEST), (Direction.TO_GUEST, TO_GUEST)],
    ids=["from the guest", "to the guest"],
)
def test_strict(private, direction, frames):
    hold_one(private)
    verdicts = {name: said(private, direction, frame) for name, (frame, _) in frames.items()}
    assert verdicts == {name: expected for name, (_, expected) in frames.items()}


def test_without_guards_only_the_host_is_protected(private):
    hold_one(private, guards=frozenset())
    for direction, frames in ((Direction.FROM_GUEST, FROM_GUEST), (Direction.TO_GUEST, TO_GUEST)):
        for name, (frame, expected) in frames.items():
            wanted = expected if expected.startswith("host/") else ""
            assert (name, said(private, direction, frame)) == (name, wanted)


@pytest.mark.parametrize("guard", sorted(SELECTABLE | ALWAYS))
def test_each_guard_alone_says_what_it_says_among_all(private, guard):
    """What a guard was the first to object to, it objects to without the others."""
    hold_one(private, guards=frozenset({guard}))
    for name, (frame, expected) in FROM_GUEST.items():
        verdict = said(private, Direction.FROM_GUEST, frame)
        if expected.startswith((f"{guard.value}/", "host/")):
            assert (name, verdict) == (name, expected)
        elif not expected:
            assert (name, verdict) == (name, "")
        else:
            assert (name, verdict.partition("/")[0] in ("", guard.value)) == (name, True)


def test_no_policy_passes_nothing(private):
    for direction, (frame, _) in (
        (Direction.FROM_GUEST, FROM_GUEST["own udp"]),
        (Direction.TO_GUEST, TO_GUEST["to the guest"]),
    ):
        assert said(private, direction, frame) == "closed/no-policy"


def test_a_closed_port_passes_nothing(private):
    hold_one(private, closed="for a reason")
    for direction, (frame, _) in (
        (Direction.FROM_GUEST, FROM_GUEST["own udp"]),
        (Direction.TO_GUEST, TO_GUEST["to the guest"]),
    ):
        assert said(private, direction, frame) == "closed/held-closed"


def test_empty_is_never_any(private):
    hold_one(private, macs=frozenset(), prefixes=frozenset())
    assert said(private, Direction.FROM_GUEST, FROM_GUEST["own udp"][0]) == "mac/source-mac"
    assert said(private, Direction.TO_GUEST, TO_GUEST["to the guest"][0]) == "mac/destination-mac"
    hold_one(private, prefixes=frozenset(), link_local=LinkLocal.NONE)
    for name in ("own udp", "own ping", "own tcp", "own first fragment"):
        assert said(private, Direction.FROM_GUEST, FROM_GUEST[name][0]) == "ip/ipv4-source"
    assert said(private, Direction.FROM_GUEST, FROM_GUEST["own udp6"][0]) == "ip/ipv6-source"
    assert said(private, Direction.FROM_GUEST, FROM_GUEST["own link-local"][0]) == "ip/ipv6-source"


def test_prefixes_and_many_addresses(private):
    many = [parse_prefix(f"10.8.{i >> 8}.{i & 255}") for i in range(1000)]
    many += [parse_prefix(f"fd00:8::{i:x}") for i in range(1000)]
    wide = [parse_prefix("172.16.0.0/12"), parse_prefix("fd00:7::/64"), parse_prefix("0.0.0.0/32")]
    hold_one(private, prefixes=frozenset([*many, *wide]))
    for source, own in {
        "10.8.0.0": True,
        "10.8.3.231": True,
        "10.8.3.232": False,
        "172.31.255.255": True,
        "172.32.0.0": False,
        IP_A: False,
    }.items():
        for packet in (DATA, icmpv4(8)):
            frame = out(ipv4(source, IP_V, packet))
            wanted = "" if own else "ip/ipv4-source"
            assert (source, said(private, Direction.FROM_GUEST, frame)) == (source, wanted)
    for source, own in {
        "fd00:8::3e7": True,
        "fd00:8::3e8": False,
        "fd00:7::ffff:ffff:ffff:ffff": True,
        "fd00:7:0:1::": False,
        "::ffff:172.16.0.1": False,
    }.items():
        for packet in (DATA, icmpv6(128)):
            frame = out(ipv6(source, IP6_V, packet))
            wanted = "" if own else "ip/ipv6-source"
            assert (source, said(private, Direction.FROM_GUEST, frame)) == (source, wanted)


def test_all_of_ipv6_is_nothing_of_ipv4(private):
    hold_one(private, prefixes=frozenset({parse_network("::/0")}))
    assert said(private, Direction.FROM_GUEST, out(ipv4(IP_A, IP_V, DATA))) == "ip/ipv4-source"
    assert said(private, Direction.FROM_GUEST, out(ipv6(f"::ffff:{IP_A}", IP6_V, DATA))) == ""
    hold_one(private, prefixes=frozenset({parse_network("0.0.0.0/0")}))
    assert said(private, Direction.FROM_GUEST, out(ipv4("8.8.8.8", IP_V, DATA))) == ""
    frame = out(ipv6(f"::ffff:{IP_A}", IP6_V, DATA))
    assert said(private, Direction.FROM_GUEST, frame) == "ip/ipv6-source"


def test_several_macs(private):
    virtual = Mac.parse("00:00:5e:00:01:07")
    hold_one(private, macs=frozenset({A, virtual}))
    for mac in (A, virtual):
        for packet in (ipv4(IP_A, IP_V, DATA), ipv6(mac.link_local, IP6_V, DATA)):
            assert said(private, Direction.FROM_GUEST, out(packet, src=mac)) == ""
        frame = pad(ethernet(A, ALL, arp(mac, IP_A, target_ip=IP_A)))
        assert said(private, Direction.FROM_GUEST, frame) == ""
        assert said(private, Direction.TO_GUEST, ethernet(V, mac, ipv4(IP_V, IP_A, DATA))) == ""
    assert said(private, Direction.FROM_GUEST, out(ipv4(IP_A, IP_V, DATA), src=V)) != ""


def test_link_local_modes(private):
    stable = parse_address("fe80::1234:5678:9abc:def0")
    frame = out(ipv6(stable, IP6_V, DATA))
    for mode, wanted in (
        (LinkLocal.ANY, ""),
        (LinkLocal.EUI64, "ip/ipv6-source"),
        (LinkLocal.NONE, "ip/ipv6-source"),
    ):
        hold_one(private, link_local=mode)
        assert said(private, Direction.FROM_GUEST, frame) == wanted
    hold_one(private, link_local=LinkLocal.ANY)
    outside = out(ipv6("fe80:0:0:1::1", IP6_V, DATA))
    assert said(private, Direction.FROM_GUEST, outside) == "ip/ipv6-source"


def test_a_router_sends_what_is_not_public(private):
    public = frozenset(map(parse_network, ("203.0.113.0/24", "2001:db8::/32")))
    own = frozenset(map(parse_prefix, ("203.0.113.7", "2001:db8::7")))
    hold_one(private, guards=GUARDS_OF[Profile.ROUTER], public=public, prefixes=own)
    for source, wanted in {
        "192.168.7.7": "",
        "203.0.113.7": "",
        "203.0.113.8": "public-ip/public-source",
    }.items():
        for packet in (DATA, icmpv4(8), tcp(1, 2)):
            frame = out(ipv4(source, IP_V, packet))
            assert (source, said(private, Direction.FROM_GUEST, frame)) == (source, wanted)
    for source, wanted in {
        "fd00:1::1": "",
        "2001:db8::7": "",
        "2001:db8::8": "public-ip/public-source",
    }.items():
        for packet in (DATA, icmpv6(128), tcp(1, 2)):
            frame = out(ipv6(source, IP6_V, packet))
            assert (source, said(private, Direction.FROM_GUEST, frame)) == (source, wanted)


def test_roles(private):
    offer = FROM_GUEST["an offer"][0]
    advertisement = FROM_GUEST["an advertisement of a router"][0]
    hold_one(private, roles=frozenset({Role.DHCP_SERVER}))
    assert said(private, Direction.FROM_GUEST, offer) == ""
    assert said(private, Direction.FROM_GUEST, advertisement) == "ra/router-advertisement"
    hold_one(private, roles=frozenset({Role.ROUTER_ADVERTISER}))
    assert said(private, Direction.FROM_GUEST, offer) == "dhcp/dhcp-role"
    assert said(private, Direction.FROM_GUEST, advertisement) == ""


def test_listed_ethertypes(private):
    hold_one(private, ethertypes=frozenset({0x88B5, 0x8100}))
    assert said(private, Direction.FROM_GUEST, raw(0x88B5)) == ""
    assert said(private, Direction.FROM_GUEST, raw(0x88B6)) == "ethertype/ethertype-unlisted"
    tagged, twice = vlan(DATA, ethertype=0x0800), vlan(DATA, tpid=0x88A8)
    assert said(private, Direction.FROM_GUEST, out(tagged)) == ""
    assert said(private, Direction.FROM_GUEST, out(twice)) == "ethertype/tagged"
    assert said(private, Direction.FROM_GUEST, out(tagged, src=V)) == "mac/source-mac"
    assert said(private, Direction.TO_GUEST, ethernet(V, A, tagged)) == ""


def test_storm(private):
    frame, unicast = FROM_GUEST["an arp request"][0], FROM_GUEST["own udp"][0]
    hold_one(private, storm=Storm(1, 3))
    verdicts = [said(private, Direction.FROM_GUEST, frame) for _ in range(5)]
    assert verdicts == ["", "", "", "storm/storm-rate", "storm/storm-rate"]
    assert said(private, Direction.FROM_GUEST, unicast) == ""
    hold_one(private, storm=Storm(1, 3), prefixes=frozenset({parse_prefix(IP_V)}))
    hold_one(private, storm=Storm(1, 3))
    assert said(private, Direction.FROM_GUEST, frame) == "storm/storm-rate"
    private.refill(1)
    assert said(private, Direction.FROM_GUEST, frame) == ""
    hold_one(private, storm=Storm(0, 100))
    assert said(private, Direction.FROM_GUEST, frame) == "storm/storm-rate"


def test_a_refused_frame_draws_no_token(private):
    forged, own = FROM_GUEST["another's address in arp"][0], FROM_GUEST["an arp request"][0]
    hold_one(private, storm=Storm(1, 1))
    assert said(private, Direction.FROM_GUEST, forged) == "arp/arp-sender-address"
    assert said(private, Direction.FROM_GUEST, own) == ""


def test_any_length_of_any_frame_has_a_verdict(private):
    hold_one(private)
    for frame, _ in FROM_GUEST.values():
        for cut in (frame[:length] for length in range(14, len(frame))):
            if private.is_testable(cut):
                private.test(Direction.FROM_GUEST, cut)
