"""Frames of each guard: those that it drops, each beside what must pass."""

from tests.enforce.guarded_port import mac_of

from vifguard.model.address import Mac
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
