"""From the guest: only whole, legal ARP (RFC 826, RFC 5227), about the port's addresses.

Requests are judged as replies are: both fill a neighbour's cache (CVE-2021-38598).

- The packet is for Ethernet and IPv4, at least 28 octets, operation 1 (request) or 2 (reply),
  in a frame of at most 60 octets: no inverse or other ARP, and no trailer to hide in.
- The sender protocol address is one of the port's; so is that of an announcement.
- 0.0.0.0 as sender is a probe: a request, whose sender hardware address is the Ethernet
  source and whose target is one of the port's addresses. A probe for another's address would
  make its owner give the address up.
"""

from __future__ import annotations

from vifguard.model.address import UNSPECIFIED_4
from vifguard.model.guard import Guard
from vifguard.model.policy import PortPolicy
from vifguard.model.verdict import Reason, Verdict
from vifguard.packet.arp import Arp
from vifguard.packet.frame import Frame
from vifguard.packet.link import ARP
from vifguard.semantics.drops import drop, why
from vifguard.semantics.ethertype import SHORT
from vifguard.semantics.ownership import own

_REQUEST, _REPLY = 1, 2


def check(policy: PortPolicy, frame: Frame) -> Verdict | None:
    """Judge a frame that the guest sends; None: no objection."""
    if frame.ethertype != ARP:
        return None
    packet = frame.body
    if not isinstance(packet, Arp):
        return drop(Guard.ARP, Reason.ARP_SHAPE, why(packet))
    operates = packet.op in (_REQUEST, _REPLY)
    if not operates or len(frame.octets) > SHORT:
        offender = f"{len(frame.octets)} octets" if operates else f"op {packet.op}"
        return drop(Guard.ARP, Reason.ARP_SHAPE, offender)
    if packet.sender_ip == UNSPECIFIED_4:
        return _probe(policy, frame, packet)
    if not own(policy, packet.sender_ip):
        return drop(Guard.ARP, Reason.ARP_SENDER_ADDRESS, packet.sender_ip)
    return None


def _probe(policy: PortPolicy, frame: Frame, packet: Arp) -> Verdict | None:
    if packet.op != _REQUEST:
        return drop(Guard.ARP, Reason.ARP_PROBE, f"op {packet.op}")
    if packet.sender_mac != frame.src:
        return drop(Guard.ARP, Reason.ARP_PROBE, packet.sender_mac)
    if not own(policy, packet.target_ip):
        return drop(Guard.ARP, Reason.ARP_PROBE, packet.target_ip)
    return None
