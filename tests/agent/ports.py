"""Ports by number: their identifiers, their policies, and frames of their guests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vifguard.feed.messages import HostPort
from vifguard.feed.segment import Segment
from vifguard.model.address import Mac, parse_prefix
from vifguard.model.guard import GUARDS_OF, LinkLocal, Profile
from vifguard.model.policy import PortPolicy, Storm
from vifguard.packet.build import ethernet, ipv4, udp

BROADCAST = "ff:ff:ff:ff:ff:ff"


def port_id(number: int) -> str:
    return f"{number:08x}-0000-4000-8000-000000000000"


def network_id(number: int) -> str:
    return f"{number:08x}-1111-4000-8000-000000000000"


def mac_of(number: int) -> Mac:
    return Mac(b"\x02\x00\x00\x00" + number.to_bytes(2, "big"))


def address_of(number: int) -> str:
    return f"10.9.0.{number}"


def tap_of(number: int) -> str:
    return f"tap{port_id(number)[:11]}"


def bridge_of(number: int) -> str:
    return f"vg{network_id(number)[:11]}"


def port(
    number: int,
    *,
    network: int = 1,
    profile: Profile = Profile.STRICT,
    interface: str = "",
    segment: Mapping[str, Any] | None = None,
    mac: Mac | None = None,
    **policy: Any,
) -> HostPort:
    """Port `number`, which has the MAC and the address of that number."""
    own = mac or mac_of(number)
    wide = segment or {"shared": True, "mtu": 1500}
    values = {
        "guards": GUARDS_OF[profile],
        "macs": frozenset({own}),
        "prefixes": frozenset({parse_prefix(address_of(number))}),
        "link_local": LinkLocal.EUI64,
        "storm": Storm(10**6, 10**6),
    } | policy
    policy_ = PortPolicy(port_id(number), **values)
    return HostPort(policy_, Segment(network_id(network), **wide), own, interface, 1)


def legal(number: int, text: bytes = b"legal") -> bytes:
    """A broadcast that guest `number` may send."""
    return ethernet(
        str(mac_of(number)), BROADCAST, ipv4(address_of(number), "255.255.255.255", udp(7, 7, text))
    )


def forged(number: int, text: bytes = b"forged") -> bytes:
    """One that it may not: the address is another's."""
    return ethernet(
        str(mac_of(number)), BROADCAST, ipv4("10.9.0.99", "255.255.255.255", udp(7, 7, text))
    )


def stray_unicast(number: int) -> bytes:
    """What guest `number` may send and a bridge floods, though it is for nobody here."""
    return ethernet(
        str(mac_of(number)), "02:00:00:00:ff:ff", ipv4(address_of(number), "10.9.0.200", udp(7, 7))
    )
