"""From the guest: only whole, legal neighbour discovery (RFC 4861), about the port's addresses.

Neighbour discovery is ICMPv6 133 to 137; forged, it moves a neighbour's cache or denies an
address (CVE-2021-20267, CVE-2023-5366, RFC 3756).

- Shape: no extension header before it, not fragmented, hop limit 255, code 0, its fixed part,
  and options as `mac` reads them. Receivers ignore other shapes or should; a filter that lets
  them pass as ordinary traffic relies on every receiver.
- Router solicitation: from `::` without a source link-layer address option, or from one of
  the port's addresses.
- Neighbour solicitation: the target is no group. From `::` it is duplicate address detection:
  to the target's solicited-node group, no source link-layer address option, and the target is
  one of the port's addresses, tentative ones included: else a guest could deny addresses to
  others. Otherwise the source is the port's, and a group destination is the target's
  solicited-node group.
- Neighbour advertisement: the target is no group; source and target are the port's; to a
  group it is not solicited (S flag clear).
- Router advertisement and redirect, where `ra` lets them pass: from a link-local address of
  the port.
- A source or target that is not the port's and that it may claim is `nd-claim`: see *learned
  addresses*, above.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from ipaddress import IPv6Address
from types import MappingProxyType

from vifguard.model.address import UNSPECIFIED_6
from vifguard.model.guard import Guard
from vifguard.model.policy import PortPolicy
from vifguard.model.verdict import Reason, Verdict
from vifguard.packet.frame import Frame
from vifguard.packet.icmp6 import NA, NS, RA, REDIRECT, RS, SOURCE_LINK_LAYER, Icmp6, Nd
from vifguard.packet.ip6 import IPv6
from vifguard.packet.link import IPV6
from vifguard.semantics.drops import drop
from vifguard.semantics.headers import upper_unread
from vifguard.semantics.ownership import own

_HOP_LIMIT = 255
_SOLICITED = 0x40
_SOLICITED_NODE = int(IPv6Address("ff02::1:ff00:0"))


def check(policy: PortPolicy, frame: Frame) -> Verdict | None:
    """Judge a frame that the guest sends; None: no objection."""
    unread = upper_unread(Guard.ND, frame) if frame.ethertype == IPV6 else None
    if unread:
        return unread
    packet = frame.body
    if not isinstance(packet, IPv6) or not isinstance(packet.upper, Icmp6):
        return None
    message = packet.upper.message
    if not isinstance(message, Nd):
        return None
    why = _misshapen(packet, packet.upper, message)
    if why:
        return drop(Guard.ND, Reason.ND_SHAPE, why)
    return _RULES[packet.upper.kind](policy, packet, message)


def _misshapen(packet: IPv6, icmp: Icmp6, message: Nd) -> str:
    """The shape that is illegal in messages of every type; empty if the message is legal."""
    if packet.extensions:
        return f"{len(packet.extensions)} extension headers"
    if packet.hop_limit != _HOP_LIMIT:
        return f"hop limit {packet.hop_limit}"
    return f"code {icmp.code}" if icmp.code else message.broken


def _router_solicitation(policy: PortPolicy, packet: IPv6, message: Nd) -> Verdict | None:
    if packet.src != UNSPECIFIED_6:
        return _source(policy, packet)
    if _tells_source(message):
        return drop(Guard.ND, Reason.ND_UNSPECIFIED, "a source link-layer address")
    return None


def _neighbour_solicitation(policy: PortPolicy, packet: IPv6, message: Nd) -> Verdict | None:
    target = message.target
    if target is None or target.is_multicast:
        return drop(Guard.ND, Reason.ND_SHAPE, target)
    to_solicited_node = packet.dst == solicited_node(target)
    if packet.src != UNSPECIFIED_6:
        misdirected = packet.dst.is_multicast and not to_solicited_node
        return _source(policy, packet) or (
            drop(Guard.ND, Reason.ND_SHAPE, packet.dst) if misdirected else None
        )
    if not to_solicited_node:
        return drop(Guard.ND, Reason.ND_UNSPECIFIED, packet.dst)
    if _tells_source(message):
        return drop(Guard.ND, Reason.ND_UNSPECIFIED, "a source link-layer address")
    return None if target in policy.tentative else _target(policy, target)


def _neighbour_advertisement(policy: PortPolicy, packet: IPv6, message: Nd) -> Verdict | None:
    target = message.target
    if target is None or target.is_multicast:
        return drop(Guard.ND, Reason.ND_SHAPE, target)
    objection = _source(policy, packet) or _target(policy, target)
    if objection is None and packet.dst.is_multicast and message.flags & _SOLICITED:
        return drop(Guard.ND, Reason.ND_SHAPE, f"solicited, to {packet.dst}")
    return objection


def _from_router(policy: PortPolicy, packet: IPv6, _message: Nd) -> Verdict | None:
    if not packet.src.is_link_local:
        return drop(Guard.ND, Reason.ND_SOURCE, packet.src)
    return _source(policy, packet)


_RULES: Mapping[int, Callable[[PortPolicy, IPv6, Nd], Verdict | None]] = MappingProxyType(
    {
        RS: _router_solicitation,
        RA: _from_router,
        NS: _neighbour_solicitation,
        NA: _neighbour_advertisement,
        REDIRECT: _from_router,
    }
)


def solicited_node(target: IPv6Address) -> IPv6Address:
    """The group in which the holder of the target listens (RFC 4291, 2.7.1)."""
    return IPv6Address(_SOLICITED_NODE | int(target) & 0xFFFFFF)


def _source(policy: PortPolicy, packet: IPv6) -> Verdict | None:
    return _about(policy, packet.src, Reason.ND_SOURCE)


def _target(policy: PortPolicy, target: IPv6Address) -> Verdict | None:
    return _about(policy, target, Reason.ND_TARGET)


def _about(policy: PortPolicy, address: IPv6Address, foreign: Reason) -> Verdict | None:
    if own(policy, address):
        return None
    return drop(Guard.ND, Reason.ND_CLAIM if policy.may_claim(address) else foreign, address)


def _tells_source(message: Nd) -> bool:
    return any(option.kind == SOURCE_LINK_LAYER for option in message.options)
