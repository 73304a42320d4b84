"""The ruleset in the kernel: rules of groups and members of sets, written once for all their ports.

Elements that allow more are written before others are removed, and the generation is raised
last: from then on each connection is judged by the rules once more, at its next packet.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice

from vifguard.enforce.driver.protocol import RulesetChange
from vifguard.enforce.ebpf.maps import rules
from vifguard.enforce.ebpf.maps.global_config import GlobalConfig
from vifguard.enforce.ebpf.maps.rules import Element, Elements
from vifguard.enforce.ebpf.maps.security_group_maps import TERMINATING_LOOKUPS, GroupElements
from vifguard.kernel.bpf.bpf_syscall import Map
from vifguard.model.address import IPNetwork

_MAPS = (*rules.OF_RULES, *rules.OF_SETS)
_PRESENT = b"\x01"
_AT_ONCE = 2000


class RulesetMaps:
    """The maps of rules and sets. The first change must be complete: it finds former elements."""

    def __init__(self, maps: Mapping[str, Map], settings: GlobalConfig) -> None:
        self._maps = maps
        self._settings = settings
        self._digests = settings.digests
        self._groups: dict[str, GroupElements] = {}
        self._unloadable: dict[str, str] = {}
        self._incomplete: dict[str, str] = {}
        self._sizes: Counter[str] = Counter()

    def why_not(self, groups: Iterable[str]) -> str:
        """Why a port with these groups cannot be enforced; empty when it can."""
        groups = sorted(groups)
        asked = sum(self._lookups(group) for group in groups)
        if asked > rules.MAX_LOOKUPS:
            return (
                "its security groups refer to too many remote groups and nested prefixes: "
                f"they need {asked} look-ups a packet, and the most are {rules.MAX_LOOKUPS}"
            )
        return next((why for group in groups if (why := self._why_not(group))), "")

    def load(self, change: RulesetChange) -> frozenset[str]:
        """Write the change into the maps; return the groups whose ports are to be rendered anew."""
        touched = set(change.groups)
        if change.complete or self._incomplete:
            touched |= {*self._groups, *self._unloadable}
        before = {group: self._standing(group) for group in touched}
        # An agent that was killed may have removed rules without raising the generation.
        if change.complete:
            self._replace(change)
        if change.complete or self._change(change):
            self._settings.raise_generation()
        if self._incomplete:
            touched |= {*self._groups}
        return frozenset(each for each in touched if before.get(each) != self._standing(each))

    def is_emptied(self) -> bool:
        """Whether a map that should have elements is empty."""
        return any(size > 0 and self._maps[name].is_empty() for name, size in self._sizes.items())

    def compare(self, sets: Mapping[str, Iterable[IPNetwork]]) -> Iterator[bool]:
        """Whether the maps hold exactly the expected elements, some thousand at a time.

        Ends with the first difference. `sets` are all members; while this goes on, nothing may
        be changed. Groups or sets that do not fit are left to the next change.
        """
        if self._incomplete or self._unloadable:
            return
        expected = self._expected(sets)
        while part := list(islice(expected, _AT_ONCE)):
            yield all(self._maps[name].lookup(key) == value for (name, key), value in part)
        # All of it is there, so as many elements are the same ones.
        for name in _MAPS:
            left = self._sizes[name]
            for count in self._maps[name].counts():
                left -= count
                yield left >= 0
            yield left == 0

    def _expected(self, sets: Mapping[str, Iterable[IPNetwork]]) -> Iterator[tuple[Element, bytes]]:
        for group in self._groups.values():
            yield from group.elements().items()
        for set_id, prefixes in sets.items():
            yield from (
                (each, _PRESENT) for each in rules.members_of(self._digests, set_id, prefixes)
            )

    def _standing(self, group: str) -> tuple[str, int]:
        """The properties of a group that decide whether its ports can be enforced."""
        return self._why_not(group), self._lookups(group)

    def _lookups(self, group: str) -> int:
        known = self._groups.get(group)
        return known.max_lookups if known else TERMINATING_LOOKUPS

    def _why_not(self, group: str) -> str:
        if group in self._unloadable:
            return self._unloadable[group]
        known = self._groups.get(group)
        if known is None:
            return ""
        incomplete = (self._incomplete[name] for name in known.named if name in self._incomplete)
        return known.why_not or next(incomplete, "")

    def _change(self, change: RulesetChange) -> bool:
        """Write a change; return whether anything that was allowed may be so no more."""
        less = False
        for set_id, said in change.sets.items():
            removed = rules.members_of(self._digests, set_id, said.removed)
            old = self._found(set_id) if said.complete else dict.fromkeys(removed, _PRESENT)
            less |= self._put_set(set_id, old, rules.members_of(self._digests, set_id, said.added))
        for group_id, rules_ in change.groups.items():
            group = self._groups.pop(group_id, None) or GroupElements(self._digests, group_id)
            less |= self._put_group(group, *group.change(rules_))
        return less

    def _replace(self, change: RulesetChange) -> None:
        """Make the maps hold this change alone: all other elements are removed."""
        self._groups, self._incomplete = {}, {}
        observed = self._observed()
        self._sizes = Counter(name for name, _ in observed)
        for set_id, said in change.sets.items():
            desired = tuple(rules.members_of(self._digests, set_id, said.added))
            old = {each: observed.pop(each) for each in desired if each in observed}
            self._put_set(set_id, old, desired)
        for group_id, rules_ in change.groups.items():
            group = GroupElements(self._digests, group_id)
            _, elements = group.change(rules_)
            old = {each: observed.pop(each) for each in elements if each in observed}
            self._put_group(group, old, elements)
        self._replace_elements(observed, {})

    def _put_group(self, group: GroupElements, old: Elements, desired: Elements) -> bool:
        self._unloadable.pop(group.id, None)
        try:
            less = self._replace_elements(old, desired)
        except OSError as error:
            self._unloadable[group.id] = (
                f"its rules do not fit into the kernel's maps: {os.strerror(error.errno or 0)}"
            )
            return self._replace_elements(old | desired | group.elements(), {})
        if group.rules:
            self._groups[group.id] = group
        return less

    def _put_set(self, set_id: str, old: Elements, added: Iterable[Element]) -> bool:
        """Write a set; one that does not fit is incomplete until it changes."""
        try:
            less = self._replace_elements(old, dict.fromkeys(added, _PRESENT))
        except OSError as error:
            self._incomplete[set_id] = (
                f"its addresses do not fit into the kernel's maps: {os.strerror(error.errno or 0)}"
            )
            return True
        return less

    def _replace_elements(self, old: Elements, desired: Elements) -> bool:
        """Replace `old` elements by `desired` ones; return whether any was removed or changed."""
        new: dict[str, list[tuple[bytes, bytes]]] = {}
        for (name, key), value in desired.items():
            if old.get((name, key)) != value:
                new.setdefault(name, []).append((key, value))
        for name, items in new.items():
            self._maps[name].update_many(items)
            self._sizes[name] += sum((name, key) not in old for key, _ in items)
        removed = [each for each in old if each not in desired]
        for name, key in removed:
            self._maps[name].delete(key)
            self._sizes[name] -= 1
        return bool(removed) or any(
            old.get(each, value) != value for each, value in desired.items()
        )

    def _observed(self) -> Elements:
        return {(name, key): value for name in _MAPS for key, value in self._maps[name].contents()}

    def _found(self, set_id: str) -> Elements:
        """The elements of one set that the kernel has."""
        there = ((name, key) for name in rules.OF_SETS for key, _ in self._maps[name].contents())
        return {each: _PRESENT for each in there if rules.is_of_set(self._digests, each, set_id)}
