"""What somebody takes from a living agent: nothing forged passes, it is said, and put back."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
from tests.agent.host import Host, hosts
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
    maps,
)
from tests.agent.netns import eventually, within
from tests.agent.ports import forged, legal, port, port_id, stray_unicast

from vifguard.feed.segment import Flat
from vifguard.kernel.bpf import bpffs
from vifguard.kernel.net import sysctl
from vifguard.model.address import parse_prefix
from vifguard.model.guard import Guard, Profile
from vifguard.model.port import PortState
from vifguard.model.security_group import Rule
from vifguard.model.verdict import Direction

pytestmark = pytest.mark.kernel

PAGE = Path(__file__).parents[2] / "docs" / "misfortune.md"

ROUNDS = 3
"""Heartbeats, one in three seconds of the agent's: what it tells later it tells too late."""


class Stage:
    """A living agent's host, where guest 1 floods with what it may not send, and 2 hears all."""

    def __init__(self, host: Host) -> None:
        self.host = host
        many = frozenset(parse_prefix(f"10.9.0.{n}") for n in (1, 11, 12, 13))
        lan = {"shared": True, "mtu": 1500, "kind": Flat("lan")}
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
            "first programs": [programs[:1] for programs in hooks(host)],
            "members": {bridge: host.members(bridge) for bridge in bridges},
            "up": {name for name in (TAP, *bridges) if links[name].up},
            "quarantine": host.held(),
            "sysctls": {
                name: within(host.name, partial(sysctl.read, name, wanted))
                for name, wanted in ((TAP, sysctl.NO_HOST_IPV6), (BRIDGE, sysctl.NO_HOST_IP))
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


def pinned(host: Host) -> set[str]:
    return {path.name for path in host.bpf_dir.glob("*")}


def test_pins_that_vanished_are_made_anew_under_guards_that_stay(host: Host) -> None:
    """O A1: the guards went with their pins, and everything said that all is well."""
    before, names = hooks(host), pinned(host)
    shutil.rmtree(host.bpf_dir)
    assert hooks(host) == before
    eventually(lambda: pinned(host) == names)
    host.until_reported(lambda report: report.about and report.about.lost.get("common"))
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
            eventually(lambda: "programs" in {name.partition("-")[0] for name in pinned(host)})
            host.until_reported(lambda report: report.about and report.about.lost.get("common"))
            host.kill()
            assert is_guarded(host)
        finally:
            host.close()
            subprocess.run(["umount", "-l", host.bpf_dir], check=False)


def test_rules_that_somebody_took_away_are_written_anew() -> None:
    anything = Rule(Direction.FROM_GUEST, 4, None, None, None, None)
    guards = port(1).policy.guards | {Guard.SECURITY_GROUPS}
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
