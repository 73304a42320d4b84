"""The control world: the same guests on a plain bridge, and nothing that guards them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_interface

from vifguard.kernel import sysctl
from vifguard.lab import netns
from vifguard.lab.arena import Arena, Place, Segment
from vifguard.lab.attacks.attack import Actor, Kind
from vifguard.lab.attacks.cast import Station
from vifguard.lab.attacks.sample import ACTORS, CAST
from vifguard.lab.attacks.sample import HOST as HOST_STATION
from vifguard.lab.plug import Interface, give, make_guest, make_host, plug
from vifguard.lab.run import Run, run

BRIDGE = "br-control"
PLAYING = [actor for actor in ACTORS if actor not in (Actor.OUTSIDE, Actor.TAP)]
GUESTS = {"victim": CAST.v, "peer": CAST.p} | {actor.value: ACTORS[actor] for actor in PLAYING}


@contextmanager
def control() -> Iterator[Arena]:
    with run() as this:
        yield _stand(this)


def _stand(this: Run) -> Arena:
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
    outside = _guest(this, host, "outside", CAST.g, len(GUESTS))
    segment = Segment(
        name="control",
        kind=Kind.I,
        bridge=BRIDGE,
        cast=CAST,
        actors={actor: guests[actor.value] for actor in PLAYING} | {Actor.OUTSIDE: outside},
        guests=tuple(guests.values()),
        outside=outside,
        floods=True,
    )
    return Arena(host, (segment,), {"control": HOST_STATION})


def _guest(this: Run, host: str, name: str, station: Station, index: int) -> Place:
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
    return Place(name, station, there, "eth0", tap, six=six)
