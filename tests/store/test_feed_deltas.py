"""A delta never means anything else than the complete update it stands for."""

import threading
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select
from tests.store.world import World, held

from vifguard.feed.messages import HostPort, Update
from vifguard.model.guard import Guard, Profile
from vifguard.store import transaction
from vifguard.store.errors import StoreError
from vifguard.store.feed import StoreFeed
from vifguard.store.nouns import ip_groups, networks
from vifguard.store.schema import tables


class Agent:
    """What a host knows from the updates it was given, complete ones or deltas."""

    def __init__(self, world: World, host: str) -> None:
        self.feed = StoreFeed(world.store, host)
        self.revision = 0
        self.ports: dict[str, HostPort] = {}
        self.deltas = 0

    def catch_up(self) -> Update | None:
        update = self.feed.next("", self.revision, 0)
        if update is None:
            return None
        self.revision = update.revision
        if update.complete:
            self.ports = held(update)
        else:
            self.deltas += 1
            self.ports |= held(update)
            for port_id in update.gone:
                self.ports.pop(port_id, None)
        return update


class Script:
    """Changes drawn at random, each applied if it can be."""

    def __init__(self, world: World, data: st.DataObject) -> None:
        self.world, self.data = world, data
        self.networks = [world.network(), world.network(shared=False, public=False)]
        for network, cidr in zip(self.networks, ("10.0.0.0/24", "10.1.0.0/24"), strict=True):
            world.subnet(network, cidr)
        self.ports: list[Any] = []
        self.groups: list[Any] = []

    def step(self) -> None:
        names = ["add_port", "set_port", "move_port", "drop_port", "set_network"]
        names += ["add_group", "set_group", "drop_group", "add_subnet", "publish"]
        with suppress(StoreError):
            getattr(self, self.data.draw(st.sampled_from(names)))()

    def one(self, kind: list[Any]) -> Any:
        if not kind:
            raise StoreError("nothing yet")
        return self.data.draw(st.sampled_from(kind))

    def add_port(self) -> None:
        host = self.data.draw(st.sampled_from(["h1", "h2", ""]))
        self.ports.append(self.world.port(self.one(self.networks), host=host))

    def set_port(self) -> None:
        change = self.data.draw(
            st.sampled_from(
                [
                    {"name": "x"},
                    {"device_id": "y"},
                    {"profile": Profile.MAC},
                    {"guards": frozenset({Guard.ARP})},
                    {"admin_state_up": False},
                    {"interface": "tap9"},
                ]
            )
        )
        self.world.set_port(self.one(self.ports), **change)

    def move_port(self) -> None:
        self.world.set_port(
            self.one(self.ports), host=self.data.draw(st.sampled_from(["h1", "h2"]))
        )

    def drop_port(self) -> None:
        port = self.one(self.ports)
        self.world.delete_port(port)
        self.ports.remove(port)

    def set_network(self) -> None:
        change = self.data.draw(
            st.sampled_from(
                [{"name": "x"}, {"mtu": 9000}, {"profile": Profile.OFF}, {"admin_state_up": False}]
            )
        )
        self.world.set_network(self.one(self.networks), **change)

    def publish(self) -> None:
        public = self.data.draw(st.booleans())
        self.world.set_network(self.one(self.networks), public=public)

    def add_subnet(self) -> None:
        third = self.data.draw(st.integers(2, 250))
        self.world.subnet(self.one(self.networks), f"10.{third}.0.0/24")

    def add_group(self) -> None:
        network = self.one(self.networks)
        members = [each for each in self.ports if each.network_id == network.id][:3]
        self.groups.append(self.world.group(network, *members, vrid4=len(self.groups) % 255 + 1))

    def set_group(self) -> None:
        group = self.one(self.groups)
        known = [p.id for p in self.ports if p.network_id == group.network_id]
        members = (
            frozenset(self.data.draw(st.sets(st.sampled_from(known)))) if known else frozenset()
        )
        pinned = min(members) if members and self.data.draw(st.booleans()) else None
        self.world.set_group(group, members=members, pinned=pinned)

    def drop_group(self) -> None:
        group = self.one(self.groups)
        with self.world.store.change() as change:
            ip_groups.delete_group(change, ip_groups.get(change, group.id))
        self.groups.remove(group)


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_after_any_changes_deltas_add_up_to_the_complete_update(
    fresh_world: Any, data: st.DataObject
) -> None:
    with fresh_world() as world:
        script = Script(world, data)
        agents = {host: Agent(world, host) for host in ("h1", "h2")}
        for agent in agents.values():
            agent.catch_up()
        for _ in range(data.draw(st.integers(1, 12))):
            script.step()
            for host, agent in agents.items():
                agent.catch_up()
                assert agent.ports == held(world.complete(host))


def test_a_change_to_one_port_tells_its_host_of_that_port_alone(world: World) -> None:
    network = world.network()
    world.subnet(network, "10.0.0.0/24")
    one, other = world.port(network), world.port(network)
    agent = Agent(world, "h1")
    agent.catch_up()
    world.set_port(one, profile=Profile.MAC)
    update = agent.catch_up()
    assert update is not None
    assert not update.complete
    assert held(update).keys() == {one.id}
    assert other.id in agent.ports


def test_a_name_is_not_told_to_hosts_and_no_port_waits_for_it(world: World) -> None:
    network = world.network()
    world.subnet(network, "10.0.0.0/24")
    port = world.port(network)
    agent = Agent(world, "h1")
    agent.catch_up()
    before = world.revision_of(port)
    world.set_port(port, name="db", description="d", device_id="vm")
    world.set_network(network, name="n", description="d")
    assert world.revision_of(port) == before
    assert agent.catch_up() is None


def test_a_port_that_moves_is_gone_from_its_old_host(world: World) -> None:
    network = world.network()
    world.subnet(network, "10.0.0.0/24")
    port = world.port(network)
    agents = {host: Agent(world, host) for host in ("h1", "h2")}
    for agent in agents.values():
        agent.catch_up()
    world.set_port(port, host="h2")
    old, new = agents["h1"].catch_up(), agents["h2"].catch_up()
    assert old is not None
    assert old.gone == {port.id}
    assert not old.ports
    assert new is not None
    assert held(new).keys() == {port.id}


@pytest.mark.parametrize("after", [0, -1, 10**9])
def test_an_unknown_revision_is_answered_with_everything(world: World, after: int) -> None:
    network = world.network()
    world.subnet(network, "10.0.0.0/24")
    port = world.port(network)
    update = world.store.update_after("h1", after)
    assert update is not None
    assert update.complete
    assert held(update).keys() == {port.id}


def test_a_revision_that_the_journal_forgot_is_answered_with_everything(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transaction, "JOURNAL_LENGTH", 8)
    monkeypatch.setattr(transaction, "_TRIM_EVERY", 4)
    network = world.network()
    world.subnet(network, "10.0.0.0/24")
    agent = Agent(world, "h1")
    agent.catch_up()
    made = {world.port(network).id for _ in range(20)}
    update = agent.catch_up()
    assert update is not None
    assert update.complete
    assert agent.ports.keys() == made
    world.port(network)
    after = agent.catch_up()
    assert after is not None
    assert not after.complete


def test_the_journal_is_bounded_however_often_a_large_network_changes(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F13.6: each toggle wrote a row a port, and 8,192 toggles were kept: millions of rows."""
    monkeypatch.setattr(transaction, "JOURNAL_ROWS", 50)
    monkeypatch.setattr(transaction, "_TRIM_EVERY", 4)
    network, other = world.network(), world.network()
    for each in (network, other):
        world.subnet(each, "10.0.0.0/24")
    ports = [world.port(network).id for _ in range(20)]
    late, agent = Agent(world, "h1"), Agent(world, "h1")
    late.catch_up()
    agent.catch_up()
    for toggle in range(30):
        world.set_network(network, admin_state_up=bool(toggle % 2))
        update = agent.catch_up()
        assert update is not None
        assert not update.complete
        assert {each.policy.port_id for each in update.ports} == {*ports}
    with world.store.read() as snapshot:
        rows = snapshot.connection.scalar(select(func.count()).select_from(tables.journal))
    assert 0 < (rows or 0) <= 50 + 4 * 20
    update = late.catch_up()
    assert update is not None
    assert update.complete
    assert late.ports == agent.ports


def test_a_public_prefix_that_comes_reaches_every_port(world: World) -> None:
    private, public = world.network(), world.network(public=True)
    own = world.subnet(private, "10.0.0.0/24")
    port = world.port(private)
    agent = Agent(world, "h1")
    agent.catch_up()
    assert agent.ports[port.id].policy.public == {own.cidr}
    subnet = world.subnet(public, "198.51.100.0/24")
    agent.catch_up()
    assert agent.ports[port.id].policy.public == {own.cidr, subnet.cidr}
    assert agent.ports[port.id].revision == world.revision_of(port)


def test_a_pin_that_goes_with_its_port_reaches_the_others(world: World) -> None:
    network = world.network()
    world.subnet(network, "10.0.0.0/24")
    pinned, other = world.port(network), world.port(network, host="h2")
    group = world.group(network, pinned, other, pinned=pinned.id)
    agent = Agent(world, "h2")
    agent.catch_up()
    assert not agent.ports[other.id].policy.watched
    world.delete_port(pinned)
    agent.catch_up()
    assert agent.ports[other.id].policy.watched == set(group.addresses)


def test_waiting_ends_with_the_commit_that_concerns_the_host(world: World) -> None:
    network = world.network()
    world.subnet(network, "10.0.0.0/24")
    revision = world.complete().revision
    found: list[Update | None] = []
    waiting = threading.Thread(
        target=lambda: found.append(StoreFeed(world.store, "h1").next("", revision, 60))
    )
    waiting.start()
    world.port(network, host="h2")
    port = world.port(network, host="h1")
    waiting.join(60)
    assert found[0] is not None
    assert held(found[0]).keys() == {port.id}


def test_when_nothing_changes_there_is_nothing_to_say(world: World) -> None:
    revision = world.complete().revision
    assert StoreFeed(world.store, "h1").next("", revision, 0.01) is None


def test_what_is_undone_wakes_nobody_and_takes_no_revision(world: World) -> None:
    network = world.network()
    revision = world.complete().revision
    rung: list[bool] = []

    def fail() -> None:
        with world.store.change() as change:
            networks.update_network(change, networks.get(change, network.id), {"mtu": 1400})
            raise RuntimeError

    with (
        world.store.changes.subscribe("h1", lambda: rung.append(True)),
        pytest.raises(RuntimeError),
    ):
        fail()
    assert not rung
    assert world.complete().revision == revision
