"""An audit of our own host, seen from its guests as any other host is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Any

from vifguard.lab.attacks.actors import OTHERS_VRID
from vifguard.lab.attacks.attack import Kind
from vifguard.lab.attacks.frames import OWN_VRID_4, OWN_VRID_6
from vifguard.lab.audit.site import Namespace, Site, VantagePoint
from vifguard.lab.world.lab_run import Run
from vifguard.lab.world.world import Guest, Net, World, standing
from vifguard.lab.world.world_plan import GroupPlan, GuestPlan, NetworkPlan, NicPlan, WorldPlan
from vifguard.model.address import Mac

_NETWORK = "segment"
_ROUTED4, _ROUTED6 = IPv4Network("10.66.0.0/24"), IPv6Network("fd66::/64")
_VRIDS = {"vrid4": OWN_VRID_4, "vrid6": OWN_VRID_6}
_OTHERS_VRIDS = {"vrid4": OTHERS_VRID, "vrid6": OTHERS_VRID}
_PAIRS = [{"ip_address": str(prefix)} for prefix in (_ROUTED4, _ROUTED6)]
_GUESTS: Mapping[str, Mapping[str, Any]] = {
    # The victim's port is older than the attacker's, the third's younger.
    "victim": {},
    "attacker": {"allowed_address_pairs": _PAIRS},
    "third": {},
}


@contextmanager
def own_site(run: Run, level: Kind) -> Iterator[Site]:
    """A shared network of this level behind our server, three guests of three projects on it.

    The attacker has everything that a port may be given: an address that it shares, virtual
    MACs, routed prefixes.
    """
    with standing(run, _plan(level)) as world:
        yield _site(world, level)


def _plan(level: Kind) -> WorldPlan:
    network = NetworkPlan(
        _NETWORK,
        ("203.0.113.0/24", "2001:db8:5::/64"),
        uplink=True,
        body={"public": True, "guard_profile": level.profile.value},
    )
    guests = tuple(
        GuestPlan(name, f"project-{name}", (NicPlan(_NETWORK, by_operator=body),))
        for name, body in _GUESTS.items()
    )
    group = GroupPlan("group", "project-attacker", _NETWORK, ("attacker",), _VRIDS)
    others = GroupPlan("others", "project-victim", _NETWORK, ("victim",), _OTHERS_VRIDS)
    return WorldPlan("audit", (network,), guests, (group, others))


def _site(world: World, level: Kind) -> Site:
    net = world.nets[_NETWORK]
    shared = {
        address.version: str(address)
        for address in (ip_address(e["ip_address"]) for e in world.groups["group"]["addresses"])
    }
    attacker, victim, third = (_post(world.guests[n]) for n in ("attacker", "victim", "third"))
    return Site(
        name="vifguard",
        attacker=attacker,
        victim=victim,
        third=third,
        level=level,
        net4=IPv4Network(str(net.cidr(4))),
        net6=IPv6Network(str(net.cidr(6))),
        outside=_outside(world, net),
        vip4=IPv4Address(shared[4]),
        vip6=IPv6Address(shared[6]),
        vmac4=_virtual_mac(1, _VRIDS["vrid4"]),
        vmac6=_virtual_mac(2, _VRIDS["vrid6"]),
        routed4=_ROUTED4,
        routed6=_ROUTED6,
        others_vrid=OTHERS_VRID,
    )


def _post(guest: Guest) -> VantagePoint:
    addresses = guest.nic.addresses
    return VantagePoint(
        guest.name,
        Namespace(guest.netns, guest.nic.interface.device),
        guest.nic.interface.mac,
        IPv4Address(str(addresses[4])),
        IPv6Address(str(addresses[6])),
    )


def _outside(world: World, net: Net) -> VantagePoint:
    gateway4, gateway6 = (net.subnets[version]["gateway_ip"] for version in (4, 6))
    outside = world.outside
    return VantagePoint(
        "outside",
        Namespace(outside.netns, outside.device),
        outside.mac,
        IPv4Address(gateway4),
        IPv6Address(gateway6),
    )


def _virtual_mac(family: int, router: int) -> Mac:
    """The MAC of a virtual router (RFC 9568, 7.3)."""
    return Mac(bytes((0x00, 0x00, 0x5E, 0x00, family, router)))
