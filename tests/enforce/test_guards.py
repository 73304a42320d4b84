"""What the programs say of frames: every guard's refusals, each beside what must pass."""

import pytest
from tests.enforce.guarded_port import hold, let_go, mac_of, nowhere, policy_of

from vifguard.enforce.driver.protocol import Attachment
from vifguard.enforce.ebpf import state
from vifguard.enforce.ebpf.driver import EbpfDriver
from vifguard.model.address import Mac, parse_address, parse_network, parse_prefix
from vifguard.model.guard import ALWAYS, GUARDS_OF, SELECTABLE, LinkLocal, Profile, Role
from vifguard.model.policy import Storm
from vifguard.model.verdict import Direction
from vifguard.packet.build import (
    arp,
    destination_options,
    dhcp_option,
    dhcpv4,
    dhcpv6,
    dhcpv6_relay,
    ethernet,
    fragment,
    hop_by_hop,
    icmpv4,
    icmpv6,
    igmp,
    igmpv3_report,
    ip4_option,
    ipv4,
    ipv6,
    llc,
    mldv2_report,
    na,
    nd_option,
    ns,
    pad,
    ra,
    rarp,
    redirect,
    router_alert4,
    router_alert6,
    routing,
    rs,
    slla,
    tcp,
    tlla,
    udp,
    vlan,
)

pytestmark = pytest.mark.kernel

A, V, G = mac_of(1), mac_of(2), mac_of(9)
IP_A, IP_V, IP_G = "10.9.0.1", "10.9.0.2", "10.9.0.9"
IP6_A, IP6_V = "fd00:9::1", "fd00:9::2"
LL_A, LL_V = A.link_local, V.link_local
ALL, ALL6 = "ff:ff:ff:ff:ff:ff", "33:33:00:00:00:01"
NODES, ROUTERS, DHCP6 = "ff02::1", "ff02::2", "ff02::1:2"
SOLICITED_A, SOLICITED_V = "ff02::1:ff00:1", "ff02::1:ff00:2"
DATA = udp(1000, 2000, b"data")
ND = {"hop_limit": 255}
OPTION = nd_option(14, bytes(6))


def out(packet, *, src=A, dst=G, **more):
    return ethernet(src, dst, packet, **more)


def out6(source, destination, packet, **more):
    return out(ipv6(source, destination, packet, **ND | more), dst=ALL6)


def dhcp(message=None, *, source="0.0.0.0", target="255.255.255.255", ports=(68, 67), **ip):
    message = dhcpv4(A) if message is None else message
    return out(ipv4(source, target, udp(*ports, message), **ip), dst=ALL)


def dhcp6(message, *, source=LL_A, ports=(546, 547), target=DHCP6):
    return out(ipv6(source, target, udp(*ports, message)), dst=ALL6)


def raw(ethertype, body=bytes(46), *, src=A, dst=G):
    return ethernet(src, dst, body, ethertype=ethertype)


# The frame, and the objection that the strict guards have to it; "" for none.
FROM_GUEST = {
    # host
    "a group source": (
        out(ipv4(IP_A, IP_V, DATA), src=Mac(b"\x03" + bytes(5))),
        "host/source-group",
    ),
    "the zero source": (out(ipv4(IP_A, IP_V, DATA), src=Mac(bytes(6))), "host/source-group"),
    "a bpdu": (out(llc(bytes(35)), dst="01:80:c2:00:00:00"), "host/control-group"),
    "lldp by group": (raw(0x88CC, dst="01:80:c2:00:00:0e"), "host/control-group"),
    "lldp by type": (raw(0x88CC), "host/control-ethertype"),
    "eapol": (raw(0x888E), "host/control-ethertype"),
    "the group after the last": (raw(0x0800, dst="01:80:c2:00:00:10"), "ethertype/ipv4-malformed"),
    # ethertype
    "a tag": (out(vlan(ipv4(IP_A, IP_V, DATA))), "ethertype/tagged"),
    "a priority tag": (out(vlan(ipv4(IP_A, IP_V, DATA), 0)), "ethertype/tagged"),
    "a service tag": (out(vlan(ipv4(IP_A, IP_V, DATA), tpid=0x88A8)), "ethertype/tagged"),
    "llc": (out(llc(bytes(40))), "ethertype/length-field"),
    "an unknown type": (raw(0x88B5), "ethertype/ethertype-unlisted"),
    "a rarp announcement": (pad(out(rarp(A), dst=ALL)), ""),
    "a rarp request": (pad(out(rarp(A, op=1), dst=ALL)), "ethertype/rarp-shape"),
    "rarp about another": (pad(out(rarp(A, target_mac=V), dst=ALL)), "ethertype/rarp-shape"),
    "rarp with an address": (pad(out(rarp(A, sender_ip=IP_A), dst=ALL)), "ethertype/rarp-shape"),
    "a long rarp": (pad(out(rarp(A), dst=ALL), 61), "ethertype/rarp-shape"),
    "an ethernet header alone": (raw(0x0806, b""), "mac/arp-unreadable"),
    "ipv4 of version 6": (out(ipv4(IP_A, IP_V, DATA, version=6)), "ethertype/ipv4-malformed"),
    "ipv4 longer than the frame": (
        out(ipv4(IP_A, IP_V, DATA, total_length=200)),
        "ethertype/ipv4-malformed",
    ),
    "ipv4 in a padded frame": (pad(out(ipv4(IP_A, IP_V, DATA)), 200), ""),
    "ipv6 longer than the frame": (
        out(ipv6(IP6_A, IP6_V, DATA, payload_length=99)),
        "ethertype/ipv6-malformed",
    ),
    "an empty ipv6 packet": (out(ipv6(IP6_A, IP6_V, next_header=59)), ""),
    "a jumbogram": (out(ipv6(IP6_A, IP6_V, DATA, payload_length=0)), "ethertype/ipv6-malformed"),
    # mac
    "own udp": (out(ipv4(IP_A, IP_V, DATA)), ""),
    "own tcp": (out(ipv4(IP_A, IP_V, tcp(1, 2))), ""),
    "own udp6": (out(ipv6(IP6_A, IP6_V, DATA)), ""),
    "own ping": (out(ipv4(IP_A, IP_V, icmpv4(8))), ""),
    "own ping6": (out(ipv6(IP6_A, IP6_V, icmpv6(128))), ""),
    "another's mac": (out(ipv4(IP_A, IP_V, DATA), src=V), "mac/source-mac"),
    "another's mac in dhcp": (
        ethernet(V, ALL, ipv4("0.0.0.0", "255.255.255.255", udp(68, 67, dhcpv4(V)))),
        "mac/source-mac",
    ),
    "another's mac in arp": (pad(out(arp(V, IP_A, target_ip=IP_V), dst=ALL)), "mac/arp-sender-mac"),
    "another's mac in rarp": (pad(out(rarp(V), dst=ALL)), "mac/arp-sender-mac"),
    "arp of another hardware": (
        pad(out(arp(A, IP_A, hardware_length=8), dst=ALL)),
        "mac/arp-unreadable",
    ),
    "a short arp": (out(arp(A, IP_A), dst=ALL)[:41], "mac/arp-unreadable"),
    "another's mac in ns": (
        out6(IP6_A, SOLICITED_V, ns(IP6_V, slla(V))),
        "mac/nd-link-layer-address",
    ),
    "another's mac in the second option": (
        out6(IP6_A, SOLICITED_V, ns(IP6_V, slla(A), slla(V))),
        "mac/nd-link-layer-address",
    ),
    "another's mac behind sixteen options": (
        out6(IP6_A, SOLICITED_V, ns(IP6_V, *[OPTION] * 16, slla(V))),
        "mac/nd-unreadable",
    ),
    "sixteen options": (out6(IP6_A, SOLICITED_V, ns(IP6_V, *[OPTION] * 15, slla(A))), ""),
    "an nd option of length 0": (
        out6(IP6_A, SOLICITED_V, ns(IP6_V, nd_option(1, A.octets, length=0))),
        "mac/nd-unreadable",
    ),
    "an nd option of two units": (
        out6(IP6_A, SOLICITED_V, ns(IP6_V, nd_option(1, A.octets + bytes(8)))),
        "mac/nd-unreadable",
    ),
    "an nd option past the end": (
        out6(IP6_A, SOLICITED_V, ns(IP6_V, nd_option(14, bytes(6), length=2))),
        "mac/nd-unreadable",
    ),
    "a cut ns": (out6(IP6_A, SOLICITED_V, icmpv6(135, 0, bytes(16))), "mac/nd-unreadable"),
    "an ns in an atomic fragment": (
        out6(IP6_A, SOLICITED_V, fragment(ns(IP6_V, slla(A)))),
        "mac/nd-unreadable",
    ),
    "another's mac in rs": (out6(LL_A, ROUTERS, rs(slla(V))), "mac/nd-link-layer-address"),
    # arp
    "an arp request": (pad(out(arp(A, IP_A, target_ip=IP_V), dst=ALL)), ""),
    "an arp reply": (pad(out(arp(A, IP_A, target_ip=IP_V, op=2), dst=V)), ""),
    "an arp announcement": (pad(out(arp(A, IP_A, target_ip=IP_A), dst=ALL)), ""),
    "an arp probe": (pad(out(arp(A, "0.0.0.0", target_ip=IP_A), dst=ALL)), ""),
    "another's address in arp": (
        pad(out(arp(A, IP_V, target_ip=IP_G), dst=ALL)),
        "arp/arp-sender-address",
    ),
    "another's address in a reply": (
        pad(out(arp(A, IP_G, target_ip=IP_V, op=2), dst=V)),
        "arp/arp-sender-address",
    ),
    "a probe for another's address": (
        pad(out(arp(A, "0.0.0.0", target_ip=IP_V), dst=ALL)),
        "arp/arp-probe",
    ),
    "a probe as a reply": (
        pad(out(arp(A, "0.0.0.0", target_ip=IP_A, op=2), dst=ALL)),
        "arp/arp-probe",
    ),
    "arp operation 3": (pad(out(arp(A, IP_A, op=3), dst=ALL)), "arp/arp-shape"),
    "a long arp": (pad(out(arp(A, IP_A), dst=ALL), 61), "arp/arp-shape"),
    # nd
    "a solicitation": (out6(IP6_A, SOLICITED_V, ns(IP6_V, slla(A))), ""),
    "a unicast solicitation": (out6(IP6_A, IP6_V, ns(IP6_V, slla(A))), ""),
    "duplicate address detection": (out6("::", SOLICITED_A, ns(IP6_A)), ""),
    "an advertisement": (out6(IP6_A, IP6_V, na(IP6_A, tlla(A), solicited=True)), ""),
    "an unsolicited advertisement": (out6(IP6_A, NODES, na(IP6_A, tlla(A))), ""),
    "a router solicitation": (out6(LL_A, ROUTERS, rs(slla(A))), ""),
    "a router solicitation from nowhere": (out6("::", ROUTERS, rs()), ""),
    "nd behind a destination header": (
        out6(IP6_A, IP6_V, destination_options(na(IP6_A, tlla(A)))),
        "nd/nd-shape",
    ),
    "nd from afar": (out6(IP6_A, IP6_V, na(IP6_A, tlla(A)), hop_limit=254), "nd/nd-shape"),
    "nd with a code": (out6(IP6_A, IP6_V, na(IP6_A, tlla(A), code=1)), "nd/nd-shape"),
    "an advertisement for another": (out6(IP6_A, IP6_V, na(IP6_V, tlla(A))), "nd/nd-target"),
    "an advertisement from another": (out6(IP6_V, NODES, na(IP6_A, tlla(A))), "nd/nd-source"),
    "an advertisement from nowhere": (out6("::", NODES, na(IP6_A, tlla(A))), "nd/nd-source"),
    "an advertisement for a group": (out6(IP6_A, NODES, na(NODES, tlla(A))), "nd/nd-shape"),
    "a solicited advertisement to all": (
        out6(IP6_A, NODES, na(IP6_A, tlla(A), solicited=True)),
        "nd/nd-shape",
    ),
    "a solicitation from another": (out6(IP6_V, SOLICITED_V, ns(IP6_V, slla(A))), "nd/nd-source"),
    "a solicitation to the wrong group": (
        out6(IP6_A, SOLICITED_A, ns(IP6_V, slla(A))),
        "nd/nd-shape",
    ),
    "detection of another's address": (out6("::", SOLICITED_V, ns(IP6_V)), "nd/nd-target"),
    "detection with a link-layer address": (
        out6("::", SOLICITED_A, ns(IP6_A, slla(A))),
        "nd/nd-unspecified",
    ),
    "detection by unicast": (out6("::", IP6_A, ns(IP6_A)), "nd/nd-unspecified"),
    "rs from nowhere with an address": (out6("::", ROUTERS, rs(slla(A))), "nd/nd-unspecified"),
    "rs from another": (out6(LL_V, ROUTERS, rs(slla(A))), "nd/nd-source"),
    # ip
    "another's address": (out(ipv4(IP_V, IP_G, DATA)), "ip/ipv4-source"),
    "another's address in dhcp": (dhcp(source=IP_V, target=IP_G), "ip/ipv4-source"),
    "another's ping": (out(ipv4(IP_V, IP_G, icmpv4(8))), "ip/ipv4-source"),
    "another's later fragment": (out(ipv4(IP_V, IP_G, bytes(24), offset=5)), "ip/ipv4-source"),
    "own later fragment": (out(ipv4(IP_A, IP_G, bytes(24), offset=5)), ""),
    "own first fragment": (out(ipv4(IP_A, IP_G, DATA, more_fragments=True)), ""),
    "a first fragment of 8 bytes of tcp": (
        out(ipv4(IP_A, IP_G, bytes(8), protocol=6, more_fragments=True)),
        "ip/headers-unreadable",
    ),
    "another's address over ipv6": (out(ipv6(IP6_V, IP6_A, DATA)), "ip/ipv6-source"),
    "an embedded address": (out(ipv6(f"::ffff:{IP_A}", IP6_V, DATA)), "ip/ipv6-source"),
    "another's link-local": (out(ipv6(LL_V, IP6_V, DATA)), "ip/ipv6-source"),
    "own link-local": (out(ipv6(LL_A, IP6_V, DATA)), ""),
    "udp from nowhere": (out(ipv4("0.0.0.0", IP_V, udp(1234, 53))), "ip/ipv4-unspecified"),
    "dhcp from nowhere by unicast": (dhcp(target=IP_V), "ip/ipv4-unspecified"),
    "tcp from nowhere": (out(ipv4("0.0.0.0", IP_V, tcp(1, 2))), "ip/ipv4-unspecified"),
    "igmp from nowhere": (
        out(
            ipv4(
                "0.0.0.0", "224.0.0.22", igmpv3_report("239.1.1.1"), ttl=1, options=router_alert4()
            ),
            dst="01:00:5e:00:00:16",
        ),
        "",
    ),
    "igmp from nowhere and afar": (
        out(ipv4("0.0.0.0", "224.0.0.22", igmpv3_report("239.1.1.1"), ttl=2)),
        "ip/ipv4-unspecified",
    ),
    "an igmp query from nowhere": (
        out(ipv4("0.0.0.0", "224.0.0.1", igmp(0x11), ttl=1)),
        "ip/ipv4-unspecified",
    ),
    "loose source routing": (
        out(ipv4(IP_A, IP_G, DATA, options=ip4_option(131, bytes(6)))),
        "ip/ipv4-options",
    ),
    "a record of the route": (out(ipv4(IP_A, IP_G, DATA, options=ip4_option(7, bytes(6)))), ""),
    "a broken option": (out(ipv4(IP_A, IP_G, DATA, options=b"\x07\x01\0\0")), "ip/ipv4-options"),
    "an option past the header": (
        out(ipv4(IP_A, IP_G, DATA, options=b"\x07\x05\0\0")),
        "ip/ipv4-options",
    ),
    "another's ciaddr": (dhcp(dhcpv4(A, ciaddr=IP_V), source=IP_A), "dhcp/dhcp-client-address"),
    "own ciaddr": (dhcp(dhcpv4(A, ciaddr=IP_A), source=IP_A, target=IP_G), ""),
    "udp from :: ": (out(ipv6("::", IP6_V, DATA)), "ip/ipv6-unspecified"),
    "an mld report from ::": (
        out(
            ipv6(
                "::", "ff02::16", hop_by_hop(mldv2_report("ff05::1"), router_alert6()), hop_limit=1
            ),
            dst="33:33:00:00:00:16",
        ),
        "",
    ),
    "mld from :: without alert": (
        out(ipv6("::", "ff02::16", hop_by_hop(mldv2_report("ff05::1")), hop_limit=1)),
        "ip/ipv6-unspecified",
    ),
    "source routing over ipv6": (
        out(ipv6(IP6_A, IP6_V, routing(DATA, segments_left=1, data=bytes(20)))),
        "ip/ipv6-routing-header",
    ),
    "a hop-by-hop header in second place": (
        out(ipv6(IP6_A, IP6_V, destination_options(hop_by_hop(DATA)))),
        "mac/headers-unreadable",
    ),
    # dhcp
    "a discover": (dhcp(), ""),
    "a padded discover": (dhcp(dhcpv4(A) + bytes(60)), ""),
    "a release": (dhcp(dhcpv4(A, 7, ciaddr=IP_A), source=IP_A, target=IP_G), ""),
    "an offer": (
        out(ipv4(IP_A, "255.255.255.255", udp(67, 68, dhcpv4(V, 2, op=2))), dst=ALL),
        "dhcp/dhcp-role",
    ),
    "an offer from another port": (out(ipv4(IP_A, IP_V, udp(1067, 68))), "dhcp/dhcp-role"),
    "a relay's ports": (out(ipv4(IP_A, IP_G, udp(67, 67, dhcpv4(A)))), "dhcp/dhcp-role"),
    "another's chaddr": (dhcp(dhcpv4(V)), "dhcp/dhcp-hardware-address"),
    "a relay's address": (dhcp(dhcpv4(A, giaddr=IP_A)), "dhcp/dhcp-role"),
    "a relay's option": (dhcp(dhcpv4(A, 1, dhcp_option(82, b"x"))), "dhcp/dhcp-role"),
    "a discover of 200 bytes": (dhcp(dhcpv4(A)[:200]), "dhcp/dhcp-shape"),
    "an option past the message": (
        dhcp(dhcpv4(A, 1, dhcp_option(12, b"x", length=250))),
        "dhcp/dhcp-shape",
    ),
    "hardware addresses of 16": (dhcp(dhcpv4(A, hlen=16)), "dhcp/dhcp-shape"),
    "a discover from port 1068": (
        dhcp(source=IP_A, target=IP_G, ports=(1068, 67)),
        "dhcp/dhcp-shape",
    ),
    "the first fragment of a discover": (
        dhcp(source=IP_A, target=IP_G, more_fragments=True),
        "dhcp/dhcp-shape",
    ),
    "a solicit": (dhcp6(dhcpv6(1)), ""),
    "an advertise": (dhcp6(dhcpv6(2), ports=(547, 546), target=LL_V), "dhcp/dhcp-role"),
    "an advertise to the server port": (dhcp6(dhcpv6(2)), "dhcp/dhcp-role"),
    "a relayed message": (dhcp6(dhcpv6_relay(IP6_A, IP6_A, dhcpv6(1))), "dhcp/dhcp-role"),
    "a solicit from another port": (dhcp6(dhcpv6(1), ports=(1546, 547)), "dhcp/dhcp-shape"),
    "a solicit from another": (dhcp6(dhcpv6(1), source=LL_V), "ip/ipv6-source"),
    # ra
    "an ipv4 redirect": (out(ipv4(IP_A, IP_V, icmpv4(5, 1, bytes(32)))), "ra/redirect"),
    "an advertisement of a router": (out6(LL_A, NODES, ra(slla(A))), "ra/router-advertisement"),
    "a redirect": (out6(LL_A, IP6_V, redirect(LL_A, IP6_V, tlla(A))), "ra/redirect"),
    "a router's lie about itself": (out6(LL_V, NODES, ra(slla(A))), "nd/nd-source"),
}

TO_GUEST = {
    "to the guest": (ethernet(V, A, ipv4(IP_V, IP_A, DATA)), ""),
    "to the guest over ipv6": (ethernet(V, A, ipv6(IP6_V, IP6_A, DATA)), ""),
    "from a forged address": (ethernet(V, A, ipv4("192.0.2.1", IP_A, DATA)), ""),
    "to all": (pad(ethernet(V, ALL, arp(V, IP_V, target_ip=IP_A))), ""),
    "to another": (ethernet(V, G, ipv4(IP_V, IP_G, DATA)), "mac/destination-mac"),
    "tagged": (ethernet(V, A, vlan(ipv4(IP_V, IP_A, DATA))), "ethertype/tagged"),
    "lldp": (raw(0x88CC, src=V, dst=A), "host/control-ethertype"),
    "a bpdu": (ethernet(V, "01:80:c2:00:00:00", llc(bytes(35))), "host/control-group"),
    "a malformed packet": (raw(0x0800, src=V, dst=A), "ethertype/ipv4-malformed"),
    "a router's advertisement": (ethernet(V, ALL6, ipv6(LL_V, NODES, ra(slla(V)), **ND)), ""),
    "a broken rarp": (pad(ethernet(V, A, rarp(V, op=4))), "ethertype/rarp-shape"),
}


@pytest.fixture(scope="module")
def standing():
    with nowhere(1), EbpfDriver.private() as it:
        yield it


@pytest.fixture
def private(standing):
    yield standing
    let_go(standing)


def hold_one(driver, **more):
    hold(driver, Attachment(policy_of(1, **more), 1, reversed_hooks=False, revision=1))


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


def test_without_link_local_addresses_what_a_guest_loses_is_counted_and_told_of_once(
    private, monkeypatch
):
    chatter = (
        ethernet(A, "33:33:00:00:00:fb", ipv6(LL_A, "ff02::fb", DATA)),
        ethernet(A, "33:33:00:00:00:02", ipv6(LL_A, "ff02::2", rs(), hop_limit=255)),
        ethernet(A, "33:33:00:00:00:01", ipv6(LL_A, "ff02::1", na(LL_A), hop_limit=255)),
    )
    render = state.render
    # As of a driver that pins, which limits its records.
    monkeypatch.setattr(state, "render", lambda *given, **_: render(*given))
    hold_one(private, link_local=LinkLocal.NONE)
    run = private._programs["from_guest"].test_run
    for frame in chatter * 20:
        assert run(frame, ifindex=1)[0] == SHOT
    assert len(private.events.drops()) == 1
    assert sum(count.frames for count in private.events.counts()) == len(chatter * 20)


@pytest.mark.parametrize("flooded", list(Direction))
def test_what_one_direction_drops_leaves_the_other_its_records(private, monkeypatch, flooded):
    """Whatever neighbours send to a guest, what it forges itself is recorded; and the reverse."""
    forged = {
        Direction.FROM_GUEST: ("from_guest", FROM_GUEST["another's mac"][0]),
        Direction.TO_GUEST: ("to_guest", TO_GUEST["tagged"][0]),
    }
    (other,) = {*Direction} - {flooded}
    render = state.render
    # As of a driver that pins, which limits its records.
    monkeypatch.setattr(state, "render", lambda *given, **_: render(*given))
    hold_one(private)

    def play(direction, times):
        name, frame = forged[direction]
        for _ in range(times):
            assert private._programs[name].test_run(frame, ifindex=1)[0] == SHOT
        return [drop.direction for drop in private.events.drops()]

    assert 100 <= len(play(flooded, 400)) < 400
    assert play(other, 50) == [other] * 50


SHOT = 2


CHOSEN = parse_address("fe80::1234:5678:9abc:1")
"""A link-local address that the guest chose; below, it has one of a prefix too."""
ELSEWHERE = parse_address("2001:db8::1234:5678:9abc:1")


@pytest.mark.parametrize("to", [Mac.parse(ALL6), A])
@pytest.mark.parametrize("wrap", [lambda piece: piece, destination_options])
def test_a_tentative_address_is_defended_to_all_and_to_the_guest_alone(private, to, wrap):
    hold_one(private, link_local=LinkLocal.LEARNED, tentative=frozenset({CHOSEN}))
    defence = wrap(na(str(CHOSEN), tlla(V)))
    private.events.claims()
    frame = ethernet(V, to, ipv6(str(CHOSEN), NODES, defence, **ND))
    assert private.test(Direction.TO_GUEST, frame) is None
    assert [claim.address for claim in private.events.claims()] == [CHOSEN]


@pytest.mark.parametrize("profile", [Profile.STRICT, Profile.ROUTER, Profile.OFF])
@pytest.mark.parametrize("message", [DATA, icmpv6(128, 0, bytes(8))])
def test_the_use_of_a_learned_address_is_noted_whatever_guards_there_are(private, profile, message):
    learned = {"link_local": LinkLocal.LEARNED, "learned": frozenset({ELSEWHERE})}
    hold_one(private, guards=GUARDS_OF[profile], **learned)
    before = private.events.uses(1)
    frame = ethernet(A, V, ipv6(str(ELSEWHERE), "2001:db8::9", message))
    assert private.test(Direction.FROM_GUEST, frame) is None
    assert private.events.uses(1)[ELSEWHERE] > before[ELSEWHERE]
