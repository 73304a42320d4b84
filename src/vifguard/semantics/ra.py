"""From the guest: no router advertisement and no redirect.

These are ICMPv6 134 and 137, and ICMPv4 type 5, wherever in the header chain (RFC 6105,
RFC 7113, CVE-2020-10749). A port with the role `router-advertiser` is not judged by this
guard at all; nor are later fragments, since a first one always holds the type.
"""

from __future__ import annotations

from vifguard.model.guard import Guard, Role
from vifguard.model.policy import PortPolicy
from vifguard.model.verdict import Reason, Verdict
from vifguard.packet.frame import Frame
from vifguard.packet.icmp6 import RA, REDIRECT
from vifguard.packet.ip4 import IPv4
from vifguard.packet.ip6 import IPv6
from vifguard.packet.transport import Icmp4
from vifguard.semantics.drops import drop
from vifguard.semantics.headers import icmp6_kind, upper_unread

_REDIRECT4 = 5


def check(policy: PortPolicy, frame: Frame) -> Verdict | None:
    """Judge a frame that the guest sends; None: no objection."""
    if Role.ROUTER_ADVERTISER in policy.roles:
        return None
    unread = upper_unread(Guard.RA, frame)
    if unread:
        return unread
    packet = frame.body
    if isinstance(packet, IPv6):
        kind = icmp6_kind(packet)
        if kind == RA:
            return drop(Guard.RA, Reason.ROUTER_ADVERTISEMENT, packet.src)
        return drop(Guard.RA, Reason.REDIRECT, packet.src) if kind == REDIRECT else None
    if isinstance(packet, IPv4) and isinstance(packet.upper, Icmp4):
        redirects = packet.upper.kind == _REDIRECT4
        return drop(Guard.RA, Reason.REDIRECT, packet.src) if redirects else None
    return None
