"""Reads guards back, some of them at a time: all of them every few seconds.

The kernel sends no notice of a program that is detached, a pin that is removed or a map that is
emptied. A loss is reported and counted; the reconciler puts the guard back.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from vifguard.agent.host_guards import HostGuards
from vifguard.agent.reporting.health import Health
from vifguard.agent.state import NOTHING, AgentState, Dirty
from vifguard.enforce.driver.protocol import COMMON, DriverError

log = logging.getLogger("vifguard")

EVERY = 3.0
"""Seconds in which all guards are read back once."""

AT_ONCE = 500
"""Guards that are read back in one go: some milliseconds."""

_RULES_AT_ONCE = 10
"""Steps of the comparison of rules in one go."""


@dataclass(frozen=True, slots=True)
class Checked:
    """The result of a step: losses by port, and `touched`, which is to be reconciled.

    `is_round`: with this step every guard has been read back since the last one that had it.
    """

    touched: Dirty = NOTHING
    lost: Mapping[str, str] = field(default_factory=dict)
    is_round: bool = False


class Verifier:
    """Compares guards with their state as they were put there. One thread's.

    `port_of` gives the port behind an interface. The rules of groups are compared as well, every
    `rules_every` seconds.
    """

    def __init__(
        self,
        guards: HostGuards,
        state: AgentState,
        health: Health,
        port_of: Mapping[int, str],
        rules_every: float,
    ) -> None:
        self.due = 0.0
        self._guards = guards
        self._state = state
        self._health = health
        self._port_of = port_of
        self._rules_every = rules_every
        self._rules: Iterator[bool] = iter(())
        self._rules_at = (0.0, 0)
        self._left: list[int] = []
        self._began = 0.0
        self._pace = EVERY

    def step(self, now: float) -> Checked:
        """Read the next guards back; `due` is then the time of the next step (monotonic s)."""
        dirty = NOTHING
        if not self._left:
            dirty = self._begin(now)
        part, self._left = self._left[:AT_ONCE], self._left[AT_ONCE:]
        losses = self._guards.lost(part)
        self.due = now + self._pace if self._left else self._began + EVERY
        ports = {self._port_of[i]: why for i, (_, why) in losses.items() if i in self._port_of}
        lost = Dirty(frozenset(ports), frozenset(losses))
        rules = self._compare_rules()
        return Checked(Dirty.by_all([dirty, lost, rules]), ports, not self._left)

    def _begin(self, now: float) -> Dirty:
        """Begin a round: repair the parts that all guards have in common."""
        self._began = now
        self._left = sorted(self._guards.enforced)
        self._pace = EVERY / max(1, -(-len(self._left) // AT_ONCE))
        self._repair()
        if now >= self._rules_at[0]:
            self._begin_rules(now)
        return self._rules_again() if self._guards.rules_lost() else NOTHING

    def _repair(self) -> None:
        """Put back what all guards have in common; each guard is read back all the same."""
        try:
            for what in self._guards.repair():
                log.error("%s; it was put back", what)
                self._health.lost([COMMON])
        except (OSError, DriverError) as error:
            self._health.degrade("read-back", f"the lost guards cannot be put back: {error}")
        else:
            self._health.recover("read-back")

    def _begin_rules(self, now: float) -> None:
        self._rules_at = now + self._rules_every, self._guards.changes
        self._rules = self._guards.compare_rules(
            {name: tuple(prefixes) for name, prefixes in self._state.ruleset.sets.items()}
        )

    def _compare_rules(self) -> Dirty:
        """Compare some more rules; after a change the comparison starts from the beginning."""
        if self._rules_at[1] != self._guards.changes:
            self._begin_rules(self._began)
        for _ in range(_RULES_AT_ONCE):
            if not next(self._rules, True):
                return self._rules_again()
        return NOTHING

    def _rules_again(self) -> Dirty:
        """Have the maps of rules written anew: they differ from the rules that were loaded."""
        log.error("the rules of security groups are not the loaded ones; they are loaded anew")
        self._health.lost([COMMON])
        self._rules = iter(())
        self._state.ruleset.mark_all_pending()
        return Dirty(ruleset=True)
