"""The pieces of wide address pairs as they are kept: after any change, as made from nothing."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from ipaddress import ip_address, ip_network
from random import Random
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Engine, event, func, select
from tests.store.test_security_groups import Agent, agent_of, assert_told_all, in_group
from tests.store.world import ANY_MAC, World

from vifguard.model.address import IPNetwork, host_prefix
from vifguard.model.address_request import AddressRequest
from vifguard.model.network import Network
from vifguard.model.port import AddressPair, Port
from vifguard.model.security_group import Rule, SecurityGroup
from vifguard.model.verdict import Direction
from vifguard.resolve.wide_pair_pieces import MOST_PIECES, Prefix, divide
from vifguard.store.addressing import stored_pieces, wide_pair_owners
from vifguard.store.database import statements
from vifguard.store.errors import StoreError
from vifguard.store.nouns import hosts, ip_groups, networks, ports, subnets
from vifguard.store.nouns.ports import NewPort, PortContext
from vifguard.store.schema import tables
from vifguard.store.schema.mapping import prefix_at

TO = Direction.TO_GUEST
RANGES = ("10.0.0.0/28", "fd00::/124")


def pair(cidr: str) -> AddressPair:
    return AddressPair(ip_network(cidr))


class Neighbours:
    """Ports of one network of 16 addresses a family, drawn at random, with all that they own."""

    def __init__(self, world: World, random: Random) -> None:
        self.world, self.random = world, random
        self.network = world.network()
        for cidr in RANGES:
            world.subnet(self.network, cidr)
        self.group = world.security_group()
        for version in (4, 6):
            world.rule(self.group, Rule(TO, version, remote=self.group.id))
        self.ports = [world.port(self.network, **in_group(self.group))]
        self.groups: list[Any] = []

    def some_pairs(self) -> tuple[AddressPair, ...]:
        found = {}
        for _ in range(self.random.randint(0, 3)):
            inner = ip_network(self.random.choice(RANGES))
            longer = self.random.randint(-2, 4)
            prefix = self.random.choice(
                list(inner.subnets(longer)) if longer >= 0 else [inner.supernet(-longer)]
            )
            found[prefix] = AddressPair(prefix)
        return tuple(found.values())

    def some_wishes(self) -> tuple[AddressRequest, ...]:
        addresses = [list(ip_network(cidr)) for cidr in RANGES]
        return tuple(AddressRequest(address=self.random.choice(each)) for each in addresses)

    def step(self) -> None:
        do = self.random.choice([self.add, self.add, self.list, self.drop, self.share, self.bulk])
        with suppress(StoreError):
            do()

    def add(self) -> None:
        mine = self.random.random() < 0.8
        groups = frozenset({self.group.id}) if self.random.random() < 0.5 else frozenset()
        wishes, own = self.some_wishes(), self.some_pairs()
        fields: dict[str, Any] = {"security_groups": groups, "address_pairs": own}
        fields |= {} if mine else {"project_id": "p2"}
        self.ports.append(self.world.port(self.network, *wishes, **fields))

    def list(self) -> None:
        wishes = self.random.choice([None, self.some_wishes()])
        one = self.random.choice(self.ports)
        self.world.set_port(one, wishes, address_pairs=self.some_pairs())

    def drop(self) -> None:
        if len(self.ports) > 1:
            port = self.ports.pop(self.random.randrange(len(self.ports)))
            self.world.delete_port(port)

    def share(self) -> None:
        if self.groups and self.random.random() < 0.5:
            group = self.groups.pop()
            with self.world.store.change() as change:
                ip_groups.delete_group(change, ip_groups.get(change, group.id))
            return
        wishes = self.some_wishes()[:1]
        member = self.random.choice(self.ports)
        self.groups.append(self.world.group(self.network, member, wishes=wishes))

    def bulk(self) -> None:
        """Several at once, of which some undo others."""
        with self.world.store.change() as change:
            before = ports.get(change, self.random.choice(self.ports).id)
            for _ in range(3):
                before = ports.update_port(change, before, {"address_pairs": self.some_pairs()})


def kept(world: World, network: Network) -> dict[IPNetwork, IPNetwork]:
    with world.store.read() as snapshot:
        rows = snapshot.connection.execute(
            select(tables.pair_pieces).where(tables.pair_pieces.c.network_id == network.id)
        ).all()
    for project, many in shares(world, network).items():
        broken = sum(row.length != row.pair_length for row in rows if row.project_id == project)
        # A closed project keeps none of its broken pairs.
        assert many == broken or (many == stored_pieces.MOST_PIECES + 1 and not broken)
    return {
        prefix_at(row.first, row.length): prefix_at(row.pair_first, row.pair_length) for row in rows
    }


def shares(world: World, network: Network) -> dict[str, int]:
    """The number of broken pieces of each project that has any on a network."""
    with world.store.read() as snapshot:
        rows = snapshot.connection.execute(
            select(tables.pair_shares).where(tables.pair_shares.c.network_id == network.id)
        )
        return {row.project_id: row.pieces for row in rows}


def is_closed(world: World, network: Network, project: str = "p1") -> bool:
    return shares(world, network).get(project, 0) > stored_pieces.MOST_PIECES


def from_nothing(world: World, network: Network) -> dict[IPNetwork, IPNetwork]:
    """The pieces of a network, from what its ports and IP groups have, however many."""
    with world.store.read() as snapshot:
        found = ports.read(snapshot, tables.ports.c.network_id == network.id)
        shared = ip_groups.read(snapshot, tables.ip_groups.c.network_id == network.id)
    owned = [host_prefix(fixed.address) for each in found for fixed in each.port.fixed_ips]
    owned += [pair.prefix for each in found for pair in each.port.address_pairs]
    owned += [host_prefix(address) for each in shared for address in each.group.addresses]
    pieces = {}
    for version, bits in ((4, 32), (6, 128)):
        numbers = [
            Prefix(int(each.network_address), each.prefixlen)
            for each in owned
            if each.version == version
        ]
        of = type(ip_network(RANGES[version // 5]))
        pieces |= {
            of(piece): of(whole)
            for piece, whole in divide(sorted(numbers), bits, most=2**20).items()
        }
    return pieces


def assert_kept(world: World, network: Network) -> None:
    """A network keeps the pieces of its projects; of a closed one the pairs that are whole."""
    closed = {each for each in ("p1", "p2") if is_closed(world, network, each)}
    with world.store.read() as snapshot:
        found = ports.read(snapshot, tables.ports.c.network_id == network.id)
    whose = {p.prefix: each.port.project_id for each in found for p in each.port.address_pairs}
    pieces = from_nothing(world, network)
    wanted = {p: pair for p, pair in pieces.items() if p == pair or whose[pair] not in closed}
    assert kept(world, network) == wanted
    broken = Counter(whose[pair] for piece, pair in wanted.items() if piece != pair)
    assert all(many <= stored_pieces.MOST_PIECES for many in broken.values())


@pytest.mark.parametrize(
    ("seed", "most", "one_by_one"),
    [*((seed, MOST_PIECES, 64) for seed in range(4)), (4, 12, 64), (5, 5, 64), (6, 9, 1)],
)
def test_after_any_changes_each_address_is_its_most_specific_owners(
    world: World, seed: int, most: int, one_by_one: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored_pieces, "MOST_PIECES", most)
    monkeypatch.setattr(stored_pieces, "_ONE_BY_ONE", one_by_one)
    states = set()
    there = Neighbours(world, Random(seed))
    agents = [agent_of(world), agent_of(world)]

    def assert_told(which: int) -> None:
        agents[which].catch_up()
        here = there.network.id
        closed = {(here, each) for each in ("p1", "p2") if is_closed(world, there.network, each)}
        assert_told_all(world, agents[which], closed)

    for number in range(40):
        there.step()
        assert_kept(world, there.network)
        states.add(is_closed(world, there.network))
        assert_told(0)
        if number % 7 == 0:
            assert_told(1)
    for each in list(there.ports):
        if each.id != there.ports[0].id:
            world.delete_port(each)
            assert_kept(world, there.network)
            assert_told(0)
    assert states == ({False} if most == MOST_PIECES else {False, True})


@contextmanager
def counted() -> Iterator[list[int]]:
    """How many statements run within, and how many rows they read."""
    seen = [0, 0]

    def note(*_event: object) -> None:
        seen[0] += 1

    def read(self: Any, cursor: Any) -> Any:
        records = original(self, cursor)
        seen[1] += len(records)
        return records

    original = statements._Compiled.records
    event.listen(Engine, "before_cursor_execute", note)
    run = statements.BoundStatement.execute

    def counting(self: Any, connection: Any) -> Any:
        seen[0] += 1
        return run(self, connection)

    statements._Compiled.records, statements.BoundStatement.execute = read, counting  # type: ignore[method-assign]
    try:
        yield seen
    finally:
        statements._Compiled.records, statements.BoundStatement.execute = original, run  # type: ignore[method-assign]
        event.remove(Engine, "before_cursor_execute", note)


def many_ports(world: World, network: Network, many: int, **fields: Any) -> None:
    """Ports made in one change."""
    with world.store.change() as change:
        beside = subnets.of_network(change, network.id)
        ground = PortContext(networks.get(change, network.id).network, beside, hosts.read(change))
        for _ in range(many):
            port = Port(str(uuid4()), network.id, "p1", ANY_MAC, host="h1", **fields)
            ports.create(change, ground, NewPort(port))


@pytest.mark.parametrize("cidr", ["10.0.0.0/16", "fd00::/64"])
def test_a_port_within_a_wide_pair_costs_the_same_beside_many(world: World, cidr: str) -> None:
    """It made the pieces of the whole network anew, for each pair that it was within."""
    network = world.network()
    world.subnet(network, cidr)
    group = world.security_group()
    world.rule(group, Rule(TO, network_version(cidr), remote=group.id))
    outer = ip_network(cidr)
    nested = tuple(AddressPair(outer.supernet(new_prefix=outer.prefixlen - n)) for n in range(5))
    world.port(network, address_pairs=nested, **in_group(group))
    costs = []
    for more in (20, 500):
        many_ports(world, network, more)
        with counted() as come:
            port = world.port(network)
        with counted() as gone:
            world.delete_port(port)
        costs.append((come, gone))
    few, crowd = costs
    for one, other in zip(few, crowd, strict=True):
        assert abs(one[0] - other[0]) <= 1
        assert other[1] <= one[1] + outer.max_prefixlen
    assert kept(world, network) == from_nothing(world, network)


def network_version(cidr: str) -> int:
    return ip_network(cidr).version


def test_a_wide_pair_costs_what_is_within_it(world: World) -> None:
    network = world.network()
    world.subnet(network, "10.0.0.0/16")
    many_ports(world, network, 500)
    with counted() as beside:
        world.port(network, address_pairs=(pair("10.0.128.0/24"),))
    with counted() as before:
        world.port(network, address_pairs=(pair("10.0.129.0/24"),))
    assert abs(beside[1] - before[1]) <= 8


def scattered(world: World, network: Network, many: int) -> list[Port]:
    """Ports whose addresses break a /64 into as many pieces as they can."""
    return [
        world.port(
            network, AddressRequest(address=ip_address(int(ip_address("fd00::")) + 7 + (n << 40)))
        )
        for n in range(1, many + 1)
    ]


def hears(agent: Agent, group: SecurityGroup, address: str) -> bool:
    agent.catch_up()
    return any(ip_address(address) in each for each in agent.sets[group.id])


def test_pairs_that_break_into_too_many_pieces_count_for_nothing(world: World) -> None:
    """One tenant's pairs made an update longer than its agent waits."""
    network = world.network()
    world.subnet(network, "fd00::/64")
    group = world.security_group()
    world.rule(group, Rule(TO, 6, remote=group.id))
    wide = (pair("fd00::/64"), pair("fd01::/64"))
    member = world.port(network, address_pairs=wide, **in_group(group))
    agent = agent_of(world)
    assert hears(agent, group, "fd00::dead:beef")
    made = scattered(world, network, 40)
    assert is_closed(world, network)
    assert not hears(agent, group, "fd00::dead:beef")
    # What nobody breaks counts, and so does what is a member's own.
    assert hears(agent, group, "fd01::dead:beef")
    assert hears(agent, group, str(member.fixed_ips[0].address))
    assert agent.sets == agent_of(world).sets
    with world.store.read() as snapshot:
        assert ports.get(snapshot, member.id).uncounted
        assert not ports.get(snapshot, made[0].id).uncounted
    for port in made[20:]:
        world.delete_port(port)
    assert hears(agent, group, "fd00::dead:beef")
    assert not hears(agent, group, str(made[0].fixed_ips[0].address))
    assert agent.sets == agent_of(world).sets
    with world.store.read() as snapshot:
        assert not ports.get(snapshot, member.id).uncounted


def test_what_one_project_breaks_closes_no_other(world: World) -> None:
    """17 IP groups in a project's own wide pair ended everybody's on the network."""
    network = world.network(shared=True)
    world.subnet(network, "fd00::/64")
    group = world.security_group(project_id="p2")
    world.rule(group, Rule(TO, 6, remote=group.id))

    def other_project(number: int, cidr: str, **fields: Any) -> Port:
        own = AddressRequest(address=ip_address(f"fd00::8000:0:0:{number}"))
        return world.port(network, own, project_id="p2", address_pairs=(pair(cidr),), **fields)

    member = other_project(1, "fd01::/64", **in_group(group))
    other_project(2, "fd01::9")
    agent = agent_of(world)
    mine = world.port(network, address_pairs=(pair("fd00::/65"),))
    scattered(world, network, 40)
    late = other_project(3, "fd01::a")
    assert (is_closed(world, network), is_closed(world, network, "p2")) == (True, False)
    assert hears(agent, group, "fd01::dead:beef")
    assert not hears(agent, group, "fd01::a")
    with world.store.read() as snapshot:
        assert ports.get(snapshot, mine.id).uncounted
        assert not ports.get(snapshot, member.id).uncounted
    world.delete_port(late)
    assert hears(agent, group, "fd01::a")
    assert_told_all(world, agent, {(network.id, "p1")})


def test_owners_are_read_in_order_however_many_pages_they_are(world: World) -> None:
    network = world.network()
    first = int(ip_address("10.0.0.0"))
    border = ip_address(first + wide_pair_owners.PAGE - 9)
    nested = tuple(
        AddressPair(ip_network(f"{border}/{length}", strict=False)) for length in (29, 30, 31, 32)
    )
    for start in range(0, 1200, 60):
        numbers = range(first + start, first + start + 60)
        own = tuple(AddressPair(host_prefix(ip_address(each))) for each in numbers)
        world.port(network, address_pairs=own)
    for _ in range(2):
        world.port(network, address_pairs=(*nested, pair("10.0.0.0/24"), pair("10.0.0.0/8")))
    with world.store.read() as snapshot:
        found = ports.read(snapshot, tables.ports.c.network_id == network.id)
        whole, region = Prefix(0, 0), Prefix(first, 24)
        everywhere, within = (
            list(wide_pair_owners.owned_prefixes(snapshot, network.id, 4, each))
            for each in (whole, region)
        )
    owned = {
        Prefix(int(each.prefix.network_address), each.prefix.prefixlen)
        for port in found
        for each in port.port.address_pairs
    }
    assert everywhere == sorted(owned)
    assert within == [each for each in sorted(owned) if region.holds(each, 32)]


def random_pairs(random: Random, many: int) -> tuple[AddressPair, ...]:
    first = int(ip_address("fd00::"))
    return tuple(
        AddressPair(host_prefix(ip_address(first + random.getrandbits(120)))) for _ in range(many)
    )


def test_a_tenants_many_pairs_hold_nobody_up(world: World) -> None:
    """Sixty ports of 63 addresses made the server compute and store hundreds of thousand rows."""
    network, random = world.network(), Random(2)
    group = world.security_group()
    world.rule(group, Rule(TO, 6, remote=group.id))
    member = world.port(network, address_pairs=(pair("fd00::/8"),), **in_group(group))
    agent = agent_of(world)
    with counted() as one, world.store.change() as change:
        ground = PortContext(networks.get(change, network.id).network, (), hosts.read(change))
        made = [Port(str(uuid4()), network.id, "p1", ANY_MAC, host="h1") for _ in range(60)]
        made = [replace(each, address_pairs=random_pairs(random, 63)) for each in made]
        made = [ports.create(change, ground, NewPort(each)).port for each in made]
    assert one[1] < 60 * 40 + 4 * wide_pair_owners.PAGE
    assert is_closed(world, network)
    assert kept(world, network) == {}
    assert not hears(agent, group, "fd00::dead:beef")
    # Of a wide pair that comes and goes no more is read and written than shows it.
    for toggled in ("fc00::/7", "fd00::1", "fd00::/9", "fd00::2"):
        with counted() as toggle:
            world.set_port(made[1], address_pairs=(pair(toggled),))
        assert toggle[0] < 40
        assert toggle[1] < 4 * wide_pair_owners.PAGE
        assert len(kept(world, network)) == 0
    # One that comes needs no look at the others.
    with counted() as newcomer:
        late = world.port(network, address_pairs=random_pairs(random, 1))
    assert newcomer[1] < 40
    with world.store.change() as change:
        for port in (*made[1:], late):
            ports.delete_port(change, ports.get(change, port.id), ())
    assert is_closed(world, network)
    world.set_port(made[0], address_pairs=made[0].address_pairs[:5])
    assert not is_closed(world, network)
    assert kept(world, network) == from_nothing(world, network)
    assert hears(agent, group, "fd00::dead:beef")
    assert not hears(agent, group, str(made[0].address_pairs[0].prefix[0]))
    assert_told_all(world, agent)
    assert member.address_pairs


def test_who_comes_into_a_whole_pair_of_a_closed_network_is_no_member(world: World) -> None:
    network, random = world.network(), Random(3)
    world.subnet(network, "10.0.0.0/24")
    group = world.security_group()
    for version in (4, 6):
        world.rule(group, Rule(TO, version, remote=group.id))
    world.port(network, address_pairs=(pair("fd00::/8"), pair("10.9.0.0/16")), **in_group(group))
    world.port(network, address_pairs=random_pairs(random, 60))
    agent = agent_of(world)
    assert is_closed(world, network)
    assert hears(agent, group, "10.9.0.1")
    stranger = world.port(network, address_pairs=(pair("10.9.0.1"),))
    assert not hears(agent, group, "10.9.0.1")
    assert not hears(agent, group, "10.9.0.2")
    world.delete_port(stranger)
    assert is_closed(world, network)
    assert hears(agent, group, "10.9.0.1")


def test_much_at_once_is_told_whole_and_journaled_little(world: World) -> None:
    network = world.network()
    world.subnet(network, "fd00::/64")
    groups = [world.security_group() for _ in range(8)]
    for group in groups:
        world.rule(groups[0], Rule(TO, 6, remote=group.id))
    member = world.port(network, address_pairs=(pair("fd00::/64"),), **in_group(*groups))
    agent = agent_of(world)
    scattered(world, network, 20)
    agent.catch_up()
    world.set_port(member, address_pairs=())
    world.set_port(member, address_pairs=(pair("fd00::/64"),))
    with world.store.read() as snapshot:
        journal = tables.set_journal.c
        lines = snapshot.connection.execute(
            select(func.count(journal.id)).group_by(journal.revision).order_by(func.count().desc())
        ).scalars()
        assert max(lines) < 4096
    agent.catch_up()
    assert_told_all(world, agent)
