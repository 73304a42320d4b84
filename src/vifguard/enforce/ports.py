"""The ports' policies in the kernel's maps: written aside, taken into force, collected.

What goes out of use is not removed at once: a program may still be reading an old entry and
look up what it leads to. A public set that ended under its eyes would let a forged source
pass. So it is collected after a grace period.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from vifguard.enforce import state
from vifguard.enforce.driver import PortError
from vifguard.enforce.records import unpack_address
from vifguard.enforce.sides import Sides
from vifguard.enforce.state import NO_EXTRAS, Hooks, PortState
from vifguard.enforce.table import Table
from vifguard.kernel import rcu
from vifguard.kernel.bpf import Map
from vifguard.model.address import IPAddress

_KEYED_BY_IFINDEX = ("counters", "buckets")
_NOTHING = (0, 0)


class Ports:
    """All ports of one set of maps."""

    def __init__(self, maps: Mapping[str, Map]) -> None:
        self._maps = maps
        self._table = Table(maps)
        keys = [state.keys_of(entry) for _, entry in self._table]
        self._sides = Sides(maps, max((number for pair in keys for number in pair), default=0))
        self._public_users = Counter(public for _, public in keys)
        self._old_policies: set[int] = set()
        self._old_publics: set[int] = set()
        self.allow_less = False
        """Whether some port's groups changed, or ended, since somebody looked."""

    def close(self) -> None:
        """Let go of the maps' memory."""
        self._table.close()

    def __contains__(self, ifindex: int) -> bool:
        return self._table.read(ifindex) is not None

    def read(self, ifindex: int, hooks: Hooks) -> PortState:
        """One port as the kernel holds it now, beside the hooks that were seen there."""
        entry = self._table.read(ifindex)
        if entry is None:
            return PortState(b"", NO_EXTRAS, frozenset(), hooks)
        policy, public = state.keys_of(entry)
        extras, prefixes = self._sides.read(policy), self._sides.read_public(public)
        return PortState(state.with_keys(entry, 0, 0), extras, prefixes, hooks)

    def read_all(self) -> Iterator[tuple[int, PortState]]:
        """All ports as the kernel holds them now, without their hooks."""
        self._sides.scan()
        for ifindex, entry in self._table:
            policy, public = state.keys_of(entry)
            extras = self._sides.policies.get(policy, NO_EXTRAS)
            prefixes = self._sides.publics.get(public, frozenset())
            yield ifindex, PortState(state.with_keys(entry, 0, 0), extras, prefixes, state.NO_HOOKS)

    def sightings(self, ifindex: int) -> dict[IPAddress, int]:
        """When the port last sent from each watched address; CLOCK_MONOTONIC in ns, 0: never."""
        entry = self._table.read(ifindex)
        policy, _ = state.keys_of(entry) if entry else _NOTHING
        watched = self._sides.watched(policy)
        return {unpack_address(address): self._sides.seen(policy, address) for address in watched}

    def put(self, ports: Mapping[int, PortState], failed: list[PortError]) -> None:
        """Write all entries aside, then let each port's slot point at its own."""
        written: list[tuple[int, int]] = []
        for ifindex, port in ports.items():
            with isolated(ifindex, failed):
                number = self._write(ifindex, port)
                if number:
                    written.append((ifindex, number))
        rcu.publish()
        for ifindex, number in written:
            with isolated(ifindex, failed):
                self._point(ifindex, number)

    def clear(self, ifindex: int) -> None:
        """From now on the interface has no port; its counters go too."""
        old = self._table.read(ifindex)
        self._table.clear(ifindex)
        self._changed(old, None)
        for name in _KEYED_BY_IFINDEX:
            self._maps[name].delete(state.word(ifindex))

    @property
    def has_old(self) -> bool:
        """Whether there is something to collect."""
        return bool(self._old_policies or self._old_publics)

    def collect(self) -> None:
        """Remove what went out of use, when nobody can be reading it any more."""
        if not self.has_old:
            return
        rcu.grace_period()
        for policy in self._old_policies:
            self._sides.delete(policy)
        for public in self._old_publics:
            if not self._public_users[public]:
                self._sides.delete_public(public)
        self._old_policies, self._old_publics = set(), set()

    def litter(self, present: frozenset[int]) -> frozenset[str]:
        """What belongs to no port; `present` are the interfaces whose counters stay."""
        policies, publics = self._unused()
        found = {f"policy {policy}" for policy in policies}
        found |= {f"public set {public}" for public in publics}
        return frozenset(found | {f"{name} of {i}" for name, i in self._unkept(present)})

    def sweep(self, present: frozenset[int]) -> None:
        """Remove such litter, or leave it to `collect`."""
        policies, publics = self._unused()
        self._old_policies |= policies
        self._old_publics |= publics
        for name, ifindex in list(self._unkept(present)):
            self._maps[name].delete(state.word(ifindex))

    def _write(self, ifindex: int, port: PortState) -> int:
        """A fresh entry for the port; 0 where the present one is right."""
        old = self._table.read(ifindex)
        before, public = state.keys_of(old) if old else _NOTHING
        if self._sides.read_public(public) != port.public:
            public = self._sides.public(port.public)
        kept = bool(before) and self._sides.read(before) == port.extras
        policy = before if kept else self._sides.write(port.extras, before)
        entry = state.with_keys(port.entry, policy, public)
        if entry == old:
            return 0
        try:
            return self._table.write(entry)
        except OSError:
            if not kept:
                self._sides.delete(policy)
            raise

    def _point(self, ifindex: int, number: int) -> None:
        old = self._table.read(ifindex)
        try:
            self._table.point(ifindex, number)
        except OSError:
            self._table.discard(number)
            raise
        self._changed(old, self._table.read(ifindex))

    def _changed(self, old: bytes | None, new: bytes | None) -> None:
        """Note what the old entry was the last to use."""
        before, after = (state.keys_of(entry) if entry else _NOTHING for entry in (old, new))
        if before[0] and before[0] != after[0]:
            self._old_policies.add(before[0])
            had, has = (self._sides.groups(policy) for policy in (before[0], after[0]))
            self.allow_less |= bool(had) and had != has
        self._public_users[after[1]] += 1
        self._public_users[before[1]] -= 1
        if before[1] and not self._public_users[before[1]]:
            self._old_publics.add(before[1])

    def _unused(self) -> tuple[set[int], set[int]]:
        keys = [state.keys_of(entry) for _, entry in self._table]
        return (
            set(self._sides.policies) - {policy for policy, _ in keys},
            set(self._sides.publics) - {public for _, public in keys},
        )

    def _unkept(self, present: frozenset[int]) -> Iterator[tuple[str, int]]:
        for name in _KEYED_BY_IFINDEX:
            for key, _ in self._maps[name].contents():
                ifindex = int.from_bytes(key, "little")
                if ifindex not in present and ifindex not in self:
                    yield name, ifindex


@contextmanager
def isolated(ifindex: int, failed: list[PortError]) -> Iterator[None]:
    """One port's failure is noted, and the next port's turn comes."""
    try:
        yield
    except OSError as error:
        failed.append(PortError(ifindex, error.strerror or str(error)))
