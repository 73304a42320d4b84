"""S9, IPv6 addresses that guests choose themselves: learned by duplicate address detection.

Real stacks, in strict guards: stable-privacy and random link-local addresses (RFC 7217),
temporary addresses (RFC 8981) by a real router's advertisements, two guests that want one
address, and one that wants the address of the gateway or of a station beyond the uplink.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from functools import partial
from ipaddress import IPv6Address, IPv6Network, ip_interface

from vifguard.client.resource import PORT
from vifguard.kernel.net import sysctl
from vifguard.lab.result.checks import Checks, until
from vifguard.lab.result.finding import Tell
from vifguard.lab.world import netns
from vifguard.lab.world.daemon import Daemon
from vifguard.lab.world.guest_netns import give
from vifguard.lab.world.lab_run import Run
from vifguard.lab.world.traffic import pings
from vifguard.lab.world.world import Guest, Nic, World, standing
from vifguard.lab.world.world_plan import GuestPlan, NetworkPlan, NicPlan, WorldPlan
from vifguard.model.address import IPAddress

NAME = "s9"
TITLE = "IPv6 addresses that guests choose themselves, learned by duplicate address detection"

_RED, _BLUE = "red", "blue"
_PREFIX = IPv6Network("2001:db8:9::/64")
_GATEWAY = IPv6Address("2001:db8:9:0:beef:0:1:1")
"""With an identifier that a guest might choose, so that only the model keeps it."""
_STATION = IPv6Address("2001:db8:9:0:beef:0:7:7")
"""The address of a station beyond the uplink, of which no model knows."""
_WANTED, _LATE = IPv6Address("2001:db8:9:0:beef:0:1:2"), IPv6Address("2001:db8:9:0:beef:0:2:2")

_CHOOSING = {
    "ipv6/conf/{}/accept_dad": "1",
    "ipv6/conf/{}/accept_ra": "2",
    "ipv6/conf/{}/use_tempaddr": "2",
    "ipv6/conf/{}/dad_transmits": "1",
}
_STABLE = {"ipv6/conf/{}/stable_secret": "2001:db8::5ec:7e7", "ipv6/conf/{}/addr_gen_mode": "2"}
_RANDOM = {"ipv6/conf/{}/addr_gen_mode": "3"}

PLAN = WorldPlan(
    NAME,
    networks=(
        NetworkPlan(
            "s",
            ("203.0.113.0/24", str(_PREFIX)),
            uplink=True,
            subnet_body={
                6: {
                    "gateway_ip": str(_GATEWAY),
                    "ipv6_address_mode": "slaac",
                    "ipv6_ra_mode": "slaac",
                }
            },
        ),
    ),
    guests=(
        GuestPlan(
            "router",
            _RED,
            (NicPlan("s", by_operator={"roles": ["router-advertiser"]}),),
        ),
        GuestPlan("stable", _RED, (NicPlan("s", silent=True),)),
        GuestPlan("random", _BLUE, (NicPlan("s", silent=True),)),
    ),
)


def play(run: Run, tell: Tell) -> None:
    """Make guests choose addresses, and one of them choose another's."""
    story = Checks(NAME, tell)
    with standing(run, PLAN) as world:
        stable, random = world.guests["stable"], world.guests["random"]
        with _advertising(world) as dnsmasq:
            for guest, how in ((stable, _STABLE), (random, _RANDOM)):
                _boot(guest, how)
            for guest in (stable, random):
                _has_learned(story, world, guest)
            dnsmasq.must_run()
            _talk(story, world, stable, random)
            _race(story, world, stable, random)
            _foreign(story, world, random)
            _outage(story, world, stable)
            _release(story, world, stable)
            dnsmasq.must_run()


def _advertising(world: World) -> Daemon:
    """A router whose advertisements have the subnet's prefix."""
    router = world.guests["router"]
    command = (
        "dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--port=0", "--user=root",
        "--interface=eth0", "--bind-interfaces", "--enable-ra", "--ra-param=eth0,5,60",
        f"--dhcp-range={_PREFIX.network_address},ra-only",
        f"--dhcp-leasefile={world.run.directory / 'leases'}",
        f"--pid-file={world.run.directory / 'dnsmasq.pid'}", "--log-facility=-",
    )  # fmt: skip
    daemon = Daemon(router.netns, command, world.run.directory / "dnsmasq.log")

    def serves() -> bool:
        daemon.must_run()
        return "router advertisement" in daemon.said

    until("dnsmasq advertises", serves)
    return daemon


def _boot(guest: Guest, how: dict[str, str]) -> None:
    """Start the guest's IPv6 with its own choice of identifiers."""
    device = guest.nic.interface.device
    settings = _CHOOSING | how | {"ipv6/conf/{}/disable_ipv6": "0"}
    netns.ip([f"link set {device} down"], guest.netns)
    netns.within(guest.netns, lambda: sysctl.write(device, settings))
    netns.ip([f"link set {device} up"], guest.netns)


def _has_learned(story: Checks, world: World, guest: Guest) -> None:
    """A link-local, a stable and a temporary address, none of them EUI-64, each usable."""
    story.must(
        f"{guest.name} chooses a link-local address, a stable and a temporary one",
        "three addresses beyond detection",
        lambda: len(_chosen(guest)) >= 3,
    )
    chosen = _chosen(guest)
    eui64 = [each for each in chosen if int(each) >> 24 & 0xFFFF == 0xFFFE]
    story.check(f"{guest.name} forms none of them from its MAC", expected=[], seen=eui64)
    story.must(
        f"the port of {guest.name} has learned what it uses",
        "all of them",
        lambda: set(chosen) <= _learned(world, guest.nic),
    )


def _talk(story: Checks, world: World, stable: Guest, random: Guest) -> None:
    router = world.guests["router"].nic.addresses[6]
    for guest in (stable, random):
        temporary = _addresses(guest, "temporary")
        source = _source(guest, router)
        story.check(
            f"{guest.name} prefers a temporary address",
            expected=True,
            seen=source in temporary,
            why=str(source),
        )
        story.must(f"{guest.name} reaches the router from it", "answered", _pinging(guest, router))
    for address in sorted(_chosen(random)):
        story.must(
            f"stable reaches random at {'its link-local' if address.is_link_local else 'a global'} "
            f"address {address}",
            "answered",
            _pinging(stable, address),
        )


def _race(story: Checks, world: World, *racers: Guest) -> None:
    """Two guests configure one address at once: one has it, the other finds a duplicate."""
    adding = [_adding(guest, _WANTED) for guest in racers]
    for process in adding:
        process.wait()
    story.must(
        "of two guests that want one address, one has it and one finds a duplicate",
        "one and one",
        lambda: (
            sum(_WANTED in _addresses(guest, "dadfailed") for guest in racers) == 1
            and sum(_WANTED in _chosen(guest) for guest in racers) == 1
        ),
    )
    winners = [guest for guest in racers if _WANTED in _chosen(guest)]
    story.must(
        "the port of who has it has learned it, and no other's",
        "one port",
        lambda: [g for g in racers if _WANTED in _learned(world, g.nic)] == winners,
    )
    for guest in racers:
        _drop_address(guest, _WANTED)


def _foreign(story: Checks, world: World, guest: Guest) -> None:
    """An address of the model, or of a station beyond the uplink, is a duplicate elsewhere."""
    give(world.outside, [ip_interface(f"{_STATION}/64")])
    for address, whose in ((_GATEWAY, "the gateway's"), (_STATION, "a neighbour's")):
        _adding(guest, address).wait()
        story.must(
            f"a guest that wants {whose} address finds a duplicate",
            "dadfailed",
            lambda address=address: address in _addresses(guest, "dadfailed"),  # type: ignore[misc]
        )
        story.must(
            f"its port does not keep {whose} address",
            "not learned",
            lambda address=address: address not in _learned(world, guest.nic),  # type: ignore[misc]
        )
        _drop_address(guest, address)


def _outage(story: Checks, world: World, guest: Guest) -> None:
    """A learned address passes without an agent; one chosen meanwhile is learned later."""
    router = world.guests["router"].nic.addresses[6]
    world.server.kill()
    story.must("what was learned passes while no agent runs", "answered", _pinging(guest, router))
    _adding(guest, _LATE).wait()
    until("the address is beyond detection", lambda: _LATE in _chosen(guest))
    story.check(
        "an address chosen meanwhile passes nothing",
        expected=False,
        seen=pings(guest.netns, router, str(_LATE)),
    )
    world.server.start()
    story.must(
        "with an agent it is learned by its next use",
        "answered",
        lambda: pings(guest.netns, router, str(_LATE)),
    )
    _drop_address(guest, _LATE)


def _release(story: Checks, world: World, guest: Guest) -> None:
    """A released address is nobody's until it is claimed again."""
    address = min(each for each in _learned(world, guest.nic) if not each.is_link_local)
    world.client(guest.project).release_learned_address(guest.nic.port_id, str(address))
    story.check(
        "the owner of a port releases an address",
        expected=False,
        seen=address in _learned(world, guest.nic),
    )


def _pinging(guest: Guest, address: IPAddress) -> partial[bool]:
    zone = guest.nic.interface.device if address.is_link_local else ""
    return partial(pings, guest.netns, address, zone)


def _adding(guest: Guest, address: IPv6Address) -> subprocess.Popen[bytes]:
    device = guest.nic.interface.device
    return subprocess.Popen(
        ["ip", "-n", guest.netns, "addr", "add", f"{address}/64", "dev", device]
    )


def _drop_address(guest: Guest, address: IPv6Address) -> None:
    netns.ip([f"addr del {address}/64 dev {guest.nic.interface.device}"], guest.netns)


def _addresses(guest: Guest, *flags: str) -> set[IPv6Address]:
    """Its IPv6 addresses that have these flags of ip-address(8)."""
    command = ["ip", "-6", "-o", "addr", "show", "dev", guest.nic.interface.device, *flags]
    lines = netns.run(command, netns=guest.netns).splitlines()
    return {IPv6Address(line.split()[3].partition("/")[0]) for line in lines}


def _chosen(guest: Guest) -> set[IPv6Address]:
    """Its addresses beyond detection."""
    return _addresses(guest) - _addresses(guest, "tentative") - _addresses(guest, "dadfailed")


def _source(guest: Guest, to: IPAddress) -> IPv6Address:
    """The source address that its stack sends from."""
    words = netns.run(["ip", "-6", "route", "get", str(to)], netns=guest.netns).split()
    return IPv6Address(words[words.index("src") + 1])


def _learned(world: World, nic: Nic) -> set[IPv6Address]:
    """The addresses that its port has learned."""
    shown: Iterable[dict[str, str]] = world.operator.show(PORT, nic.port_id)["learned_addresses"]
    return {IPv6Address(each["ip_address"]) for each in shown if not each["tentative"]}
