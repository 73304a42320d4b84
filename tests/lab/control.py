"""The control world: the same guests on a plain bridge, and nothing that guards them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_interface

from vifguard.kernel.net import sysctl
from vifguard.lab.attacks.actors import Station
from vifguard.lab.attacks.attack import Actor, Kind
from vifguard.lab.attacks.sample_actors import ACTORS, ACTORS_ON_PAPER
from vifguard.lab.attacks.sample_actors import HOST as HOST_STATION
from vifguard.lab.play.topology import Endpoint, LabSegment, Topology
from vifguard.lab.world import netns
from vifguard.lab.world.guest_netns import Interface, give, make_guest, make_host, plug
from vifguard.lab.world.lab_run import Run, run

BRIDGE = "br-control"
PLAYING = [actor for actor in ACTORS if actor not in (Actor.OUTSIDE, Actor.TAP)]
GUESTS = {"victim": ACTORS_ON_PAPER.v, "peer": ACTORS_ON_PAPER.p} | {
    actor.value: ACTORS[actor] for actor in PLAYING
}


@contextmanager
def control() -> Iterator[Topology]:
    with run() as this:
        yield _stand(this)


def _stand(this: Run) -> Topology:
    host = this.netns("host")
    make_host(host)
    netns.within(host, lambda: sysctl.write("default", {"ipv6/conf/{}/disable_ipv6": "1"}))
    netns.ip(
        [
            f"link add {BRIDGE} address {HOST_STATION.mac} type bridge mcast_snooping 0",
            f"link set {BRIDGE} up",
            f"addr add {HOST_STATION.ip4}/24 dev lo",
        ],
        host,
    )
    guests = {
        name: _guest(this, host, name, station, index)
        for index, (name, station) in enumerate(GUESTS.items())
    }
    outside = _guest(this, host, "outside", ACTORS_ON_PAPER.g, len(GUESTS))
    segment = LabSegment(
        name="control",
        kind=Kind.ISOLATED,
        bridge=BRIDGE,
        cast=ACTORS_ON_PAPER,
        actors={actor: guests[actor.value] for actor in PLAYING} | {Actor.OUTSIDE: outside},
        guests=tuple(guests.values()),
        outside=outside,
        floods=True,
    )
    return Topology(host, (segment,), {"control": HOST_STATION})


def _guest(this: Run, host: str, name: str, station: Station, index: int) -> Endpoint:
    there, tap = this.netns(name), f"tap{index}"
    make_guest(there)
    interface = Interface(there, "eth0", host, tap, station.mac)
    six = name != Actor.ONLY_4.value
    plug(interface, muted=not six, offloads=name != "victim")
    netns.ip([f"link set {tap} address fe:76:00:00:00:{index:02x} master {BRIDGE} up"], host)
    addresses = [ip_interface(f"{station.ip4}/24")]
    if six:
        addresses.append(ip_interface(f"{station.ip6}/64"))
    give(interface, addresses)
    return Endpoint(name, station, there, "eth0", tap, has_ipv6=six)
