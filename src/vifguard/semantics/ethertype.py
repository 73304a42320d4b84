"""Both ways: only IPv4, ARP, IPv6, the RARP announcement, and the types listed for the port.

An unknown type is not harmless: a tag hides a whole packet from every check
above Ethernet (CVE-2021-27853, VU#855201), and receivers disagree about SNAP.

- A value below 0x0600 is an 802.3 length: LLC, SNAP, spanning tree. It cannot be listed.
- A tag (0x8100, 0x88a8, 0x9100, 0x9200) that is not listed is dropped, also where the kernel took
  it off the frame; a priority tag (VID 0) is a tag. A listed tag passes with any content: only
  `mac` and `storm` see such a frame. So its outermost tag must name a VLAN: not VID 0, which is
  none (IEEE 802.1Q-2022, 6.9: the receiver takes the content for untagged), and in a tag of 802.1ad
  (0x88a8) not VID 1, which a bridge that filters VLANs sends on untagged. A tag that is cut short
  names none.
- Any other type that is neither one of the four nor listed is dropped.
- RARP (0x8035) must be the announcement that a hypervisor sends for a guest after migration:
  Ethernet and IPv4, operation 3, sender and target hardware address the same, both protocol
  addresses zero, at most 60 octets of frame.
- IPv4 and IPv6 must have a header that can be read.
"""

from __future__ import annotations

from vifguard.model.guard import Guard
from vifguard.model.policy import PortPolicy
from vifguard.model.verdict import Reason, Verdict
from vifguard.packet.arp import Arp
from vifguard.packet.frame import Frame
from vifguard.packet.link import ARP, IPV4, IPV6, LEAST_ETHERTYPE, RARP, TAGS, Tagged
from vifguard.semantics.drops import drop
from vifguard.semantics.headers import header_unread

READABLE = frozenset({IPV4, ARP, IPV6, RARP})
SHORT = 60
"""Octets of a frame that is padded to Ethernet's least; ARP and RARP fit."""

_ANNOUNCE = 3
_SERVICE_TAG = 0x88A8


def check(policy: PortPolicy, frame: Frame) -> Verdict | None:
    """Judge a frame, either way; None: no objection."""
    kind = frame.ethertype
    if kind < LEAST_ETHERTYPE:
        return drop(Guard.ETHERTYPE, Reason.LENGTH_FIELD, f"0x{kind:04x}")
    if kind not in READABLE and kind not in policy.ethertypes:
        reason = Reason.TAGGED if kind in TAGS else Reason.ETHERTYPE_UNLISTED
        return drop(Guard.ETHERTYPE, reason, f"0x{kind:04x}")
    if kind in TAGS and not _names_vlan(frame):
        return drop(Guard.ETHERTYPE, Reason.TAG_WITHOUT_VLAN, f"0x{kind:04x}")
    if kind == RARP and not _announces(frame):
        return drop(Guard.ETHERTYPE, Reason.RARP_SHAPE)
    return header_unread(Guard.ETHERTYPE, frame)


def _names_vlan(frame: Frame) -> bool:
    if not isinstance(frame.body, Tagged):
        return False
    outer = frame.body.tags[0]
    return outer.vid not in ({0, 1} if outer.tpid == _SERVICE_TAG else {0})


def _announces(frame: Frame) -> bool:
    packet = frame.body
    return (
        isinstance(packet, Arp)
        and packet.op == _ANNOUNCE
        and packet.sender_mac == packet.target_mac
        and int(packet.sender_ip) == int(packet.target_ip) == 0
        and len(frame.octets) <= SHORT
    )
