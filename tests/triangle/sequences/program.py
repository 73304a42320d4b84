"""The eBPF program as a judge of sequences: four interfaces of a moment, one private driver."""

import socket
from collections.abc import Callable, Sequence
from typing import TypeVar

from tests.triangle.decider import Decider, private_driver
from tests.triangle.sequences.stage import FIRST
from tests.triangle.sequences.steps import Held
from tests.triangle.sequences.subject import Said

from vifguard.enforce.driver.protocol import Attachment, RulesetChange
from vifguard.enforce.ebpf.maps.connection_table import CONNECTIONS_PER_BUCKET
from vifguard.kernel.net.netns import in_throwaway
from vifguard.lab.world.netns import ip
from vifguard.model.address import IPNetwork
from vifguard.model.security_group import Ruleset, SetChange
from vifguard.model.verdict import Direction

T = TypeVar("T")
EMPTY: frozenset = frozenset()
PORTS, BUCKETS = 4, 1024
LAST_GENERATION = 0xFFFFFFFF


class RefusedError(AssertionError):
    """Policies that the driver does not hold, and why."""


class Program:
    """One driver at the ports of a host; its clock never goes back."""

    def __init__(self, driver: Decider, ifindexes: Sequence[int]) -> None:
        self.ifindexes = ifindexes
        self.driver = driver
        self._now = FIRST
        self._book: Ruleset | None = None
        flows = driver._maps["flows"]
        self.table = flows.memory(flows.spec.max_entries * flows.spec.value_size)

    def forget(self) -> None:
        """Lose the table of connections."""
        self.table[:] = bytes(len(self.table))

    def begin(self, now: int) -> int:
        self.forget()
        self._now = max(now, self._now)
        self._book = None
        for ifindex in self.ifindexes:
            self.driver.set_new(ifindex, 0)
        self.driver.set_generation(LAST_GENERATION - 3)  # It wraps soon.
        return self._now

    def hold(self, held: Held) -> None:
        self.driver.load_ruleset(_change(self._book, held.book))
        self._book = held.book
        attachments = (
            Attachment(policy, ifindex, reversed_hooks=False, revision=1)
            for policy, ifindex in zip(held.policies, self.ifindexes, strict=False)
        )
        wanted = self.driver.render(attachments)
        if wanted.refused:
            raise RefusedError(wanted.refused)
        change = self.driver.diff(wanted, self.driver.observe(None))
        if change is not None:
            self.driver.apply(change)

    def set_clock(self, now: int) -> None:
        self._now = now
        self.driver.set_clock(now)

    def renew(self, port: int, until: int) -> None:
        self.driver.set_new(self.ifindexes[port], until)

    def judge(self, port: int, direction: Direction, frame: bytes) -> Said:
        dropped = self.driver.test(direction, frame, self.ifindexes[port])
        return dropped and (dropped.guard, dropped.reason)

    def close(self) -> None:
        """Give back the memory of the table."""
        self.table.close()


def with_program(work: Callable[[Program], T]) -> T:
    """What `work` returns with a program in a namespace that ends with it."""

    def inside() -> T:
        names = [f"seq{number}" for number in range(PORTS)]
        ip(f"link add {name} type bridge" for name in names)
        with private_driver(BUCKETS * CONNECTIONS_PER_BUCKET) as driver:
            program = Program(driver, [socket.if_nametoindex(name) for name in names])
            try:
                return work(program)
            finally:
                program.close()

    return in_throwaway(inside)


def _change(before: Ruleset | None, now: Ruleset) -> RulesetChange:
    """What the feed would say: everything at first, then what is otherwise."""
    if before is None:
        sets = {name: SetChange(complete=True, added=held) for name, held in now.sets.items()}
        return RulesetChange(complete=True, groups=now.rules, sets=sets)
    names = before.rules.keys() | now.rules.keys()
    groups = {
        name: now.rules.get(name, EMPTY)
        for name in names
        if before.rules.get(name) != now.rules.get(name)
    }
    sets = {
        name: _moved(before.sets.get(name, EMPTY), now.sets.get(name, EMPTY))
        for name in before.sets.keys() | now.sets.keys()
        if before.sets.get(name) != now.sets.get(name)
    }
    return RulesetChange(complete=False, groups=groups, sets=sets)


def _moved(before: frozenset[IPNetwork], now: frozenset[IPNetwork]) -> SetChange:
    return SetChange(complete=False, added=now - before, removed=before - now)
