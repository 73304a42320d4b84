"""Hosts: when one is silent, which agent is one's, and when one is forgotten."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import Any

import pytest
from tests.store.world import World

from vifguard.feed.messages import (
    AdoptedBridge,
    HostReport,
    Instance,
    PortReport,
    Report,
    SecondAgentError,
    WiringReport,
)
from vifguard.model.port import PortState
from vifguard.store.errors import BusyError, InUseError, MissingError
from vifguard.store.feed import StoreFeed
from vifguard.store.nouns import hosts, ports
from vifguard.store.nouns.hosts import StoredHost
from vifguard.store.reports import port_counts
from vifguard.store.store import Store

FEATURES = frozenset({"tcx", "groups"})
ABOUT = HostReport("6.1", "ebpf", FEATURES, (), ("netdev",), isolation=True)
OLD, NEW = Instance("old", "pins-a"), Instance("new", "pins-b")


def said(world: World, host: str = "h1", instance: Instance = OLD, **more: object) -> None:
    """A heartbeat of a host's agent."""
    about = more.pop("about", ABOUT)
    report = Report(host, about=about, instance=instance, **{"read_back": True} | more)
    world.store.record_report(report)


def host(world: World, name: str = "h1") -> StoredHost:
    with world.store.read() as snapshot:
        return hosts.get(snapshot, name)


def silent_since(world: World, port_id: str) -> float:
    with world.store.read() as snapshot:
        return ports.get(snapshot, port_id).progress.silent_since


def test_a_host_is_silent_ten_seconds_after_its_last_heartbeat(world: World) -> None:
    """O B10: it took 110 s, and its ports said nothing."""
    said(world)
    port = world.port(world.network(), host="h1")
    reports = (PortReport(port.id, 2**40, PortState.ENFORCED),)
    said(world, ports=reports)
    heard = world.clock.now
    world.clock.now += 9
    assert (host(world).is_alive, silent_since(world, port.id)) == (True, 0.0)
    world.clock.now += 2
    assert not host(world).is_alive
    assert abs(silent_since(world, port.id) - heard) < 1
    with world.store.read() as snapshot:
        assert port_counts.ports_by_status(snapshot, {"h1"}) == {"ACTIVE": 0, "DOWN": 1}
        assert port_counts.ports_by_status(snapshot, ()) == {"ACTIVE": 1, "DOWN": 0}
    said(world)
    assert (host(world).is_alive, silent_since(world, port.id)) == (True, 0.0)


def test_a_host_is_heard_while_another_change_keeps_the_database(world: World) -> None:
    world.store.patience = 0.01
    port = world.port(world.network())
    said(world)
    world.clock.now += 11
    assert not host(world).is_alive
    told = (PortReport(port.id, 1, PortState.ENFORCED),)
    with world.store.change() as change:
        change.allocate_revision()
        with pytest.raises(BusyError):
            said(world, ports=told)
        assert host(world).is_alive


def test_only_a_guard_that_was_read_back_is_a_heartbeat(world: World) -> None:
    said(world)
    world.clock.now += 11
    degraded = replace(ABOUT, degraded=("read-back: the guards cannot be read back",))
    said(world, about=degraded, read_back=False)
    assert not host(world).is_alive
    assert host(world).about == degraded


def test_a_server_that_starts_again_knows_who_was_heard(world: World) -> None:
    said(world)
    world.clock.now += 5
    with closing(Store.open(world.where, world.clock, world.clock)) as again:
        assert host(World(again, world.clock)).is_alive
        world.clock.now += 6
        assert not host(World(again, world.clock)).is_alive


def test_a_second_agent_is_refused_while_the_first_lives(world: World) -> None:
    """O A4: it was believed, and took the features of all away."""
    said(world)
    wrong = replace(ABOUT, features=frozenset())
    with pytest.raises(SecondAgentError, match="--host of its own"):
        said(world, instance=NEW, about=wrong)
    assert host(world).about == ABOUT
    with pytest.raises(SecondAgentError):
        StoreFeed(world.store, "h1").next("new", 0, 0.0)
    assert StoreFeed(world.store, "h1").next("old", 0, 0.0) is not None
    world.clock.now += 11
    said(world, instance=NEW)
    with pytest.raises(SecondAgentError):
        said(world)


def test_who_holds_the_pins_is_the_successor_of_who_held_them(world: World) -> None:
    said(world)
    said(world, instance=Instance("next", OLD.pins))
    with pytest.raises(SecondAgentError):
        said(world, instance=replace(OLD, pins="of another host"))
    assert host(world).instance.id == "next"


def test_an_agent_that_says_that_it_ends_makes_room_at_once(world: World) -> None:
    said(world)
    said(world, instance=replace(OLD, ended=True), read_back=False)
    said(world, instance=NEW)
    assert host(world).instance == NEW


def test_what_was_said_wrongly_of_a_host_is_set_right_by_its_next_heartbeat(world: World) -> None:
    said(world)
    with world.store.change() as change:
        hosts.write(change, "h1", replace(ABOUT, features=frozenset()), OLD, 0.0)
    said(world)
    assert host(world).about == ABOUT


def test_a_heartbeat_with_nothing_new_raises_no_revision(world: World) -> None:
    said(world)
    before = world.complete().revision
    said(world)
    assert world.complete().revision == before


def test_what_can_be_offered_is_judged_by_the_hosts_that_live(world: World) -> None:
    said(world)
    unable = replace(ABOUT, features=frozenset(), isolation=False)
    said(world, "ghost", about=unable)

    def why() -> tuple[str, str]:
        with world.store.read() as snapshot:
            return hosts.security_groups_unsupported(
                snapshot, named=True
            ), hosts.isolation_unsupported(snapshot, named=True)

    assert why() == ("", "")
    world.clock.now += 11
    assert all("h1 can" in each and "is silent" in each for each in why())
    said(world, "ghost", about=unable)
    assert all("h1 can" in each and "is silent" in each for each in why())
    said(world)
    assert why() == ("", "")
    said(world, about=unable)
    assert all("ghost, h1 cannot" in each for each in why())


@contextmanager
def columns_of_hosts(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[set[str]]:
    """The columns of hosts that statements within read; with `*` where one names no host."""
    database, found = world.store._database, set[str]()
    execute_batch = database.execute_batch

    def noted(connection: Any, statements: Any, then: Any = None) -> Any:
        for each in statements:
            compiled = each.statement._statement.compile(dialect=connection.dialect)
            text = " ".join(str(compiled).split())
            if text.startswith("SELECT hosts.") and text.partition(" FROM ")[2].startswith("hosts"):
                found.update(re.findall(r"hosts\.(\w+)", text.partition(" FROM ")[0]))
                found.update(() if "WHERE hosts.name =" in text else "*")
        return execute_batch(connection, statements, then)

    with monkeypatch.context() as patch:
        patch.setattr(database, "execute_batch", noted)
        yield found


def test_long_reports_of_a_host_are_read_by_who_shows_them(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One host's report of 11 MiB was read by each call of every other host and tenant."""
    said(world, wiring=WiringReport((AdoptedBridge("br0", "lan"),)))
    network = world.network()
    short = {"name", "seen_at", "instance", "pins", "features", "isolation"}
    with columns_of_hosts(world, monkeypatch) as read:
        world.port(network, host="h1")
    assert read == short | {"*"}
    with columns_of_hosts(world, monkeypatch) as read, world.store.read() as snapshot:
        assert not hosts.security_groups_unsupported(snapshot, named=True)
        assert not hosts.isolation_unsupported(snapshot, named=True)
    assert read == short | {"*"}
    with columns_of_hosts(world, monkeypatch) as read:
        StoreFeed(world.store, "h1").next("old", 0, 0.0)
    assert read == short
    with columns_of_hosts(world, monkeypatch) as read:
        said(world, reached=1)
        said(world, about=replace(ABOUT, degraded=("read-back: off",)))
    assert read >= short | {"missing"}
    assert not read & {"wiring", "*"}
    assert host(world).wiring["bridges"][0]["name"] == "br0"


def deleted(world: World, name: str, *, force: bool = False) -> None:
    with world.store.change() as change:
        hosts.delete(change, name, force=force)


def test_a_silent_host_without_ports_can_be_forgotten(world: World) -> None:
    said(world, "ghost")
    with pytest.raises(InUseError, match="stop its agent"):
        deleted(world, "ghost", force=True)
    world.clock.now += 11
    deleted(world, "ghost")
    with pytest.raises(MissingError):
        host(world, "ghost")
    said(world, "ghost")
    assert host(world, "ghost").is_alive


def test_a_host_with_ports_is_forgotten_by_force(world: World) -> None:
    said(world)
    port = world.port(world.network(), host="h1")
    said(world, ports=(PortReport(port.id, 2**40, PortState.ENFORCED),))
    world.clock.now += 11
    with pytest.raises(InUseError, match="1 port is on host h1"):
        deleted(world, "h1")
    deleted(world, "h1", force=True)
    with world.store.read() as snapshot:
        found = ports.get(snapshot, port.id)
    assert (found.port.host, found.enforcement.revision) == ("h1", 0)


def test_a_store_has_an_identity_for_good(world: World) -> None:
    said(world)
    ident = world.store.identity
    assert len(ident) == 36
    assert world.complete().store == ident
    with closing(Store.open(world.where, world.clock, world.clock)) as again:
        assert again.identity == ident
