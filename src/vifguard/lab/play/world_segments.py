"""Segments of a world with their addresses, as frames are written in them."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from vifguard.lab.attacks.actors import Actors, Station
from vifguard.lab.attacks.attack import Actor, Kind
from vifguard.lab.play.topology import Endpoint, LabSegment
from vifguard.lab.world.world import Guest, Net, Nic, World
from vifguard.model.address import IPAddress, Mac

_HOST_ADDRESSES = (IPv4Address("192.168.76.1"), IPv6Address("fd76::1"))


def segment(
    world: World, kind: Kind, net: Net, routed: tuple[IPv4Network, IPv6Network]
) -> LabSegment:
    """A network with a guest of each actor's name, a victim, a peer and an IP group.

    All guests of a world are behind veths: nobody plays TAP.
    """
    actors = {
        actor: endpoint(world.guests[f"{net.name}-{actor}"], receives_nothing=actor is Actor.CLOSED)
        for actor in Actor
        if actor not in (Actor.OUTSIDE, Actor.TAP)
    }
    victim, peer = (endpoint(world.guests[f"{net.name}-{each}"]) for each in ("victim", "peer"))
    gateway = _gateway(world, net)
    outside = _outside(world, gateway) if net.leads_out else None
    return LabSegment(
        name=net.name,
        kind=kind,
        bridge=net.bridge,
        cast=_actors(world, net, (actors[Actor.GUEST], victim, peer), gateway, routed),
        actors=actors | ({Actor.OUTSIDE: outside} if outside else {}),
        guests=(victim, peer, *actors.values()),
        outside=outside,
        floods=kind is Kind.ISOLATED,
    )


def three_guest_segment(
    world: World, kind: Kind, net: Net, attacker: str, *, victim: str, peer: str
) -> LabSegment:
    """A network of which three guests have a part to play, and no IP group.

    All others on it only listen.
    """
    places = {
        guest.name: endpoint(guest, nic)
        for guest in world.guests.values()
        for nic in guest.nics
        if nic.net.name == net.name
    }
    gateway = _gateway(world, net)
    playing = places[attacker]
    station = playing.station
    return LabSegment(
        name=net.name,
        kind=kind,
        bridge=net.bridge,
        cast=Actors(
            a=station,
            v=places[victim].station,
            p=places[peer].station,
            g=gateway,
            net4=_net4(net),
            net6=_net6(net),
            vip4=station.ip4,
            vip6=station.ip6,
            vmac4=station.mac,
            vmac6=station.mac,
            routed4=IPv4Network(station.ip4),
            routed6=IPv6Network(station.ip6),
        ),
        actors={Actor.GUEST: playing},
        guests=tuple(places.values()),
        outside=_outside(world, gateway) if net.leads_out else None,
    )


def bystander_segment(world: World, net: Net, like: LabSegment) -> LabSegment:
    """A network on which nothing is played, and nothing may arrive."""
    guests = tuple(
        endpoint(guest) for guest in world.guests.values() if guest.nic.net.name == net.name
    )
    return LabSegment(net.name, Kind.ISOLATED, net.bridge, like.cast, {}, guests, floods=True)


def endpoint(guest: Guest, nic: Nic | None = None, *, receives_nothing: bool = False) -> Endpoint:
    """A guest as an endpoint, by one of its interfaces (the first)."""
    nic = nic or guest.nic
    station = Station(
        nic.interface.mac, _address4(nic.net, nic.addresses), _address6(nic.net, nic.addresses)
    )
    return Endpoint(
        name=guest.name if nic is guest.nic else f"{guest.name}-{nic.net.name}",
        station=station,
        netns=guest.netns,
        device=nic.interface.device,
        tap=nic.interface.host_device,
        port_id=nic.port_id,
        receives_nothing=receives_nothing,
        has_ipv6=6 in nic.plan.families and not nic.plan.silent,
    )


def host_station(world: World, net: Net) -> Station:
    """The host as a peer on a network: its bridge's MAC, its addresses on another device."""
    return Station(world.bridge_mac(net), *_HOST_ADDRESSES)


def _actors(
    world: World,
    net: Net,
    places: tuple[Endpoint, Endpoint, Endpoint],
    gateway: Station,
    routed: tuple[IPv4Network, IPv6Network],
) -> Actors:
    attacker, victim, peer = (each.station for each in places)
    group = world.groups[f"{net.name}-group"]
    shared = {
        address.version: address
        for address in (ip_address(each["ip_address"]) for each in group["addresses"])
    }
    return Actors(
        a=attacker,
        v=victim,
        p=peer,
        g=gateway,
        net4=_net4(net),
        net6=_net6(net),
        vip4=IPv4Address(str(shared[4])),
        vip6=IPv6Address(str(shared[6])),
        vmac4=_virtual_mac(1, group["vrid4"]),
        vmac6=_virtual_mac(2, group["vrid6"]),
        routed4=routed[0],
        routed6=routed[1],
    )


def _virtual_mac(family: int, router: int) -> Mac:
    """The MAC of a virtual router (RFC 9568, 7.3)."""
    return Mac(bytes((0x00, 0x00, 0x5E, 0x00, family, router)))


def _gateway(world: World, net: Net) -> Station:
    return Station(
        world.outside.mac,
        IPv4Address(net.subnets[4]["gateway_ip"]),
        IPv6Address(net.subnets[6]["gateway_ip"]),
    )


def _outside(world: World, gateway: Station) -> Endpoint:
    outside = world.outside
    return Endpoint("outside", gateway, outside.netns, outside.device, outside.host_device)


def _net4(net: Net) -> IPv4Network:
    return IPv4Network(net.subnets[4]["cidr"])


def _net6(net: Net) -> IPv6Network:
    return IPv6Network(net.subnets[6]["cidr"])


# A guest without an address of a family still needs one in its station: it forges it.


def _address4(net: Net, given: dict[int, IPAddress]) -> IPv4Address:
    return IPv4Address(str(given[4])) if 4 in given else _net4(net)[-3]


def _address6(net: Net, given: dict[int, IPAddress]) -> IPv6Address:
    return IPv6Address(str(given[6])) if 6 in given else _net6(net)[0xFFFE]
