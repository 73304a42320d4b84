"""Security groups as they are kept, and what hosts are told of them: rules and sets, once each."""

from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass, field
from ipaddress import collapse_addresses, ip_address, ip_network
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select
from tests.semantics.guarded import FAMILIES
from tests.semantics.guarded import Port as Reference
from tests.semantics.world import MAC_A
from tests.store.world import World, held

from vifguard.feed.messages import HostReport, Report, Update
from vifguard.model.address import IPNetwork, host_prefix
from vifguard.model.address_request import AddressRequest
from vifguard.model.guard import Guard
from vifguard.model.ip_group import IpGroup
from vifguard.model.policy import PortPolicy
from vifguard.model.port import AddressPair, Port
from vifguard.model.security_group import PortRange, Rule, Ruleset, SecurityGroup, SetChange
from vifguard.model.verdict import Direction
from vifguard.packet import build
from vifguard.resolve.policy import effective_security_groups
from vifguard.store import transaction
from vifguard.store.errors import InUseError, RuleExistsError, StoreError
from vifguard.store.nouns import address_groups, ip_groups, security_groups
from vifguard.store.schema import tables
from vifguard.store.updates import address_sets, intent
from vifguard.store.updates.address_sets import contribution_of_port

RULES = tables.security_group_rules
FROM, TO = Direction
OPENED = {Rule(FROM, 4), Rule(FROM, 6)}


@dataclass
class Agent:
    """What a host knows of groups and sets, from the updates it was given."""

    world: World
    host: str = "h1"
    revision: int = 0
    ports: dict[str, frozenset[str]] = field(default_factory=dict)
    groups: dict[str, frozenset[Rule]] = field(default_factory=dict)
    sets: dict[str, frozenset[IPNetwork]] = field(default_factory=dict)

    def catch_up(self) -> Update | None:
        update = self.world.store.update_after(self.host, self.revision)
        if update is None:
            return None
        self.revision = update.revision
        if update.complete:
            self.ports, self.groups, self.sets = {}, {}, {}
        for port in update.ports:
            self.ports[port.policy.port_id] = port.policy.security_groups
        for port_id in update.gone:
            self.ports.pop(port_id, None)
        self.groups |= update.groups
        for set_id, change in update.sets.items():
            self.sets[set_id] = applied(self.sets, set_id, change)
        self.forget()
        return update

    def forget(self) -> None:
        """What nothing refers to any more."""
        had = {group for groups in self.ports.values() for group in groups}
        self.groups = {group: rules for group, rules in self.groups.items() if group in had}
        named = {rule.remote for rules in self.groups.values() for rule in rules}
        self.sets = {set_id: held for set_id, held in self.sets.items() if set_id in named}


def applied(
    sets: dict[str, frozenset[IPNetwork]], set_id: str, change: SetChange
) -> frozenset[IPNetwork]:
    """A set after a change; a change of what a host was never told of is a mistake."""
    if change.complete:
        assert not change.removed
        return change.added
    return (sets[set_id] - change.removed) | change.added


def everything(
    world: World, closed: Collection[tuple[str, str]] = ()
) -> tuple[list[Port], dict[str, set[Rule]], dict[str, set[IPNetwork]]]:
    """All ports, all rules by group and the prefixes of all sets, from the nouns alone.

    `closed` are the networks, each with the project whose broken pairs there count for nothing.
    """
    with world.store.read() as snapshot:
        nouns = intent.of_all(snapshot)[0]
        ports = list(nouns.ports.values())
        groups = security_groups.read(snapshot, tables.security_groups.c.id != "")
        addresses = address_groups.read(snapshot, tables.address_groups.c.id != "")
        shared = [each.group for each in ip_groups.read(snapshot, tables.ip_groups.c.id != "")]
    rules = {g.group.id: {rule.rule.rule.canonical() for rule in g.rules} for g in groups}
    sets: dict[str, set[IPNetwork]] = {
        each.group.id: set(each.group.addresses) for each in addresses
    }
    for port in ports:
        for group, prefix in contribution_of_port(port):
            left = remaining(prefix, port, ports, shared, closed)
            sets.setdefault(group, set()).update(left)
        held = (a for each in nouns.ip_groups_of.get(port.id, ()) for a in each.addresses)
        for address in held:
            for group in effective_security_groups(port):
                sets.setdefault(group, set()).add(host_prefix(address))
    return ports, rules, sets


def remaining(
    prefix: IPNetwork,
    port: Port,
    ports: list[Port],
    groups: list[IpGroup],
    closed: Collection[tuple[str, str]] = (),
) -> list[IPNetwork]:
    """A prefix that a port brings, without what others on its network own within."""
    is_closed = (port.network_id, port.project_id) in closed
    there = [each for each in ports if each.network_id == port.network_id]
    others = [each for each in there if is_closed or each is not port]
    owned = [host_prefix(fixed.address) for each in others for fixed in each.fixed_ips]
    owned += [pair.prefix for each in others for pair in each.address_pairs]
    shared = [each for each in groups if each.network_id == port.network_id]
    owned += [host_prefix(address) for group in shared for address in group.addresses]
    left = [prefix]
    for own in owned:
        if prefix.version == own.version and own.prefixlen > prefix.prefixlen:
            left = [rest for each in left for rest in excluded(each, own)]
    return [] if is_closed and left != [prefix] else left


def excluded(one: IPNetwork, own: IPNetwork) -> list[IPNetwork]:
    if one.subnet_of(own):  # type: ignore[arg-type]
        return []
    return list(one.address_exclude(own)) if own.subnet_of(one) else [one]  # type: ignore[arg-type]


def meaning(sets: dict[str, Any]) -> dict[str, set[IPNetwork]]:
    """What sets hold, in as few prefixes as can say it."""
    return {
        set_id: {
            each
            for version in (4, 6)
            for each in collapse_addresses(p for p in prefixes if p.version == version)
        }
        for set_id, prefixes in sets.items()
    }


def assert_told_all(world: World, agent: Agent, closed: Collection[tuple[str, str]] = ()) -> None:
    """The host knows what its ports refer to, as it is now, and nothing else."""
    ports, rules, sets = everything(world, closed)
    mine = {port.id: effective_security_groups(port) for port in ports if port.host == agent.host}
    groups = {group: rules[group] for groups in mine.values() for group in groups}
    named = {
        rule.remote for each in groups.values() for rule in each if isinstance(rule.remote, str)
    }
    assert agent.ports == mine
    assert agent.groups == groups
    wanted = {set_id: sets.get(set_id, set()) for set_id in named}
    assert meaning(agent.sets) == meaning(wanted)


@pytest.fixture
def network(world: World) -> Any:
    made = world.network()
    world.subnet(made, "10.0.0.0/24")
    return made


def policy_of(world: World, port: Port) -> PortPolicy:
    """What the host of a port is told that it may send and hear."""
    return held(world.complete(port.host))[port.id].policy


def in_group(*groups: SecurityGroup) -> dict[str, Any]:
    return {"security_groups": frozenset(group.id for group in groups)}


def agent_of(world: World, host: str = "h1") -> Agent:
    agent = Agent(world, host)
    agent.catch_up()
    return agent


class TestNouns:
    def test_a_new_group_has_rules_to_open_anything(self, world: World) -> None:
        group = world.security_group(name="web")
        with world.store.read() as snapshot:
            stored = security_groups.get(snapshot, group.id)
        assert {each.rule.rule for each in stored.rules} == OPENED
        assert stored.group == group

    def test_the_default_group_is_made_once(self, world: World) -> None:
        with world.store.change() as change:
            first = security_groups.ensure_default(change, "p1")
        with world.store.change() as change:
            assert security_groups.ensure_default(change, "p1") == first
            assert security_groups.ensure_default(change, "p2") != first
            stored = security_groups.get(change, first)
        assert stored.group.is_default
        members = {Rule(TO, version, remote=first) for version in (4, 6)}
        assert {each.rule.rule for each in stored.rules} == OPENED | members

    @pytest.mark.parametrize(
        ("rule", "same"),
        [
            (Rule(TO, 4, 6, PortRange(80, 90)), Rule(TO, 4, 6, PortRange(80, 90))),
            (Rule(TO, 4), Rule(TO, 4, remote=ip_network("0.0.0.0/0"))),
            (Rule(TO, 6, remote=ip_network("::/0")), Rule(TO, 6)),
        ],
    )
    def test_a_rule_that_means_the_same_is_refused(
        self, world: World, rule: Rule, same: Rule
    ) -> None:
        group, other = world.security_group(), world.security_group()
        made = world.rule(group, rule)
        with pytest.raises(RuleExistsError, match=made.id):
            world.rule(group, same)
        assert world.rule(other, same)

    @pytest.mark.parametrize(
        "rule",
        [
            Rule(FROM, 4, 0),
            Rule(TO, 4, 6, PortRange(0, 0)),
            Rule(TO, 6, 58),
            Rule(TO, 4, 17, remote=ip_network("10.0.0.0/8")),
            Rule(TO, 4, remote=ip_network("0.0.0.0/0")),
        ],
    )
    def test_a_rule_is_kept_as_it_is_said(self, world: World, rule: Rule) -> None:
        """Zero is a value, in the database as elsewhere."""
        made = world.rule(world.security_group(), rule, protocol="x", description="y")
        with world.store.read() as snapshot:
            (found,) = security_groups.read_rules(snapshot, RULES.c.id == made.id)
        assert found.rule == made

    def test_a_group_that_a_port_has_stays(self, world: World, network: Any) -> None:
        group = world.security_group()
        port = world.port(network, **in_group(group))
        with pytest.raises(InUseError):
            world.drop_security_group(group)
        with pytest.raises(InUseError):
            world.set_security_group(group, stateful=False)
        world.set_port(port, security_groups=frozenset())
        world.drop_security_group(group)
        assert world.now(port).security_groups == frozenset()

    def test_with_a_group_go_the_rules_that_refer_to_it(self, world: World, network: Any) -> None:
        gone, kept = world.security_group(), world.security_group()
        rule = world.rule(kept, Rule(TO, 4, remote=gone.id))
        world.port(network, **in_group(kept))
        agent = agent_of(world)
        world.drop_security_group(gone)
        agent.catch_up()
        assert agent.groups == {kept.id: OPENED}
        assert_told_all(world, agent)
        with world.store.read() as snapshot:
            assert not security_groups.read_rules(snapshot, RULES.c.id == rule.id)

    def test_an_address_group_that_a_rule_names_stays(self, world: World) -> None:
        group = world.address_group("10.0.0.0/8")
        rule = world.rule(
            world.security_group(), Rule(TO, 4, remote=group.id), of_address_group=True
        )
        with pytest.raises(InUseError), world.store.change() as change:
            address_groups.delete_group(change, group)
        world.drop_rule(rule)
        with world.store.change() as change:
            address_groups.delete_group(change, group)

    def test_a_rule_is_a_change_of_its_group(self, world: World) -> None:
        group = world.security_group()
        world.rule(group, Rule(TO, 4))
        with world.store.read() as snapshot:
            assert security_groups.get(snapshot, group.id).stamp.revision_number == 2


class TestPorts:
    def test_no_groups_is_not_an_empty_list_of_them(self, world: World, network: Any) -> None:
        old, empty = world.port(network), world.port(network, security_groups=frozenset())
        assert world.now(old).security_groups is None
        assert world.now(empty).security_groups == frozenset()
        guards = {p.policy.port_id: p.policy.guards for p in world.complete().ports}
        assert Guard.SECURITY_GROUPS not in guards[old.id]
        assert Guard.SECURITY_GROUPS in guards[empty.id]

    def test_a_port_that_goes_takes_its_membership_along(self, world: World, network: Any) -> None:
        group = world.security_group()
        port = world.port(network, **in_group(group))
        world.delete_port(port)
        with world.store.read() as snapshot:
            for table in (tables.port_security_groups, tables.set_prefixes, tables.host_groups):
                assert not snapshot.connection.execute(select(table)).all()
        world.drop_security_group(group)

    def test_a_host_that_takes_ports_in_is_told_of_their_groups(
        self, world: World, network: Any
    ) -> None:
        group = world.security_group()
        world.rule(group, Rule(TO, 4, remote=group.id))
        world.port(network, host="", **in_group(group))
        about = HostReport("6.1", "x", frozenset(), (), (), isolation=True)
        world.store.record_report(Report("h1", about=about))
        agent = agent_of(world)
        assert len(agent.sets[group.id]) == 1
        world.port(network, **in_group(group))
        agent.catch_up()
        assert_told_all(world, agent)


class TestTold:
    def test_a_rule_is_told_once_a_host_and_touches_no_port(
        self, world: World, network: Any
    ) -> None:
        group = world.security_group()
        ports = [world.port(network, **in_group(group)) for _ in range(3)]
        world.port(network, host="h2")
        agent, stranger = agent_of(world), agent_of(world, "h2")
        before = [world.revision_of(port) for port in ports]
        world.rule(group, Rule(TO, 4, 6, PortRange(80, 80)))
        update = agent.catch_up()
        assert update is not None
        assert not update.complete
        assert not update.ports
        assert update.groups == {group.id: OPENED | {Rule(TO, 4, 6, PortRange(80, 80))}}
        assert [world.revision_of(port) for port in ports] == before
        assert stranger.catch_up() is None

    def test_a_member_elsewhere_is_one_prefix_to_each_host(
        self, world: World, network: Any
    ) -> None:
        group = world.security_group()
        world.rule(group, Rule(TO, 4, remote=group.id))
        ports = [world.port(network, **in_group(group)) for _ in range(3)]
        agent = agent_of(world)
        before = [world.revision_of(port) for port in ports]
        member = world.port(network, host="h2", **in_group(group))
        address = ip_network(str(member.fixed_ips[0].address))
        update = agent.catch_up()
        assert update is not None
        assert not update.ports
        assert not update.groups
        assert update.sets == {group.id: SetChange(complete=False, added=frozenset({address}))}
        assert [world.revision_of(port) for port in ports] == before
        world.delete_port(member)
        update = agent.catch_up()
        assert update is not None
        assert update.sets[group.id] == SetChange(
            complete=False, added=frozenset(), removed=frozenset({address})
        )

    def test_a_set_spans_networks_and_an_address_stays_while_one_has_it(
        self, world: World, network: Any
    ) -> None:
        other = world.network()
        world.subnet(other, "10.0.0.0/24")
        group = world.security_group()
        world.rule(group, Rule(TO, 4, remote=group.id))
        one, two = (world.port(each, **in_group(group)) for each in (network, other))
        assert one.fixed_ips[0].address == two.fixed_ips[0].address
        agent = agent_of(world)
        world.delete_port(two)
        agent.catch_up()
        assert agent.sets[group.id] == {ip_network(str(one.fixed_ips[0].address))}
        assert_told_all(world, agent)

    def test_an_address_pair_is_of_the_set(self, world: World, network: Any) -> None:
        group = world.security_group()
        world.rule(group, Rule(TO, 4, remote=group.id))
        port = world.port(network, **in_group(group))
        agent = agent_of(world)
        world.set_port(port, address_pairs=(AddressPair(ip_network("10.9.0.0/16")),))
        update = agent.catch_up()
        assert update is not None
        assert update.sets[group.id].added == {ip_network("10.9.0.0/16")}
        assert_told_all(world, agent)

    def test_what_others_own_within_a_wide_pair_is_not_its_members(
        self, world: World, network: Any
    ) -> None:
        """A packet from a stranger within the range was one from the group."""
        group = world.security_group()
        world.rule(group, Rule(TO, 4, remote=group.id))
        guarded = world.port(
            network, AddressRequest(address=ip_address("10.0.0.10")), **in_group(group)
        )
        wide = (AddressPair(ip_network("10.0.0.0/25")),)
        world.port(
            network,
            AddressRequest(address=ip_address("10.0.0.20")),
            address_pairs=wide,
            **in_group(group),
        )
        agent = agent_of(world)

        def hears(source: str) -> bool:
            agent.catch_up()
            assert_told_all(world, agent)
            reference = Reference(FAMILIES[0], policy_of(world, guarded))
            reference.memory.ruleset = Ruleset(agent.groups, agent.sets)
            packet = build.ipv4(source, "10.0.0.10", build.udp(9, 9))
            frame = build.ethernet(MAC_A, guarded.mac, packet)
            return reference.frame(TO, frame) is None

        assert hears("10.0.0.20")
        assert hears("10.0.0.30")
        assert not hears("10.0.0.130")
        stranger = world.port(network, AddressRequest(address=ip_address("10.0.0.30")))
        assert not hears("10.0.0.30")
        assert hears("10.0.0.31")
        world.set_port(stranger, address_pairs=(AddressPair(ip_network("10.0.0.64/26")),))
        assert not hears("10.0.0.99")
        member = world.port(
            network, AddressRequest(address=ip_address("10.0.0.40")), **in_group(group)
        )
        assert hears("10.0.0.40")
        world.set_port(member, security_groups=frozenset())
        assert not hears("10.0.0.40")
        shared = world.group(
            network, stranger, wishes=(AddressRequest(address=ip_address("10.0.0.50")),)
        )
        assert not hears("10.0.0.50")
        world.set_group(shared, wishes=())
        assert hears("10.0.0.50")
        world.delete_port(stranger)
        assert hears("10.0.0.30")
        assert hears("10.0.0.99")

    def test_an_address_that_members_share_is_of_the_sets_of_all_of_them(
        self, world: World, network: Any
    ) -> None:
        """Whoever holds it, a peer that allows the group hears from it."""
        app, other = world.security_group(), world.security_group()
        db = world.security_group(Rule(TO, 4, remote=app.id), Rule(TO, 4, remote=other.id))
        world.port(network, security_groups=frozenset({db.id}), host="h1")
        first, second = (
            world.port(network, security_groups=frozenset({app.id}), host="h2") for _ in range(2)
        )
        agent = Agent(world)
        agent.catch_up()

        def knows() -> None:
            agent.catch_up()
            assert_told_all(world, agent)

        shared = world.group(network, first, second)
        (vip,) = (host_prefix(address) for address in shared.addresses)
        knows()
        assert vip in agent.sets[app.id]
        second = world.set_port(second, security_groups=frozenset({other.id}))
        knows()
        assert vip in agent.sets[other.id] & agent.sets[app.id]
        first = world.set_port(first, port_security_enabled=False)
        knows()
        assert vip not in agent.sets[app.id]
        first = world.set_port(first, port_security_enabled=True)
        knows()
        shared = world.set_group(shared, members=frozenset({first.id}))
        knows()
        assert vip not in agent.sets[other.id]
        world.delete_port(first)
        knows()
        assert vip not in agent.sets[app.id]

    def test_what_a_host_begins_to_follow_it_is_told_whole(
        self, world: World, network: Any
    ) -> None:
        group = world.security_group()
        world.rule(group, Rule(TO, 4, remote=group.id))
        world.port(network, host="h2", **in_group(group))
        agent = agent_of(world)
        assert agent.groups == agent.sets == {}
        port = world.port(network, **in_group(group))
        update = agent.catch_up()
        assert update is not None
        assert not update.complete
        assert update.sets[group.id].complete
        assert_told_all(world, agent)
        world.delete_port(port)
        agent.catch_up()
        world.port(network, host="h2", **in_group(group))
        assert agent.catch_up() is None
        world.port(network, **in_group(group))
        agent.catch_up()
        assert_told_all(world, agent)

    def test_an_address_group_is_told_to_those_whose_rules_name_it(
        self, world: World, network: Any
    ) -> None:
        addresses = world.address_group("192.0.2.0/24")
        group = world.security_group()
        world.port(network, **in_group(group))
        agent = agent_of(world)
        world.set_addresses(addresses, "192.0.2.0/24", "2001:db8::/32")
        assert agent.catch_up() is None
        world.rule(group, Rule(TO, 4, remote=addresses.id), of_address_group=True)
        agent.catch_up()
        assert_told_all(world, agent)
        world.set_addresses(addresses, "2001:db8::/32", "198.51.100.7/32")
        update = agent.catch_up()
        assert update is not None
        assert update.sets[addresses.id] == SetChange(
            complete=False,
            added=frozenset({ip_network("198.51.100.7")}),
            removed=frozenset({ip_network("192.0.2.0/24")}),
        )
        world.set_addresses(addresses)
        agent.catch_up()
        assert agent.sets == {addresses.id: frozenset()}

    def test_a_set_of_which_too_much_changes_at_once_is_told_whole(
        self, world: World, network: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """F13.6: one project's addresses, replaced again and again, filled the journal."""
        monkeypatch.setattr(address_sets, "MOST_JOURNALED", 3)
        addresses = world.address_group("192.0.2.0/24", "198.51.100.0/24")
        group = world.security_group()
        world.rule(group, Rule(TO, 4, remote=addresses.id), of_address_group=True)
        world.port(network, **in_group(group))
        agent = agent_of(world)
        world.set_addresses(addresses, "192.0.2.0/25", "198.51.100.0/25")
        update = agent.catch_up()
        assert update is not None
        assert not update.complete
        assert update.sets[addresses.id].complete
        assert_told_all(world, agent)
        with world.store.read() as snapshot:
            count = select(func.count()).select_from(tables.set_journal)
            assert snapshot.connection.scalar(count) == 0
        world.set_addresses(addresses, "192.0.2.0/25")
        update = agent.catch_up()
        assert update is not None
        assert not update.sets[addresses.id].complete
        assert_told_all(world, agent)

    def test_a_revision_that_the_journal_forgot_is_answered_with_everything(
        self, world: World, network: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(transaction, "JOURNAL_LENGTH", 8)
        monkeypatch.setattr(transaction, "_TRIM_EVERY", 4)
        group = world.security_group()
        world.rule(group, Rule(TO, 4, remote=group.id))
        world.port(network, **in_group(group))
        agent = agent_of(world)
        for _ in range(20):
            world.port(network, host="h2", **in_group(group))
        with world.store.read() as snapshot:
            count = select(func.count()).select_from(tables.set_journal)
            assert (snapshot.connection.scalar(count) or 0) <= 12
        update = agent.catch_up()
        assert update is not None
        assert update.complete
        assert_told_all(world, agent)


class Script:
    """Changes drawn at random, each applied if it can be."""

    def __init__(self, world: World, data: st.DataObject) -> None:
        self.world, self.data = world, data
        self.networks = [world.network(), world.network()]
        for network in self.networks:  # equal addresses on both
            world.subnet(network, "10.0.0.0/24")
        self.groups = [world.security_group() for _ in range(3)]
        self.addresses = [world.address_group("10.1.0.0/16") for _ in range(2)]
        self.ports: list[Any] = []
        self.rules: list[Any] = []
        self.begin()

    def begin(self) -> None:
        """Groups that refer to each other and themselves, and members of theirs on each host."""
        for n, group in enumerate(self.groups):
            for remote in (group, self.groups[n - 1], self.addresses[n % 2]):
                rule, is_addresses = Rule(TO, 4, n, remote=remote.id), remote in self.addresses
                self.rules.append(self.world.rule(group, rule, of_address_group=is_addresses))
            for host in ("h1", "h2")[: n + 1]:
                network = self.networks[n % 2]
                self.ports.append(self.world.port(network, host=host, **in_group(group)))

    def step(self) -> None:
        names = ["add_port", "move_port", "regroup", "readdress", "drop_port", "secure"]
        names += ["add_rule", "drop_rule", "drop_group", "set_addresses"]
        with suppress(StoreError):
            getattr(self, self.one(names))()

    def one(self, kind: Any) -> Any:
        if not kind:
            raise StoreError("nothing yet")
        return self.data.draw(st.sampled_from(kind))

    def some_groups(self) -> frozenset[str] | None:
        ids = [group.id for group in self.groups]
        return self.data.draw(st.none() | st.frozensets(st.sampled_from(ids)) if ids else st.none())

    def add_port(self) -> None:
        host = self.one(["h1", "h2", ""])
        groups = self.some_groups()
        self.ports.append(
            self.world.port(self.one(self.networks), host=host, security_groups=groups)
        )

    def move_port(self) -> None:
        self.world.set_port(self.one(self.ports), host=self.one(["h1", "h2"]))

    def regroup(self) -> None:
        self.world.set_port(self.one(self.ports), security_groups=self.some_groups())

    def secure(self) -> None:
        self.world.set_port(self.one(self.ports), port_security_enabled=self.one([True, False]))

    def readdress(self) -> None:
        wide = ("10.7.0.0/16", "10.0.0.0/29", "10.0.0.0/30", "10.0.0.2/32")
        pairs = self.one([(), *((AddressPair(ip_network(each)),) for each in wide)])
        self.world.set_port(self.one(self.ports), address_pairs=pairs)

    def drop_port(self) -> None:
        port = self.one(self.ports)
        self.world.delete_port(port)
        self.ports.remove(port)

    def add_rule(self) -> None:
        remote = self.one([None, *self.groups, *self.addresses])
        rule = Rule(self.one([FROM, TO]), 4, remote=remote and remote.id)
        group, is_address_group = self.one(self.groups), remote in self.addresses
        self.rules.append(self.world.rule(group, rule, of_address_group=is_address_group))

    def drop_rule(self) -> None:
        rule = self.one(self.rules)
        self.rules.remove(rule)
        self.world.drop_rule(rule)

    def drop_group(self) -> None:
        group = self.one(self.groups)
        self.world.drop_security_group(group)
        self.groups.remove(group)

    def set_addresses(self) -> None:
        cidrs = self.one([(), ("10.1.0.0/16", "fd00::/8"), ("10.2.0.0/16",)])
        self.world.set_addresses(self.one(self.addresses), *cidrs)


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_after_any_changes_a_host_knows_what_its_ports_refer_to(
    fresh_world: Any, data: st.DataObject
) -> None:
    with fresh_world() as world:
        script = Script(world, data)
        agents = [agent_of(world, host) for host in ("h1", "h2")]
        for _ in range(data.draw(st.integers(1, 15))):
            script.step()
            for agent in agents:
                if data.draw(st.booleans()):
                    agent.catch_up()
                    assert_told_all(world, agent)
        for agent in agents:
            agent.catch_up()
            assert_told_all(world, agent)
            assert_told_all(world, agent_of(world, agent.host))
