"""A cast on paper, and the policies of its ports: for judges that need no world."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from vifguard.lab.attacks.actors import OTHERS_VRID, Actors, Station
from vifguard.lab.attacks.attack import Actor, Kind, Path
from vifguard.model.address import IPNetwork, Mac, host_prefix
from vifguard.model.guard import GUARDS_OF, Guard, LinkLocal, Role, with_implied
from vifguard.model.policy import PortPolicy, Storm

_NET4, _NET6 = IPv4Network("203.0.113.0/24"), IPv6Network("2001:db8:5::/64")
_PLENTIFUL_STORM = Storm(rate=1_000_000, burst=1_000_000)


def _station(mac: str, last: int) -> Station:
    return Station(Mac.parse(mac), _NET4[last], _NET6[last])


ACTORS_ON_PAPER = Actors(
    a=_station("02:00:00:0A:00:00", 10),
    v=_station("fa:16:3e:00:00:0b", 11),
    p=_station("fa:16:3e:00:00:0c", 12),
    g=_station("02:66:00:00:00:01", 1),
    net4=_NET4,
    net6=_NET6,
    vip4=IPv4Address("203.0.113.200"),
    vip6=IPv6Address("2001:db8:5::200"),
    vmac4=Mac.parse("00:00:5e:00:01:33"),
    vmac6=Mac.parse("00:00:5e:00:02:34"),
    routed4=IPv4Network("10.66.0.0/24"),
    routed6=IPv6Network("fd66::/64"),
)
"""Documentation addresses (RFC 5737, RFC 3849)."""

ACTORS = {
    Actor.GUEST: ACTORS_ON_PAPER.a,
    Actor.ONLY_4: _station("fa:16:3e:00:00:14", 20),
    Actor.ONLY_6: _station("fa:16:3e:00:00:15", 21),
    Actor.ROLES: _station("fa:16:3e:00:00:16", 22),
    Actor.CLOSED: _station("fa:16:3e:00:00:17", 23),
    Actor.IP_GUARD: _station("fa:16:3e:00:00:18", 24),
    Actor.TAP: _station("fa:16:3e:00:00:19", 25),
    Actor.OUTSIDE: ACTORS_ON_PAPER.g,
}
"""The stations that play; from outside it is the gateway."""


HOST = Station(Mac.parse("02:76:67:00:00:01"), IPv4Address("192.168.76.1"), IPv6Address("fd76::1"))
"""The host: its bridge's MAC, and its addresses on a network of its own."""


def actors_of(actor: Actor, path: Path = Path.GUEST) -> Actors:
    """The cast when `actor` plays along `path`."""
    peer = {Path.GUEST: ACTORS_ON_PAPER.p, Path.UPLINK: ACTORS_ON_PAPER.g, Path.HOST: HOST}[path]
    return ACTORS_ON_PAPER.with_attacker(ACTORS[actor]).with_peer(peer)


def policy_of(kind: Kind, actor: Actor) -> PortPolicy:
    """The policy that judges `actor`'s frames: its own port's, or from outside the victim's."""
    station = ACTORS_ON_PAPER.v if actor is Actor.OUTSIDE else ACTORS[actor]
    guards = GUARDS_OF[kind.profile]
    if actor is Actor.IP_GUARD:
        guards = with_implied({Guard.IP})
    return PortPolicy(
        port_id=f"{kind}-{actor}",
        guards=guards,
        macs=frozenset({station.mac, *_virtual_macs(actor)}),
        prefixes=_prefixes(station, actor),
        link_local=LinkLocal.EUI64,
        public=frozenset({_NET4, _NET6}),
        foreign_vrids4=frozenset({OTHERS_VRID}),
        foreign_vrids6=frozenset({OTHERS_VRID}),
        roles=frozenset(Role) if actor is Actor.ROLES else frozenset(),
        storm=_PLENTIFUL_STORM,
        closed="the port's admin_state_up is false" if actor is Actor.CLOSED else "",
    )


def _virtual_macs(actor: Actor) -> tuple[Mac, ...]:
    return (ACTORS_ON_PAPER.vmac4, ACTORS_ON_PAPER.vmac6) if actor is Actor.GUEST else ()


def _prefixes(station: Station, actor: Actor) -> frozenset[IPNetwork]:
    own: set[IPNetwork] = set()
    if actor is not Actor.ONLY_6:
        own.add(host_prefix(station.ip4))
    if actor is not Actor.ONLY_4:
        own.add(host_prefix(station.ip6))
    if actor is Actor.GUEST:
        own |= {
            host_prefix(ACTORS_ON_PAPER.vip4),
            host_prefix(ACTORS_ON_PAPER.vip6),
            ACTORS_ON_PAPER.routed4,
            ACTORS_ON_PAPER.routed6,
        }
    return frozenset(own)
