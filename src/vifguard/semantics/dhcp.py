"""From the guest: no DHCP server's or relay's messages, and a client's only of its own.

A server that nobody ordered gives out gateways and name servers (RFC 7610); a client with
others' hardware addresses takes every lease (CVE-2025-52889); one that releases or declines
others' addresses takes them from their holders, or from the pool. A port with the role
`dhcp-server` is not judged by this guard at all; nor are later fragments, since a first one
always holds the ports.

**DHCPv4** (UDP in IPv4)

- From port 67 or to port 68 it is a server's or a relay's: dropped.
- To port 67: not fragmented; from port 68; at least 240 octets: op 1, htype 1, hlen 6 and the
  cookie 63 82 53 63; giaddr zero (else a relay's); chaddr one of the port's MACs; ciaddr zero
  or the port's (a release names the address so, RFC 2131, 4.4.6).
- Then options to the end option (255) or the packet's end: each must fit; 82 is a relay's; 52
  would continue them in fields where nobody looks for them (no client sends it); 53, the type,
  has one octet and 50, the requested address, four. They and 61, the client's identifier, are
  there at most once each (parts of a long option are put together, RFC 3396). The end must come
  within 64 steps, a pad, an option and finding the end counting one each.
- An identifier of seven octets that begins with 1 (Ethernet) is one of the port's MACs: a server
  gives leases by it before it looks at chaddr (RFC 2131, 2.1; RFC 2132, 9.14), so that a guest
  that names a neighbour's takes its lease. Identifiers of other kinds are not judged: a neighbour
  whose client sends one (RFC 4361: 255, an IAID and a DUID) can lose its lease to a guest that
  names it.
- In a decline (type 4) the requested address is the port's; where there is none it counts as
  0.0.0.0. A server takes a declined address out of its pool for long (RFC 2131, 4.3.3).
  A request may name any: a client that was moved asks for the address it had (INIT-REBOOT).

**DHCPv6** (UDP in IPv6)

- From port 547 or to port 546 it is a server's or a relay's: dropped.
- To port 547: from port 546; no extension header, and so not fragmented; at least 4 octets; a
  client's message: 1, 3, 4, 5, 6, 8, 9, 11 or 36. Others are a server's or a relay's; 20 wraps
  a DHCPv4 message (RFC 7341), which nobody would judge.
- A release (8), a decline (9) and a registration (36) are judged by their addresses, in order:
  each option fits, and there are at most 32, those inside an identity association (IA_NA, IA_TA,
  IA_PD: 3, 4, 25; of at least 12, 4 and 12 octets) included, one deep. Each IA Address (5, at
  least 24 octets) is the port's, and so is the prefix's first address of each IA Prefix (26,
  at least 25): a server knows a client by a DUID alone, which every neighbour sees.
- A registration (RFC 9686) has exactly one such address, which is the packet's source.
- Solicit, request, confirm, renew and rebind (1, 3, 4, 5, 6) may name any address: it is a wish,
  or a question whether one had elsewhere is still good (RFC 8415, 18.2), and the answer changes
  no lease but that of the DUID that it names. The owner of the DUID is not judged: a neighbour can
  lose its lease to a guest that names its DUID.
"""

from __future__ import annotations

from ipaddress import IPv4Address

from vifguard.model.address import UNSPECIFIED_4, Mac
from vifguard.model.guard import Guard, Role
from vifguard.model.policy import PortPolicy
from vifguard.model.verdict import Reason, Verdict
from vifguard.packet.dhcp import (
    CLIENT_ID,
    MESSAGE_TYPE,
    OVERLOAD,
    RELAY_AGENT,
    REQUESTED_ADDRESS,
    Dhcp4,
    Dhcp6,
)
from vifguard.packet.frame import Frame
from vifguard.packet.ip4 import IPv4
from vifguard.packet.ip6 import IPv6
from vifguard.packet.transport import Udp
from vifguard.semantics.drops import drop, why
from vifguard.semantics.headers import upper_unread
from vifguard.semantics.ownership import own

_CLIENT4, _SERVER4, _CLIENT6, _SERVER6 = 68, 67, 546, 547
_CLIENT_MESSAGES = frozenset({1, 3, 4, 5, 6, 8, 9, 11, 36})
_REGISTRATION = 36
_ABOUT_ADDRESSES = frozenset({8, 9, _REGISTRATION})
_DHCP4_INSIDE = 20
_DECLINE = 4
_LENGTHS = {MESSAGE_TYPE: 1, REQUESTED_ADDRESS: 4}
_ONCE = frozenset({MESSAGE_TYPE, REQUESTED_ADDRESS, CLIENT_ID})
_BOOTREQUEST, _ETHERNET, _MAC_OCTETS = 1, 1, 6


def check(policy: PortPolicy, frame: Frame) -> Verdict | None:
    """Judge a frame that the guest sends; None: no objection."""
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
    return _dhcp6(policy, packet, packet.upper)


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
    if int(message.ciaddr) and not own(policy, message.ciaddr):
        return drop(Guard.DHCP, Reason.DHCP_CLIENT_ADDRESS, message.ciaddr)
    return _options4(policy, message) or _declined4(policy, message)


def _options4(policy: PortPolicy, message: Dhcp4) -> Verdict | None:
    seen = set()
    for option in message.options:
        if option.code == RELAY_AGENT:
            return drop(Guard.DHCP, Reason.DHCP_ROLE, f"option {RELAY_AGENT}")
        length = _LENGTHS.get(option.code, len(option.value))
        repeated = option.code in _ONCE and option.code in seen
        if option.code == OVERLOAD or len(option.value) != length or repeated:
            return drop(Guard.DHCP, Reason.DHCP_SHAPE, f"option {option.code}")
        if option.code == CLIENT_ID and _is_of_another(policy, option.value):
            return drop(
                Guard.DHCP, Reason.DHCP_HARDWARE_ADDRESS, f"identifier {option.value.hex()}"
            )
        seen.add(option.code)
    return drop(Guard.DHCP, Reason.DHCP_SHAPE, message.broken) if message.broken else None


def _is_of_another(policy: PortPolicy, identifier: bytes) -> bool:
    """Whether a client's identifier is a MAC that is not the port's."""
    is_mac = len(identifier) == 1 + _MAC_OCTETS and identifier[0] == _ETHERNET
    return is_mac and Mac(identifier[1:]) not in policy.macs


def _declined4(policy: PortPolicy, message: Dhcp4) -> Verdict | None:
    if message.kind != _DECLINE:
        return None
    named = [o.value for o in message.options if o.code == REQUESTED_ADDRESS]
    address = IPv4Address(named[0]) if named else UNSPECIFIED_4
    if own(policy, address):
        return None
    return drop(Guard.DHCP, Reason.DHCP_CLIENT_ADDRESS, address)


def _dhcp6(policy: PortPolicy, packet: IPv6, udp: Udp) -> Verdict | None:
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
    return _message6(policy, packet, message)


def _message6(policy: PortPolicy, packet: IPv6, message: Dhcp6) -> Verdict | None:
    if message.kind == _DHCP4_INSIDE:
        return drop(Guard.DHCP, Reason.DHCP_SHAPE, "DHCPv4 inside")
    if message.kind not in _CLIENT_MESSAGES:
        return drop(Guard.DHCP, Reason.DHCP_ROLE, f"message {message.kind}")
    return _addresses6(policy, packet, message) if message.kind in _ABOUT_ADDRESSES else None


def _addresses6(policy: PortPolicy, packet: IPv6, message: Dhcp6) -> Verdict | None:
    registers = message.kind == _REGISTRATION
    for place, address in enumerate(message.addresses):
        if registers and place:
            return drop(Guard.DHCP, Reason.DHCP_SHAPE, "more addresses than one")
        if not own(policy, address) or (registers and address != packet.src):
            return drop(Guard.DHCP, Reason.DHCP_CLIENT_ADDRESS, address)
    if message.addresses_broken:
        return drop(Guard.DHCP, Reason.DHCP_SHAPE, message.addresses_broken)
    if registers and not message.addresses:
        return drop(Guard.DHCP, Reason.DHCP_SHAPE, "no address")
    return None
