"""Always on: a guest takes no part in the control protocols of the host and of its links.

- Both ways, a frame shorter than an Ethernet header is dropped.
- From the guest, a source address that is a group or all zero is dropped: no station has one
  (IEEE 802-2014, 8.2.2), and a switch that learned it would flood.
- Both ways, the destinations 01:80:c2:00:00:00 to 0f are dropped. These are link-local: a
  bridge must not forward them (IEEE 802.1Q-2022, 8.6.3), and on them the host receives
  spanning tree (a guest could become root), pause, LACP, EAPOL and LLDP, all of which reach
  sockets of the host before any filter of its bridge sees them.
- Both ways, the types of such protocols are dropped whatever the destination: 0x8808 (pause),
  0x8809 (LACP, marker), 0x888e (EAPOL), 0x88c7, 0x88cc (LLDP), 0x88e5 (MACsec), 0x8902 (CFM),
  0x9000 (loopback). Of a frame whose tag the kernel took off, the type is the tag's.
- Both ways, a checksum that is left to be completed must belong to the frame, and no fragment is
  left to be segmented; from the guest no DHCP message is either (Offloads).
"""

from __future__ import annotations

from vifguard.model.guard import Guard
from vifguard.model.policy import PortPolicy
from vifguard.model.verdict import Direction, Reason, Verdict
from vifguard.packet.frame import Frame
from vifguard.semantics import offload
from vifguard.semantics.drops import drop

CONTROL_TYPES = frozenset({0x8808, 0x8809, 0x888E, 0x88C7, 0x88CC, 0x88E5, 0x8902, 0x9000})
_BRIDGE_GROUP = bytes.fromhex("0180c20000")


def from_guest(_policy: PortPolicy, frame: Frame) -> Verdict | None:
    """Judge a frame that the guest sends, on every port; None: no objection."""
    source = frame.src
    if source is not None and (source.is_group or source.is_zero):
        return drop(Guard.HOST, Reason.SOURCE_GROUP, source)
    return _either_way(frame) or offload.segmentation(frame, Direction.FROM_GUEST)


def to_guest(_policy: PortPolicy, frame: Frame) -> Verdict | None:
    """Judge a frame for the guest, on every port; None: no objection."""
    return _either_way(frame) or offload.segmentation(frame, Direction.TO_GUEST)


def _either_way(frame: Frame) -> Verdict | None:
    if frame.ethernet is None:
        return drop(Guard.HOST, Reason.RUNT, f"{len(frame.octets)} octets")
    group = frame.ethernet.dst.octets
    if group.startswith(_BRIDGE_GROUP) and group[5] <= 0x0F:
        return drop(Guard.HOST, Reason.CONTROL_GROUP, frame.dst)
    if frame.ethertype in CONTROL_TYPES:
        return drop(Guard.HOST, Reason.CONTROL_ETHERTYPE, f"0x{frame.ethertype:04x}")
    return offload.checksum(frame)
