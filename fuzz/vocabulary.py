"""The names that frames and policies are made of: few, so that they meet often.

They are those of `tests.triangle.universe`; the catalogue is cast with them, and the own addresses
in the tapes of `tests.property.strategies` are the IP group's here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from random import Random

from tests.triangle import universe

from vifguard.lab.attacks.actors import Actors, Station
from vifguard.model.address import IPAddress, IPNetwork, Mac, host_prefix
from vifguard.model.guard import (
    GUARDS_OF,
    SELECTABLE,
    Guard,
    LinkLocal,
    Profile,
    Role,
    with_implied,
)
from vifguard.model.policy import PortPolicy, Storm
from vifguard.model.security_group import IcmpType, PortRange, Rule, Ruleset
from vifguard.model.verdict import Direction

OWN, OTHER = Mac.parse(universe.OWN), Mac.parse(universe.OTHER)
VIRTUAL_4, VIRTUAL_6 = Mac.parse("00:00:5e:00:01:07"), Mac.parse("00:00:5e:00:02:07")
GATEWAY = Mac.parse("02:00:00:00:00:01")
BROADCAST, ZERO = Mac(b"\xff" * 6), Mac(bytes(6))

CAST = Actors(
    a=Station(OWN, IPv4Address(universe.OWN4), IPv6Address(universe.OWN6)),
    v=Station(OTHER, IPv4Address(universe.OTHER4), IPv6Address(universe.OTHER6)),
    p=Station(Mac.parse("02:00:00:00:00:0c"), IPv4Address("10.0.0.6"), IPv6Address("fd00::6")),
    g=Station(GATEWAY, IPv4Address("10.0.0.1"), IPv6Address("fd00::1")),
    net4=IPv4Network("10.0.0.0/24"),
    net6=IPv6Network("fd00::/64"),
    vip4=IPv4Address("10.0.0.5"),
    vip6=IPv6Address("fd00::5"),
    vmac4=VIRTUAL_4,
    vmac6=VIRTUAL_6,
    routed4=IPv4Network("10.1.0.0/24"),
    routed6=IPv6Network("fd01::/64"),
)

_NAMED = (OWN, OTHER, VIRTUAL_4, VIRTUAL_6, GATEWAY, BROADCAST, ZERO)
_FURTHER_MACS = (
    "0180c2000000 0180c200000f 0180c2000010 0180c2000001 01005e000016 333300000001 "
    "3333ff00000a 02000000000c 01000000000a 02000000000e"
)
MACS = (*(mac.octets for mac in _NAMED), *map(bytes.fromhex, _FURTHER_MACS.split()))
"""As they stand in a frame."""

_ADDRESSES_4 = (
    "10.0.0.10 10.0.0.11 10.0.0.5 10.0.0.6 10.0.0.1 10.0.0.8 10.1.0.200 10.1.1.1 0.0.0.0 "
    "255.255.255.255 192.0.2.7 198.51.100.7 127.0.0.1 224.0.0.1 224.0.0.22 239.255.255.255 "
    "240.0.0.1 169.254.1.1 0.0.0.1"
)
_ADDRESSES_6 = (
    "fd00::a fd00::b fd00::5 fd00::6 fd00::1 fd01::77 fd01:0:0:1::1 :: ::1 ff02::1 ff02::2 "
    "ff02::16 ff02::fb ff02::1:2 ff02::1:ff00:a ff02::1:ff00:b ff02::1:ff00:0 ff02::1:fe00:a "
    "ff05::1:3 fe80::1 fe80:0:0:1::1 febf::1 fec0::1 2001:db8::7 2001:db8:0:1::7 "
    "::ffff:10.0.0.10 ::10.0.0.10 fe80::ff:fe00:a fe80::ff:fe00:b fe80::ff:fe00:c "
    "fe80::200:5eff:fe00:107 fe80::2ff:fe00:a"
)
IP4 = tuple(ip_address(text).packed for text in _ADDRESSES_4.split())
IP6 = tuple(ip_address(text).packed for text in _ADDRESSES_6.split())
"""As they stand in a frame."""

_PREFIXES = (
    "10.0.0.8/30 10.0.0.10/31 10.0.0.0/24 10.1.0.0/24 10.0.0.0/8 0.0.0.0/0 0.0.0.0/32 "
    "192.0.2.0/24 198.51.100.7/32 224.0.0.0/4 127.0.0.0/8 "
    "fd00::a/127 fd00::/96 fd01::/64 fd00::/8 ::/0 ::/128 ::/64 fe80::/64 fe80::/10 "
    "fe80::ff:fe00:b/128 2001:db8::/32 2001:db8::7/128 ff00::/8 ff02::1/128"
)
PREFIXES: tuple[IPNetwork, ...] = tuple(ip_network(text) for text in _PREFIXES.split())
_GROUP = frozenset(host_prefix(address) for address in (CAST.vip4, CAST.vip6))
_OWN = frozenset(host_prefix(address) for address in (CAST.a.ip4, CAST.a.ip6))
_ETHERTYPES = (0x8100, 0x88A8, 0x9100, 0x88B5, 0x0842, 0x0806, 0x8035, 0x88CC, 0xFFFF, 0x0600)
_FROM, _TO = Direction
_GROUPS: dict[str, frozenset[Rule]] = {
    "out": frozenset(Rule(_FROM, version) for version in (4, 6)),
    "in": frozenset(Rule(_TO, version) for version in (4, 6)),
    "web": frozenset(
        Rule(way, version, protocol, PortRange(0, 1023), remote=remote)
        for way in Direction
        for version in (4, 6)
        for protocol, remote in ((6, "near"), (17, None), (132, "near"))
    ),
    "ping": frozenset(
        Rule(way, version, protocol, icmp=icmp)
        for way in Direction
        for version, protocol, icmp in ((4, 1, IcmpType(8)), (6, 58, IcmpType(128, 0)))
    ),
    "odd": frozenset(
        Rule(way, version, protocol, remote=remote)
        for way in Direction
        for version, protocol, remote in (
            (4, 2, None),
            (4, 47, CAST.net4),
            (6, 58, CAST.net6),
            (6, 59, None),
            (4, 0, "near"),
            (6, 0, "near"),
        )
    ),
}
BOOK = Ruleset(_GROUPS, {"near": frozenset({CAST.net4, CAST.routed6, host_prefix(CAST.v.ip6)})})
"""The rules of the groups of all ports. None of them is stateful here: a frame is judged by itself,
and only a later fragment by earlier ones. `sequences` is for the others."""

_VRIDS = (0x33, 0x34, 0x3D, 1, 64, 255)
_STORMS = (universe.UNLIMITED,) * 6 + (Storm(rate=0, burst=5), Storm(rate=1, burst=0))


def fixed() -> Iterator[PortPolicy]:
    """Each policy that matters for the universe, members of the IP group, security groups."""
    for number, (_, policy) in enumerate(universe.policies()):
        yield replace(policy, port_id=port_id(number))
    member = {
        "prefixes": _OWN | _GROUP | {CAST.routed4, CAST.routed6},
        "macs": frozenset({OWN, VIRTUAL_4, VIRTUAL_6}),
        "watched": frozenset({CAST.vip4, CAST.vip6}),
    }
    for number, profile in enumerate((Profile.STRICT, Profile.ROUTER), start=100):
        policy = universe.policy(GUARDS_OF[profile], **member)
        yield replace(policy, port_id=port_id(number))
    for number, groups in enumerate((("out",), ("in", "ping"), ("web", "odd"), ()), start=200):
        strict = universe.policy(GUARDS_OF[Profile.STRICT])
        yield replace(_grouped(strict, groups), port_id=port_id(number))
    for number, groups in enumerate((("out", "ping"), ("web", "odd")), start=300):
        bare = universe.policy(frozenset())
        yield replace(_grouped(bare, groups), port_id=port_id(number))


def _grouped(policy: PortPolicy, groups: Iterable[str]) -> PortPolicy:
    guards = policy.guards | {Guard.SECURITY_GROUPS}
    return replace(policy, guards=guards, security_groups=frozenset(groups), stateful=False)


def port_id(number: int) -> str:
    """The id of the port with this number."""
    return f"11111111-2222-3333-4444-{number:012}"


def drawn(random: Random, number: int) -> PortPolicy:
    """Any policy at all, more often one that lets something pass."""
    policy = PortPolicy(
        port_id=port_id(number),
        guards=_guards(random),
        macs=_macs(random),
        prefixes=_prefixes(random),
        watched=_watched(random),
        link_local=random.choice(tuple(LinkLocal)),
        public=frozenset(random.sample(PREFIXES, random.choice((0, 1, 2, 5)))),
        roles=frozenset(role for role in Role if random.random() < 0.2),
        ethertypes=frozenset(random.sample(_ETHERTYPES, random.choice((0, 0, 0, 1, 3)))),
        foreign_vrids4=frozenset(random.sample(_VRIDS, random.choice((0, 0, 1, 3)))),
        foreign_vrids6=frozenset(random.sample(_VRIDS, random.choice((0, 0, 1, 3)))),
        storm=random.choice(_STORMS),
        closed="drawn so" if random.random() < 0.02 else "",
    )
    if random.random() < 0.7:
        return policy
    return _grouped(policy, random.sample(sorted(_GROUPS), random.choice((0, 1, 2, 2))))


def _guards(random: Random) -> frozenset[Guard]:
    if random.random() < 0.5:
        return GUARDS_OF[random.choice((Profile.STRICT, Profile.STRICT, *Profile))]
    some = frozenset(guard for guard in SELECTABLE if random.random() < 0.5)
    return with_implied(some) if random.random() < 0.5 else some


def _macs(random: Random) -> frozenset[Mac]:
    if random.random() < 0.9:
        further = (VIRTUAL_4, VIRTUAL_6, OTHER)
        return frozenset({OWN, *(mac for mac in further if random.random() < 0.3)})
    return frozenset(Mac(octets) for octets in random.sample(MACS, random.choice((0, 1, 3))))


def _prefixes(random: Random) -> frozenset[IPNetwork]:
    own = _OWN if random.random() < 0.8 else frozenset()
    group = _GROUP if random.random() < 0.5 else frozenset()
    return own | group | frozenset(random.sample(PREFIXES, random.choice((0, 0, 1, 2, 4))))


def _watched(random: Random) -> frozenset[IPAddress]:
    if random.random() < 0.6:
        return frozenset()
    candidates = (CAST.a.ip4, CAST.a.ip6, CAST.vip4, CAST.vip6, CAST.v.ip4)
    return frozenset(address for address in candidates if random.random() < 0.5)
