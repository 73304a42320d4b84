"""The shapes that rows are written with: a frame of a cast, with its forged fields by name.

Every default is the value that a well-behaved guest `c.a` would send; a row names only the fields
that it forges.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from ipaddress import IPv4Address, IPv6Address
from typing import TypedDict, Unpack

from vifguard.lab.attacks.actors import BROADCAST, ZERO_MAC, Actors
from vifguard.model.address import IPAddress, Mac
from vifguard.packet import build
from vifguard.packet.build import Layer, multicast_mac, slla, solicited_node, tlla

ZERO_4, ZERO_6 = IPv4Address(0), IPv6Address(0)
BROADCAST_4 = IPv4Address("255.255.255.255")
ALL_NODES, ALL_ROUTERS = IPv6Address("ff02::1"), IPv6Address("ff02::2")
DHCP6_SERVERS = IPv6Address("ff02::1:2")
DATA = b"vifguard lab: a frame of the attack catalogue"

ICMP, IGMP, IPIP, TCP, UDP, IP6_IN_IP, ICMP6, PIM, VRRP = 1, 2, 4, 6, 17, 41, 58, 103, 112

Around = Callable[[Layer], Layer]
"""An IPv6 extension header: goes around the layer behind it."""


class Ether(TypedDict, total=False):
    """The sender's MAC, the receiver's, and octets behind the packet's own end."""

    src_mac: Mac
    dst_mac: Mac
    trailer: bytes


class Ip4(Ether, total=False):
    """IPv4 fields; `offset` counts 8-octet units; the last four stand as they are given."""

    src: IPv4Address
    dst: IPv4Address
    ttl: int
    tos: int
    options: bytes
    more: bool
    offset: int
    total: int
    ihl: int
    version: int
    checksum: int


class Ip6(Ether, total=False):
    """IPv6 fields; `chain` are the extension headers, outermost first; the last two as given."""

    src: IPv6Address
    dst: IPv6Address
    hop: int
    chain: Sequence[Around]
    length: int
    version: int


class Arp(Ether, total=False):
    """ARP fields; hardware and protocol types and lengths stand as they are given."""

    sha: Mac
    spa: IPv4Address
    tha: Mac
    tpa: IPv4Address
    hardware: int
    protocol: int
    hardware_length: int
    protocol_length: int
    ethertype: int


class Bootp(TypedDict, total=False):
    """BOOTP fields (RFC 2131, 2)."""

    op: int
    hlen: int
    flags: int
    ciaddr: IPv4Address
    yiaddr: IPv4Address
    giaddr: IPv4Address


def mac_of(c: Actors, address: IPAddress) -> Mac:
    """The MAC for frames to the address: a group's, broadcast, the owner's or the peer's."""
    if address.is_multicast:
        return multicast_mac(address)
    if address in (BROADCAST_4, c.net4.broadcast_address):
        return BROADCAST
    for station in (c.a, c.v, c.g):
        if address in (station.ip4, station.ip6, station.ll):
            return station.mac
    return c.p.mac


def ether(kind: int, payload: bytes, src: Mac, dst: Mac = BROADCAST) -> bytes:
    """A frame of any Ethernet type, or of any 802.3 length."""
    return build.ethernet(src, dst, payload, ethertype=kind)


def tagged(frame: bytes, *tags: tuple[int, int]) -> bytes:
    """The frame behind (TPID, VID) tags, outermost first."""
    inner = Layer(frame[14:], int.from_bytes(frame[12:14], "big"))
    for tpid, vid in reversed(tags):
        inner = build.vlan(inner, vid, tpid=tpid)
    return frame[:12] + inner.number.to_bytes(2, "big") + inner.octets


def snap(frame: bytes, oui: int = 0, length: int | None = None) -> bytes:
    """The frame as 802.3 LLC/SNAP with the same protocol number (RFC 1042)."""
    inner = Layer(frame[14:], int.from_bytes(frame[12:14], "big"))
    outer = build.snap(inner, oui=oui, length=length)
    return frame[:12] + outer.number.to_bytes(2, "big") + outer.octets


# ARP


def arp(c: Actors, op: int, **fields: Unpack[Arp]) -> bytes:
    """An ARP message: a request to everyone, any other operation to the peer."""
    body = build.arp(
        fields.get("sha", c.a.mac),
        fields.get("spa", c.a.ip4),
        target_mac=fields.get("tha", ZERO_MAC if op == 1 else c.p.mac),
        target_ip=fields.get("tpa", c.p.ip4),
        op=op,
        hardware=fields.get("hardware", 1),
        protocol=fields.get("protocol", 0x0800),
        hardware_length=fields.get("hardware_length", 6),
        protocol_length=fields.get("protocol_length", 4),
        ethertype=fields.get("ethertype", 0x0806),
    )
    dst = fields.get("dst_mac", BROADCAST if op == 1 else c.p.mac)
    return build.ethernet(fields.get("src_mac", c.a.mac), dst, body) + fields.get("trailer", b"")


def rarp(c: Actors, op: int = 3, **fields: Unpack[Arp]) -> bytes:
    """A RARP message; by default a hypervisor's announcement of the guest's MAC."""
    plain: Arp = {
        "ethertype": 0x8035,
        "sha": c.a.mac,
        "tha": c.a.mac,
        "spa": ZERO_4,
        "tpa": ZERO_4,
        "dst_mac": BROADCAST,
    }
    plain.update(fields)
    return arp(c, op, **plain)


# IPv4


def ip4(c: Actors, payload: Layer | bytes, protocol: int | None = None, **ip: Unpack[Ip4]) -> bytes:
    """An IPv4 frame to the peer, or to the owner of `dst`."""
    dst = ip.get("dst", c.p.ip4)
    packet = build.ipv4(
        ip.get("src", c.a.ip4),
        dst,
        payload,
        protocol=protocol,
        ttl=ip.get("ttl", 64),
        tos=ip.get("tos", 0),
        ident=0x7666,
        more_fragments=ip.get("more", False),
        offset=ip.get("offset", 0),
        options=ip.get("options", b""),
        version=ip.get("version", 4),
        ihl=ip.get("ihl"),
        total_length=ip.get("total"),
        checksum=ip.get("checksum"),
    )
    frame = build.ethernet(ip.get("src_mac", c.a.mac), ip.get("dst_mac", mac_of(c, dst)), packet)
    return frame + ip.get("trailer", b"")


def udp4(
    c: Actors, sport: int = 4000, dport: int = 9, data: bytes = DATA, **ip: Unpack[Ip4]
) -> bytes:
    """A UDP datagram."""
    return ip4(c, build.udp(sport, dport, data), **ip)


def tcp4(c: Actors, sport: int = 4000, dport: int = 9, **ip: Unpack[Ip4]) -> bytes:
    """A TCP SYN."""
    return ip4(c, build.tcp(sport, dport), **ip)


def icmp4(c: Actors, kind: int, code: int = 0, body: bytes = bytes(4), **ip: Unpack[Ip4]) -> bytes:
    """An ICMP message; `body` is everything after the checksum."""
    return ip4(c, build.icmpv4(kind, code, body), **ip)


# IPv6


def ip6(
    c: Actors, payload: Layer | bytes, next_header: int | None = None, **ip: Unpack[Ip6]
) -> bytes:
    """An IPv6 frame to the peer, or to the owner of `dst`, behind its extension headers."""
    dst = ip.get("dst", c.p.ip6)
    piece = payload
    for around in reversed(ip.get("chain", ())):
        assert isinstance(piece, Layer)  # noqa: S101 - rows give headers only to pieces
        piece = around(piece)
    packet = build.ipv6(
        ip.get("src", c.a.ip6),
        dst,
        piece,
        next_header=next_header,
        hop_limit=ip.get("hop", 64),
        version=ip.get("version", 6),
        payload_length=ip.get("length"),
    )
    frame = build.ethernet(ip.get("src_mac", c.a.mac), ip.get("dst_mac", mac_of(c, dst)), packet)
    return frame + ip.get("trailer", b"")


def udp6(
    c: Actors, sport: int = 4000, dport: int = 9, data: bytes = DATA, **ip: Unpack[Ip6]
) -> bytes:
    """A UDP datagram."""
    return ip6(c, build.udp(sport, dport, data), **ip)


def tcp6(c: Actors, sport: int = 4000, dport: int = 9, **ip: Unpack[Ip6]) -> bytes:
    """A TCP SYN."""
    return ip6(c, build.tcp(sport, dport), **ip)


def icmp6(c: Actors, kind: int, body: bytes = bytes(4), code: int = 0, **ip: Unpack[Ip6]) -> bytes:
    """An ICMPv6 message; `body` is everything after the checksum."""
    return ip6(c, build.icmpv6(kind, code, body), **ip)


def router_alert(inner: Layer) -> Layer:
    """The hop-by-hop header of an MLD report."""
    return build.hop_by_hop(inner, build.router_alert6())


def atomic(inner: Layer) -> Layer:
    """A fragment header on a packet that is no fragment (RFC 6946)."""
    return build.fragment(inner)


# Neighbour discovery


def ns(c: Actors, target: IPv6Address, *options: bytes, code: int = 0, **ip: Unpack[Ip6]) -> bytes:
    """A neighbour solicitation, to the solicited-node group."""
    plain: Ip6 = {"dst": solicited_node(target), "hop": 255}
    plain.update(ip)
    return ip6(c, build.ns(target, *options, code=code), **plain)


class Flags(TypedDict, total=False):
    """The flags of a neighbour advertisement."""

    router: bool
    solicited: bool
    override: bool


def na(
    c: Actors,
    target: IPv6Address,
    *options: bytes,
    flags: Flags | None = None,
    code: int = 0,
    **ip: Unpack[Ip6],
) -> bytes:
    """A neighbour advertisement: unsolicited, overriding and to everyone."""
    plain: Ip6 = {"dst": ALL_NODES, "hop": 255}
    message = build.na(target, *options, code=code, **(flags or {}))
    plain.update(ip)
    return ip6(c, message, **plain)


def own_na(
    c: Actors, target: IPv6Address, flags: Flags | None = None, code: int = 0, **ip: Unpack[Ip6]
) -> bytes:
    """A neighbour advertisement with the sender's own MAC in its option."""
    return na(c, target, tlla(c.a.mac), flags=flags, code=code, **ip)


def rs(c: Actors, *options: bytes, code: int = 0, **ip: Unpack[Ip6]) -> bytes:
    """A router solicitation from the link-local address."""
    plain: Ip6 = {"src": c.a.ll, "dst": ALL_ROUTERS, "hop": 255}
    plain.update(ip)
    return ip6(c, build.rs(*options, code=code), **plain)


def ra(c: Actors, *options: bytes, lifetime: int = 1800, **ip: Unpack[Ip6]) -> bytes:
    """A router advertisement of high preference from the link-local address."""
    plain: Ip6 = {"src": c.a.ll, "dst": ALL_NODES, "hop": 255}
    plain.update(ip)
    return ip6(c, build.ra(*options, flags=0x08, lifetime=lifetime), **plain)


def redirect(c: Actors, target: IPv6Address, *options: bytes, **ip: Unpack[Ip6]) -> bytes:
    """A redirect of the victim's traffic to the outside, towards `target`."""
    plain: Ip6 = {"src": c.a.ll, "dst": c.v.ip6, "hop": 255}
    plain.update(ip)
    return ip6(c, build.redirect(target, c.g.ip6, *options), **plain)


# VRRP and CARP

VRRP_GROUP_4, VRRP_GROUP_6 = IPv4Address("224.0.0.18"), IPv6Address("ff02::12")
OWN_VRID_4, OWN_VRID_6 = 0x33, 0x34
"""Router ids of the IP group of which `a` is a member."""


def vrrp4(c: Actors, advertisement: Layer, **ip: Unpack[Ip4]) -> bytes:
    """An advertisement in IPv4, to its group."""
    plain: Ip4 = {"dst": VRRP_GROUP_4, "ttl": 255}
    plain.update(ip)
    return ip4(c, advertisement, **plain)


def vrrp6(c: Actors, advertisement: Layer, **ip: Unpack[Ip6]) -> bytes:
    """An advertisement in IPv6, from the link-local address to its group."""
    plain: Ip6 = {"src": c.a.ll, "dst": VRRP_GROUP_6, "hop": 255}
    plain.update(ip)
    return ip6(c, advertisement, **plain)


# DHCP

DISCOVER, OFFER, REQUEST, DECLINE, ACK, NAK, RELEASE, INFORM = range(1, 9)
SOLICIT, ADVERTISE, REQUEST_6, CONFIRM, RENEW, REBIND = range(1, 7)
REPLY, RELEASE_6, DECLINE_6, RECONFIGURE, INFORMATION = range(7, 12)
REGISTRATION, REGISTERED = 36, 37
IA_NA, IA_TA, IA_PD = 3, 4, 25


def dhcp(
    c: Actors, message: int, *options: bytes, chaddr: Mac | None = None, **fields: Unpack[Bootp]
) -> bytes:
    """A DHCPv4 message, by default a client's with its own hardware address."""
    return build.dhcpv4(chaddr or c.a.mac, message, *options, **fields)


def identifier(mac: Mac) -> bytes:
    """The option that names a client by a MAC (RFC 2132, 9.14)."""
    return build.dhcp_option(61, b"\x01" + mac.octets)


def dhcp_client(c: Actors, message: bytes, **ip: Unpack[Ip4]) -> bytes:
    """A client's datagram: from nobody to everyone, 68 to 67."""
    plain: Ip4 = {"src": ZERO_4, "dst": BROADCAST_4}
    plain.update(ip)
    return udp4(c, 68, 67, message, **plain)


def dhcp6(message: int, duid_of: Mac) -> bytes:
    """A DHCPv6 message with a client id (DUID-LL, RFC 8415, 11.4) and an empty IA_NA."""
    duid = b"\0\x03\0\x01" + duid_of.octets
    association = build.dhcpv6_option(3, b"\0\0\0\x01" + bytes(8))
    return build.dhcpv6(message, build.dhcpv6_option(1, duid), association)


def association(address: IPv6Address, kind: int = IA_NA) -> bytes:
    """An identity association of one address, or of the prefix /64 that begins with it."""
    head = b"\0\0\0\x01" + (b"" if kind == IA_TA else bytes(8))
    if kind == IA_PD:
        leased = build.dhcpv6_option(26, bytes(8) + bytes((64,)) + address.packed)
    else:
        leased = iaaddr(address)
    return build.dhcpv6_option(kind, head + leased)


def iaaddr(address: IPv6Address) -> bytes:
    """An IA Address option (RFC 8415, 21.6)."""
    return build.dhcpv6_option(5, address.packed + bytes(8))


def dhcp6_about(c: Actors, message: int, *options: bytes, **ip: Unpack[Ip6]) -> bytes:
    """A DHCPv6 client's datagram with its client id and these options."""
    client = build.dhcpv6_option(1, b"\0\x03\0\x01" + c.a.mac.octets)
    plain: Ip6 = {"src": c.a.ll, "dst": DHCP6_SERVERS}
    plain.update(ip)
    return udp6(c, 546, 547, build.dhcpv6(message, client, *options), **plain)


def dhcp6_client(c: Actors, message: int = SOLICIT, **ip: Unpack[Ip6]) -> bytes:
    """A DHCPv6 client's datagram: link-local to all servers, 546 to 547."""
    plain: Ip6 = {"src": c.a.ll, "dst": DHCP6_SERVERS}
    plain.update(ip)
    return udp6(c, 546, 547, dhcp6(message, c.a.mac), **plain)


__all__ = [
    "ALL_NODES", "ALL_ROUTERS", "BROADCAST_4", "DATA", "DHCP6_SERVERS", "ZERO_4", "ZERO_6",
    "arp", "association", "atomic", "dhcp", "dhcp6", "dhcp6_about", "dhcp6_client", "dhcp_client",
    "ether", "iaaddr", "icmp4", "icmp6", "ip4", "ip6", "mac_of", "na", "ns", "own_na", "ra", "rarp",
    "redirect", "router_alert", "rs", "slla", "snap", "solicited_node", "tagged", "tcp4", "tcp6",
    "tlla", "udp4", "udp6", "vrrp4", "vrrp6",
]  # fmt: skip
