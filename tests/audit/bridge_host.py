"""A host by hand: three guests on a plain Linux bridge, and whatever a test puts in its way."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from ipaddress import ip_interface

from paper_host import NET4, NET6, post

from vifguard.kernel.net import sysctl
from vifguard.lab.audit.site import Guest, Namespace, Site, VantagePoint
from vifguard.lab.world import netns
from vifguard.lab.world.guest_netns import Interface, give, make_guest, make_host, plug
from vifguard.lab.world.lab_run import Run, run

BRIDGE = "br0"
NAMES = ("attacker", "victim", "third")


@dataclass(frozen=True)
class Bridge:
    """The host's namespace, its taps `tap1` to `tap3`, and the guests of the site."""

    netns: str
    site: Site
    guests: tuple[str, ...]


@contextmanager
def bridge() -> Iterator[Bridge]:
    with run() as this:
        host = this.netns("host")
        make_host(host)
        netns.within(host, lambda: sysctl.write("default", {"ipv6/conf/{}/disable_ipv6": "1"}))
        netns.ip([f"link add {BRIDGE} type bridge", f"link set {BRIDGE} up"], host)
        posts = [_guest(this, host, name, n) for n, name in enumerate(NAMES, 1)]
        site = Site("plain bridge", *posts, net4=NET4, net6=NET6)
        yield Bridge(host, site, tuple(map(this.netns, NAMES)))


def _guest(this: Run, host: str, name: str, number: int) -> VantagePoint:
    there = this.netns(name)
    made = replace(post(name, number), reach=Namespace(there, "eth0"))
    make_guest(there)
    tap = f"tap{number}"
    interface = Interface(there, "eth0", host, tap, made.mac)
    plug(interface)
    netns.ip([f"link set {tap} master {BRIDGE}"], host)
    give(interface, [ip_interface(f"{made.ip4}/24"), ip_interface(f"{made.ip6}/64")])
    return made


def over_commands(site: Site) -> Site:
    """The same guests, each reached over a command."""

    def reached(there: VantagePoint) -> VantagePoint:
        assert isinstance(there.reach, Namespace)
        command = ("ip", "netns", "exec", there.reach.netns, "python3", "-")
        return replace(there, reach=Guest(command, there.reach.device))

    assert site.third
    return replace(
        site,
        attacker=reached(site.attacker),
        victim=reached(site.victim),
        third=reached(site.third),
    )
