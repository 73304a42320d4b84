"""An agent that is killed at any of its system calls: nothing forged passes, nothing is left.

strace(1) counts the calls and kills.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from tests.agent.host import Host, hosts
from tests.agent.netns import PATIENCE, eventually, within
from tests.agent.ports import bridge_of, forged, legal, port, port_id, tap_of
from tests.agent.strace import calls, traced

from vifguard.agent.host.teardown import teardown
from vifguard.bridging.bridge import is_ours
from vifguard.feed.messages import HostPort
from vifguard.model.address import parse_prefix
from vifguard.model.guard import Profile

pytestmark = pytest.mark.kernel

FLOODING = (1, 3, 4, 7)
"""Who sends what it never may, all the time."""

LISTENING = 2

Ports = Mapping[int, HostPort]

_STAYING = {LISTENING: port(LISTENING, profile=Profile.OFF), 9: port(9)}
"""So many that no side takes most ports away."""
_WIDE = port(1, prefixes=frozenset({parse_prefix("10.9.0.1"), parse_prefix("10.9.0.11")}))
_ELSEWHERE = port(8, network=2, profile=Profile.OFF, interface=tap_of(7))
BEFORE: Ports = _STAYING | {1: _WIDE, 3: port(3), 7: port(7)}
AFTER: Ports = _STAYING | {1: port(1), 4: port(4), 5: port(5), 6: port(6, network=2), 8: _ELSEWHERE}
"""Port 1 may less, 3 is gone, 4 has come, 5 is awaited, 6 has a new bridge, and 8 has taken the
interface of 7 into that, where it may everything; or back again."""


class Turning:
    """A host whose ports are those of one side, then those of the other."""

    def __init__(self, host: Host, log: Path) -> None:
        self.host, self._log = host, log
        self.guests = {number: host.guest(number) for number in (1, 2, 3, 4, 6, 7, 9)}
        for guest in self.guests.values():
            guest.plug()
        self._floods = [self.guests[number].flood(forged(number)) for number in FLOODING]
        self._sides = itertools.cycle([BEFORE, AFTER])
        self._heard: set[bytes] = set()
        self._here: Ports = {}
        self.turn()

    def turn(self) -> None:
        """Let the other side be wanted from the next start on."""
        self.host.revision += 1
        self._here = next(self._sides)
        self.host.ports = {
            port_id(n): replace(each, revision=self.host.revision) for n, each in self._here.items()
        }

    def is_settled(self) -> None:
        """What is wanted is in force: who may be heard is, nothing stale is left."""
        host, taps = self.host, {each.tap for each in self.guests.values()}
        names = {n: each.interface or tap_of(n) for n, each in self._here.items()}
        there = sorted(n for n, name in names.items() if name in taps)
        host.enforced(*there)
        index = {n: host.links()[names[n]].index for n in there}
        hooks = {f"{i}-{hook}" for i in index.values() for hook in ("ingress", "egress")}
        bridges = {bridge_of(1)} | ({bridge_of(2)} if 6 in there else set())
        awaited = {*names.values()} - taps
        eventually(lambda: host.guards().keys() == hooks, f"not at these hooks: {hooks}")
        eventually(lambda: self._bridges() == bridges, f"not these bridges: {bridges}")
        eventually(lambda: host.held() == bridges | awaited, f"not these chains: {awaited}")
        assert host.members(bridge_of(1)) == {names[n] for n in there if n not in (6, 8)}
        assert self._kinds_of_pins() == ["connections", "maps", "namespace", "pins", "programs"]
        self._who_may_is_heard(there)

    def _who_may_is_heard(self, there: list[int]) -> None:
        for number in FLOODING:
            eventually(self.guests[number].is_flooding)
            if number in there:
                heard = self.guests[number].heard_by(self.guests[LISTENING], legal(number))
                assert set(heard) == {legal(number)}

    def killed(self, at: int) -> None:
        """Let the other side be wanted, and the agent be killed before a call on the way."""
        assert self.host.agent
        with traced(self.host.agent.pid, self._log, kill_at=at):
            self.turn()
            self.host.send_all()
            self.ended()

    def killed_as_it_starts(self, at: int) -> None:
        """Start an agent that is killed before a call."""
        self.host.start(complete=False)
        assert self.host.agent
        with traced(self.host.agent.pid, self._log, kill_at=at):
            with suppress(BrokenPipeError):
                self.host.send_all()
            self.ended()

    def calls_of_a_start(self) -> int:
        """How many calls a first start takes."""
        self.host.start(complete=False)
        assert self.host.agent
        with traced(self.host.agent.pid, self._log):
            self.host.send_all()
            self.is_settled()
        self.host.kill()
        return calls(self._log)

    def ended(self) -> None:
        """The agent has been killed. One that had done everything reads back, and ends at that."""
        assert self.host.agent
        assert self.host.agent.wait(PATIENCE) == -9
        self.host.kill()

    def calls_of_a_turn(self) -> int:
        """How many calls it takes to come to the other side."""
        assert self.host.agent
        with traced(self.host.agent.pid, self._log):
            self.turn()
            self.host.send_all()
            self.is_settled()
        return calls(self._log)

    def nothing_passed(self) -> None:
        """Nothing forged was heard, however often it was sent."""
        assert all(sent > 100 for sent in self.end())
        heard = set(self.guests[LISTENING].ear.heard())
        assert not heard & {forged(number) for number in FLOODING}

    def end(self) -> list[int]:
        """Let nobody send any more; how many frames each has sent."""
        floods, self._floods = self._floods, []
        return [flood.end() for flood in floods]

    def _bridges(self) -> set[str]:
        return {link.name for link in self.host.links().values() if is_ours(link)}

    def _kinds_of_pins(self) -> list[str]:
        return sorted({path.name.partition("-")[0] for path in self.host.bpf_dir.iterdir()})


@pytest.fixture
def turning(tmp_path: Path) -> Iterator[Turning]:
    with hosts() as host:
        turning = Turning(host, tmp_path / "calls")
        try:
            yield turning
        finally:
            turning.nothing_passed()


def chosen(calls: int, most: int) -> list[int]:
    """Numbers of calls, from the first to the last: at most so many, and 0 for all."""
    if not most:
        return [*range(1, calls + 1)]
    return sorted({1 + round(n * (calls - 1) / (most - 1)) for n in range(most)})


def at_most(few: int) -> pytest.MarkDecorator:
    """At how many calls the agent is killed: a few, or all, which is long."""
    every = pytest.param(0, marks=[pytest.mark.full, pytest.mark.timeout(3600)])
    return pytest.mark.parametrize("most", [few, every])


@at_most(6)
def test_killed_at_any_call_of_a_settle(turning: Turning, most: int) -> None:
    turning.host.start()
    turning.is_settled()
    there, back = turning.calls_of_a_turn(), turning.calls_of_a_turn()
    for at in chosen(max(there, back), most):
        for _ in range(2):
            turning.killed(at)
            turning.host.start()
            turning.is_settled()
    turning.nothing_passed()


@at_most(3)
def test_killed_at_any_call_of_its_first_start(turning: Turning, most: int) -> None:
    host = turning.host
    for at in chosen(turning.calls_of_a_start(), most):
        within(host.name, lambda: teardown(host.settings))
        turning.killed_as_it_starts(at)
        host.start()
        turning.is_settled()
        host.kill()
    turning.nothing_passed()
