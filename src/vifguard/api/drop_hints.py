"""Hints for drops: the cause in the port's settings, and the remedy."""

from __future__ import annotations

from ipaddress import IPv6Address

from vifguard.feed.messages import DropRecord
from vifguard.model.address import Mac
from vifguard.model.guard import LinkLocal
from vifguard.model.learned import LearnedAddress
from vifguard.model.verdict import Direction, Reason
from vifguard.packet.frame import parse
from vifguard.packet.icmp6 import Icmp6, Nd
from vifguard.packet.ip6 import IPv6
from vifguard.store.stored_nouns import StoredPort

_V4 = frozenset({Reason.ARP_SENDER_ADDRESS, Reason.ARP_PROBE, Reason.IPV4_SOURCE})
_V6 = frozenset({Reason.ND_SOURCE, Reason.ND_TARGET, Reason.ND_CLAIM, Reason.IPV6_SOURCE})

REASONS = frozenset({*_V4, *_V6, Reason.NOT_ALLOWED})
"""The reasons for which there may be a hint."""


def hint_for(record: DropRecord, stored: StoredPort) -> str:
    """Why the frame was dropped, and what would let it pass; empty where that is plain."""
    if record.reason is Reason.NOT_ALLOWED:
        return _of_rules(record.direction, stored)
    if record.reason in _V4:
        return _of_no_address(4, stored)
    address = _address(record, stored.port.learned)
    if record.reason not in _V6 or address is None:
        return ""
    if record.reason is Reason.ND_CLAIM:
        return (
            f"the guest claims {address}: it becomes the port's once detection finds no other "
            "owner, if the network's learned_limits leave room"
        )
    if not address.is_link_local:
        return _of_no_address(6, stored)
    return _of_link_local(address, stored)


def _of_rules(direction: Direction, stored: StoredPort) -> str:
    if not stored.port.security_groups:
        return "the port has no security group, so nothing passes: give it one whose rules allow it"
    way = "egress" if direction is Direction.FROM_GUEST else "ingress"
    return (
        f"no {way} rule of the port's security groups allows it: add such a rule to one of "
        "them, or give the port a group that has it"
    )


def _of_no_address(version: int, stored: StoredPort) -> str:
    """The hint where a port has no address of a family at all."""
    port = stored.port
    prefixes = (
        *(each.address for each in port.fixed_ips),
        *(each.prefix for each in port.address_pairs),
        *(each.address for each in port.learned if not each.address.is_link_local),
    )
    if stored.ip_groups or any(each.version == version for each in prefixes):
        return ""
    return (
        f"the port has no IPv{version} address: set its fixed_ips to one of an IPv{version} "
        "subnet of its network, which may have to be created first"
    )


def _of_link_local(address: IPv6Address, stored: StoredPort) -> str:
    choice = stored.network.link_local
    if choice is LinkLocal.NONE:
        return f"{address} is link-local, and the network's link_local is none"
    if mac := _mac_of(address):
        return f"{address} is the link-local address of MAC {mac}, which is not the port's"
    if choice is LinkLocal.EUI64:
        return (
            f"{address} is a link-local address that the guest chose (not EUI-64), and the "
            f"network's link_local is eui64; learned would let its port have it"
        )
    return f"{address} is a link-local address that the port did not learn"


def _address(record: DropRecord, known: tuple[LearnedAddress, ...]) -> IPv6Address | None:
    packet = parse(record.head).body
    if not isinstance(packet, IPv6):
        return None
    message = packet.upper.message if isinstance(packet.upper, Icmp6) else None
    is_own = packet.src.is_unspecified or any(each.address == packet.src for each in known)
    if isinstance(message, Nd) and (record.reason is Reason.ND_TARGET or is_own):
        return message.target
    return packet.src


def _mac_of(address: IPv6Address) -> Mac | None:
    """The MAC whose EUI-64 address it is (RFC 4291, appendix A)."""
    octets = address.packed[8:]
    if octets[3:5] != b"\xff\xfe":
        return None
    return Mac(bytes((octets[0] ^ 2,)) + octets[1:3] + octets[5:])
