"""S2, failover: two guests with real keepalived, an IP group, and one of them dies.

Nobody asked the operator for anything: the project made the group, keepalived does the rest.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

from vifguard.client.client import Item
from vifguard.client.resource import IP_GROUP
from vifguard.lab import netns
from vifguard.lab.attacks import frames as f
from vifguard.lab.attacks.attack import PASS, Attack, Frame, Kind, Variant, drop, everywhere
from vifguard.lab.casting import small_segment
from vifguard.lab.daemon import Daemon
from vifguard.lab.finding import Tell
from vifguard.lab.plan import GroupPlan, GuestPlan, NetworkPlan, NicPlan, WorldPlan
from vifguard.lab.run import Run
from vifguard.lab.stage import played
from vifguard.lab.story import Story
from vifguard.lab.talk import believes, pings
from vifguard.lab.world import Guest, World, standing
from vifguard.model.address import IPAddress, Mac
from vifguard.model.guard import Guard

NAME = "s2"
TITLE = "failover: keepalived on two guests, an IP group, one dies"

_RED, _BLUE = "red", "blue"
_VRID4, _VRID6 = 51, 52

PLAN = WorldPlan(
    NAME,
    networks=(NetworkPlan("s", ("203.0.113.0/24", "2001:db8:5::/64"), uplink=True),),
    guests=(
        GuestPlan("first", _RED, (NicPlan("s"),)),
        GuestPlan("second", _RED, (NicPlan("s"),)),
        GuestPlan("attacker", _BLUE, (NicPlan("s"),)),
    ),
    groups=(GroupPlan("www", _RED, "s", ("first", "second"), {"vrid4": _VRID4, "vrid6": _VRID6}),),
)

_CONFIGURATION = """
global_defs {{
    vrrp_version 3
    vrrp_garp_master_delay 1
    vrrp_garp_master_repeat 3
}}
vrrp_instance four {{
    state BACKUP
    interface eth0
    virtual_router_id {vrid4}
    priority {priority}
    advert_int 0.2
    virtual_ipaddress {{
        {vip4}/24
    }}
}}
vrrp_instance six {{
    state BACKUP
    interface eth0
    virtual_router_id {vrid6}
    priority {priority}
    advert_int 0.2
    virtual_ipaddress {{
        {vip6}/64
    }}
}}
"""


def play(run: Run, tell: Tell) -> None:
    """Let the first hold the addresses, take its link away, kill its keepalived."""
    story = Story(NAME, tell)
    with standing(run, PLAN) as world:
        vips = _addresses(world.groups["www"])
        first, second = world.guests["first"], world.guests["second"]
        with (
            _keepalived(world, first, 102, vips) as dies,
            _keepalived(world, second, 101, vips) as lives,
        ):
            _holds(story, world, first, vips, "the member of higher priority holds {}")
            netns.ip(["link set eth0 down"], first.netns)
            _holds(story, world, second, vips, "its link is cut: the other holds {}")
            _moved(story, world, first, second, vips)
            netns.ip(["link set eth0 up"], first.netns)
            _holds(story, world, first, vips, "its link is back: it holds {} again")
            _refuse_stranger(story, world, tell, vips)
            dies.kill()
            _holds(story, world, second, vips, "its keepalived is killed: the other holds {}")
            lives.must_run()


def _holds(
    story: Story, world: World, member: Guest, vips: tuple[IPAddress, ...], subject: str
) -> None:
    """The API names the holder, and whoever asks the address is answered by that member."""
    mac, port_id = member.nic.interface.mac, member.nic.port_id
    for vip in vips:
        what = subject.format(vip)
        story.must(what, "in the API", partial(_holds_in_the_api, world, vip, port_id))
        story.must(what, "it answers", partial(_answers, world, vip, mac))


def _holds_in_the_api(world: World, vip: IPAddress, port_id: str) -> bool:
    return _holder(world, vip) == port_id


def _answers(world: World, vip: IPAddress, mac: Mac) -> bool:
    outside = world.outside_netns
    return pings(outside, vip) and believes(outside, vip) == mac


def _moved(
    story: Story, world: World, before: Guest, after: Guest, vips: tuple[IPAddress, ...]
) -> None:
    """The history tells the move, and how long nobody had the address."""
    for vip in vips:
        move = story.must(
            f"the move of {vip} is in the history", "with its gap", _find(world, before, after, vip)
        )
        if move is not None:
            story.check(f"the gap of {vip}", "known", "known", why=f"{move['gap_seconds']:.2f} s")


def _find(world: World, before: Guest, after: Guest, vip: IPAddress) -> Callable[[], Item | None]:
    wanted = (before.nic.port_id, after.nic.port_id)

    def look() -> Item | None:
        group = world.groups["www"]
        answer = world.client(_RED).call("GET", f"ip-groups/{group['id']}/events")
        return next(
            (
                event
                for event in answer["events"]
                if event["kind"] == "move"
                and event["ip_address"] == str(vip)
                and (event["from_port_id"], event["to_port_id"]) == wanted
                and event["gap_seconds"] is not None
            ),
            None,
        )

    return look


def _refuse_stranger(story: Story, world: World, tell: Tell, vips: tuple[IPAddress, ...]) -> None:
    """Another project's guest takes the address: the frames die, the holder stays."""
    holders = [_holder(world, vip) for vip in vips]
    segment = small_segment(
        world, Kind.S, world.nets["s"], "attacker", victim="first", peer="second"
    )
    vip4, vip6 = IPv4Address(str(vips[0])), IPv6Address(str(vips[1]))
    played(NAME, world, (segment,), (_takeover(vip4, vip6),), tell)
    story.check(
        "another project's guest does not become the holder",
        expected="unchanged",
        seen="unchanged" if [_holder(world, vip) for vip in vips] == holders else "changed",
    )


def _takeover(vip4: IPv4Address, vip6: IPv6Address) -> Attack:
    def variant(name: str, make: Frame, twin: str, guard: Guard) -> Variant:
        return Variant(name=name, frame=make, twin=twin, expect=everywhere(drop(guard)))

    return Attack(
        id="takeover-by-another-project",
        title="Another project's guest takes the group's addresses",
        variants=(
            variant("arp", lambda c: f.arp(c, 1, spa=vip4, tpa=vip4), "L02/own", Guard.ARP),
            variant("na", lambda c: f.own_na(c, vip6, src=vip6), "L11/unsolicited", Guard.ND),
            variant("udp4", lambda c: f.udp4(c, src=vip4), "L29/udp4", Guard.IP),
            variant("udp6", lambda c: f.udp6(c, src=vip6), "L29/udp6", Guard.IP),
            Variant(name="legal", frame=f.udp4, expect=everywhere(PASS)),
        ),
    )


def _holder(world: World, vip: IPAddress) -> str | None:
    group = world.client(_RED).show(IP_GROUP, world.groups["www"]["id"])
    return next(
        (each["port_id"] for each in group["holders"] if each["ip_address"] == str(vip)), None
    )


def _addresses(group: Item) -> tuple[IPAddress, ...]:
    found = (ip_address(each["ip_address"]) for each in group["addresses"])
    return tuple(sorted(found, key=lambda address: address.version))


def _keepalived(world: World, guest: Guest, priority: int, vips: tuple[IPAddress, ...]) -> Daemon:
    directory = world.run.directory / f"keepalived-{guest.name}"
    directory.mkdir()
    path = directory / "keepalived.conf"
    path.write_text(
        _CONFIGURATION.format(
            priority=priority, vip4=vips[0], vip6=vips[1], vrid4=_VRID4, vrid6=_VRID6
        )
    )
    return Daemon(guest.netns, _command(path, directory), directory / "log")


def _command(path: Path, directory: Path) -> tuple[str, ...]:
    return (
        "keepalived", "--vrrp", "--dont-fork", "--log-console", "--use-file", str(path),
        "--pid", str(directory / "pid"), "--vrrp_pid", str(directory / "vrrp.pid"),
    )  # fmt: skip
