"""The verdict on one frame: pass, or drop with the guard, the reason and the object.

The codes of `Reason` travel in the kernel's drop records; they are never renumbered.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum, StrEnum
from typing import Self

from vifguard.model.guard import Guard


class Direction(StrEnum):
    """A direction, seen from the guest; Neutron's ingress and egress exist only in the API."""

    FROM_GUEST = "from-guest"
    TO_GUEST = "to-guest"

    @property
    def opposite(self) -> Direction:
        """The direction of an answer."""
        return Direction.FROM_GUEST if self is Direction.TO_GUEST else Direction.TO_GUEST


class Action(Enum):
    """The two outcomes for a frame."""

    PASS = "pass"
    DROP = "drop"


class Reason(IntEnum):
    """The reason of a drop. Operators and tenants read its text."""

    text: str

    def __new__(cls, code: int, text: str) -> Self:
        """A member that is its code and carries its text."""
        member = int.__new__(cls, code)
        member._value_ = code
        member.text = text
        return member

    NO_POLICY = 1, "the interface has no policy in the kernel"
    HELD_CLOSED = 2, "the port is held closed"

    RUNT = 10, "shorter than an Ethernet header"
    SOURCE_GROUP = 11, "the Ethernet source is a group address or zero"
    CONTROL_GROUP = 12, "the destination is a link-local bridge group (01:80:c2:00:00:0x)"
    CONTROL_ETHERTYPE = 13, "a control protocol of the host's own links (LLDP, EAPOL, pause, ...)"
    CHECKSUM_OFFLOAD = 14, "a checksum left to the host (offload) would overwrite something else"
    SEGMENTATION_OFFLOAD = (
        15,
        "a fragment or a DHCP message left to be cut up (segmentation offload)",
    )
    NO_MEMORY = 16, "the host has no memory to read the frame"

    TAGGED = 20, "an 802.1Q or 802.1ad tag"
    LENGTH_FIELD = 21, "802.3 length field (LLC/SNAP) instead of an Ethernet type"
    ETHERTYPE_UNLISTED = 22, "an Ethernet type that is not listed"
    RARP_SHAPE = 23, "RARP that is not an announcement"
    IPV4_MALFORMED = 24, "the IPv4 header contradicts itself or the frame"
    IPV6_MALFORMED = 25, "the IPv6 header contradicts itself or the frame"
    HEADERS_UNREADABLE = 26, "the headers cannot be followed to the upper layer"
    TAG_WITHOUT_VLAN = 27, "a listed tag that names no VLAN (VID 0, or 1 of 802.1ad)"

    SOURCE_MAC = 30, "the Ethernet source is not the port's"
    DESTINATION_MAC = 31, "unicast to a MAC that is not the port's"
    ARP_UNREADABLE = 32, "ARP whose hardware addresses cannot be located"
    ARP_SENDER_MAC = 33, "the hardware address inside ARP or RARP is not the port's"
    ND_UNREADABLE = 34, "neighbour discovery whose options cannot be read"
    ND_LINK_LAYER_ADDRESS = 35, "the link-layer address inside ND is not the port's"

    ARP_SHAPE = 40, "not a legal Ethernet/IPv4 ARP request or reply"
    ARP_SENDER_ADDRESS = 41, "the ARP sender address is not the port's"
    ARP_PROBE = 42, "an ARP probe for an address that is not the port's"

    ND_SHAPE = 50, "not a legal neighbour discovery message"
    ND_SOURCE = 51, "the source of a neighbour discovery message is not the port's"
    ND_TARGET = 52, "the target of a neighbour discovery message is not the port's"
    ND_UNSPECIFIED = 53, "neighbour discovery from :: outside its legal shapes"
    ND_CLAIM = 54, "an address that is not the port's yet: a claim, which is decided first"

    IPV4_SOURCE = 60, "the IPv4 source is not the port's"
    IPV4_UNSPECIFIED = 61, "0.0.0.0 as source outside DHCP discovery and IGMP reports"
    IPV4_OPTIONS = 62, "IPv4 source routing, or malformed options"
    IPV6_SOURCE = 63, "the IPv6 source is not the port's"
    IPV6_UNSPECIFIED = 64, ":: as source outside DAD, router solicitation and MLD reports"
    IPV6_ROUTING_HEADER = 65, "an IPv6 routing header"
    DHCP_CLIENT_ADDRESS = 66, "a DHCP client message about an address that is not the port's"

    PUBLIC_SOURCE = 70, "a public source address that is not the port's"

    DHCP_ROLE = 80, "a DHCP server's or relay's message"
    DHCP_SHAPE = 81, "not a legal DHCP client message"
    DHCP_HARDWARE_ADDRESS = 82, "a DHCP client message with another's hardware address"

    ROUTER_ADVERTISEMENT = 90, "a router advertisement"
    REDIRECT = 91, "an ICMP redirect"

    VRRP_SHAPE = 94, "not a legal VRRP or CARP advertisement"
    VRRP_SOURCE = 95, "the source of a VRRP or CARP advertisement is not the port's"
    VRRP_ROUTER_ID = 96, "a router id of an IP group whose addresses the port may not hold"
    VRRP_ADDRESS = 97, "a VRRP advertisement of an address that is not the port's"

    STORM_RATE = 100, "broadcast and multicast above the port's rate"

    NOT_ALLOWED = 110, "no rule of the port's security groups allows it"
    FLOW_INVALID = 111, "it belongs to no connection and can open none"
    ICMP_UNRELATED = 112, "an ICMP error about no connection of the port"
    FRAGMENT_UNKNOWN = 113, "a fragment whose first did not pass"
    FRAGMENT_OVERLAP = 114, "a fragment that reaches into the header that was judged"
    FLOW_TABLE_FULL = 115, "no room for one more connection of the port"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome for a frame; for a drop also the guard, the reason and the offending value."""

    action: Action
    guard: Guard | None = None
    reason: Reason | None = None
    object: str = ""

    def __str__(self) -> str:
        if self.action is Action.PASS:
            return "pass"
        guard = self.guard.value if self.guard else "closed"
        name = self.reason.name.lower().replace("_", "-") if self.reason else "?"
        return f"drop {guard}/{name}" + (f" {self.object}" if self.object else "")


PASS = Verdict(Action.PASS)
