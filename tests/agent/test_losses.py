"""What somebody takes from a living agent: nothing forged passes, it is said, and put back."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from tests.agent.misfortunes import (
    ADOPTED,
    AWAITED,
    BRIDGE,
    CLSACT,
    TAP,
    TCX,
    Misfortune,
    filter_of_members,
    hooks,
    index,
    maps,
    theirs_of,
)
from tests.agent.world import (
    Host,
    bridge_of,
    eventually,
    forged,
    hosts,
    legal,
    mac_of,
    port,
    port_id,
    stray_unicast,
    tap_of,
    within,
)

from vifguard.agent.adopted import Adopted, Door
from vifguard.agent.former import Former
from vifguard.agent.guards import Guards
from vifguard.agent.health import Health
from vifguard.agent.owner import Owner
from vifguard.agent.reconcile import Reconciler
from vifguard.agent.report import Outbox
from vifguard.agent.state import State
from vifguard.agent.verify import Verifier
from vifguard.agent.work import Acting, Intake, Worker
from vifguard.enforce.driver import ApplyError, PortError
from vifguard.enforce.ebpf import EbpfDriver
from vifguard.enforce.state import Change
from vifguard.feed.messages import Update
from vifguard.kernel import bpffs, sysctl
from vifguard.kernel.bridge import Bridges
from vifguard.kernel.link import Links
from vifguard.kernel.netlink import NetlinkError
from vifguard.kernel.nft_members import MembersTable
from vifguard.model.address import Mac, parse_prefix
from vifguard.model.guard import Guard, Profile
from vifguard.model.port import PortState
from vifguard.model.security_group import Rule
from vifguard.model.verdict import Direction
from vifguard.wire.floor import Floor
from vifguard.wire.members import TABLE, NftFilter
from vifguard.wire.wirer import Wirer

pytestmark = pytest.mark.kernel

PAGE = Path(__file__).parents[2] / "docs" / "misfortune.md"

ROUNDS = 3
"""Heartbeats, one in three seconds of the agent's: what it tells later it tells too late."""


class Stage:
    """A living agent's host, where guest 1 floods with what it may not send, and 2 hears all."""

    def __init__(self, host: Host) -> None:
        self.host = host
        many = frozenset(parse_prefix(f"10.9.0.{n}") for n in (1, 11, 12, 13))
        lan = {"shared": True, "physical": "lan", "mtu": 1500}
        host.ip("link", "add", ADOPTED, "type", "bridge", "forward_delay", "0")
        host.ip("link", "set", ADOPTED, "up")
        for number in (1, 2, 7):
            host.guest(number).plug()
        everybody = (
            port(1, prefixes=many),
            port(2, profile=Profile.OFF),
            port(AWAITED),
            port(7, network=2, segment=lan),
        )
        host.ports = {each.policy.port_id: each for each in everybody}
        host.start()
        host.enforced(1, 2, 7)
        host.until(AWAITED, PortState.ABSENT)
        self.sender, self.hearer = host.guests[:2]
        self.floods = [self.sender.flood(forged(1)), self.hearer.flood(stray_unicast(2))]

    def stands(self) -> dict[str, object]:
        """What keeps guests apart here."""
        host = self.host
        links = host.links()
        bridges = {BRIDGE, ADOPTED} & links.keys()
        return {
            "pins": {str(path) for path in host.bpf_dir.rglob("*")},
            "first programs": [programs[:2] for programs in hooks(host)],
            "members": {bridge: host.members(bridge) for bridge in bridges},
            "up": {name for name in (TAP, *bridges) if links[name].up},
            "floor": host.held(),
            "sysctls": {
                name: within(host.name, partial(sysctl.read, name, wanted))
                for name, wanted in ((TAP, sysctl.ALONE), (BRIDGE, sysctl.DEAF))
            },
            "filter": filter_of_members(host),
        }

    def counted(self, cause: str) -> int:
        """How often something was lost by this cause, as the host's last report says."""
        about = self.host.reports[-1].about
        return about.lost.get(cause, 0) if about else 0

    def is_told(self, since: int, cause: str, before: int) -> None:
        """What was lost is told before too many heartbeats."""
        host = self.host
        report = host.until_reported(
            lambda report: report.about and report.about.lost.get(cause, 0) > before
        )
        told = host.reports.index(report)
        assert sum(each.read_back for each in host.reports[since:told]) <= ROUNDS

    def nothing_forged_passes(self) -> None:
        """Guest 1 is heard with what it may send alone, and hears nothing that is not for it."""
        eventually(self.sender.is_flooding)
        assert set(self.sender.heard_by(self.hearer, legal(1))) <= {legal(1)}
        assert stray_unicast(2) not in self.sender.ear.heard()

    def close(self) -> None:
        for flood in self.floods:
            flood.end()
        theirs_of(self.host).unlink(missing_ok=True)


@contextmanager
def stage(*, tcx: bool | None = None) -> Iterator[Stage]:
    with hosts({"lan": ADOPTED}, tcx=tcx) as host:
        made = Stage(host)
        try:
            yield made
        finally:
            made.close()


@pytest.fixture(scope="module")
def tcx() -> Iterator[Stage]:
    with stage() as made:
        yield made


@pytest.fixture(scope="module")
def clsact() -> Iterator[Stage]:
    with stage(tcx=False) as made:
        yield made


def play(stage: Stage, row: Misfortune) -> None:
    """Nothing forged passes, it is told in time, and what stood before stands again."""
    host, standing = stage.host, stage.stands()
    before, since = stage.counted(row.cause), len(host.reports)
    row.happen(host)
    stage.is_told(since, row.cause, before)
    eventually(lambda: stage.stands() == standing, f"not put back: {standing}")
    if row.said:
        eventually(lambda: row.said in (told := host.told[port_id(1)]).reason and told)
        assert "put back" in host.until(1, PortState.ENFORCED).reason
    if row.opens:
        # Until then the port had no guard: what passed, passed.
        stage.hearer.ear.heard()
        stage.sender.ear.heard()
    stage.nothing_forged_passes()


@pytest.mark.parametrize("row", TCX, ids=lambda row: row.name)
def test_what_is_taken_away_is_told_and_put_back(tcx: Stage, row: Misfortune) -> None:
    play(tcx, row)


@pytest.mark.parametrize("row", CLSACT, ids=lambda row: row.name)
def test_filters_that_are_taken_away_are_told_and_put_back(clsact: Stage, row: Misfortune) -> None:
    play(clsact, row)


def test_the_page_names_each_misfortune_and_no_other() -> None:
    told = {tuple(cells[:2]) for cells in _rows(PAGE.read_text())}
    assert told == {(row.what, f"`{row.cause}`") for row in (*TCX, *CLSACT)}


def _rows(page: str) -> Iterator[list[str]]:
    """The cells of the table of what somebody did."""
    _, _, after = page.partition("| what somebody did |")
    table, _, _ = after.partition("\n\n")
    for line in table.splitlines()[2:]:
        yield [cell.strip() for cell in line.strip("|").split(" | ")]


@pytest.fixture
def host() -> Iterator[Host]:
    with hosts() as host:
        yield started(host)


def started(host: Host) -> Host:
    """Guest 1, strict, and guest 2, who hears all."""
    for number in (1, 2):
        host.guest(number).plug()
    host.ports = {port_id(1): port(1), port_id(2): port(2, profile=Profile.OFF)}
    host.start()
    host.enforced(1, 2)
    return host


def is_guarded(host: Host) -> bool:
    return host.guests[0].heard_by(host.guests[1], forged(1), legal(1)) == [legal(1)]


def put_back(host: Host, text: str) -> None:
    """Return once the port says what it had lost, and the host has counted it."""
    eventually(lambda: text in (told := host.told[port_id(1)]).reason and told)
    assert "put back" in host.until(1, PortState.ENFORCED).reason
    host.until_reported(lambda report: report.about and sum(report.about.lost.values()))


def test_pins_that_vanished_and_are_made_anew_outlive_the_agent(host: Host) -> None:
    """O A1: the links went with their pins, and everything said that all is well."""
    before, names = hooks(host), host.pinned()
    shutil.rmtree(host.bpf_dir)
    assert hooks(host) == before
    eventually(lambda: host.pinned() == names)
    put_back(host, "pin")
    host.kill()
    assert hooks(host) == before
    assert is_guarded(host)
    host.start()
    host.enforced(1, 2)
    assert is_guarded(host)


def test_a_bpffs_that_is_unmounted_opens_nothing_and_is_mounted_anew(tmp_path: Path) -> None:
    with hosts() as host:
        mounted = tmp_path / "bpf"
        bpffs.mount(mounted)
        host.use_bpf_dir(mounted / "vifguard")
        try:
            started(host)
            subprocess.run(["umount", "-l", mounted], check=True)
            assert is_guarded(host)
            eventually(lambda: len(host.pinned()) == 4)
            put_back(host, "pin")
            host.kill()
            assert is_guarded(host)
        finally:
            host.close()
            subprocess.run(["umount", "-l", host.bpf_dir], check=False)


def test_rules_that_somebody_took_away_are_written_anew() -> None:
    anything = Rule(Direction.FROM_GUEST, 4, None, None, None, None)
    guards = port(1).policy.guards | {Guard.GROUPS}
    with hosts() as host:
        host.groups = {"g": frozenset({anything})}
        for number in (1, 2):
            host.guest(number).plug()
        host.ports = {
            port_id(1): port(1, guards=guards, security_groups=frozenset({"g"})),
            port_id(2): port(2, profile=Profile.OFF),
        }
        host.start()
        host.enforced(1, 2)
        for name in ("allowed", "remotes"):
            table = maps(host)[name]
            held = sorted(table.contents())
            assert held
            table.delete_many([key for key, _ in held])
            eventually(lambda table=table, held=held: sorted(table.contents()) == held)
        host.until_reported(lambda report: report.about and report.about.lost.get("common"))
        assert is_guarded(host)


class Bench:
    """The agent's hands in the test's own process, so that what they ask can be falsified."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.missed: set[int] = set()
        self.outbox = Outbox("h")
        self.driver = within(host.name, lambda: EbpfDriver(host.bpf_dir))
        self.links, self.floor = within(host.name, lambda: (Links(), Floor()))
        self.bridges = within(host.name, Bridges)
        state, health = State(host.settings.physical), Health(self.outbox.put_health)
        guards = Guards(self.driver)
        wirer = Wirer(self.links, self.bridges, self.floor, vlan_floor=False)
        self.table = within(host.name, lambda: MembersTable(TABLE))
        members = NftFilter(self.table) if host.settings.physical else None
        door = Door(self.links, self.bridges, members)
        self.adopted = Adopted(state, host.settings, Former(None, self.bridges), door)
        self.hands = Reconciler(state, guards, wirer, self.floor, self.adopted, by_name=True)
        reading = Verifier(guards, state, health, self.hands.port_of, 300.0)
        acting = Acting(self.hands, reading, Owner(guards, take_over=False), self._look)
        self.worker = Worker(state, acting, Intake(), self.outbox, health, 300.0)

    def do(self, work: Callable[[], None]) -> None:
        within(self.host.name, work)

    def take(self, update: Update) -> None:
        self.do(lambda: self.worker.settle(self.worker._take(update)))

    def compare(self) -> None:
        self.do(lambda: self.worker.settle(self.worker._compare()))

    def _look(self) -> list[object]:
        return [link for link in self.links.all() if link.index not in self.missed]

    def close(self) -> None:
        for each in (self.links, self.bridges, self.floor, self.driver, self.table):
            each.close()


@pytest.fixture
def bench() -> Iterator[Bench]:
    with hosts() as host:
        for number in (1, 2):
            host.guest(number).plug()
        with closing(Bench(host)) as bench:
            bench.compare()
            both = (port(1), port(2, profile=Profile.OFF))
            bench.take(Update(7, complete=True, ports=both))
            yield bench


def test_a_dump_that_misses_an_interface_takes_no_guard_away(bench: Bench) -> None:
    """K1.2: the guard was taken off while the interface stayed in its bridge, up."""
    host = bench.host
    before = hooks(host)
    bench.missed.add(index(host))
    bench.compare()
    assert hooks(host) == before
    assert host.members(bridge_of(1)) == {tap_of(1), tap_of(2)}
    assert is_guarded(host)


def test_who_was_there_first_and_cannot_be_guarded_forwards_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The kernel takes neither its policy nor a closed one, and somebody raises it again.

    Its port does not name it, so that the floor does not hold it.
    """
    with hosts({"lan": "br0"}) as host:
        host.ip("link", "add", "br0", "type", "bridge", "forward_delay", "0")
        host.ip("link", "set", "br0", "up")
        host.guest(1).plug("vnet1", mac=Mac(b"\xfe" + mac_of(1).octets[1:]), bridge="br0")
        for number in (2, 3):
            host.guest(number).plug(bridge="br0")
        one, two, three = host.guests
        assert one.heard_by(two, forged(1)) == [forged(1)]
        with closing(Bench(host)) as bench:
            bare, apply = host.links()["vnet1"].index, bench.driver.apply

            def refuse(change: Change) -> None:
                others = {i: each for i, each in change.ports.items() if i != bare}
                apply(replace(change, ports=others))
                if others != change.ports:
                    raise ApplyError("no", [PortError(bare, "no memory")])

            monkeypatch.setattr(bench.driver, "apply", refuse)
            bench.compare()
            lan = {"shared": True, "physical": "lan", "mtu": 1500}
            ports = tuple(port(number, segment=lan) for number in (1, 2, 3))
            bench.take(Update(7, complete=True, ports=ports))
            bench.compare()
            guarded = bench.hands.guarded()
            assert [link.name for _, link in bench.adopted.unguarded(guarded)] == ["vnet1"]
            host.ip("link", "set", "vnet1", "up")
            eventually(lambda: "state forwarding" in host.ip("-d", "link", "show", "vnet1"))
            assert three.heard_by(two, legal(3)) == [legal(3)]
            one.send(forged(1))
            assert forged(1) not in two.ear.until(*three.send_marks())


def test_an_interface_that_its_bridge_does_not_let_go_keeps_its_guard_closed(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """K1.3: its port was deleted, and the guard went though the bridge kept it."""
    host, change = bench.host, bench.links.change

    def refuse(changes):
        busy = NetlinkError(16, "busy")
        return [busy if each.master == 0 else change([each])[0] for each in changes]

    monkeypatch.setattr(bench.links, "change", refuse)
    before, gone = hooks(host), frozenset({port_id(1)})
    bench.take(Update(8, complete=False, ports=(), gone=gone))
    assert tap_of(1) in host.members(bridge_of(1))
    assert hooks(host) == before
    first, second = host.guests
    first.send(legal(1))
    first.send(forged(1))
    assert [frame for frame in second.ear.heard() if frame in (legal(1), forged(1))] == []
    assert index(host) in bench.worker._retries
    monkeypatch.undo()
    monkeypatch.setitem(bench.worker._retries, index(host), 0.0)
    bench.do(lambda: bench.worker.settle(bench.worker._due()))
    assert host.members(bridge_of(1)) == {tap_of(2)}
    assert hooks(host) == [(), ()]
    assert not host.links()[tap_of(1)].up
