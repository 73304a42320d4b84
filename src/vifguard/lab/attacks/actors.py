"""Actors: the addresses that the frames of an attack are built from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from vifguard.model.address import Mac

BROADCAST = Mac(b"\xff" * 6)
ZERO_MAC = Mac(bytes(6))


@dataclass(frozen=True, slots=True)
class Station:
    """A guest, the gateway or the host: its MAC and its addresses on the segment."""

    mac: Mac
    ip4: IPv4Address
    ip6: IPv6Address

    @property
    def ll(self) -> IPv6Address:
        """Its EUI-64 link-local address."""
        return self.mac.link_local


OTHERS_VRID = 0x3D
"""The router id, in both families, of an IP group of which no actor is a member."""


@dataclass(frozen=True, slots=True)
class Actors:
    """Everyone and everything a frame may name.

    `a` plays the frame (the attacker, or the sender of a legal one), `v` is the victim whose
    identity is at stake, `p` the peer the frame is addressed to (another guest, the gateway
    or the host, one after the other) and `g` the gateway on the uplink. The IP group of `a`
    has `vip4`, `vip6` and virtual MACs; `routed4` and `routed6` are listed on its port.
    `others_vrid` is the router id, in both families, of an IP group of which it is no member.
    """

    a: Station
    v: Station
    p: Station
    g: Station
    net4: IPv4Network
    net6: IPv6Network
    vip4: IPv4Address
    vip6: IPv6Address
    vmac4: Mac
    vmac6: Mac
    routed4: IPv4Network
    routed6: IPv6Network
    others_vrid: int = OTHERS_VRID

    def with_attacker(self, a: Station) -> Actors:
        """The same with another sender."""
        return replace(self, a=a)

    def with_peer(self, p: Station) -> Actors:
        """The same with another peer."""
        return replace(self, p=p)
