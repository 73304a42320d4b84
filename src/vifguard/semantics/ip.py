"""From the guest: a source address that is the port's own (BCP 38, at the port).

Every fragment is judged, by its own header; so are packets to the host, and packets of a
connection that others opened.

**IPv4**

- The source is held by one of the port's prefixes. 0.0.0.0 passes only in a packet that is
  no fragment and is either DHCP to all (UDP 68 to 67, destination 255.255.255.255) or a report
  of group membership: IGMP of at least 8 octets, type 0x12, 0x16, 0x17 or 0x22, TTL 1, to
  224.0.0.0/4.
- Options can be read, and none routes: no loose (131) or strict (137) source route (RFC 7126),
  which would carry the packet past where its addresses are judged.

**IPv6**

- The source is the port's. `::` passes only in a packet that is not fragmented and is either a
  solicitation (ICMPv6 133 to ff02::2, or 135 to a solicited-node group; no extension header,
  hop limit 255) or a listener's report (ICMPv6 131, 132, 143 to a group; hop limit 1; exactly
  one extension header: hop-by-hop of 8 octets with Router Alert for MLD, before or after
  two octets of padding).
- No routing header, of any type (RFC 5095): it would carry the packet to an address that
  nobody judged.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

from vifguard.model.address import UNSPECIFIED_4, UNSPECIFIED_6
from vifguard.model.guard import Guard
from vifguard.model.policy import PortPolicy
from vifguard.model.verdict import Reason, Verdict
from vifguard.packet.frame import Frame
from vifguard.packet.icmp6 import MLD_DONE, MLD_REPORT, MLDV2_REPORT, NS, RS
from vifguard.packet.igmp import LEAVE, REPORT_V1, REPORT_V2, REPORT_V3, Igmp
from vifguard.packet.ip4 import IPv4
from vifguard.packet.ip6 import HOP_BY_HOP, ROUTING, IPv6
from vifguard.packet.transport import Udp
from vifguard.packet.undecoded import Unreadable
from vifguard.semantics.drops import drop
from vifguard.semantics.headers import icmp6_kind, upper_unread
from vifguard.semantics.nd import solicited_node
from vifguard.semantics.ownership import own

_BROADCAST = IPv4Address("255.255.255.255")
_ALL_ROUTERS = IPv6Address("ff02::2")
_SOURCE_ROUTES = frozenset({131, 137})
_IGMP_REPORTS = frozenset({REPORT_V1, REPORT_V2, LEAVE, REPORT_V3})
_MLD_REPORTS = frozenset({MLD_REPORT, MLD_DONE, MLDV2_REPORT})
_ROUTER_ALERT_MLD = bytes.fromhex("05020000")


def check(policy: PortPolicy, frame: Frame) -> Verdict | None:
    """Judge a frame that the guest sends; None: no objection."""
    unread = upper_unread(Guard.IP, frame)
    if unread:
        return unread
    packet = frame.body
    if isinstance(packet, IPv4):
        return _source4(policy, packet) or _options(packet)
    if isinstance(packet, IPv6):
        return _source6(policy, packet) or _routing(packet)
    return None


def _source4(policy: PortPolicy, packet: IPv4) -> Verdict | None:
    if packet.src == UNSPECIFIED_4:
        legal = not packet.is_fragment and (_asks_dhcp(packet) or _reports4(packet))
        reason = Reason.IPV4_UNSPECIFIED
    else:
        legal = own(policy, packet.src)
        reason = Reason.IPV4_SOURCE
    return None if legal else drop(Guard.IP, reason, packet.src)


def _asks_dhcp(packet: IPv4) -> bool:
    udp = packet.upper
    return isinstance(udp, Udp) and (udp.sport, udp.dport) == (68, 67) and packet.dst == _BROADCAST


def _reports4(packet: IPv4) -> bool:
    igmp = packet.upper
    return (
        isinstance(igmp, Igmp)
        and igmp.kind in _IGMP_REPORTS
        and packet.ttl == 1
        and packet.dst.is_multicast
    )


def _options(packet: IPv4) -> Verdict | None:
    options = packet.options
    if isinstance(options, Unreadable):
        return drop(Guard.IP, Reason.IPV4_OPTIONS, options.why)
    for option in options:
        if option.kind in _SOURCE_ROUTES:
            return drop(Guard.IP, Reason.IPV4_OPTIONS, f"option {option.kind}")
    return None


def _source6(policy: PortPolicy, packet: IPv6) -> Verdict | None:
    if packet.src == UNSPECIFIED_6:
        legal = packet.fragment is None and (_solicits(packet) or _reports6(packet))
        reason = Reason.IPV6_UNSPECIFIED
    else:
        legal = own(policy, packet.src)
        reason = Reason.IPV6_SOURCE
    return None if legal else drop(Guard.IP, reason, packet.src)


def _solicits(packet: IPv6) -> bool:
    if packet.extensions or packet.hop_limit != 255:
        return False
    kind = icmp6_kind(packet)
    return (kind == RS and packet.dst == _ALL_ROUTERS) or (
        kind == NS and packet.dst == solicited_node(packet.dst)
    )


def _reports6(packet: IPv6) -> bool:
    return (
        icmp6_kind(packet) in _MLD_REPORTS
        and packet.hop_limit == 1
        and packet.dst.is_multicast
        and len(packet.extensions) == 1
        and packet.extensions[0].kind == HOP_BY_HOP
        and len(packet.extensions[0].octets) == 8
        and _ROUTER_ALERT_MLD in (packet.extensions[0].octets[2:6], packet.extensions[0].octets[4:])
    )


def _routing(packet: IPv6) -> Verdict | None:
    for extension in packet.extensions:
        if extension.kind == ROUTING:
            return drop(Guard.IP, Reason.IPV6_ROUTING_HEADER, f"type {extension.octets[2]}")
    return None
