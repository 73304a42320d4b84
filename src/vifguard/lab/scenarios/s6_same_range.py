"""S6, the same range twice: another project's network, and an interface for a running guest.

Both projects use one range, and even one MAC and one address (L25). Neither sees the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from vifguard.client.errors import NotFoundError
from vifguard.client.resource import NETWORK
from vifguard.lab.attacks import CATALOGUE
from vifguard.lab.attacks.attack import Attack, Kind
from vifguard.lab.play.scenario_rows import run_rows
from vifguard.lab.play.world_segments import three_guest_segment
from vifguard.lab.result.checks import Checks
from vifguard.lab.result.finding import Tell
from vifguard.lab.world.daemon import Daemon
from vifguard.lab.world.lab_run import Run
from vifguard.lab.world.traffic import pings
from vifguard.lab.world.world import Guest, Nic, World, standing
from vifguard.lab.world.world_plan import GuestPlan, NetworkPlan, NicPlan, WorldPlan

NAME = "s6"
TITLE = "the same range twice: a second project, a running guest, neither sees the other"

_RED, _BLUE = "red", "blue"
_RANGE = ("10.0.0.0/24", "fd00:1::/64")

PLAN = WorldPlan(
    NAME,
    networks=(
        NetworkPlan("s", ("203.0.113.0/24", "2001:db8:5::/64"), uplink=True),
        NetworkPlan("red-net", _RANGE, project=_RED),
    ),
    guests=(
        GuestPlan("red-1", _RED, (NicPlan("red-net"),)),
        GuestPlan("red-2", _RED, (NicPlan("red-net"),)),
        GuestPlan("red-3", _RED, (NicPlan("red-net"),)),
        GuestPlan("blue-1", _BLUE, (NicPlan("s"),)),
    ),
)

_TICKS = ("sh", "-c", "while :; do echo tick; sleep 0.1; done")


def play(run: Run, tell: Tell) -> None:
    """Make the second network while the first is in use."""
    story = Checks(NAME, tell)
    with standing(run, PLAN) as world:
        running = world.guests["blue-1"]
        _reach(story, world, "red", "before the second network exists")
        with Daemon(running.netns, _TICKS, run.directory / "ticks") as ticking:
            world.add_network(NetworkPlan("blue-net", _RANGE, project=_BLUE))
            hot = world.add_nic(running, _twin_of(world, "red-1"))
            for name in ("red-2", "red-3"):
                plan = GuestPlan(name.replace("red", "blue"), _BLUE, (_twin_of(world, name),))
                world.add_guest(plan)
            world.await_enforced()
            ticking.must_run()
        _same(story, world, hot)
        _reach(story, world, "blue", "on the interface added while it ran")
        _reach(story, world, "red", "after the second network exists")
        _invisible(story, world)
        segments = tuple(
            three_guest_segment(
                world,
                Kind.STRICT,
                world.nets[f"{side}-net"],
                f"{side}-1",
                victim=f"{side}-2",
                peer=f"{side}-3",
            )
            for side in ("red", "blue")
        )
        run_rows(NAME, world, segments, _rows(), tell)


def _twin_of(world: World, name: str) -> NicPlan:
    """A port with the MAC and the addresses of another project's (L25)."""
    nic = world.guests[name].nic
    subnets = world.nets["blue-net"].subnets
    body: Mapping[str, Any] = {
        "mac_address": str(nic.interface.mac),
        "fixed_ips": [
            {"subnet_id": subnets[version]["id"], "ip_address": str(address)}
            for version, address in nic.addresses.items()
        ],
    }
    return NicPlan("blue-net", body=body)


def _same(story: Checks, world: World, hot: Nic) -> None:
    other = world.guests["red-1"].nic
    story.check(
        "the two projects use one MAC and one address",
        _identity(other),
        _identity(hot),
    )


def _identity(nic: Nic) -> str:
    return ", ".join([str(nic.interface.mac), *map(str, nic.addresses.values())])


def _reach(story: Checks, world: World, side: str, when: str) -> None:
    first, second = world.guests[f"{side}-1"], world.guests[f"{side}-2"]
    for version, address in _nic_on(second, f"{side}-net").addresses.items():
        device = _nic_on(first, f"{side}-net").interface.device
        story.must(
            f"{side}-1 reaches {side}-2 over IPv{version}, {when}",
            "answered",
            partial(pings, first.netns, address, device),
        )


def _nic_on(guest: Guest, network: str) -> Nic:
    return next(nic for nic in guest.nics if nic.net.name == network)


def _invisible(story: Checks, world: World) -> None:
    """In the API, too, the other project's network does not exist."""
    for asking, other in ((_RED, "blue-net"), (_BLUE, "red-net")):
        client = world.client(asking)
        listed = {each["id"] for each in client.list(NETWORK)}
        story.check(
            f"{asking} lists {other}",
            expected=False,
            seen=world.nets[other].id in listed,
        )
        try:
            client.show(NETWORK, world.nets[other].id)
            seen = "shown"
        except NotFoundError:
            seen = "404"
        story.check(f"{asking} asks for {other} by its id", "404", seen)


_WITH_PEER = frozenset({"L02", "L04", "L05", "L11", "L13", "L18", "L29"})


def _rows() -> tuple[Attack, ...]:
    """Legal traffic of every kind: frames that pass on one network never reach the other."""
    return tuple(attack for attack in CATALOGUE if attack.id in _WITH_PEER)
