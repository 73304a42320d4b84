"""The rules and address sets of the host, and which of them the driver has yet to load.

A fold over updates like the rest of the state. A set is changed in place: one member more of
100,000 is one step.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field

from vifguard.enforce.driver.protocol import RulesetChange
from vifguard.feed.messages import Update
from vifguard.model.address import IPNetwork
from vifguard.model.security_group import Rule, SetChange

_NOTHING: frozenset[Rule] = frozenset()


@dataclass(slots=True)
class RulesetTracker:
    """Rules by group and prefixes by set, and which of them (`_pending_*`) are to be loaded."""

    rules: dict[str, frozenset[Rule]] = field(default_factory=dict)
    sets: dict[str, set[IPNetwork]] = field(default_factory=dict)
    _sets_of_group: dict[str, frozenset[str]] = field(default_factory=dict)
    _all_pending: bool = True
    _pending_groups: set[str] = field(default_factory=set)
    _pending_sets: dict[str, SetChange] = field(default_factory=dict)

    def take(self, update: Update) -> None:
        """Take in an update's rules of groups and its sets."""
        if update.complete:
            self.rules, self.sets, self._sets_of_group = {}, {}, {}
            self.mark_all_pending()
        for group, rules in update.groups.items():
            self.rules[group] = rules
            self._sets_of_group[group] = frozenset(
                r.remote for r in rules if isinstance(r.remote, str)
            )
            self._pending_groups.add(group)
        for set_id, change in update.sets.items():
            self._change_set(set_id, change)

    def keep(self, groups: Container[str]) -> None:
        """Forget every other group, and the sets that no rule of these names."""
        removed = [group for group in self.rules if group not in groups]
        for group in removed:
            del self.rules[group], self._sets_of_group[group]
        self._pending_groups.update(removed)
        named = frozenset[str]().union(*self._sets_of_group.values())
        for set_id in self.sets.keys() - named:
            del self.sets[set_id]
            self._pending_sets[set_id] = SetChange(complete=True, added=frozenset())

    def mark_all_pending(self) -> None:
        """Load everything again, whatever the driver has."""
        self._all_pending = True

    @property
    def is_applied(self) -> bool:
        """Whether the driver has loaded all of it."""
        return not (self._all_pending or self._pending_groups or self._pending_sets)

    def pending(self) -> RulesetChange | None:
        """The change that the driver has yet to load; None for none."""
        if self._all_pending:
            return RulesetChange(complete=True, groups=self.rules, sets=_complete(self.sets))
        if self.is_applied:
            return None
        groups = {group: self.rules.get(group, _NOTHING) for group in self._pending_groups}
        return RulesetChange(complete=False, groups=groups, sets=self._pending_sets)

    def mark_applied(self) -> None:
        """Note that the driver has loaded the change that `pending` gave."""
        self._all_pending, self._pending_groups, self._pending_sets = False, set(), {}

    def _change_set(self, set_id: str, change: SetChange) -> None:
        known = self.sets.setdefault(set_id, set())
        if change.complete:
            known.clear()
        known -= change.removed
        known |= change.added
        before = self._pending_sets.get(set_id)
        self._pending_sets[set_id] = change if before is None else _merged(before, change)


def _complete(sets: Mapping[str, Iterable[IPNetwork]]) -> dict[str, SetChange]:
    return {
        name: SetChange(complete=True, added=frozenset(prefixes)) for name, prefixes in sets.items()
    }


def _merged(before: SetChange, change: SetChange) -> SetChange:
    """Two changes as one."""
    if change.complete:
        return change
    added = (before.added - change.removed) | change.added
    if before.complete:
        return SetChange(complete=True, added=added)
    return SetChange(
        complete=False, added=added, removed=before.removed - change.added | change.removed
    )
