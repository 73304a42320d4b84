"""vifguard itself: its server and its agent, audited from outside as any other host."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from ipaddress import IPv4Address, IPv6Address
from typing import Any

from peers.peer import Peer
from peers.segment import NET4, NET6, ROUTED4, ROUTED6, VMAC4, VMAC6
from vifguard import __version__
from vifguard.lab.attacks.actors import OTHERS_VRID
from vifguard.lab.attacks.attack import Kind
from vifguard.lab.audit.site import Namespace, Site, VantagePoint
from vifguard.lab.world.lab_run import Run
from vifguard.lab.world.world import Guest, World, standing
from vifguard.lab.world.world_plan import GroupPlan, GuestPlan, NetworkPlan, NicPlan, WorldPlan
from vifguard.model.guard import Guard

_NAMES = ("attacker", "victim", "third")
_ROUTED: Mapping[str, Any] = {
    "allowed_address_pairs": [{"ip_address": str(each)} for each in (ROUTED4, ROUTED6)]
}
_PLAN = WorldPlan(
    "ours",
    networks=(
        NetworkPlan("segment", (str(NET4), str(NET6)), uplink=True, body={"public": True}),
    ),
    guests=tuple(
        GuestPlan(
            name,
            f"project-{name}",
            (NicPlan("segment", by_operator=_ROUTED if name == "attacker" else {}),),
        )
        for name in _NAMES
    ),
    groups=(
        GroupPlan(
            "group", "project-attacker", "segment", ("attacker",),
            {"vrid4": VMAC4.octets[-1], "vrid6": VMAC6.octets[-1]},
        ),
        GroupPlan(
            "others", "project-victim", "segment", ("victim",),
            {"vrid4": OTHERS_VRID, "vrid6": OTHERS_VRID},
        ),
    ),
)  # fmt: skip


@contextmanager
def up(run: Run) -> Iterator[Site]:
    """A shared network with a guest of each of three projects, with the default guards."""
    with standing(run, _PLAN) as world:
        attacker, victim, third = (_post(world.guests[name]) for name in _NAMES)
        shared = [each["ip_address"] for each in world.groups["group"]["addresses"]]
        yield Site(
            name="vifguard", attacker=attacker, victim=victim, third=third, level=Kind.STRICT,
            net4=NET4, net6=NET6, outside=_outside(world), vmac4=VMAC4, vmac6=VMAC6,
            vip4=next(IPv4Address(each) for each in shared if ":" not in each),
            vip6=next(IPv6Address(each) for each in shared if ":" in each),
            routed4=ROUTED4, routed6=ROUTED6, others_vrid=OTHERS_VRID,
        )  # fmt: skip


def _post(guest: Guest) -> VantagePoint:
    """A guest as the audit sees it."""
    interface, addresses = guest.nic.interface, guest.nic.addresses
    return VantagePoint(
        guest.name,
        Namespace(guest.netns, interface.device),
        interface.mac,
        IPv4Address(str(addresses[4])),
        IPv6Address(str(addresses[6])),
    )


def _outside(world: World) -> VantagePoint:
    """The gateway of both subnets, beyond the uplink."""
    outside = world.outside
    return VantagePoint(
        "outside", Namespace(outside.netns, outside.device), outside.mac, NET4[1], NET6[1]
    )


PEER = Peer(
    key="vifguard",
    name="vifguard",
    versions=lambda: f"vifguard {__version__}, Linux {platform.release()}",
    configuration="a shared network; profile `strict`, which is its default",
    sources=("guards.md",),
    up=up,
    promises=dict.fromkeys(Guard, "as written in guards.md"),
)
