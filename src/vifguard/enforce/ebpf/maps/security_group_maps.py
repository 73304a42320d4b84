"""One security group in the kernel's maps: its elements, with the number of rules that need each.

Adding or removing one rule of thousands takes as many steps as the rule has elements.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import TypeVar

from vifguard.enforce.ebpf.maps.digests import Digests
from vifguard.enforce.ebpf.maps.rules import (
    SETS_A_SCOPE,
    Element,
    Elements,
    RuleElements,
    elements_of_rule,
    sets_of_scope,
)
from vifguard.model.security_group import Rule

T = TypeVar("T")

TERMINATING_LOOKUPS = 2
"""Lookups that a group always costs: the miss that ends the prefixes, that of the sets."""


class GroupElements:
    """A group's rules and their elements."""

    def __init__(self, digests: Digests, group_id: str) -> None:
        self.id = group_id
        self._digests = digests
        self.rules: frozenset[Rule] = frozenset()
        self._uses: Counter[tuple[Element, bytes]] = Counter()
        self._sets: defaultdict[int, Counter[tuple[int, int]]] = defaultdict(Counter)
        self._lengths: defaultdict[int, Counter[int]] = defaultdict(Counter)
        self._named: Counter[str] = Counter()

    @property
    def named(self) -> Iterable[str]:
        """The sets that its rules refer to."""
        return self._named.keys()

    @property
    def max_lookups(self) -> int:
        """The most lookups that a packet may need in it: nested prefixes, then sets."""
        nested = max((len(each) for each in self._lengths.values()), default=0)
        return (
            nested
            + max((len(each) for each in self._sets.values()), default=0)
            + TERMINATING_LOOKUPS
        )

    @property
    def why_not(self) -> str:
        """The reason why the group does not fit into the maps; empty when it does."""
        most = max((len(each) for each in self._sets.values()), default=0)
        if most <= SETS_A_SCOPE:
            return ""
        return (
            f"the rules of a security group refer to {most} address sets in one direction and "
            f"IP version; the most are {SETS_A_SCOPE}"
        )

    def elements(self) -> Elements:
        """All elements of the group; none where it does not fit."""
        if self.why_not:
            return {}
        return dict(self._uses.keys()) | self._set_elements(self._sets)

    def change(self, said: frozenset[Rule]) -> tuple[Elements, Elements]:
        """Replace the rules; return the elements that this concerns, before and after."""
        removed = [elements_of_rule(self._digests, self.id, rule) for rule in self.rules - said]
        added = [elements_of_rule(self._digests, self.id, rule) for rule in said - self.rules]
        if self.why_not:
            self._take(said, removed, added)
            return {}, self.elements()
        scopes = {parts.named[0] for parts in (*removed, *added) if parts.named}
        whole, before = self.elements() if scopes else {}, self._set_elements(scopes)
        lost, won = self._take(said, removed, added)
        if self.why_not:
            return whole, {}
        return before | lost, self._set_elements(scopes) | won

    def _take(
        self, said: frozenset[Rule], removed: Iterable[RuleElements], added: Iterable[RuleElements]
    ) -> tuple[Elements, Elements]:
        """Count anew; return the elements that no rule needs any more, and the new ones."""
        self._named.subtract(_named(self.rules - said))
        self._named.update(_named(said - self.rules))
        self._named = +self._named
        self.rules = said
        lost: Elements = {}
        won: Elements = {}
        for parts in removed:
            self._count(parts, -1)
            lost.update(each for each in parts.elements if not self._uses[each])
        for parts in added:
            won.update(each for each in parts.elements if not self._uses[each])
            self._count(parts, 1)
        for parts in removed:
            self._prune(parts)
        return lost, won

    def _count(self, parts: RuleElements, by: int) -> None:
        for each in parts.elements:
            self._uses[each] += by
        if parts.named:
            self._sets[parts.named[0]][parts.named[1]] += by
        if parts.length:
            self._lengths[parts.length[0]][parts.length[1]] += by

    def _prune(self, parts: RuleElements) -> None:
        """Forget elements that no rule needs."""
        for each in parts.elements:
            if not self._uses[each]:
                del self._uses[each]
        if parts.named:
            _drop_nought(self._sets, *parts.named)
        if parts.length:
            _drop_nought(self._lengths, *parts.length)

    def _set_elements(self, scopes: Iterable[int]) -> Elements:
        named = ((scope, self._sets.get(scope)) for scope in scopes)
        return dict(sets_of_scope(scope, sets) for scope, sets in named if sets)


def _named(rules: Iterable[Rule]) -> Iterable[str]:
    return (rule.remote for rule in rules if isinstance(rule.remote, str))


def _drop_nought(counted: dict[int, Counter[T]], scope: int, what: T) -> None:
    if not counted[scope][what]:
        del counted[scope][what]
    if not counted[scope]:
        del counted[scope]
