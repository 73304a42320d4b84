"""From the guest: VRRP and CARP advertisements only with ids and addresses that are the port's.

A guest that advertises the higher priority unseats the holder of a virtual router, and no receiver
can know that it may not (RFC 9568, 9). So an advertisement, IP protocol 112, claims its addresses
as ARP does:

- Not fragmented, a later fragment neither; in IPv6 without extension headers.
- The source is the port's.
- To 224.0.0.18 or ff02::12 with TTL or hop limit 255, or to no group at all (keepalived's
  `unicast_peer`); 255.255.255.255 is a group here.
- It is whole, to the packet's end, with an id that is not zero, and one of three. VRRP version 3
  (RFC 9568): 31 in the first octet, 8 octets and a count of addresses, at least one. Version 2
  (RFC 3768): 21, IPv4 alone, and 8 octets of authentication data behind the addresses. CARP: 21,
  7 as the count, and 36 octets: it has no addresses, but a digest over them.
- The id is not that of an IP group of the network whose addresses the port may not hold, in the
  same family. An id that no IP group has is anybody's: two projects that chose the same one
  disturb each other until one of them makes an IP group with it.
- Each address is the port's: fixed, in an address pair, or its IP group's; at most 64.

In IPv4 an authentication header (51) is a protocol of its own, and only receivers that have the
key accept its content: it is not judged here.
"""

from __future__ import annotations

from vifguard.model.address import IPAddress
from vifguard.model.guard import Guard
from vifguard.model.policy import PortPolicy
from vifguard.model.verdict import Reason, Verdict
from vifguard.packet.frame import Frame
from vifguard.packet.ip4 import IPv4
from vifguard.packet.ip6 import IPv6
from vifguard.packet.vrrp import VRRP, Vrrp
from vifguard.semantics.drops import drop
from vifguard.semantics.headers import upper_unread
from vifguard.semantics.ownership import own

_GROUPS = frozenset({"224.0.0.18", "ff02::12"})
_BROADCAST = "255.255.255.255"
_TTL = 255
_ADDRESSES_AT_MOST = 64


def check(policy: PortPolicy, frame: Frame) -> Verdict | None:
    """Judge a frame that the guest sends; None: no objection."""
    unread = upper_unread(Guard.VRRP, frame)
    if unread:
        return unread
    packet = frame.body
    if not isinstance(packet, IPv4 | IPv6) or packet.protocol != VRRP:
        return None
    misshapen = _packet(packet)
    if misshapen:
        return drop(Guard.VRRP, Reason.VRRP_SHAPE, misshapen)
    if not own(policy, packet.src):
        return drop(Guard.VRRP, Reason.VRRP_SOURCE, packet.src)
    message = packet.upper
    if not isinstance(message, Vrrp) or message.broken:
        why = message.broken if isinstance(message, Vrrp) else ""
        return drop(Guard.VRRP, Reason.VRRP_SHAPE, why)
    return _claims(policy, packet, message)


def _packet(packet: IPv4 | IPv6) -> str:
    """Why such a packet may not carry an advertisement; empty if it may."""
    if isinstance(packet, IPv4):
        if packet.is_fragment:
            return "fragmented"
        hops = packet.ttl
    else:
        if packet.extensions:
            return f"{len(packet.extensions)} extension headers"
        hops = packet.hop_limit
    if not _is_to_many(packet.dst):
        return ""
    return "" if str(packet.dst) in _GROUPS and hops == _TTL else f"TTL {hops} to {packet.dst}"


def _is_to_many(address: IPAddress) -> bool:
    return address.is_multicast or str(address) == _BROADCAST


def _claims(policy: PortPolicy, packet: IPv4 | IPv6, message: Vrrp) -> Verdict | None:
    foreign = policy.foreign_vrids4 if isinstance(packet, IPv4) else policy.foreign_vrids6
    if message.router_id in foreign:
        return drop(Guard.VRRP, Reason.VRRP_ROUTER_ID, message.router_id)
    if len(message.addresses) > _ADDRESSES_AT_MOST:
        return drop(Guard.VRRP, Reason.VRRP_SHAPE, f"{len(message.addresses)} addresses")
    for address in message.addresses:
        if not own(policy, address):
            return drop(Guard.VRRP, Reason.VRRP_ADDRESS, address)
    return None
