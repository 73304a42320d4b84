"""S2, failover: two guests with real keepalived, an IP group, and one of them dies.

Nobody asked the operator for anything: the project made the group, keepalived does the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from ipaddress import IPv4Address, IPv6Address, ip_address

from vifguard.client.client import Item
from vifguard.client.resource import IP_GROUP, PORT
from vifguard.lab.attacks import frames as f
from vifguard.lab.attacks.attack import PASS, Attack, Frame, Kind, Variant, drop, everywhere
from vifguard.lab.play.scenario_rows import run_rows
from vifguard.lab.play.world_segments import three_guest_segment
from vifguard.lab.result.checks import Checks
from vifguard.lab.result.finding import Tell
from vifguard.lab.world import netns
from vifguard.lab.world.daemon import Daemon
from vifguard.lab.world.flood import Flood
from vifguard.lab.world.keepalived import Instance, keepalived, resigned, waits
from vifguard.lab.world.lab_run import Run
from vifguard.lab.world.traffic import believes, pings
from vifguard.lab.world.world import Guest, World, standing
from vifguard.lab.world.world_plan import GroupPlan, GuestPlan, NetworkPlan, NicPlan, WorldPlan
from vifguard.model.address import IPAddress, Mac
from vifguard.model.guard import Guard
from vifguard.model.ip_group import virtual_mac
from vifguard.packet import build

NAME = "s2"
TITLE = "failover: keepalived on two guests, an IP group, one dies"

_RED, _BLUE, _GREEN = "red", "blue", "green"
_VRID4, _VRID6 = 51, 52
_PAIR_VRID = 1
_MANY = 1000
"""Advertisements after which the holder would long be another."""
_PAIR4, _PAIR6 = IPv4Address("203.0.113.240"), IPv6Address("2001:db8:5::240")
_PAIRS = NicPlan(
    "s",
    by_operator={"allowed_address_pairs": [{"ip_address": str(a)} for a in (_PAIR4, _PAIR6)]},
)
"""The address of Octavia's load balancers: both ports list it, and there is no IP group."""

PLAN = WorldPlan(
    NAME,
    networks=(NetworkPlan("s", ("203.0.113.0/24", "2001:db8:5::/64"), uplink=True),),
    guests=(
        GuestPlan("first", _RED, (NicPlan("s"),)),
        GuestPlan("second", _RED, (NicPlan("s"),)),
        GuestPlan("attacker", _BLUE, (NicPlan("s"),)),
        GuestPlan("third", _GREEN, (_PAIRS,)),
        GuestPlan("fourth", _GREEN, (_PAIRS,)),
    ),
    groups=(
        GroupPlan(
            "www",
            _RED,
            "s",
            ("first", "second"),
            {"vrid4": _VRID4, "vrid6": _VRID6},
            link_local="fe80::1",
        ),
    ),
)


def play(run: Run, tell: Tell) -> None:
    """Make the first hold the addresses, take its link away, kill its keepalived."""
    story = Checks(NAME, tell)
    with standing(run, PLAN) as world:
        vips = _addresses(world.groups["www"])
        first, second = world.guests["first"], world.guests["second"]
        with keepalived(world, first, 102, _instances(vips)) as dies, ExitStack() as later:
            _holds(story, world, first, vips, "the member of higher priority holds {}")
            lives = later.enter_context(keepalived(world, second, 101, _instances(vips)))
            _waits(story, "the other", lives)
            netns.ip(["link set eth0 down"], first.netns)
            _holds(story, world, second, vips, "its link is cut: the other holds {}")
            _moved(story, world, first, second, vips)
            netns.ip(["link set eth0 up"], first.netns)
            _holds(story, world, first, vips, "its link is back: it holds {} again")
            _refuse_stranger(story, world, tell, vips, dies)
            _unseat(story, world, vips, dies)
            dies.kill()
            # The addresses that it leaves in its stack would still be answered for.
            netns.ip(["link set eth0 down"], first.netns)
            _holds(story, world, second, vips, "it is killed: the other holds {}")
            lives.must_run()
            netns.ip(["link set eth0 up"], first.netns)
        _virtual_macs(story, world, vips)
        _pairs_alone(story, world)


def _instances(vips: tuple[IPAddress, ...], *more: str) -> tuple[Instance, Instance]:
    """IPv6's list begins with the link-local address (RFC 9568, 5.2.9)."""
    vip4, vip6, link_local = vips
    return (
        Instance("four", _VRID4, (f"{vip4}/24",), more),
        Instance("six", _VRID6, (f"{link_local}/64", f"{vip6}/64"), more),
    )


def _virtual_macs(story: Checks, world: World, vips: tuple[IPAddress, ...]) -> None:
    """The same with use_vmac: the addresses move, and their MACs with them."""
    first, second = world.guests["first"], world.guests["second"]
    instances = _instances(vips, "use_vmac")
    macs = (virtual_mac(4, _VRID4), virtual_mac(6, _VRID6), virtual_mac(6, _VRID6))

    def holds(member: Guest, what: str) -> None:
        for vip, mac in zip(vips, macs, strict=True):
            held = partial(_holds_in_the_api, world, vip, member.nic.port_id)
            story.must(f"{what}: {member.name} holds {vip}", "in the API", held)
            answers = partial(_answers, world, vip, mac)
            story.must(f"{what}: {vip} is at {mac}", "it answers", answers)

    with keepalived(world, first, 102, instances, run="-vmac") as dies, ExitStack() as later:
        holds(first, "use_vmac")
        lives = later.enter_context(keepalived(world, second, 101, instances, run="-vmac"))
        _waits(story, "use_vmac: the other", lives)
        netns.ip(["link set eth0 down"], first.netns)
        holds(second, "use_vmac, the other's link is cut")
        for each in (dies, lives):
            each.must_run()


def _pairs_alone(story: Checks, world: World) -> None:
    """Address pairs and no IP group: by unicast with a password, as Octavia, and by multicast."""
    third, fourth = world.guests["third"], world.guests["fourth"]

    def instances(me: Guest, other: Guest) -> tuple[Instance, Instance]:
        four = (
            "authentication {", "auth_type PASS", "auth_pass secret", "}",
            f"unicast_src_ip {me.nic.addresses[4]}",
            "unicast_peer {", str(other.nic.addresses[4]), "}",
        )  # fmt: skip
        return (
            Instance("four", _PAIR_VRID, (f"{_PAIR4}/24",), four),
            Instance("six", _PAIR_VRID, (f"{_PAIR6}/64",)),
        )

    def holds(member: Guest, why: str) -> None:
        for vip in (_PAIR4, _PAIR6):
            answers = partial(_answers, world, vip, member.nic.interface.mac)
            story.must(f"pairs alone: {member.name}, {why}, has {vip}", "it answers", answers)

    with (
        keepalived(world, third, 102, instances(third, fourth), version=2) as dies,
        ExitStack() as later,
    ):
        holds(third, "of higher priority")
        lives = later.enter_context(
            keepalived(world, fourth, 101, instances(fourth, third), version=2)
        )
        _waits(story, "pairs alone: the other", lives)
        dies.kill()
        netns.ip(["link set eth0 down"], third.netns)
        holds(fourth, "when the other is killed")
        lives.must_run()
    for member in (third, fourth):
        counts = world.drops(member.nic)["counts"]
        dropped = [each["frames"] for each in counts if each["guard"] == Guard.VRRP]
        story.check(f"pairs alone: what vrrp dropped of {member.name}", 0, sum(dropped))


def _waits(story: Checks, who: str, lives: Daemon) -> None:
    """The one of lower priority begins when the addresses are held.

    Two that begin together on a busy machine may both hold them for a moment, after which
    keepalived 2.2 gives the link-local one up with its own source address, and fails.
    """
    story.must(f"{who} begins, and waits", "in both families", lambda: waits(lives) == 2)


def _holds(
    story: Checks, world: World, member: Guest, vips: tuple[IPAddress, ...], subject: str
) -> None:
    """Check that the API names the holder, and that this member answers for the addresses."""
    mac, port_id = member.nic.interface.mac, member.nic.port_id
    for vip in vips:
        what = subject.format(vip)
        story.must(what, "in the API", partial(_holds_in_the_api, world, vip, port_id))
        story.must(what, "it answers", partial(_answers, world, vip, mac))


def _holds_in_the_api(world: World, vip: IPAddress, port_id: str) -> bool:
    return _holder(world, vip) == port_id


def _answers(world: World, vip: IPAddress, mac: Mac) -> bool:
    outside, device = world.outside_netns, world.outside.device
    return pings(outside, vip, device) and believes(outside, vip) == mac


def _moved(
    story: Checks, world: World, before: Guest, after: Guest, vips: tuple[IPAddress, ...]
) -> None:
    """Check that the history has the move, and the time for which nobody had the address."""
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


def _refuse_stranger(
    story: Checks, world: World, tell: Tell, vips: tuple[IPAddress, ...], holder: Daemon
) -> None:
    """Another project's guest takes the address: the frames die, the holder stays."""
    before = resigned(holder)
    holders = [_holder(world, vip) for vip in vips]
    segment = three_guest_segment(
        world, Kind.STRICT, world.nets["s"], "attacker", victim="first", peer="second"
    )
    vip4, vip6 = IPv4Address(str(vips[0])), IPv6Address(str(vips[1]))
    run_rows(NAME, world, (segment,), (_takeover(vip4, vip6, _adverts(vips)),), tell)
    story.check(
        "another project's guest does not become the holder",
        expected="unchanged",
        seen="unchanged" if [_holder(world, vip) for vip in vips] == holders else "changed",
    )
    with _flooded(world, vips):
        story.must("advertisements of priority 255, one after the other", "dropped", _many(world))
    story.check("they unseat nobody", before, resigned(holder))


@contextmanager
def _flooded(world: World, vips: tuple[IPAddress, ...]) -> Iterator[None]:
    """The attacker advertises the group's ids and addresses, as often as it can."""
    net, attacker = world.nets["s"], world.guests["attacker"]
    cast = three_guest_segment(
        world, Kind.STRICT, net, "attacker", victim="first", peer="second"
    ).cast
    frames = [advert(cast) for advert in _adverts(vips)]
    log = world.run.directory / "advertisements"
    with Flood(attacker.netns, attacker.nic.interface.device, frames, log):
        yield


def _many(world: World) -> Callable[[], bool]:
    def look() -> bool:
        counts = world.drops(world.guests["attacker"].nic)["counts"]
        frames = [int(each["frames"]) for each in counts if each["guard"] == Guard.VRRP]
        return sum(frames) > _MANY

    return look


def _unseat(story: Checks, world: World, vips: tuple[IPAddress, ...], holder: Daemon) -> None:
    """The control: without the guard, one such advertisement takes the addresses away."""
    attacker = world.guests["attacker"].nic
    before = resigned(holder)
    guards = sorted(set(attacker.port["effective_guards"]) - {"host", "vrrp"})
    world.operator.update(PORT, attacker.port_id, {"guards": guards})
    world.await_enforced(attacker)
    with _flooded(world, vips):
        story.must(
            "the control: without the guard the holder is unseated",
            "in both families",
            lambda: resigned(holder) >= before + 2,
        )
    world.operator.update(PORT, attacker.port_id, {"guards": None})
    world.await_enforced(attacker)
    _holds(story, world, world.guests["first"], vips, "with the guard again it holds {}")


def _adverts(vips: tuple[IPAddress, ...]) -> tuple[Frame, Frame]:
    """Of the highest priority, as its holder would send them: a receiver compares the lists."""
    vip4, vip6, link_local = vips
    return (
        lambda c: f.vrrp4(c, build.vrrp(_VRID4, vip4, priority=255)),
        lambda c: f.vrrp6(c, build.vrrp(_VRID6, link_local, vip6, priority=255)),
    )


def _takeover(vip4: IPv4Address, vip6: IPv6Address, adverts: tuple[Frame, Frame]) -> Attack:
    def variant(name: str, make: Frame, twin: str, guard: Guard) -> Variant:
        return Variant(name=name, frame=make, twin=twin, expect=everywhere(drop(guard)))

    return Attack(
        id="takeover-by-another-project",
        title="Another project's guest takes the group's addresses",
        variants=(
            variant("arp", lambda c: f.arp(c, 1, spa=vip4, tpa=vip4), "L02/own", Guard.ARP),
            variant("na", lambda c: f.own_na(c, vip6, src=vip6), "L11/unsolicited", Guard.ND),
            variant("vrrp4", adverts[0], "L17/an-id-of-nobody", Guard.VRRP),
            variant("vrrp6", adverts[1], "L17/an-id-of-nobody-v6", Guard.VRRP),
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
