"""Constructors of frames, legal and illegal ones.

A constructor makes one layer around its payload and returns a `Piece`; the outermost,
`ethernet`, returns the frame's bytes. Each layer below learns its next-type field from the
piece inside it and fills the checksums that need its addresses, so a legal frame is short
to write:

    ethernet(mac, "ff:ff:ff:ff:ff:ff", arp(mac, "10.0.0.5", target_ip="10.0.0.6"))
    ethernet(mac, router, ipv4("10.0.0.5", "10.0.0.1", udp(68, 67, dhcpv4(mac))))

Every field that could be set wrong is a keyword: lengths, checksums, versions, hop limits,
next-type fields. A field that no keyword sets has the RFC's value. Bytes stand for a payload
of which nothing is known. Truncate or flip the bytes of a frame for the rest.
"""

from vifguard.packet.builders.dhcp import dhcp_option, dhcpv4, dhcpv6, dhcpv6_option, dhcpv6_relay
from vifguard.packet.builders.ip import fragments, ipv4, ipv6
from vifguard.packet.builders.ip4_options import ip4_option, router_alert4
from vifguard.packet.builders.ip6_headers import (
    authentication,
    destination_options,
    extension,
    fragment,
    hop_by_hop,
    ip6_option,
    router_alert6,
    routing,
)
from vifguard.packet.builders.layer import (
    AddressLike,
    Layer,
    MacLike,
    Payload,
    internet_checksum,
    multicast_mac,
    solicited_node,
)
from vifguard.packet.builders.link import arp, ethernet, llc, pad, rarp, snap, vlan
from vifguard.packet.builders.multicast import igmp, igmpv3_report, mld, mldv2_report
from vifguard.packet.builders.nd import (
    na,
    nd,
    nd_option,
    ns,
    prefix_information,
    ra,
    redirect,
    rs,
    slla,
    tlla,
)
from vifguard.packet.builders.transport import icmpv4, icmpv6, tcp, udp
from vifguard.packet.builders.vrrp import carp, vrrp, vrrp2

__all__ = [
    "AddressLike",
    "Layer",
    "MacLike",
    "Payload",
    "arp",
    "authentication",
    "carp",
    "destination_options",
    "dhcp_option",
    "dhcpv4",
    "dhcpv6",
    "dhcpv6_option",
    "dhcpv6_relay",
    "ethernet",
    "extension",
    "fragment",
    "fragments",
    "hop_by_hop",
    "icmpv4",
    "icmpv6",
    "igmp",
    "igmpv3_report",
    "internet_checksum",
    "ip4_option",
    "ip6_option",
    "ipv4",
    "ipv6",
    "llc",
    "mld",
    "mldv2_report",
    "multicast_mac",
    "na",
    "nd",
    "nd_option",
    "ns",
    "pad",
    "prefix_information",
    "ra",
    "rarp",
    "redirect",
    "router_alert4",
    "router_alert6",
    "routing",
    "rs",
    "slla",
    "snap",
    "solicited_node",
    "tcp",
    "tlla",
    "udp",
    "vlan",
    "vrrp",
    "vrrp2",
]
