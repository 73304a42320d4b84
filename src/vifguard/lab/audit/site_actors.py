"""The actors of a site, by whose names frames are written, and the things that it lacks.

A thing that a site lacks gets a stand-in from ranges that nobody uses. A frame in which a
stand-in is found names something that is not there: it cannot be played at this site.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Self

from vifguard.lab.attacks.actors import OTHERS_VRID, Actors, Station
from vifguard.lab.audit.site import Site, VantagePoint
from vifguard.model.address import Mac
from vifguard.packet.build import solicited_node
from vifguard.packet.frame import parse
from vifguard.packet.ip4 import IPv4
from vifguard.packet.ip6 import IPv6
from vifguard.packet.vrrp import Vrrp

# RFC 2544 and RFC 9637: neither is ever the address of a guest.
_NOBODY_4 = (
    IPv4Address("198.18.157.231"),
    IPv4Address("198.18.211.173"),
    IPv4Address("198.18.229.199"),
    IPv4Address("198.18.233.187"),
)
_NOBODY_6 = tuple(IPv6Address(f"3fff:d9e7::{last:x}:9d:e7{last:02x}") for last in (1, 2, 3, 4))
_NO_NET_4, _NO_NET_6 = IPv4Network("198.19.157.0/24"), IPv6Network("3fff:9de7:b3:c5::/64")
_NO_VIP_4, _NO_VIP_6 = IPv4Address("198.18.191.227"), IPv6Address("3fff:d9e7::b:9d:e70b")
_NO_ROUTED_4, _NO_ROUTED_6 = IPv4Network("198.19.229.0/24"), IPv6Network("3fff:9de7:b3:c7::/64")
_NO_VMAC_4, _NO_VMAC_6 = Mac.parse("5e:d3:9d:e7:b3:04"), Mac.parse("5e:d3:9d:e7:b3:06")


@dataclass(frozen=True, slots=True)
class KnownStation(Station):
    """A station whose link-local address is the one that the host knows of."""

    link_local: IPv6Address

    @property
    def ll(self) -> IPv6Address:
        """Its link-local address."""
        return self.link_local


@dataclass(frozen=True, slots=True)
class Missing:
    """Something that a site lacks: the octets of its stand-in, and its name."""

    octets: bytes
    why: str


@dataclass(frozen=True, slots=True)
class SiteActors:
    """The actors of a site: `cast` as the attacker plays, and the things that the site lacks."""

    cast: Actors
    stations: Mapping[str, Station]
    lacks: tuple[Missing, ...]
    lacks_vrid: bool = False

    @classmethod
    def of(cls, site: Site) -> Self:
        """The peer is the third guest, or else the victim; so is the gateway without outside.

        So every victim of a stolen identity is a post that receives.
        """
        stations = {post.name: _station(index, post) for index, post in enumerate(site.posts)}
        peer = stations[(site.third or site.victim).name]
        gateway = stations[site.outside.name] if site.outside else peer
        cast = Actors(
            a=stations[site.attacker.name],
            v=stations[site.victim.name],
            p=peer,
            g=gateway,
            net4=site.net4 or _NO_NET_4,
            net6=site.net6 or _NO_NET_6,
            vip4=site.vip4 or _NO_VIP_4,
            vip6=site.vip6 or _NO_VIP_6,
            vmac4=site.vmac4 or _NO_VMAC_4,
            vmac6=site.vmac6 or _NO_VMAC_6,
            routed4=site.routed4 or _NO_ROUTED_4,
            routed6=site.routed6 or _NO_ROUTED_6,
            others_vrid=OTHERS_VRID if site.others_vrid is None else site.others_vrid,
        )
        return cls(cast, stations, tuple(_lacks(site)), site.others_vrid is None)

    def lacking(self, frame: bytes) -> str:
        """The thing that the frame names and the site lacks; empty if it lacks nothing."""
        if self.lacks_vrid and _router_id(frame) == self.cast.others_vrid:
            return "no router id of another's virtual router is known here"
        return next((lack.why for lack in self.lacks if lack.octets in frame), "")


def _router_id(frame: bytes) -> int | None:
    """The id in an advertisement of VRRP or CARP; None for another frame."""
    packet = parse(frame).body
    message = packet.upper if isinstance(packet, IPv4 | IPv6) else None
    return message.router_id if isinstance(message, Vrrp) else None


def _station(index: int, post: VantagePoint) -> KnownStation:
    return KnownStation(
        post.mac,
        post.ip4 or _NOBODY_4[index],
        post.ip6 or _NOBODY_6[index],
        post.ll or post.mac.link_local,
    )


def _lacks(site: Site) -> Iterator[Missing]:
    for index, post in enumerate(site.posts):
        if post.ip4 is None:
            yield Missing(_NOBODY_4[index].packed, f"the {post.name} has no IPv4 address here")
        if post.ip6 is None:
            why = f"the {post.name} has no IPv6 address here"
            yield Missing(_NOBODY_6[index].packed, why)
            yield Missing(solicited_node(_NOBODY_6[index]).packed, why)
    prefix4, prefix6 = _NO_NET_4.network_address.packed[:3], _NO_NET_6.network_address.packed[:8]
    routed4 = _NO_ROUTED_4.network_address.packed[:3]
    routed6 = _NO_ROUTED_6.network_address.packed[:8]
    shared, routed = "shared with the attacker", "is routed to the attacker"
    for given, octets, why in (
        (site.net4, prefix4, "the segment's IPv4 prefix is not known"),
        (site.net6, prefix6, "the segment's IPv6 prefix is not known"),
        (site.vip4, _NO_VIP_4.packed, f"no IPv4 address is {shared} here"),
        (site.vip6, _NO_VIP_6.packed, f"no IPv6 address is {shared} here"),
        (site.vmac4, _NO_VMAC_4.octets, f"no virtual MAC for IPv4 is {shared} here"),
        (site.vmac6, _NO_VMAC_6.octets, f"no virtual MAC for IPv6 is {shared} here"),
        (site.routed4, routed4, f"no IPv4 prefix {routed} here"),
        (site.routed6, routed6, f"no IPv6 prefix {routed} here"),
    ):
        if given is None:
            yield Missing(octets, why)
