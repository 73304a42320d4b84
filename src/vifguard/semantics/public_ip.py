"""From the guest: of the provider's public addresses, only the port's own as source.

The public prefixes are the subnets of networks marked public and, where the port is on a shared
network, those of that network. Other sources pass. This is for ports that route, translate or
balance for others: they send with many source addresses, but of the public ones only with those
they were given.

Only the IP header is needed; every fragment has one.
"""

from __future__ import annotations

from vifguard.model.guard import Guard
from vifguard.model.policy import PortPolicy
from vifguard.model.verdict import Reason, Verdict
from vifguard.packet.frame import Frame
from vifguard.packet.ip4 import IPv4
from vifguard.packet.ip6 import IPv6
from vifguard.semantics.drops import drop
from vifguard.semantics.headers import header_unread
from vifguard.semantics.ownership import own


def check(policy: PortPolicy, frame: Frame) -> Verdict | None:
    """Judge a frame that the guest sends; None: no objection."""
    packet = frame.body
    if not isinstance(packet, IPv4 | IPv6):
        return header_unread(Guard.PUBLIC_IP, frame)
    public = any(packet.src in prefix for prefix in policy.public)
    if public and not own(policy, packet.src):
        return drop(Guard.PUBLIC_IP, Reason.PUBLIC_SOURCE, packet.src)
    return None
