"""Who holds an address of an IP group, and the history of moves."""

import threading
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, ip_address
from random import Random

import pytest
from sqlalchemy import Connection, Engine, event
from tests.store.world import World

from vifguard.feed.messages import (
    AddressClaim,
    Claim,
    HostReport,
    PortReport,
    Report,
    Sighting,
)
from vifguard.model.ip_group import IpGroup
from vifguard.model.port import Port, PortState
from vifguard.store.database.statements import BoundStatement, PendingResult
from vifguard.store.nouns import ip_groups, ports
from vifguard.store.reports import claims, holders
from vifguard.store.reports.holders import MOVE, TWO_CLAIMANTS, Event
from vifguard.store.store import Store
from vifguard.store.transaction import Snapshot

ABOUT = HostReport("6.1", "ebpf", frozenset(), (), (), isolation=True)


@dataclass
class Pair:
    """Two members on two hosts, and the group's one address."""

    world: World
    group: IpGroup
    a: Port
    b: Port
    address: IPv4Address
    start: float

    def claim(self, port: Port, at: float, host: str = "", address: str = "") -> None:
        claim = Claim(
            port.id,
            ip_address(address) if address else self.address,
            port.mac,
            self.start + at,
        )
        self.world.clock.now = max(self.world.clock.now, self.start + at)
        self.world.store.record_report(Report(host or port.host, claims=(claim,)))

    def see(self, port: Port, at: float) -> None:
        self.world.clock.now = max(self.world.clock.now, self.start + at)
        sighting = Sighting(port.id, self.address, self.start + at)
        self.world.store.record_report(Report(port.host, sightings=(sighting,)))

    @property
    def holder(self) -> str | None:
        with self.world.store.read() as snapshot:
            found = holders.of_groups(snapshot, [self.group.id]).get(self.group.id, [])
        return found[0].port_id if found else None

    @property
    def events(self) -> list[Event]:
        with self.world.store.read() as snapshot:
            return holders.history(snapshot, self.group.id)

    @property
    def moves(self) -> list[tuple[str | None, str]]:
        return [(e.from_port_id, e.to_port_id) for e in self.events if e.kind == MOVE]

    @property
    def stored(self) -> IpGroup:
        with self.world.store.read() as snapshot:
            return ip_groups.get(snapshot, self.group.id).group


@pytest.fixture
def pair(world: World) -> Pair:
    network = world.network()
    world.subnet(network, "10.0.0.0/24")
    a, b = world.port(network, host="h1"), world.port(network, host="h2")
    group = world.group(network, a, b)
    address = group.addresses[0]
    assert isinstance(address, IPv4Address)
    return Pair(world, group, a, b, address, world.clock.now)


def test_the_first_claim_makes_a_holder(pair: Pair) -> None:
    assert pair.holder is None
    pair.claim(pair.a, 1)
    assert pair.holder == pair.a.id
    assert pair.moves == [(None, pair.a.id)]
    assert pair.events[0].gap is None


def test_a_move_tells_how_long_nobody_was_there(pair: Pair) -> None:
    pair.claim(pair.a, 1)
    pair.see(pair.a, 10)
    pair.claim(pair.b, 12.5)
    assert pair.holder == pair.b.id
    assert pair.moves[-1] == (pair.a.id, pair.b.id)
    assert pair.events[-1].gap == pytest.approx(2.5)


def test_a_gap_is_never_negative(pair: Pair) -> None:
    pair.claim(pair.a, 1)
    pair.see(pair.a, 20)
    pair.claim(pair.b, 15)
    assert pair.events[-1].gap == 0


def test_the_holders_own_claims_are_no_moves(pair: Pair) -> None:
    for at in range(1, 5):
        pair.claim(pair.a, at)
    assert len(pair.moves) == 1


def test_the_earlier_holder_claiming_back_at_once_is_a_contest(pair: Pair) -> None:
    pair.claim(pair.a, 1)
    pair.claim(pair.b, 10)
    pair.claim(pair.a, 14)
    contests = [e for e in pair.events if e.kind == TWO_CLAIMANTS]
    assert [(e.from_port_id, e.to_port_id) for e in contests] == [(pair.b.id, pair.a.id)]
    assert pair.holder == pair.a.id


def test_the_earlier_holder_coming_back_later_is_a_move(pair: Pair) -> None:
    pair.claim(pair.a, 1)
    pair.claim(pair.b, 10)
    pair.claim(pair.a, 15.5)
    assert TWO_CLAIMANTS not in {e.kind for e in pair.events}


def test_a_holder_that_claims_again_keeps_the_contest_open(pair: Pair) -> None:
    pair.claim(pair.a, 1)
    pair.claim(pair.b, 10)
    pair.claim(pair.b, 40)
    pair.claim(pair.a, 42)
    assert TWO_CLAIMANTS in {e.kind for e in pair.events}


def test_a_late_report_of_an_old_claim_moves_nothing(pair: Pair) -> None:
    pair.claim(pair.a, 1)
    pair.claim(pair.b, 10)
    pair.claim(pair.a, 5)
    assert pair.holder == pair.b.id


def test_a_clock_that_runs_ahead_is_not_believed(pair: Pair) -> None:
    claim = Claim(pair.a.id, pair.address, pair.a.mac, pair.start + 10**6)
    pair.world.store.record_report(Report("h1", claims=(claim,)))
    pair.claim(pair.b, 10)
    assert pair.holder == pair.b.id


def test_a_host_speaks_for_its_own_ports_only(pair: Pair) -> None:
    pair.claim(pair.a, 1)
    pair.claim(pair.b, 10, host="h1")
    assert pair.holder == pair.a.id


def test_who_is_no_member_holds_nothing(pair: Pair) -> None:
    pair.world.set_group(pair.group, members=frozenset({pair.a.id}))
    pair.claim(pair.b, 1)
    pair.claim(pair.a, 2, address="10.0.0.99")
    assert pair.holder is None


def test_a_pinned_group_has_no_other_holder(pair: Pair) -> None:
    pair.world.set_group(pair.group, pinned=pair.a.id)
    pair.claim(pair.b, 1)
    assert pair.holder is None
    pair.claim(pair.a, 2)
    assert pair.holder == pair.a.id


def test_a_holder_that_is_deleted_holds_nothing(pair: Pair) -> None:
    pair.claim(pair.a, 1)
    pair.world.delete_port(pair.a)
    assert pair.holder is None
    assert pair.stored.members == {pair.b.id}
    pair.claim(pair.b, 2)
    assert pair.holder == pair.b.id


def test_a_pin_goes_with_its_port(pair: Pair) -> None:
    pair.world.set_group(pair.group, pinned=pair.a.id)
    pair.world.delete_port(pair.a)
    assert pair.stored.pinned is None
    policy = pair.world.complete("h2").ports[0].policy
    assert policy.watched == {pair.address}


def test_a_group_that_moves_too_often_stays_where_it_is_for_a_while(pair: Pair) -> None:
    pair.world.set_group(pair.group, max_moves=2)
    before = pair.world.complete("h1").revision
    for at, port in enumerate((pair.a, pair.b, pair.a, pair.b)):
        pair.claim(port, at)
    assert pair.stored.pinned == pair.b.id
    update = pair.world.store.update_after("h1", before)
    assert update is not None
    assert not update.complete
    assert update.ports[0].policy.watched == frozenset()
    pair.claim(pair.a, 5)
    assert pair.holder == pair.b.id


def test_a_held_group_is_let_go(pair: Pair) -> None:
    pair.world.set_group(pair.group, max_moves=0)
    pair.claim(pair.a, 0)
    pair.claim(pair.b, 1)
    pair.world.store.release_holds()
    assert pair.stored.pinned == pair.b.id
    held_at = pair.world.complete("h1").revision
    pair.world.clock.now = pair.start + 61.5
    pair.world.store.release_holds()
    assert pair.stored.pinned is None
    update = pair.world.store.update_after("h1", held_at)
    assert update is not None
    assert update.ports[0].policy.watched == {pair.address}


def test_a_holder_that_was_held_and_pinned_is_neither_when_it_goes(pair: Pair) -> None:
    pair.world.set_group(pair.group, max_moves=0)
    pair.claim(pair.a, 0)
    pair.claim(pair.b, 1)
    pair.world.set_group(pair.group, pinned=pair.b.id)
    with pair.world.store.read() as snapshot:
        before = ip_groups.get(snapshot, pair.group.id).stamp.revision_number
    pair.world.delete_port(pair.b)
    assert pair.stored.pinned is None
    with pair.world.store.read() as snapshot:
        assert ip_groups.get(snapshot, pair.group.id).stamp.revision_number == before + 1


def test_a_hold_survives_the_server(pair: Pair) -> None:
    pair.world.set_group(pair.group, max_moves=0)
    pair.claim(pair.a, 0)
    pair.claim(pair.b, 1)
    again = Store.open(pair.world.where, pair.world.clock)
    with again.read() as snapshot:
        assert ip_groups.get(snapshot, pair.group.id).group.pinned == pair.b.id
    again.close()


def test_a_hold_ends_by_itself(pair: Pair) -> None:
    pair.world.set_group(pair.group, max_moves=0)
    pair.claim(pair.a, 0)
    pair.claim(pair.b, 1)
    ended = threading.Event()
    with pair.world.store.changes.subscribe("h1", ended.set):
        pair.world.clock.now = pair.start + 61.5
        pair.world.store._release_timer.schedule(pair.start + 61)
        assert ended.wait(60)
    assert pair.stored.pinned is None


def test_history_is_kept_within_bounds(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holders, "EVENTS_KEPT", 5)
    for at in range(12):
        pair.claim((pair.a, pair.b)[at % 2], at * 10)
    assert len(pair.events) == 5
    assert pair.events[-1].at == pytest.approx(pair.start + 110)


def known(snapshot: Snapshot, group: IpGroup) -> object:
    return holders.of_groups(snapshot, [group.id]), holders.history(snapshot, group.id)


def test_a_report_with_many_is_as_many_reports_with_one(pair: Pair) -> None:
    """Contests, gaps and late claims among them."""
    pair.world.set_port(pair.b, host="h1")
    random, facts = Random(13), []
    for at in sorted(pair.start + random.randrange(2000) for _ in range(80)):
        port = random.choice((pair.a, pair.b))
        claim = Claim(port.id, pair.address, port.mac, at)
        facts.append(random.choice((claim, claim, Sighting(port.id, pair.address, at))))
    pair.world.clock.now = pair.start + 2000

    def report(*some: Claim | Sighting) -> Report:
        return Report(
            "h1",
            claims=tuple(each for each in some if isinstance(each, Claim)),
            sightings=tuple(each for each in some if isinstance(each, Sighting)),
        )

    together = report(*facts)
    found = []

    def record_and_undo() -> None:
        with pair.world.store.change() as change:
            claims.record(change, "h1", together.claims, together.sightings, pair.world.clock.now)
            found.append(known(change, pair.group))
            raise LookupError

    with pytest.raises(LookupError):
        record_and_undo()
    for each in facts:
        pair.world.store.record_report(report(each))
    with pair.world.store.read() as snapshot:
        assert found == [known(snapshot, pair.group)]
    assert len(pair.moves) > 10


def test_a_group_that_moves_too_often_within_one_report_stays(pair: Pair) -> None:
    pair.world.set_port(pair.b, host="h1")
    pair.world.set_group(pair.group, max_moves=2)
    pair.world.clock.now = pair.start + 5
    turns = enumerate((pair.a, pair.b, pair.a, pair.b, pair.a))
    moves = tuple(Claim(port.id, pair.address, port.mac, pair.start + at) for at, port in turns)
    pair.world.store.record_report(Report("h1", claims=moves))
    assert pair.stored.pinned == pair.holder == pair.b.id


def test_a_report_with_thousands_takes_as_few_statements_as_one_with_two(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F13.1: 26,000 sightings of a port that is not there held all changes for 13 s."""
    ran: list[str] = []
    execute = BoundStatement.execute

    def counting(bound: BoundStatement, connection: Connection) -> PendingResult:
        ran.append("bound")
        return execute(bound, connection)

    def note(_c: object, _cursor: object, text: str, *_rest: object) -> None:
        ran.append(text)

    def statements(names: Iterable[str]) -> int:
        ran.clear()
        seen = [Sighting(name, pair.address, pair.start) for name in names]
        asked = [AddressClaim(name, ip_address("fe80::1"), pair.a.mac) for name in names]
        report = Report("h1", ABOUT, sightings=tuple(seen), address_claims=tuple(asked))
        pair.world.store.record_report(report)
        return len(ran)

    monkeypatch.setattr(BoundStatement, "execute", counting)
    event.listen(Engine, "before_cursor_execute", note)
    try:
        statements(["nobody"])
        few = statements(["nobody", "no other"])
        assert statements([f"nobody {number}" for number in range(5000)]) == few
    finally:
        event.remove(Engine, "before_cursor_execute", note)


def test_what_a_host_says_of_its_ports_is_kept(world: World) -> None:
    network = world.network()
    world.subnet(network, "10.0.0.0/24")
    mine, other = world.port(network, host="h1"), world.port(network, host="h2")
    reports = tuple(
        PortReport(port.id, 7, PortState.ENFORCED, "tap0", "") for port in (mine, other)
    )
    world.store.record_report(Report("h1", ports=reports))
    with world.store.read() as snapshot:
        assert ports.get(snapshot, mine.id).enforcement.revision == 7
        assert ports.get(snapshot, other.id).enforcement.revision == 0
    world.set_port(mine, host="h2")
    with world.store.read() as snapshot:
        assert ports.get(snapshot, mine.id).enforcement.revision == 0
