"""Group H, as far as these guards go: frames that reach the host, and frames of others."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

from vifguard.lab.attacks import frames as f
from vifguard.lab.attacks.actors import BROADCAST, ZERO_MAC
from vifguard.lab.attacks.arp import METADATA
from vifguard.lab.attacks.attack import (
    CONTAINED,
    PASS,
    Actor,
    Attack,
    Effect,
    Expectations,
    Frame,
    Path,
    Variant,
    drop,
    everywhere,
    on,
)
from vifguard.lab.attacks.legal import UNKNOWN_MAC
from vifguard.model.guard import Guard
from vifguard.packet import build
from vifguard.packet.build import Layer

_METADATA_6 = IPv6Address("fd00:ec2::254")
_FOREIGN = on(strict=drop(Guard.IP), mac=PASS, router=PASS)
_HARMLESS = on(strict=PASS, mac=PASS, router=PASS)
_MAC = on(strict=drop(Guard.MAC), mac=drop(Guard.MAC), router=drop(Guard.MAC))


def _row(name: str, frame: Frame, expect: Expectations, twin: str = "") -> Variant:
    return Variant(name=name, frame=frame, expect=expect, twin=twin)


def _to_host(name: str, frame: Frame) -> Variant:
    """A legal frame to the host: no guard objects, and the host must not receive it."""
    return Variant(
        name=name,
        frame=frame,
        expect=everywhere(CONTAINED),
        effect=Effect.HOST,
        paths=(Path.HOST,),
    )


_QUERY = build.igmp(0x11, max_response=100)
_HELLO = Layer(b"\x20\0\0\0" + b"\0\x01\0\x02\0\x69", f.PIM)


_BY_S4 = "Scenario s4 plays it."
_TABLE = "tests/triangle/sequences/test_table.py"


def _waiting(attack_id: str, title: str, waits_for: str, *published: str) -> Attack:
    return Attack(id=attack_id, title=title, group="H", published=published, waits_for=waits_for)


ROWS: tuple[Attack, ...] = (
    Attack(
        id="iso-host-ipv6-linklocal",
        title="The host's own link-local addresses",
        group="H",
        guard=Guard.HOST,
        published=("OSSN-0069",),
        variants=(
            _row(
                "echo-to-everyone",
                lambda c: f.icmp6(c, 128, b"\x76\x66\0\1", src=c.a.ll, dst=f.ALL_NODES),
                everywhere(PASS),
            ),
            _to_host(
                "echo-to-the-bridge",
                lambda c: f.icmp6(
                    c, 128, b"\x76\x66\0\1", src=c.a.ll, dst=c.p.mac.link_local, dst_mac=c.p.mac
                ),
            ),
            _to_host("solicit-the-bridge", lambda c: f.ns(c, c.p.mac.link_local, f.slla(c.a.mac))),
        ),
        note="The host never answers: whatever it sent would be an extra frame.",
    ),
    Attack(
        id="iso-host-ip-via-bridge",
        title="An address of the host on another of its devices",
        group="H",
        guard=Guard.HOST,
        variants=(
            _to_host("udp", lambda c: f.udp4(c, 4000, 9)),
            _to_host("echo", lambda c: f.icmp4(c, 8, 0, b"\x76\x66\0\1")),
            _to_host("tcp", f.tcp4),
            _to_host("arp", lambda c: f.arp(c, 1)),
            _to_host("broadcast-dhcp", lambda c: f.dhcp_client(c, f.dhcp(c, f.DISCOVER))),
        ),
    ),
    _waiting("iso-underlay-tunnel-injection", "Frames for the host's tunnel end", "the overlay"),
    _waiting("iso-bfd-from-guest", "BFD from a guest", "the overlay", "CVE-2024-2182"),
    Attack(
        id="iso-dns-responder-egress-bypass",
        title="A forged answer of the DNS responder",
        group="H",
        guard=Guard.SECURITY_GROUPS,
        published=("CVE-2025-0650",),
        note=_BY_S4,
    ),
    _waiting(
        "iso-punt-flood",
        "A flood of what the controller answers",
        "responders of our own",
        "CVE-2023-3153",
    ),
    Attack(
        id="iso-unknown-unicast-leak",
        title="Flooded unicast that third guests could hear",
        group="H",
        guard=Guard.MAC,
        published=("LP#1732067", "LP#1841622", "CVE-2019-15753", "OSSA-2019-004"),
        variants=(
            _row(
                "from-a-guest",
                lambda c: f.udp4(c, dst=c.g.ip4, dst_mac=UNKNOWN_MAC),
                on(strict=PASS, mac=PASS, router=PASS),
            ),
            Variant(
                name="from-outside",
                frame=lambda c: f.udp4(c, dst=c.v.ip4, dst_mac=UNKNOWN_MAC),
                expect=_MAC,
                twin="L29/udp4-from-outside",
                actor=Actor.OUTSIDE,
            ),
        ),
        note="The sender breaks no rule; every receiver's own guard refuses what is not its.",
    ),
    Attack(
        id="iso-conntrack-zone-mix",
        title="One tenant's flow, another's reply",
        group="H",
        guard=Guard.SECURITY_GROUPS,
        published=("LP#1359523", "LP#1478925", "LP#1668958", "LP#1745642"),
        note=f"{_BY_S4} Each port has connections of its own: there are no zones to mix.",
    ),
    Attack(
        id="iso-conntrack-exhaust-invalid",
        title="Filling the connection table",
        group="H",
        guard=Guard.SECURITY_GROUPS,
        published=("LP#1896587",),
        proved_by=(
            f"{_TABLE}::test_a_million_half_open_connections_of_one_port_end_no_other_s",
            f"{_TABLE}::test_a_flood_of_one_port_ends_no_other_s_connections",
        ),
    ),
    Attack(
        id="iso-same-mac-two-networks",
        title="One MAC in two networks",
        group="H",
        guard=Guard.HOST,
        published=("LP#1626010",),
        note="Scenario s6 plays it.",
    ),
    Attack(
        id="iso-multicast-rules",
        title="A guest that asks for all multicast",
        group="H",
        guard=Guard.IP,
        published=("LP#1889631", "LP#1899967"),
        variants=(
            _row(
                "igmp-query-unspecified",
                lambda c: f.ip4(
                    c,
                    _QUERY,
                    src=f.ZERO_4,
                    dst=IPv4Address("224.0.0.1"),
                    ttl=1,
                    options=build.router_alert4(),
                ),
                _FOREIGN,
                "L20/v3-unspecified",
            ),
            _row(
                "igmp-query",
                lambda c: f.ip4(
                    c, _QUERY, dst=IPv4Address("224.0.0.1"), ttl=1, options=build.router_alert4()
                ),
                _HARMLESS,
            ),
            _row(
                "mld-query",
                lambda c: f.ip6(
                    c, build.mld(130), src=c.a.ll, dst=f.ALL_NODES, hop=1, chain=(f.router_alert,)
                ),
                _HARMLESS,
            ),
            _row(
                "pim-hello",
                lambda c: f.ip4(c, _HELLO, dst=IPv4Address("224.0.0.13"), ttl=1),
                _HARMLESS,
            ),
        ),
        note="The bridge never takes a port for a multicast router; groups judge the rest.",
    ),
    Attack(
        id="iso-classifier-explosion",
        title="Packets that split a classifier",
        group="H",
        guard=Guard.SECURITY_GROUPS,
        published=("CVE-2019-25076",),
        proved_by=(
            "tests/enforce/test_ruleset_maps.py::test_questions_of_all_groups_of_a_port_are_bounded",
        ),
        note="No packet makes a rule or a mask: what a look-up costs, the rules alone decide.",
    ),
    Attack(
        id="iso-metadata-impersonation",
        title="The metadata service's addresses",
        group="H",
        guard=Guard.ARP,
        published=("CVE-2013-6419", "CVE-2014-3517", "LP#1865036"),
        variants=(
            _row(
                "arp",
                lambda c: f.arp(c, 1, spa=METADATA, tpa=METADATA, tha=ZERO_MAC, dst_mac=BROADCAST),
                on(strict=drop(Guard.ARP), mac=PASS, router=drop(Guard.ARP)),
                "L02/own",
            ),
            _row(
                "na",
                lambda c: f.own_na(c, _METADATA_6),
                on(strict=drop(Guard.ND), mac=PASS, router=drop(Guard.ND)),
                "L11/unsolicited",
            ),
            _row("udp4", lambda c: f.udp4(c, src=METADATA), _FOREIGN, "L29/udp4"),
            _row("udp6", lambda c: f.udp6(c, src=_METADATA_6), _FOREIGN, "L29/udp6"),
        ),
    ),
)
