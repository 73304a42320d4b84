"""The end of a header, the layer behind it, and the guard that objects if either is unreadable.

An Ethernet type other than IPv4, ARP, RARP and IPv6 makes a frame opaque: above Ethernet
nothing of it is judged. This holds for tagged frames, where the tag is the type.

**IPv4** is read if there are 20 octets, the version is 4, the header length is at least 20 and not
above the total length, and the total length is not above the octets that are there; else it is
malformed. **IPv6** is read if there are 40 octets, the version is 6, the payload length is not
above the octets that are there and is zero only with next header 59 (a jumbogram is malformed). One
form exists inside a kernel alone (BIG TCP): of a frame that is left to be segmented, and whose
packet is longer than 65,535 octets, a length of 0 stands for all that is there. Octets after the
packet's own end are padding: never read, never judged. Checksums are not judged; a receiver does
that.

**Upper layer.** At least these octets must be there: UDP 8 octets, TCP 20, ICMPv4 8, ICMPv6 4;
other protocols need nothing. The UDP length field is not read: a datagram goes to the packet's end.
Of a fragment with an offset above zero (a *later fragment*) only the protocol is read; the first
one is read as the packet it begins.

**Extension headers** of IPv6 are followed from the first: hop-by-hop (0) only in first place;
destination options (60), routing (43), mobility (135), HIP (139), Shim6 (140), authentication (51);
one fragment header (44). Each must fit before the packet's end; at most eight. Every other number,
also 59 (none) and 50 (ESP), is the upper layer. A later fragment ends the chain: the header that it
names is in the first one, extension headers too (RFC 8200, 4.5). A packet that breaks these rules
has unreadable headers: a filter that cannot find the upper layer must not let it pass (RFC 7112).

**The guard that objects.** If a header is malformed or unreadable, each enabled guard that needs it
objects before anything else it checks; so the guard named is the first enabled one, in
order, that needs it:

| needed | IPv4 | IPv6 |
|---|---|---|
| the IP header | ethertype, ip, public-ip, dhcp, ra, vrrp | the same, mac and nd |
| the upper layer | ip, dhcp, ra, vrrp | the same, mac and nd |

Only `ethertype` of these looks at frames to the guest.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from vifguard.model.guard import Guard
from vifguard.model.verdict import Reason, Verdict
from vifguard.packet.frame import Frame
from vifguard.packet.icmp6 import Icmp6
from vifguard.packet.ip4 import IPv4
from vifguard.packet.ip6 import IPv6
from vifguard.packet.link import IPV4, IPV6
from vifguard.packet.undecoded import Unreadable
from vifguard.semantics.drops import drop

_MALFORMED: Mapping[int, Reason] = MappingProxyType(
    {IPV4: Reason.IPV4_MALFORMED, IPV6: Reason.IPV6_MALFORMED}
)


def header_unread(guard: Guard, frame: Frame) -> Verdict | None:
    """The objection of a guard that needs the IP header, if that is malformed."""
    body = frame.body
    if isinstance(body, Unreadable) and frame.ethertype in _MALFORMED:
        return drop(guard, _MALFORMED[frame.ethertype], body.why)
    return None


def upper_unread(guard: Guard, frame: Frame) -> Verdict | None:
    """The objection of a guard that needs the upper layer, if it or the IP header is unreadable."""
    body = frame.body
    if isinstance(body, IPv4 | IPv6) and isinstance(body.upper, Unreadable):
        return drop(guard, Reason.HEADERS_UNREADABLE, body.upper.why)
    return header_unread(guard, frame)


def icmp6_kind(packet: IPv6) -> int | None:
    """The ICMPv6 type, wherever in the chain; None in later fragments and other protocols."""
    return packet.upper.kind if isinstance(packet.upper, Icmp6) else None
