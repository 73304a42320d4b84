"""From the guest: its own MACs in the Ethernet source, in ARP and in ND; to it: its frames only.

With another's MAC a guest takes another's frames, by moving a switch's forwarding entry or a
neighbour's cache (CVE-2016-5363, CVE-2025-52889). From the guest:

- The Ethernet source is one of the port's MACs, whatever the frame carries, tagged or not.
- ARP and RARP are for Ethernet and IPv4 (hrd 1, pro 0x0800, hln 6, pln 4; at least 28 octets)
  and the sender hardware address is the port's; in RARP the target's too. The sender may be
  another of the port's MACs than the Ethernet source: so VRRP does (RFC 9568).
- Neighbour discovery (ICMPv6 133 to 137, wherever in the header chain) is not fragmented
  (RFC 6980), has its fixed part (RS 8 octets, RA 16, NS and NA 24, redirect 40), then options
  to the packet's end: each with a length that is not zero and fits, at most sixteen; source
  and target link-layer address options are 8 octets long and hold one of the port's MACs.
  A redirect from a port with the role `router-advertiser` names the link-layer address of the
  better hop (RFC 4861, 4.5): its target option may hold another's MAC, no group and not zero.
  Options are judged in order. Extension headers before it move nothing out of sight.

To the guest: a unicast destination is one of the port's MACs, so that a guest does not receive
others' frames that a switch floods. Groups pass.
"""

from __future__ import annotations

from vifguard.model.guard import Guard, Role
from vifguard.model.policy import PortPolicy
from vifguard.model.verdict import Reason, Verdict
from vifguard.packet.arp import Arp
from vifguard.packet.frame import Frame
from vifguard.packet.icmp6 import REDIRECT, TARGET_LINK_LAYER, Icmp6, Nd, NdOption
from vifguard.packet.ip6 import IPv6
from vifguard.packet.link import ARP, IPV6, RARP
from vifguard.packet.transport import Upper
from vifguard.semantics.drops import drop, why
from vifguard.semantics.headers import upper_unread


def from_guest(policy: PortPolicy, frame: Frame) -> Verdict | None:
    """Judge a frame that the guest sends; None: no objection."""
    unread = upper_unread(Guard.MAC, frame) if frame.ethertype == IPV6 else None
    if unread:
        return unread
    if frame.src not in policy.macs:
        return drop(Guard.MAC, Reason.SOURCE_MAC, frame.src)
    if frame.ethertype in (ARP, RARP):
        return _arp(policy, frame)
    return _discovery(policy, frame.body) if isinstance(frame.body, IPv6) else None


def to_guest(policy: PortPolicy, frame: Frame) -> Verdict | None:
    """Judge a frame for the guest; None: no objection."""
    if frame.is_to_group or frame.dst in policy.macs:
        return None
    return drop(Guard.MAC, Reason.DESTINATION_MAC, frame.dst)


def _arp(policy: PortPolicy, frame: Frame) -> Verdict | None:
    packet = frame.body
    if not isinstance(packet, Arp):
        return drop(Guard.MAC, Reason.ARP_UNREADABLE, why(packet))
    if packet.sender_mac not in policy.macs:
        return drop(Guard.MAC, Reason.ARP_SENDER_MAC, packet.sender_mac)
    if frame.ethertype == RARP and packet.target_mac not in policy.macs:
        return drop(Guard.MAC, Reason.ARP_SENDER_MAC, packet.target_mac)
    return None


def _tells_better_hop(policy: PortPolicy, icmp: Upper, option: NdOption) -> bool:
    is_target = isinstance(icmp, Icmp6) and icmp.kind == REDIRECT
    is_target = is_target and option.kind == TARGET_LINK_LAYER
    mac = option.mac
    is_station = mac is not None and not mac.is_group and not mac.is_zero
    return Role.ROUTER_ADVERTISER in policy.roles and is_target and is_station


def _discovery(policy: PortPolicy, packet: IPv6) -> Verdict | None:
    message = packet.upper.message if isinstance(packet.upper, Icmp6) else None
    if not isinstance(message, Nd):
        return None
    if packet.fragment is not None:
        return drop(Guard.MAC, Reason.ND_UNREADABLE, "fragmented")
    for option in message.options:
        if option.mac is None or option.mac in policy.macs:
            continue
        if not _tells_better_hop(policy, packet.upper, option):
            return drop(Guard.MAC, Reason.ND_LINK_LAYER_ADDRESS, option.mac)
    return drop(Guard.MAC, Reason.ND_UNREADABLE, message.broken) if message.broken else None
