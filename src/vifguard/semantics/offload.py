"""Offloads that a sender leaves to be done to a frame must not write into its judged octets.

A guest, or the kernel behind an uplink, may leave two things to the next carrier of its frame:
the kernel, a network card, the receiver. Both are done after every filter.

**A checksum left to be completed** (Linux: `CHECKSUM_PARTIAL`; VIRTIO 1.3, 5.1.6.2:
`VIRTIO_NET_HDR_F_NEEDS_CSUM`). The sender names where the sum begins (`csum_start`) and where from
there it is stored (`csum_offset`). Nothing obliges a sender to name a checksum: by the octets that
are summed it chooses the value that is stored, so it could write any two octets into an ARP sender,
an IP source or a port after they were judged. Such a frame passes only if it is one of these;
`csum_start` counts from the Ethernet header on:

- An IP packet, no fragment, with a TCP or UDP header that was located (Headers): `csum_start`
  is that header and `csum_offset` is 16 or 6, its checksum's.
- An IP packet, no fragment, of SCTP (132) whose header of 12 octets is there: `csum_start` is
  that header, `csum_offset` is 8, and the kernel has marked the frame as one that wants the
  CRC32c (`csum_not_inet`), of 4 octets.
- An IP packet, no fragment, that carries another: `csum_start` lies in the packet that it carries,
  which nothing here judges. That is behind the header of a UDP datagram that is no DHCP (neither
  port is 67 or 68 in IPv4, 546 or 547 in IPv6: VXLAN, Geneve), and behind the IP headers of
  protocols 4, 41 (IP in IP) and 47 (GRE).
- A frame of a type other than IPv4, ARP, RARP and IPv6, as a tagged one: `csum_start` is at
  least 18, behind the type and a tag's VLAN.

Every other one is dropped: ARP, ICMP, fragments, headers that are malformed or unreadable.

**Segmentation** (GSO, USO, UFO): one frame becomes several, each with the headers of the first and
its own part of the payload. Of TCP, UDP, SCTP and tunnels only headers are judged. But each part of
a UDP datagram is a datagram: from the guest, one that is DHCP by its ports is dropped, as only its
first part was judged. And a carrier that cuts a fragment once more gives its parts offsets from 0
on, so that a later fragment would arrive as a first one: either way, no fragment passes that is
left to be cut.

Where a kernel does not let the driver read these things, the driver does not start there, and
the ports of that host stay closed: the guest alone decides which offloads it leaves. No setting
of its interface hinders it: with a tap's checksum offload turned off (`ethtool -K`), the kernel
takes the same frames from the guest.
"""

from __future__ import annotations

from vifguard.model.guard import Guard
from vifguard.model.verdict import Direction, Reason, Verdict
from vifguard.packet.frame import Frame
from vifguard.packet.ip4 import IPv4
from vifguard.packet.ip6 import IPv6
from vifguard.packet.link import ARP, HEADER, IPV4, IPV6, RARP
from vifguard.packet.offload import PartialChecksum
from vifguard.packet.transport import DHCP4_PORTS, DHCP6_PORTS, Tcp, Udp
from vifguard.packet.undecoded import Opaque, Unreadable
from vifguard.semantics.drops import drop

_TCP, _UDP, _SCTP = 16, 6, 8
_SCTP_PROTOCOL, _SCTP_HEADER = 132, 12
_CARRIERS = frozenset({4, 41, 47})
_UDP_HEADER = 8
_TAG = 4


def checksum(frame: Frame) -> Verdict | None:
    """The objection to a checksum that is left to be completed; either way."""
    left = frame.offload.checksum
    if left is None or _belongs(frame, left):
        return None
    end = left.start + left.offset + left.width - 1
    where = f"octets {left.start + left.offset} to {end}, summed from {left.start} on"
    return drop(Guard.HOST, Reason.CHECKSUM_OFFLOAD, where)


def segmentation(frame: Frame, direction: Direction) -> Verdict | None:
    """The objection to a frame that is left to be cut into segments."""
    packet, size = frame.body, frame.offload.gso_size
    if not size or not isinstance(packet, IPv4 | IPv6):
        return None
    is_message = isinstance(packet.upper, Udp) and _is_dhcp(packet, packet.upper)
    if _is_fragment(packet) or (is_message and direction is Direction.FROM_GUEST):
        return drop(Guard.HOST, Reason.SEGMENTATION_OFFLOAD, f"{size} octets each")
    return None


def _belongs(frame: Frame, left: PartialChecksum) -> bool:
    packet = frame.body
    if isinstance(packet, IPv4 | IPv6):
        return _belongs_to(packet, left)
    if frame.ethertype in (ARP, RARP, IPV4, IPV6):
        return False
    return not left.crc and left.start >= HEADER + _TAG


def _belongs_to(packet: IPv4 | IPv6, left: PartialChecksum) -> bool:
    if _is_fragment(packet) or isinstance(packet.upper, Unreadable):
        return False
    header, upper = HEADER + packet.header_length, packet.upper
    here = (left.start, left.offset)
    if left.crc:
        is_whole = isinstance(upper, Opaque) and len(upper.octets) >= _SCTP_HEADER
        return packet.protocol == _SCTP_PROTOCOL and is_whole and here == (header, _SCTP)
    if isinstance(upper, Tcp):
        return here == (header, _TCP)
    if isinstance(upper, Udp):
        carries = not _is_dhcp(packet, upper) and left.start >= header + _UDP_HEADER
        return carries or here == (header, _UDP)
    return packet.protocol in _CARRIERS and left.start >= header


def _is_fragment(packet: IPv4 | IPv6) -> bool:
    return packet.is_fragment if isinstance(packet, IPv4) else packet.fragment is not None


def _is_dhcp(packet: IPv4 | IPv6, datagram: Udp) -> bool:
    ports = DHCP4_PORTS if isinstance(packet, IPv4) else DHCP6_PORTS
    return not ports.isdisjoint((datagram.sport, datagram.dport))
