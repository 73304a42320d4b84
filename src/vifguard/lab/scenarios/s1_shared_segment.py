"""S1, the shared segment: guests of two projects, and an attacker that plays the catalogue.

Beside the strict segment stand one of each other kind (mac, router, and a project's own that
is off), so that every column of the catalogue is played; and the other project's own network,
where no frame of it may ever arrive.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Any

from vifguard.client.errors import RefusedError
from vifguard.client.resource import PORT
from vifguard.lab.attacks import CATALOGUE
from vifguard.lab.attacks.actors import OTHERS_VRID
from vifguard.lab.attacks.attack import Actor, Attack, Kind, Prelude, Refused
from vifguard.lab.attacks.frames import OWN_VRID_4, OWN_VRID_6
from vifguard.lab.play.catalogue_run import CatalogueRun
from vifguard.lab.play.referee import Referee
from vifguard.lab.play.scenario_rows import records_of
from vifguard.lab.play.topology import LabSegment, Topology
from vifguard.lab.play.world_segments import bystander_segment, host_station, segment
from vifguard.lab.result.checks import Checks
from vifguard.lab.result.finding import Finding, Tell
from vifguard.lab.world import netns
from vifguard.lab.world.lab_run import Run
from vifguard.lab.world.world import ENFORCED_WITHIN, World, standing
from vifguard.lab.world.world_plan import (
    GroupPlan,
    GuestPlan,
    NetworkPlan,
    NicPlan,
    SecurityGroupPlan,
    WorldPlan,
)
from vifguard.packet.frame import parse
from vifguard.packet.ip4 import IPv4
from vifguard.packet.ip6 import IPv6
from vifguard.packet.transport import LaterFragment
from vifguard.packet.undecoded import Unreadable

NAME = "s1"
TITLE = "shared segment: an attacker plays the whole catalogue"

_RED, _BLUE = "red", "blue"
_ROUTED = (IPv4Network("10.66.0.0/24"), IPv6Network("fd66::/64"))

_NETWORKS = {
    Kind.STRICT: NetworkPlan(
        "s", ("203.0.113.0/24", "2001:db8:5::/64"), uplink=True, body={"public": True}
    ),
    Kind.MAC: NetworkPlan(
        "m", ("198.51.100.0/24", "2001:db8:4d::/64"), body={"guard_profile": "mac"}
    ),
    Kind.ROUTER: NetworkPlan(
        "r",
        ("192.0.2.0/24", "2001:db8:52::/64"),
        body={"guard_profile": "router", "public": True},
    ),
    Kind.ISOLATED: NetworkPlan(
        "i", ("10.0.0.0/24", "fd00:1::/64"), project=_RED, body={"guard_profile": "off"}
    ),
}
_ELSEWHERE = NetworkPlan("elsewhere", ("10.0.0.0/24", "fd00:1::/64"), project=_BLUE)

_ATTACKER: Mapping[str, Any] = {
    # Leading zeros and capitals, as in LP#2038541.
    "mac_address": "02:00:00:0A:00:00",
    "allowed_address_pairs": [{"ip_address": str(prefix)} for prefix in _ROUTED],
}
_ROLES: Mapping[str, Any] = {"roles": ["dhcp-server", "router-advertiser"]}


def _guests(kind: Kind, network: NetworkPlan) -> tuple[GuestPlan, ...]:
    """Everyone on a segment, in the order in which their ports are made."""
    name = network.name
    other = _RED if kind is Kind.ISOLATED else _BLUE

    def guest(actor: str, nic: NicPlan, project: str = _RED) -> GuestPlan:
        return GuestPlan(f"{name}-{actor}", project, (nic,))

    return (
        guest("victim", NicPlan(name, offloads=False), other),
        guest(Actor.GUEST, NicPlan(name, by_operator=_ATTACKER)),
        guest("peer", NicPlan(name), other),
        guest(Actor.ONLY_4, NicPlan(name, (4,))),
        guest(Actor.ONLY_6, NicPlan(name, (6,))),
        guest(Actor.ROLES, NicPlan(name, by_operator=_ROLES)),
        guest(Actor.CLOSED, NicPlan(name, body={"admin_state_up": False}, silent=True)),
        guest(Actor.IP_GUARD, NicPlan(name, by_operator={"guards": ["ip"]})),
    )


def _groups(kind: Kind, network: NetworkPlan) -> tuple[GroupPlan, GroupPlan]:
    """The attacker's IP group, and one of others, each with its router ids."""
    name = network.name

    def group(which: str, project: str, members: tuple[str, str], *vrids: int) -> GroupPlan:
        guests = tuple(f"{name}-{member}" for member in members)
        body = dict(zip(("vrid4", "vrid6"), vrids, strict=True))
        return GroupPlan(f"{name}-{which}", project, name, guests, body)

    other = _RED if kind is Kind.ISOLATED else _BLUE
    own = (Actor.GUEST, Actor.ROLES)
    return (
        group("group", _RED, own, OWN_VRID_4, OWN_VRID_6),
        group("others", other, ("victim", "peer"), OTHERS_VRID, OTHERS_VRID),
    )


def _plan(name: str, step: int) -> WorldPlan:
    """The world, its ports made from the first to the last, or (-1) from the last to the first.

    So the victim's port is older than the attacker's, and the peer's younger; or else the
    other way round.
    """
    guests = [guest for kind, network in _NETWORKS.items() for guest in _guests(kind, network)]
    return WorldPlan(
        name,
        networks=(*_NETWORKS.values(), _ELSEWHERE),
        guests=(*guests[::step], GuestPlan("elsewhere-guest", _BLUE, (NicPlan("elsewhere"),))),
        groups=tuple(
            group for kind, network in _NETWORKS.items() for group in _groups(kind, network)
        ),
    )


PLAN, REVERSED = _plan(NAME, 1), _plan(f"{NAME}r", -1)


def _grouped(name: str, many: int) -> WorldPlan:
    """The world whose guarded ports have security groups, of which one lets everything pass.

    They are stateless ones: frames of the catalogue belong to no connection.
    """
    groups = [
        SecurityGroupPlan(
            f"{project}-{number}", project, ({},) if number == 0 else (), body={"stateful": False}
        )
        for project in (_RED, _BLUE)
        for number in range(many)
    ]

    def joined(guest: GuestPlan) -> GuestPlan:
        own = tuple(group.name for group in groups if group.project == guest.project)
        off = _NETWORKS[Kind.ISOLATED].name
        nics = (
            nic if nic.network == off else replace(nic, security_groups=own) for nic in guest.nics
        )
        return replace(guest, nics=tuple(nics))

    return replace(
        PLAN,
        name=name,
        guests=tuple(map(joined, PLAN.guests)),
        security_groups=tuple(groups),
    )


def stands_alone(frame: bytes) -> bool:
    """Whether groups that let everything pass always pass the frame, whatever came before.

    They drop later fragments whose first they have not seen, and headers that nobody can read.
    """
    packet = parse(frame).body
    if isinstance(packet, IPv4 | IPv6):
        return not isinstance(packet.upper, LaterFragment | Unreadable)
    return not isinstance(packet, Unreadable)


GROUPED = tuple(_grouped(f"{NAME}g{many}", many) for many in (1, 5))
"""One security group a port, and several."""


def play(
    run: Run,
    tell: Tell,
    plan: WorldPlan = PLAN,
    plays: Callable[[bytes], bool] = lambda _: True,
) -> None:
    """Play the whole catalogue, the frames of it that `plays`; the host must not notice."""
    story = Checks(plan.name, tell)
    with standing(run, plan) as world, Referee(topology(world)) as referee:
        before = _configuration(world)
        trial = CatalogueRun(plan.name, referee, records_of(world), tell, plays=plays)
        for attack in CATALOGUE:
            trial.play(attack)
            for refused in attack.refused:
                tell(_refusal(plan.name, world, attack, refused))
        trial.close()
        story.check(
            "addresses and routes of the host",
            expected="as before",
            seen="as before" if _configuration(world) == before else "changed",
        )
        story.check("connections of guests that the host tracks", 0, _tracked(world))


def _configuration(world: World) -> tuple[str, ...]:
    """The configuration that an advertisement or a redirect could have changed."""
    looks = (["ip", "-o", "addr"], ["ip", "route", "show", "table", "all"], ["ip", "-6", "route"])
    return tuple(netns.run(look, netns=world.host_netns) for look in looks)


def _tracked(world: World) -> int:
    """The number of connections that the host's kernel tracks; 0 where it cannot."""
    count = Path("/proc/sys/net/netfilter/nf_conntrack_count")
    return netns.within(world.host_netns, lambda: int(count.read_text()) if count.exists() else 0)


def topology(world: World) -> Topology:
    """The topology on which the catalogue is played in this world."""
    segments = tuple(
        segment(world, kind, world.nets[plan.name], _ROUTED) for kind, plan in _NETWORKS.items()
    )
    stranger = bystander_segment(world, world.nets["elsewhere"], segments[-1])
    hosts = {name: host_station(world, net) for name, net in world.nets.items()}

    def update_victim(where: LabSegment) -> None:
        """Take the guards of the victim's port off, and put them back."""
        nic = world.guests[f"{where.name}-victim"].nic
        groups = world.operator.show(PORT, nic.port_id)["security_groups"]
        for enabled, those in ((False, []), (True, groups)):
            body: dict[str, Any] = {"port_security_enabled": enabled}
            if groups:
                body["security_groups"] = those
            world.operator.update(PORT, nic.port_id, body)
            world.operator.wait_for_port(nic.port_id, ENFORCED_WITHIN)

    return Topology(
        world.host_netns,
        (*segments, stranger),
        hosts,
        {Prelude.ANOTHER_PORT_UPDATED: update_victim},
    )


def _refusal(name: str, world: World, attack: Attack, refused: Refused) -> Finding:
    """Call as the operator, who may set everything: a call refused to it is refused to all."""
    net = world.nets["s"]
    before = len(world.operator.list(PORT, network_id=net.id))
    faults, seen = [], "stored"
    try:
        world.operator.create(PORT, {"network_id": net.id, **refused.body})
        faults.append("the server took it")
    except RefusedError as error:
        seen = f"refused with {error.status}"
        if not 400 <= error.status < 500:
            faults.append(seen)
    if len(world.operator.list(PORT, network_id=net.id)) != before:
        faults.append("something was stored")
    return Finding(
        name, f"{attack.id}/{refused.name}", "refused", seen, where="API", faults=tuple(faults)
    )
