"""One security group in the kernel's maps: its elements, each counted by how many rules need it.

One rule more or less of thousands is as many steps as the rule has elements.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import TypeVar

from vifguard.enforce.maps.digests import Digests
from vifguard.enforce.maps.rules import (
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
"""Questions that only find that there are no more prefixes, and no more sets."""


class GroupElements:
    """A group's rules and the elements that hold them."""

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
        """How many questions a packet may put to it at most: prefixes that nest, then sets."""
        nested = max((len(each) for each in self._lengths.values()), default=0)
        return (
            nested
            + max((len(each) for each in self._sets.values()), default=0)
            + TERMINATING_LOOKUPS
        )

    @property
    def why_not(self) -> str:
        """Why it cannot be held; empty when it can."""
        most = max((len(each) for each in self._sets.values()), default=0)
        if most <= SETS_A_SCOPE:
            return ""
        return (
            f"rules of a group refer to {most} groups of addresses in one direction and "
            f"IP version; {SETS_A_SCOPE} can be held"
        )

    def elements(self) -> Elements:
        """All that holds it; nothing where it cannot be held."""
        if self.why_not:
            return {}
        return dict(self._uses.keys()) | self._set_elements(self._sets)

    def change(self, said: frozenset[Rule]) -> tuple[Elements, Elements]:
        """Take other rules; the elements that this concerns, as they were and as they are."""
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
        """Count anew; the elements that nobody needs any more, and that nobody needed."""
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
        """Forget what is counted nought times."""
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
