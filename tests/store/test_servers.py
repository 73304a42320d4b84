"""Several servers on one PostgreSQL: what one commits, the others tell, and nothing is lost."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import select
from tests.databases import PostgresqlServer
from tests.store.world import Clock, World

from vifguard.feed.messages import Claim, HostReport, PortReport, Report
from vifguard.model.port import Port, PortState
from vifguard.store.database import postgresql
from vifguard.store.database.notification import Notification
from vifguard.store.database.notification_codec import decode, encode
from vifguard.store.errors import DatabaseError, UnavailableError, UnstorableError
from vifguard.store.feed import StoreFeed
from vifguard.store.nouns import hosts, ip_groups
from vifguard.store.schema import tables
from vifguard.store.store import Store

PATIENCE = 60
ABOUT = HostReport("6.1", "ebpf", frozenset({"tcx"}), (), ("netdev",), isolation=True)


@pytest.fixture
def where(postgresql_server: PostgresqlServer) -> Iterator[str]:
    with postgresql_server.fresh() as where:
        yield where


@pytest.fixture
def servers(where: str) -> Iterator[tuple[World, World]]:
    """Two servers on one database."""
    with ExitStack() as cleanup:
        clock = Clock()
        stores = [cleanup.enter_context(closing(Store.open(where, clock, clock))) for _ in range(2)]
        one, other = (World(store, clock, where) for store in stores)
        yield one, other


def test_what_one_commits_wakes_who_waits_at_the_other(servers: tuple[World, World]) -> None:
    one, other = servers
    network = one.network()
    one.subnet(network, "10.0.0.0/24")
    feed = StoreFeed(other.store, "h1")
    first = feed.next("", 0, 0)
    assert first is not None
    made: list[Port] = []
    listening = threading.Event()

    def create() -> None:
        listening.wait()
        made.append(one.port(network))

    thread = threading.Thread(target=create)
    thread.start()
    listening.set()
    update = feed.next("", first.revision, PATIENCE)
    thread.join()
    assert update is not None
    assert not update.complete
    assert [port.policy.port_id for port in update.ports] == [made[0].id]


def test_what_a_host_reports_to_one_is_heard_at_the_other(servers: tuple[World, World]) -> None:
    one, other = servers
    network = one.network()
    one.subnet(network, "10.0.0.0/24")
    port = one.port(network)
    told = threading.Event()
    with other.store.reports.subscribe(port.id, told.set):
        told.clear()
        report = PortReport(port.id, 1, PortState.ENFORCED, "tap0", "")
        one.store.record_report(Report("h1", ports=(report,)))
        assert told.wait(PATIENCE)


def test_a_server_that_joins_leaves_the_agents_of_others_where_they_are(where: str) -> None:
    with closing(Store.open(where)) as store:
        seen = World(store).complete().revision
        with closing(Store.open(where)):
            assert store.update_after("h1", seen) is None
    with closing(Store.open(where)) as alone:
        update = alone.update_after("h1", seen)
        assert update is not None
        assert update.complete


def test_a_host_is_heard_by_every_server(servers: tuple[World, World]) -> None:
    one, other = servers
    one.store.record_report(Report("h1", about=ABOUT, read_back=True))
    one.clock.now += 8
    one.store.record_report(Report("h1", about=ABOUT, read_back=True))
    one.clock.now += 8
    with other.store.read() as snapshot:
        assert hosts.get(snapshot, "h1").is_alive
    one.clock.now += 8
    with other.store.read() as snapshot:
        assert not hosts.get(snapshot, "h1").is_alive


def test_a_calendar_that_is_wrong_at_another_server_keeps_no_host_alive(
    servers: tuple[World, World],
) -> None:
    one, other = servers
    ahead = one.clock.now + 3600
    one.store.record_report(Report("h1", about=ABOUT))
    with one.store.change() as change:
        hosts.write_heard(change, {"h1": ahead})
    with other.store.read() as snapshot:
        assert hosts.get(snapshot, "h1").is_alive
    one.clock.now += 11
    with other.store.read() as snapshot:
        assert not hosts.get(snapshot, "h1").is_alive


def test_a_hold_ends_though_the_server_that_began_it_is_gone(
    servers: tuple[World, World],
) -> None:
    one, other = servers
    network = one.network()
    one.subnet(network, "10.0.0.0/24")
    a, b = one.port(network), one.port(network)
    group = one.group(network, a, b, max_moves=0)
    start = one.clock.now
    armed = threading.Event()
    arm = other.store._release_timer.schedule

    def note(at: float) -> None:
        one.clock.now = at + 1  # so that it rings at once
        arm(at)
        armed.set()

    other.store._release_timer.schedule = note  # type: ignore[method-assign]
    told = threading.Event()
    for at, port in enumerate((a, b)):
        claim = Claim(port.id, group.addresses[0], port.mac, start + at)
        one.store._release_timer.stop()
        one.store.record_report(Report("h1", claims=(claim,)))

    def is_held() -> bool:
        with other.store.read() as snapshot:
            return ip_groups.get(snapshot, group.id).group.pinned is not None

    with other.store.changes.subscribe("h1", told.set):
        assert armed.wait(PATIENCE)
        while is_held():  # word of its beginning may come as late as that of its end
            assert told.wait(PATIENCE)
            told.clear()


def test_a_listener_that_was_cut_off_joins_again(servers: tuple[World, World]) -> None:
    one, other = servers
    network = one.network()
    one.subnet(network, "10.0.0.0/24")
    woken = threading.Event()
    with other.store.changes.subscribe("h1", woken.set):
        woken.clear()
        cut_off = (
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        with psycopg.connect(one.where, autocommit=True) as operator:
            operator.execute(cut_off)
        assert woken.wait(PATIENCE)  # by having joined: it may have missed what was said
        woken.clear()
        one.port(network)
        assert woken.wait(PATIENCE)


def test_a_server_that_freezes_in_its_turn_loses_it(
    postgresql_server: PostgresqlServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(postgresql._SETTINGS, "idle_in_transaction_session_timeout", "300ms")
    with (
        postgresql_server.fresh() as where,
        closing(Store.open(where)) as frozen,
        closing(Store.open(where)) as other,
    ):

        def freeze() -> None:
            with frozen.change() as change:
                change.allocate_revision()
                World(other).network()  # waits until the turn is taken from the frozen one
                change.restart()

        with pytest.raises(UnavailableError):
            freeze()
        World(frozen).network()
        with other.read() as snapshot:
            assert len(snapshot.connection.execute(select(tables.networks.c.id)).all()) == 2


def test_a_database_that_is_read_only_is_refused_at_the_start(where: str) -> None:
    read_only = "options=-c%20default_transaction_read_only%3Don"
    with pytest.raises(DatabaseError, match="read-only"):
        Store.open(f"{where}&{read_only}")


def test_a_value_that_the_database_cannot_hold_is_refused(servers: tuple[World, World]) -> None:
    one, _ = servers
    for name in ("a\0b", "x" * 256):
        with pytest.raises(UnstorableError):
            one.network(name=name)
    assert one.network(name="kept").name == "kept"


_SERVER = """
import sys
import threading
sys.path.insert(0, sys.argv[2])
from tests.store.world import World
from vifguard.store.nouns import networks
from vifguard.store.store import Store
world = World(Store.open(sys.argv[1]))
with world.store.read() as snapshot:
    network = networks.get(snapshot, sys.argv[3]).network
made = []
def write():
    for _ in range(int(sys.argv[4])):
        made.append(world.port(network).id)
writers = [threading.Thread(target=write) for _ in range(4)]
print("ready", flush=True)
sys.stdin.readline()
for each in writers:
    each.start()
for each in writers:
    each.join()
world.store.close()
print(*made)
"""


def test_sixteen_writers_at_four_servers_never_get_the_same_address(where: str) -> None:
    """VIFGUARD_MANY=10000 for the whole of it; fewer show the same."""
    many = int(os.environ.get("VIFGUARD_MANY", "960"))
    with closing(Store.open(where)) as store, ExitStack() as processes:
        world = World(store)
        network = world.network()
        world.subnet(network, "10.0.0.0/16")
        share = [where, str(Path(__file__).parents[2]), network.id, str(many // 16)]
        servers = [
            processes.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", _SERVER, *share],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
            for _ in range(4)
        ]
        for each in servers:
            assert each.stdout is not None
            assert each.stdin is not None
            assert each.stdout.readline() == "ready\n"
            each.stdin.write("\n")
            each.stdin.flush()
        told = [each.communicate(timeout=250)[0].split() for each in servers]
        made = {port_id for ids in told for port_id in ids}
        assert len(made) == sum(map(len, told)) == many // 16 * 16
        update = world.complete()
        assert {port.policy.port_id for port in update.ports} == made
        assert len({port.policy.prefixes for port in update.ports}) == len(made)
        with store.read() as snapshot:
            revisions = snapshot.connection.scalars(select(tables.ports.c.policy_revision)).all()
        assert len(set(revisions)) == len(made)


def test_news_of_any_length_is_told_in_texts_that_fit() -> None:
    hosts = frozenset(f"host-\u00fc-{n:04}" for n in range(900))
    ports = frozenset(f"{n:036}" for n in range(1000))
    texts = encode("me", Notification(hosts, ports, 7.0))
    assert len(texts) > 1
    assert all(len(text.encode()) < 8000 for text in texts)
    heard = [decode(text) for text in texts]
    assert {sender for sender, _ in heard} == {"me"}
    assert frozenset().union(*(news.hosts or () for _, news in heard)) == hosts
    assert frozenset().union(*(news.ports or () for _, news in heard)) == ports
    assert all(news.release == 7.0 for _, news in heard)
    crowd = frozenset(f"{n:036}" for n in range(10_000))
    assert [decode(text)[1] for text in encode("me", Notification(crowd, frozenset()))] == [
        Notification(None)
    ]
    assert encode("me", Notification()) == []
    assert decode(encode("me", Notification(release=1.0))[0])[1] == Notification(release=1.0)


@pytest.mark.parametrize("url", ["postgresql://:::", "postgresql://u@127.0.0.1:1/x"])
def test_a_database_that_cannot_be_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(DatabaseError) as refused:
        Store.open(url.replace("//", "//me:secret@").replace("u@", ""))
    assert "secret" not in str(refused.value)
