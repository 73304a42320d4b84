"""From the guest: no DHCP server's or relay's messages, and a client's only for its own MAC.

A server that nobody ordered gives out gateways and name servers (RFC 7610); a client with
others' hardware addresses takes every lease (CVE-2025-52889). A port with the role
`dhcp-server` is not judged by this guard at all; nor are later fragments, since a first one
always holds the ports.

**DHCPv4** (UDP in IPv4)

- From port 67 or to port 68 it is a server's or a relay's: dropped.
- To port 67: not fragmented; from port 68; at least 240 octets: op 1, htype 1, hlen 6 and the
  cookie 63 82 53 63; giaddr zero (else a relay's); chaddr one of the port's MACs. Then options
  to the end option (255) or the packet's end: each must fit, 82 is a relay's; the end must come
  within 64 steps, a pad, an option and finding the end counting one each.

**DHCPv6** (UDP in IPv6)

- From port 547 or to port 546 it is a server's or a relay's: dropped.
- To port 547: from port 546; no extension header, and so not fragmented; at least 4 octets; a
  client's message: 1, 3, 4, 5, 6, 8, 9 or 11. Others are a server's or a relay's.
"""

from __future__ import annotations

from vifguard.model.guard import Guard, Role
from vifguard.model.policy import PortPolicy
from vifguard.model.verdict import Reason, Verdict
from vifguard.packet.dhcp import RELAY_AGENT, Dhcp4, Dhcp6
from vifguard.packet.frame import Frame
from vifguard.packet.ip4 import IPv4
from vifguard.packet.ip6 import IPv6
from vifguard.packet.upper import Udp
from vifguard.semantics.headers import upper_unread
from vifguard.semantics.objection import drop, why

_CLIENT4, _SERVER4, _CLIENT6, _SERVER6 = 68, 67, 546, 547
_CLIENT_MESSAGES = frozenset({1, 3, 4, 5, 6, 8, 9, 11})
_BOOTREQUEST, _ETHERNET, _MAC_OCTETS = 1, 1, 6


def check(policy: PortPolicy, frame: Frame) -> Verdict | None:
    """What the guard says of a frame that the guest sends."""
    if Role.DHCP_SERVER in policy.roles:
        return None
    unread = upper_unread(Guard.DHCP, frame)
    if unread:
        return unread
    packet = frame.body
    if not isinstance(packet, IPv4 | IPv6) or not isinstance(packet.upper, Udp):
        return None
    if isinstance(packet, IPv4):
        return _dhcp4(policy, packet, packet.upper)
    return _dhcp6(packet, packet.upper)


def _dhcp4(policy: PortPolicy, packet: IPv4, udp: Udp) -> Verdict | None:
    if udp.sport == _SERVER4 or udp.dport == _CLIENT4:
        return drop(Guard.DHCP, Reason.DHCP_ROLE, f"UDP {udp.sport} to {udp.dport}")
    if udp.dport != _SERVER4:
        return None
    if udp.sport != _CLIENT4 or packet.is_fragment:
        offender = "fragmented" if packet.is_fragment else f"from port {udp.sport}"
        return drop(Guard.DHCP, Reason.DHCP_SHAPE, offender)
    message = udp.message
    if not isinstance(message, Dhcp4):
        return drop(Guard.DHCP, Reason.DHCP_SHAPE, why(message))
    return _request4(policy, message)


def _request4(policy: PortPolicy, message: Dhcp4) -> Verdict | None:
    kind = (message.op, message.htype, message.hlen)
    if kind != (_BOOTREQUEST, _ETHERNET, _MAC_OCTETS):
        return drop(Guard.DHCP, Reason.DHCP_SHAPE, "op {}, htype {}, hlen {}".format(*kind))
    if int(message.giaddr):
        return drop(Guard.DHCP, Reason.DHCP_ROLE, f"giaddr {message.giaddr}")
    if message.chaddr not in policy.macs:
        return drop(Guard.DHCP, Reason.DHCP_HARDWARE_ADDRESS, message.chaddr)
    if any(option.code == RELAY_AGENT for option in message.options):
        return drop(Guard.DHCP, Reason.DHCP_ROLE, f"option {RELAY_AGENT}")
    return drop(Guard.DHCP, Reason.DHCP_SHAPE, message.broken) if message.broken else None


def _dhcp6(packet: IPv6, udp: Udp) -> Verdict | None:
    if udp.sport == _SERVER6 or udp.dport == _CLIENT6:
        return drop(Guard.DHCP, Reason.DHCP_ROLE, f"UDP {udp.sport} to {udp.dport}")
    if udp.dport != _SERVER6:
        return None
    if udp.sport != _CLIENT6 or packet.extensions:
        offender = f"from port {udp.sport}, {len(packet.extensions)} extension headers"
        return drop(Guard.DHCP, Reason.DHCP_SHAPE, offender)
    message = udp.message
    if not isinstance(message, Dhcp6):
        return drop(Guard.DHCP, Reason.DHCP_SHAPE, why(message))
    if message.kind not in _CLIENT_MESSAGES:
        return drop(Guard.DHCP, Reason.DHCP_ROLE, f"message {message.kind}")
    return None
