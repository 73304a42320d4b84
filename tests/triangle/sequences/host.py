"""A host of four ports: two stations on each of two networks that have the same addresses."""

from dataclasses import dataclass, replace
from itertools import product
from random import Random

from tests.triangle import universe
from tests.triangle.sequences.steps import Held

from vifguard.model.address import IPNetwork, parse_network
from vifguard.model.guard import GUARDS_OF, Guard, Profile, with_implied
from vifguard.model.policy import PortPolicy
from vifguard.model.security_group import ICMP_OF, PORTS_OF, IcmpType, PortRange, Rule, Ruleset
from vifguard.model.verdict import Direction

FROM, TO = Direction.FROM_GUEST, Direction.TO_GUEST
SECOND = 1_000_000_000


@dataclass(frozen=True)
class Station:
    """A guest, and the ports behind which one of its MAC and addresses is: one a network."""

    mac: str
    addresses: dict[int, str]
    ports: tuple[int, int]


A = Station(universe.OWN, {4: universe.OWN4, 6: universe.OWN6}, (0, 2))
V = Station(universe.OTHER, {4: universe.OTHER4, 6: universe.OTHER6}, (1, 3))
STATIONS = (A, V, A, V)
"""By port: ports 0 and 1 are on one network, 2 and 3 on the other."""
ROUTER = "02:00:00:00:00:01"
ELSEWHERE = {4: ("10.0.0.12", "198.51.100.7", "10.0.0.1"), 6: ("fd00::c", "2001:db8::7", "fd00::1")}
MANY = {4: ("224.0.0.251", "255.255.255.255", "10.0.0.255"), 6: ("ff02::fb", "ff05::2", "ff02::1")}
GROUPS = ("web", "open", "members", "narrow", "streams", "none")
SETS = ("members", "list", "void")
_STRICT = GUARDS_OF[Profile.STRICT] | {Guard.SECURITY_GROUPS}
_GUARDS = (
    _STRICT,
    with_implied({Guard.SECURITY_GROUPS}),
    frozenset({Guard.SECURITY_GROUPS}),
    _STRICT,
)
_BASE = (("web", "open"), ("members", "web"), ("streams", "open"), ("narrow", "open"))

_PREFIXES: dict[int, tuple[IPNetwork, ...]] = {
    4: tuple(
        map(
            parse_network,
            (
                "10.0.0.11/32",
                "10.0.0.10/32",
                "10.0.0.10/31",
                "10.0.0.8/29",
                "0.0.0.0/0",
                "10.0.0.12/32",
            ),
        )
    ),
    6: tuple(
        map(
            parse_network,
            ("fd00::b/128", "fd00::a/128", "fd00::a/127", "fd00::8/125", "::/0", "fd00::/64"),
        )
    ),
}
_PORTS = tuple(
    PortRange(low, high) for low, high in ((80, 80), (0, 0), (1, 1023), (53, 80), (0, 65535))
)


def base() -> Held:
    """What the ports hold in the beginning: much can be opened, not everything."""
    policies = tuple(map(_policy, range(4)))
    return Held(policies, Ruleset(_rules(), {"members": _set(0, 1), "list": _set(2)}))


def _policy(port: int) -> PortPolicy:
    station = STATIONS[port]
    prefixes = frozenset(
        parse_network(f"{station.addresses[version]}/{bits}")
        for version, bits in ((4, 32), (6, 128))
    )
    return replace(
        universe.policy(_GUARDS[port]),
        port_id=f"11111111-2222-3333-4444-{port:012}",
        macs=frozenset({universe.Mac.parse(station.mac)}),
        prefixes=prefixes,
        security_groups=frozenset(_BASE[port]),
        stateful=port != 3,
    )


def _rules() -> dict[str, frozenset[Rule]]:
    versions = (4, 6)
    web = {Rule(TO, v, 6, PortRange(80, 80)) for v in versions}
    pings = {Rule(TO, v, ICMP_OF[v], icmp=IcmpType({4: 8, 6: 128}[v])) for v in versions}
    return {
        "web": frozenset(web | pings | {Rule(TO, v, 17, PortRange(53, 53)) for v in versions}),
        "streams": frozenset(Rule(TO, v, 132, PortRange(0, 1023)) for v in versions),
        "open": frozenset(Rule(FROM, v) for v in versions),
        "members": frozenset(
            Rule(d, v, remote="members") for d, v in product((FROM, TO), versions)
        ),
        "narrow": frozenset({Rule(TO, 4, 6, PortRange(80, 80), remote=_PREFIXES[4][0])}),
    }


def _set(*places: int) -> frozenset[IPNetwork]:
    return frozenset(_PREFIXES[version][place] for version in (4, 6) for place in places)


def any_rule(random: Random) -> Rule:
    """A rule of those that can be expressed, more often one that something meets."""
    version = random.choice((4, 6))
    protocol = random.choice((None, 6, 6, 17, ICMP_OF[version], 132, 33, 136, 47, 0, 59, 255))
    ports = random.choice((None, *_PORTS)) if protocol in PORTS_OF else None
    icmp = None
    if protocol == ICMP_OF[version] and random.random() < 0.7:
        icmp = IcmpType(random.choice((8, 0, 128, 129, 13, 3, 1)), random.choice((None, 0, 1)))
    remote = random.choice((None, None, *SETS, *GROUPS[:1], *_PREFIXES[version]))
    return Rule(random.choice((FROM, TO)), version, protocol, ports, icmp, remote)


def without(held: Held, groups: frozenset[str]) -> Held:
    """These groups have no rules."""
    rules = {name: old for name, old in held.book.rules.items() if name not in groups}
    return Held(held.policies, Ruleset(rules, held.book.sets))


def changed(random: Random, held: Held) -> Held:
    """One thing is otherwise than before."""
    change = random.choice((_rule_comes, _rule_goes, _member_changes, _port_changes, _group_goes))
    return change(random, held)


def _with_group(held: Held, name: str, rules: frozenset[Rule] | None) -> Held:
    book = {each: old for each, old in held.book.rules.items() if each != name}
    if rules is not None:
        book[name] = rules
    return Held(held.policies, Ruleset(book, held.book.sets))


def _rule_comes(random: Random, held: Held) -> Held:
    name = random.choice(GROUPS[:4])
    return _with_group(held, name, held.book.rules.get(name, frozenset()) | {any_rule(random)})


def _rule_goes(random: Random, held: Held) -> Held:
    name = random.choice(GROUPS[:4])
    rules = sorted(held.book.rules.get(name, frozenset()), key=str)
    return _with_group(held, name, frozenset(rules) - set(random.sample(rules, min(1, len(rules)))))


def _group_goes(random: Random, held: Held) -> Held:
    return _with_group(held, random.choice(GROUPS[:4]), None)


def _member_changes(random: Random, held: Held) -> Held:
    name = random.choice(SETS[:2])
    prefix = random.choice(_PREFIXES[random.choice((4, 6))])
    sets = {**held.book.sets, name: held.book.sets.get(name, frozenset()) ^ {prefix}}
    return Held(held.policies, Ruleset(held.book.rules, sets))


def _port_changes(random: Random, held: Held) -> Held:
    number = random.randrange(len(held.policies))
    policy = held.policies[number]
    match random.randrange(5):
        case 0:
            policy = replace(policy, stateful=not policy.stateful)
        case 1:
            policy = replace(policy, guards=policy.guards ^ {Guard.SECURITY_GROUPS})
        case _:
            group = frozenset({random.choice(GROUPS)})
            policy = replace(policy, security_groups=policy.security_groups ^ group)
    policies = (*held.policies[:number], policy, *held.policies[number + 1 :])
    return Held(policies, held.book)
