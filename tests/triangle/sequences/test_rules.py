"""Reference = eBPF program on what rules allow: many rules and sets, asked at their borders."""

from dataclasses import replace
from ipaddress import IPv4Network, IPv6Network, ip_address
from random import Random

import pytest
from tests.triangle.decider import private_driver
from tests.triangle.kernel import LOOPBACK
from tests.triangle.sequences import host
from tests.triangle.sequences.host import FROM, STATIONS, TO
from tests.triangle.sequences.program import Program
from tests.triangle.sequences.stage import DisagreementError, Stage, shrunk
from tests.triangle.sequences.steps import Held, Sent
from tests.triangle.sequences.subject import Reference

from vifguard.model.address import IPAddress, IPNetwork
from vifguard.model.security_group import ICMP_OF, PORTS_OF, IcmpType, PortRange, Rule, Ruleset
from vifguard.packet import build

pytestmark = pytest.mark.kernel

BOOKS, PROBES = 120, 50
GROUPS = [f"group {number}" for number in range(16)]
SETS = [f"set {number}" for number in range(12)]
_BASE = {4: ip_address("10.64.0.0"), 6: ip_address("2001:db8:40::")}
_LENGTHS = {4: (8, 16, 17, 24, 31, 32), 6: (32, 33, 64, 65, 127, 128)}
_PROTOCOLS = (None, 6, 17, 33, 132, 136, 0, 47, 50, 255)


def test_what_rules_allow() -> None:
    random = Random(20)
    with private_driver() as driver:
        program = Program(driver, (LOOPBACK,))
        stage = Stage(Reference(), program)
        try:
            _ask(random, stage)
        except DisagreementError as error:
            raise shrunk(error, Reference(), program) from None
        finally:
            program.close()
    assert stage.tally.said[None] > stage.tally.frames // 8


def _ask(random: Random, stage: Stage) -> None:
    held = replace(host.base().policies[1], stateful=False)
    book = {name: frozenset[Rule]() for name in GROUPS}
    sets = {name: frozenset[IPNetwork]() for name in SETS}
    for _ in range(BOOKS):
        for name in random.sample(GROUPS, 3):
            kept = random.sample(sorted(book[name], key=str), len(book[name]) // 2)
            book = {**book, name: frozenset(kept) | {_rule(random) for _ in range(6)}}
        for name in random.sample(SETS, 2):
            changed = {_prefix(random, random.choice((4, 6))) for _ in range(random.randrange(4))}
            sets = {**sets, name: sets[name] ^ changed}
        groups = frozenset(random.sample(GROUPS, random.choice((0, 1, 2, 3, 5))))
        stage.take(Held((replace(held, security_groups=groups),), Ruleset(book, sets)))
        for _ in range(PROBES):
            stage.take(_probe(random, stage.held))


def _rule(random: Random) -> Rule:
    version = random.choice((4, 6))
    protocol = random.choice((*_PROTOCOLS, ICMP_OF[version]))
    low = random.choice((0, 1, 22, 1023, 1024, 65535, random.randrange(65536)))
    ports = PortRange(low, random.choice((low, min(65535, low + 77), 65535)))
    icmp = IcmpType(random.choice((0, 8, 128, 255)), random.choice((None, 0, 255)))
    remote = random.choice((None, random.choice(SETS), _prefix(random, version)))
    return Rule(
        random.choice((FROM, TO)),
        version,
        protocol,
        ports if protocol in PORTS_OF and random.random() < 0.8 else None,
        icmp if protocol == ICMP_OF[version] and random.random() < 0.8 else None,
        remote,
    )


def _prefix(random: Random, version: int) -> IPNetwork:
    """Around one address, or beside it; seldom everything."""
    length = random.choice((*_LENGTHS[version], 0))
    beside = random.choice((0, 0, 1))
    bits = _BASE[version].max_prefixlen
    address = int(_BASE[version]) ^ (beside << bits - length if length else 0)
    make = IPv4Network if version == 4 else IPv6Network
    return make((address >> bits - length << bits - length, length))


def _probe(random: Random, held: Held) -> Sent:
    """A packet that meets a border of one of the rules, or of one of its neighbours'."""
    everything = [rule for each in held.book.rules.values() for rule in each]
    mine = [
        rule for name in held.policies[0].security_groups for rule in held.book.rules.get(name, ())
    ]
    rule = random.choice(sorted(random.choice((mine, everything)) or everything, key=str))
    remote, local = _remote(random, rule, held), STATIONS[1].addresses[rule.version]
    own, other = STATIONS[1].mac, host.ROUTER
    addresses, macs = ((local, remote), (own, other))
    if rule.direction is TO:
        addresses, macs = addresses[::-1], macs[::-1]
    make = build.ipv4 if rule.version == 4 else build.ipv6
    packet = make(*addresses, _payload(random, rule))
    return Sent(0, rule.direction, build.ethernet(*macs, packet))


def _remote(random: Random, rule: Rule, held: Held) -> IPAddress:
    prefixes = [rule.remote]
    if isinstance(rule.remote, str):
        prefixes = [p for p in held.book.sets[rule.remote] if p.version == rule.version]
    prefix = random.choice(sorted(prefixes, key=str) or [None])
    if prefix is None or prefix.prefixlen == 0:
        return _BASE[rule.version] + 1
    ends = int(prefix.network_address), int(prefix.broadcast_address)
    return type(prefix.network_address)(random.choice((*ends, *ends, ends[0] - 1, ends[1] + 1)))


def _payload(random: Random, rule: Rule) -> build.Layer:
    protocol = random.choice((rule.protocol, rule.protocol, 6, 17))
    protocol = 253 if protocol is None else protocol
    ports = rule.ports or PortRange(1, 65534)
    port = random.choice((ports.low - 1, ports.low, ports.high, ports.high + 1)) % 65536
    if protocol == 6:
        return build.tcp(4000, port)
    if protocol == 17:
        return build.udp(4000, port)
    if protocol == ICMP_OF[rule.version]:
        wanted = rule.icmp or IcmpType(8)
        kind = random.choice((wanted.kind, wanted.kind, (wanted.kind + 1) % 256))
        code = random.choice((wanted.code or 0, 0, 255))
        return (build.icmpv4 if rule.version == 4 else build.icmpv6)(kind, code, bytes(8))
    return build.Layer(b"\x0f\xa0" + port.to_bytes(2, "big") + bytes(8), protocol)
