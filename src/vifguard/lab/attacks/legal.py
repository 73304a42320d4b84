"""Section K: the legitimate look-alikes that must pass, and the twins of every attack."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

from vifguard.lab.attacks import frames as f
from vifguard.lab.attacks import legal_dhcp, legal_offload, legal_vrrp
from vifguard.lab.attacks.actors import BROADCAST, Actors, Station
from vifguard.lab.attacks.attack import (
    PASS,
    Actor,
    Attack,
    Frame,
    Kind,
    Offload,
    Variant,
    drop,
    everywhere,
    on,
)
from vifguard.lab.attacks.legal_row import legal, row
from vifguard.model.address import Mac
from vifguard.model.guard import Guard
from vifguard.packet import build
from vifguard.packet.build import Layer

ALL_MLD = IPv6Address("ff02::16")
_LONG = bytes(range(256)) * 31 + bytes(64)  # 8000 bytes of UDP


# ARP

_ARP = (
    row(
        "L01",
        "ARP probe (RFC 5227)",
        legal("own", lambda c: f.arp(c, 1, spa=f.ZERO_4, tpa=c.a.ip4)),
        legal("group-address", lambda c: f.arp(c, 1, spa=f.ZERO_4, tpa=c.vip4)),
    ),
    row(
        "L02",
        "ARP announcement, gratuitous request",
        legal("own", lambda c: f.arp(c, 1, tpa=c.a.ip4)),
        legal("group-address", lambda c: f.arp(c, 1, spa=c.vip4, tpa=c.vip4)),
    ),
    row(
        "L03",
        "Gratuitous reply",
        legal(
            "to-everyone",
            lambda c: f.arp(c, 2, tpa=c.a.ip4, tha=BROADCAST, dst_mac=BROADCAST),
        ),
        legal("own-target", lambda c: f.arp(c, 2, tpa=c.a.ip4, tha=c.a.mac, dst_mac=BROADCAST)),
    ),
    row(
        "L04",
        "Ordinary and unicast ARP request",
        legal("broadcast", lambda c: f.arp(c, 1)),
        legal("unicast", lambda c: f.arp(c, 1, dst_mac=c.p.mac)),
        legal("for-the-gateway", lambda c: f.arp(c, 1, tpa=c.g.ip4, dst_mac=c.g.mac)),
    ),
    row("L05", "ARP reply to a request", legal("unicast", lambda c: f.arp(c, 2))),
)

# Neighbour discovery and MLD


def mld2(c: Actors, src: IPv6Address, src_mac: Mac | None = None) -> bytes:
    """An MLDv2 report of the group that every station of IPv6 is in."""
    report = build.mldv2_report(f.solicited_node(c.a.ip6))
    return f.ip6(
        c, report, src=src, dst=ALL_MLD, hop=1, chain=(f.router_alert,),
        src_mac=src_mac or c.a.mac,
    )  # fmt: skip


def _mld1(c: Actors, kind: int, src: IPv6Address) -> bytes:
    group = f.solicited_node(c.a.ip6)
    dst = f.ALL_ROUTERS if kind == 132 else group
    return f.ip6(c, build.mld(kind, group), src=src, dst=dst, hop=1, chain=(f.router_alert,))


_ANSWER: f.Flags = {"solicited": True, "override": False}

_ND = (
    row(
        "L09",
        "Router solicitation",
        legal("unspecified", lambda c: f.rs(c, src=f.ZERO_6)),
        legal("link-local", lambda c: f.rs(c, f.slla(c.a.mac))),
        note="Link-local is EUI-64 of the port's MACs, or any where the network says so.",
    ),
    row(
        "L10",
        "Duplicate address detection",
        legal("global", lambda c: f.ns(c, c.a.ip6, src=f.ZERO_6)),
        legal("link-local", lambda c: f.ns(c, c.a.ll, src=f.ZERO_6)),
        legal("nonce", lambda c: f.ns(c, c.a.ip6, b"\x0e\x01vifgrd", src=f.ZERO_6)),
    ),
    row(
        "L11",
        "Neighbour advertisement, solicited and unsolicited",
        legal("unsolicited", lambda c: f.own_na(c, c.a.ip6)),
        legal("unsolicited-no-override", lambda c: f.own_na(c, c.a.ip6, {"override": False})),
        legal("solicited", lambda c: f.own_na(c, c.a.ip6, {"solicited": True}, dst=c.p.ip6)),
        legal("solicited-no-override", lambda c: f.own_na(c, c.a.ip6, _ANSWER, dst=c.p.ip6)),
        legal("link-local", lambda c: f.own_na(c, c.a.ll, src=c.a.ll, dst=c.p.ip6)),
    ),
    row(
        "L12",
        "Neighbour advertisement without option",
        legal("solicited", lambda c: f.na(c, c.a.ip6, flags=_ANSWER, dst=c.p.ip6)),
    ),
    row(
        "L13",
        "Neighbour solicitation, and the probe of a known neighbour",
        legal("multicast", lambda c: f.ns(c, c.p.ip6, f.slla(c.a.mac))),
        legal("unicast", lambda c: f.ns(c, c.p.ip6, dst=c.p.ip6)),
        legal("unicast-link-local", lambda c: f.ns(c, c.p.ip6, src=c.a.ll, dst=c.p.ip6)),
        legal("unicast-with-mac", lambda c: f.ns(c, c.p.ip6, f.slla(c.a.mac), dst=c.p.ip6)),
    ),
    row(
        "L14",
        "MLD reports and done",
        legal("v2-unspecified", lambda c: mld2(c, f.ZERO_6)),
        legal("v2-link-local", lambda c: mld2(c, c.a.ll)),
        legal("v1-report-unspecified", lambda c: _mld1(c, 131, f.ZERO_6)),
        legal("v1-report", lambda c: _mld1(c, 131, c.a.ll)),
        legal("v1-done", lambda c: _mld1(c, 132, c.a.ll)),
    ),
)

# Addresses that are listed

_LISTED = (
    row(
        "L15",
        "An IP group's address on two ports",
        legal("gratuitous-arp", lambda c: f.arp(c, 1, spa=c.vip4, tpa=c.vip4, tha=BROADCAST)),
        legal("unsolicited-na", lambda c: f.own_na(c, c.vip6, src=c.vip6)),
        legal("udp4", lambda c: f.udp4(c, src=c.vip4)),
        legal("udp6", lambda c: f.udp6(c, src=c.vip6)),
        note="Failover on real daemons is scenario s2.",
    ),
    row(
        "L16",
        "Routed or delegated prefix",
        legal("v4", lambda c: f.udp4(c, src=c.routed4[7])),
        legal("v6", lambda c: f.udp6(c, src=c.routed6[7])),
    ),
)

# Everything else a guest sends


def _port_5353(c: Actors, dst: str) -> bytes:
    return f.udp4(c, 5353, 5353, dst=IPv4Address(dst))


def _igmp(c: Actors, message: Layer, src: IPv4Address, dst: str = "224.0.0.22") -> bytes:
    alert = build.router_alert4()
    return f.ip4(c, message, src=src, dst=IPv4Address(dst), ttl=1, options=alert)


_GROUP = "239.1.2.3"
_V3, _V2, _LEAVE = (
    build.igmpv3_report(_GROUP),
    build.igmp(0x16, _GROUP),
    build.igmp(0x17, _GROUP),
)


def _fragment(version: int, index: int) -> Frame:
    """One of the fragments of 8000 bytes of UDP to the peer."""

    def frame(c: Actors) -> bytes:
        src, dst = (c.a.ip4, c.p.ip4) if version == 4 else (c.a.ip6, c.p.ip6)
        packets = build.fragments(src, dst, build.udp(4000, 9, _LONG), size=1400)
        return build.ethernet(c.a.mac, c.p.mac, packets[index])

    return frame


_QUOTE = 28
_MTU = (1400).to_bytes(4, "big")


def _outside_error(c: Actors) -> bytes:
    quoted = f.udp4(c, src=c.v.ip4, dst=c.g.ip4)[14:][:_QUOTE]
    return f.icmp4(c, 3, 4, _MTU + quoted, dst=c.v.ip4)


def _outside_error6(c: Actors) -> bytes:
    quoted = f.udp6(c, src=c.v.ip6, dst=c.g.ip6)[14:]
    return f.icmp6(c, 2, _MTU + quoted, dst=c.v.ip6)


_PLAIN = (
    row(
        "L18",
        "Multicast and broadcast destinations",
        legal("mdns4", lambda c: _port_5353(c, "224.0.0.251")),
        legal("mdns6", lambda c: f.udp6(c, 5353, 5353, src=c.a.ll, dst=IPv6Address("ff02::fb"))),
        legal("ssdp", lambda c: f.udp4(c, 1900, 1900, dst=IPv4Address("239.255.255.250"))),
        legal("llmnr", lambda c: f.udp6(c, 5355, 5355, dst=IPv6Address("ff02::1:3"))),
        legal("limited-broadcast", lambda c: f.udp4(c, dst=f.BROADCAST_4)),
        legal("subnet-broadcast", lambda c: f.udp4(c, dst=c.net4.broadcast_address)),
    ),
    row(
        "L19",
        "A hypervisor's announcement after migration",
        legal("rarp", f.rarp),
        legal("padded", lambda c: f.rarp(c, trailer=bytes(18))),
    ),
    row(
        "L20",
        "IGMP reports",
        legal("v3", lambda c: _igmp(c, _V3, c.a.ip4)),
        legal("v3-unspecified", lambda c: _igmp(c, _V3, f.ZERO_4)),
        legal("v2", lambda c: _igmp(c, _V2, c.a.ip4, _GROUP)),
        legal("v2-unspecified", lambda c: _igmp(c, _V2, f.ZERO_4, _GROUP)),
        legal("leave-unspecified", lambda c: _igmp(c, _LEAVE, f.ZERO_4, "224.0.0.2")),
    ),
    row("L21", "Trunk sub-port", waits="trunks"),
    row(
        "L22",
        "Short-frame padding",
        legal("arp-zeros", lambda c: f.arp(c, 1, trailer=bytes(18))),
        legal("arp-noise", lambda c: f.arp(c, 1, trailer=b"\xa5" * 18)),
        legal("dhcp", lambda c: f.dhcp_client(c, f.dhcp(c, f.DISCOVER), trailer=b"\xa5" * 20)),
    ),
    row(
        "L23",
        "Legal fragments",
        legal("v4-first", _fragment(4, 0)),
        legal("v4-middle", _fragment(4, 1)),
        legal("v4-last", _fragment(4, -1)),
        legal("v6-first", _fragment(6, 0)),
        legal("v6-last", _fragment(6, -1)),
    ),
    row(
        "L24",
        "ICMP errors and path MTU",
        legal("v4-too-big", lambda c: f.icmp4(c, 3, 4, b"\0\0\x05\x78" + bytes(_QUOTE))),
        legal("v4-time-exceeded", lambda c: f.icmp4(c, 11, 0, bytes(4 + _QUOTE))),
        legal("v6-unreachable", lambda c: f.icmp6(c, 1, bytes(4 + 48), 4)),
        legal("v6-too-big", lambda c: f.icmp6(c, 2, b"\0\0\x05\x78" + bytes(48))),
        legal("v6-time-exceeded", lambda c: f.icmp6(c, 3, bytes(4 + 48))),
        legal("v6-parameter-problem", lambda c: f.icmp6(c, 4, bytes(4 + 48))),
        legal("v4-too-big-from-outside", _outside_error, actor=Actor.OUTSIDE),
        legal("v6-too-big-from-outside", _outside_error6, actor=Actor.OUTSIDE),
    ),
    row("L25", "The same MAC or IP in two networks", note="Scenario s6 plays it."),
)

# Offload


_SUPER = bytes(range(256)) * 240  # 61,440 bytes of payload
# The checksum is left to the device.
_SUPER_TCP = build.tcp(4000, 9, _SUPER, flags=0x10, checksum=0)
_SUPER_UDP = build.udp(4000, 9, _SUPER, checksum=0)


def tcp4_offload(_c: Actors) -> Offload:
    """Segmentation of a TCP segment in IPv4."""
    return Offload(gso=1, size=1448, headers=54, start=34, offset=16)


def tcp6_offload(_c: Actors) -> Offload:
    """Segmentation of a TCP segment in IPv6."""
    return Offload(gso=4, size=1428, headers=74, start=54, offset=16)


def udp4_offload(_c: Actors) -> Offload:
    """Segmentation of a UDP datagram in IPv4 (VIRTIO_NET_HDR_GSO_UDP_L4)."""
    return Offload(gso=5, size=1448, headers=42, start=34, offset=6)


def super_frame(name: str, src: str = "a") -> Frame:
    """A 61 kB super-packet: `tcp4`, `tcp6` or `udp4`, from station `a` or `v`."""

    def station(c: Actors) -> Station:
        return c.a if src == "a" else c.v

    if name == "tcp6":
        return lambda c: f.ip6(c, _SUPER_TCP, src=station(c).ip6)
    payload = _SUPER_TCP if name == "tcp4" else _SUPER_UDP
    return lambda c: f.ip4(c, payload, src=station(c).ip4)


_OFFLOAD = row(
    "L26",
    "Segmentation offload",
    *(
        Variant(name=name, frame=super_frame(name), expect=everywhere(PASS), offload=offload)
        for name, offload in (
            ("tcp4", tcp4_offload),
            ("tcp6", tcp6_offload),
            ("udp4", udp4_offload),
        )
    ),
)

# Roles, and rows that are P by policy only


def prefix(c: Actors) -> bytes:
    """A prefix information option for the segment's own prefix."""
    return build.prefix_information(c.net6.network_address)


def offer(c: Actors, message: int = f.OFFER) -> bytes:
    """A DHCP server's message to the victim, by default an offer."""
    return f.dhcp(c, message, op=2, yiaddr=c.v.ip4, chaddr=c.v.mac)


def temporary(c: Actors) -> IPv6Address:
    """A privacy address in the segment's prefix that nobody was given (RFC 8981)."""
    return c.net6[0x1234_5678_9ABC_DEF0]


_ROUTER_KINDS = dict.fromkeys((Kind.MAC, Kind.ROUTER, Kind.ISOLATED), PASS)

_ROLES = (
    row(
        "L27",
        "Role ports",
        legal(
            "dhcp-offer",
            lambda c: f.udp4(c, 67, 68, offer(c), dst=f.BROADCAST_4),
            actor=Actor.ROLES,
        ),
        legal(
            "dhcp6-advertise",
            lambda c: f.udp6(c, 547, 546, f.dhcp6(f.ADVERTISE, c.v.mac), src=c.a.ll, dst=c.v.ll),
            actor=Actor.ROLES,
        ),
        legal(
            "router-advertisement",
            lambda c: f.ra(c, prefix(c), f.slla(c.a.mac)),
            actor=Actor.ROLES,
        ),
        legal(
            "redirect-to-a-neighbour",
            lambda c: f.redirect(c, c.p.ll, f.tlla(c.p.mac)),
            actor=Actor.ROLES,
        ),
        legal(
            "forwarded-v4",
            lambda c: f.udp4(c, src=IPv4Address("10.200.3.4")),
            expect=_ROUTER_KINDS,
        ),
        legal(
            "forwarded-v6",
            lambda c: f.udp6(c, src=IPv6Address("fd99::1")),
            expect=_ROUTER_KINDS,
        ),
    ),
    row(
        "L28",
        "Temporary and SLAAC addresses",
        Variant(
            name="temporary",
            frame=lambda c: f.udp6(c, src=temporary(c)),
            expect=on(strict=drop(Guard.IP), mac=PASS, router=drop(Guard.PUBLIC_IP), isolated=PASS),
            twin="L16/v6",
        ),
        note="An address that nobody gave and no guest may claim is not the port's: dropped where "
        "addresses are checked. On SLAAC subnets the port learns it: scenario s9.",
    ),
    row(
        "L29",
        "Ordinary traffic",
        legal("udp4", f.udp4),
        legal("udp6", f.udp6),
        legal("tcp4", f.tcp4),
        legal("tcp6", f.tcp6),
        legal("echo4", lambda c: f.icmp4(c, 8, 0, b"\x76\x66\0\1" + f.DATA)),
        legal("echo6", lambda c: f.icmp6(c, 128, b"\x76\x66\0\1" + f.DATA)),
        legal("udp4-from-outside", lambda c: f.udp4(c, dst=c.v.ip4), actor=Actor.OUTSIDE),
        legal("udp6-from-outside", lambda c: f.udp6(c, dst=c.v.ip6), actor=Actor.OUTSIDE),
        note="The plain twin of attacks that forge one field of an ordinary frame.",
    ),
)

_LINK_LOCAL = row(
    "L31",
    "The link-local address of a port without IPv6 addresses",
    legal("udp6", lambda c: f.udp6(c, src=c.a.ll), actor=Actor.ONLY_4),
    legal("dad", lambda c: f.ns(c, c.a.ll, src=f.ZERO_6), actor=Actor.ONLY_4),
    legal("na", lambda c: f.own_na(c, c.a.ll, src=c.a.ll), actor=Actor.ONLY_4),
)

ROWS: tuple[Attack, ...] = (
    *_ARP,
    *legal_dhcp.ROWS,
    *_ND,
    *_LISTED,
    *legal_vrrp.ROWS,
    *_PLAIN,
    _OFFLOAD,
    *_ROLES,
    *legal_offload.ROWS,
    _LINK_LOCAL,
)

UNKNOWN_MAC = Mac(bytes.fromhex("02766666ff01"))
"""A MAC that nobody on any segment has."""
