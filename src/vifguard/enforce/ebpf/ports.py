"""The ports' policies in the kernel's maps: written aside, published, collected.

Objects that go out of use are not removed at once: a program may still be reading an old entry
and look up its keys. A set of public prefixes that was removed meanwhile would let a forged
source pass. So they are collected after a grace period.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager

from vifguard.enforce.driver.device import Interface
from vifguard.enforce.driver.protocol import PortError
from vifguard.enforce.ebpf import state
from vifguard.enforce.ebpf.maps.policy_maps import PolicyMaps
from vifguard.enforce.ebpf.maps.port_table import PortTable
from vifguard.enforce.ebpf.maps.records import unpack_address
from vifguard.enforce.ebpf.state import (
    NO_MAP_KEYS,
    NO_OVERFLOW,
    Hooks,
    Kind,
    MapKeys,
    PortImage,
    Prefixes,
)
from vifguard.kernel import rcu
from vifguard.kernel.bpf.bpf_syscall import Map
from vifguard.model.address import IPAddress

_TRACKING = "tracking"
_NEW = (2 * 60 + 4) * 60 * 10**9
"""The time a guard is new at a guest that was running before it; ns (RFC 5382, REQ-5)."""
_KEYED_BY_IFINDEX = ("counters", "buckets", "wanted", _TRACKING)


class Ports:
    """All ports of one set of maps."""

    def __init__(self, maps: Mapping[str, Map]) -> None:
        self._maps = maps
        self._table = PortTable(maps)
        keys = [state.keys_of(entry) for _, entry in self._table]
        highest = max((number for each in keys for number in (each.policy, *each.sets)), default=0)
        self._policies = PolicyMaps(maps, highest)
        self._users = Counter(number for each in keys for number in each.sets)
        self._old_policies: set[int] = set()
        self._old_sets: set[int] = set()
        self.allow_less = False
        """Whether some port's groups changed or ended since the flag was reset."""

    def close(self) -> None:
        """Unmap the maps' memory."""
        self._table.close()

    def __contains__(self, ifindex: int) -> bool:
        return self._table.read(ifindex) is not None

    def read(self, ifindex: int, hooks: Hooks) -> PortImage:
        """One port as the kernel has it now, with the hooks that were observed there."""
        entry = self._table.read(ifindex)
        if entry is None:
            return PortImage(b"", NO_OVERFLOW, frozenset(), hooks)
        keys, maps = state.keys_of(entry), self._policies
        public, claimable = (maps.read_set(number) for number in keys.sets)
        bare = state.with_keys(entry, NO_MAP_KEYS)
        extras, tracked = maps.read(keys.policy), self._is_tracked(ifindex)
        return PortImage(bare, extras, public, hooks, claimable, tracked)

    def read_all(self) -> Iterator[tuple[int, PortImage]]:
        """All ports as the kernel has them now, without their hooks."""
        self._policies.scan()
        for ifindex, entry in self._table:
            keys = state.keys_of(entry)
            extras = self._policies.policies.get(keys.policy, NO_OVERFLOW)
            public, claimable = (self._policies.sets.get(each, frozenset()) for each in keys.sets)
            bare = state.with_keys(entry, NO_MAP_KEYS)
            tracked = self._is_tracked(ifindex)
            yield ifindex, PortImage(bare, extras, public, state.NO_HOOKS, claimable, tracked)

    def _is_tracked(self, ifindex: int) -> bool:
        return self._maps[_TRACKING].lookup(state.word(ifindex)) is not None

    def sightings(self, ifindex: int) -> dict[IPAddress, int]:
        """The last time the port sent from each watched address; CLOCK_MONOTONIC, ns, 0: never."""
        return self._used(ifindex, Kind.SHARED)

    def uses(self, ifindex: int) -> dict[IPAddress, int]:
        """The port's last use of each learned address; CLOCK_MONOTONIC in ns, 0: never."""
        return self._used(ifindex, Kind.LEARNED)

    def _used(self, ifindex: int, kind: Kind) -> dict[IPAddress, int]:
        policy, maps = state.keys_of(self._table.read(ifindex)).policy, self._policies
        return {unpack_address(a): maps.seen(policy, a) for a in maps.of_kind(policy, kind)}

    def put(
        self,
        ports: Mapping[int, PortImage],
        failed: list[PortError],
        running: Collection[int] = frozenset(),
    ) -> None:
        """Write all entries aside, then point each port's slot at its own.

        Guests of the interfaces `running` may have connections that are not tracked yet.
        """
        written: list[tuple[int, int]] = []
        for ifindex, port in ports.items():
            with isolated(ifindex, failed):
                self._track(ifindex, is_running=ifindex in running)
                number = self._write(ifindex, port)
                if number:
                    written.append((ifindex, number))
        rcu.publish()
        for ifindex, number in written:
            with isolated(ifindex, failed):
                self._point(ifindex, number)

    def set_new(self, ifindex: int, until: int) -> None:
        """Make the guard new on a port until then (CLOCK_MONOTONIC in ns)."""
        self._maps[_TRACKING].update(state.word(ifindex), state.tracking(until))

    def _track(self, ifindex: int, *, is_running: bool) -> None:
        """Begin to track the connections of a port that is not tracked yet."""
        if not self._is_tracked(ifindex):
            self.set_new(ifindex, time.monotonic_ns() + _NEW if is_running else 0)

    def clear(self, ifindex: int) -> None:
        """Remove the interface's port and its counters."""
        old = self._table.read(ifindex)
        self._table.clear(ifindex)
        self._changed(old, None)
        for name in _KEYED_BY_IFINDEX:
            self._maps[name].delete(state.word(ifindex))

    @property
    def has_old(self) -> bool:
        """Whether there are objects to collect."""
        return bool(self._old_policies or self._old_sets)

    def collect(self) -> None:
        """Remove objects out of use, once no program can be reading them any more."""
        if not self.has_old:
            return
        rcu.grace_period()
        for policy in self._old_policies:
            self._policies.delete(policy)
        for number in self._old_sets:
            if not self._users[number]:
                self._policies.delete_set(number)
        self._old_policies, self._old_sets = set(), set()

    def leftovers(self, present: frozenset[int]) -> frozenset[str]:
        """The objects of no port; `present` are the interfaces whose counters stay."""
        policies, sets = self._unused()
        found = {f"policy {policy}" for policy in policies}
        found |= {f"set {number}" for number in sets}
        return frozenset(found | {f"{name} of {i}" for name, i in self._unkept(present)})

    def sweep(self, present: frozenset[int]) -> None:
        """Remove such leftovers, or leave them to `collect`."""
        policies, sets = self._unused()
        self._old_policies |= policies
        self._old_sets |= sets
        for name, ifindex in list(self._unkept(present)):
            self._maps[name].delete(state.word(ifindex))

    def _write(self, ifindex: int, port: PortImage) -> int:
        """Write a fresh entry for the port; its number, or 0 where the present one is right."""
        old = self._table.read(ifindex)
        keys = state.keys_of(old)
        before = keys.policy
        public = self._set_of(keys.public, port.public)
        claimable = self._set_of(keys.claimable, port.claimable)
        kept = bool(before) and self._policies.read(before) == port.overflow
        policy = before if kept else self._policies.write(port.overflow, before)
        entry = state.with_keys(port.entry, MapKeys(policy, public, claimable))
        if entry == old:
            return 0
        try:
            return self._table.write(entry)
        except OSError:
            if not kept:
                self._policies.delete(policy)
            raise

    def _set_of(self, number: int, prefixes: Prefixes) -> int:
        """The id of a set of these prefixes: the present one, if it has them."""
        if self._policies.read_set(number) == prefixes:
            return number if prefixes else 0
        return self._policies.set_of(prefixes)

    def _point(self, ifindex: int, number: int) -> None:
        old = self._table.read(ifindex)
        try:
            self._table.publish(ifindex, number)
        except OSError:
            self._table.discard(number)
            raise
        self._changed(old, self._table.read(ifindex))

    def _changed(self, old: bytes | None, new: bytes | None) -> None:
        """Note the objects that the old entry was the last to use."""
        before, after = state.keys_of(old), state.keys_of(new)
        if before.policy and before.policy != after.policy:
            self._old_policies.add(before.policy)
            old_groups, new_groups = (
                self._policies.groups(each.policy) for each in (before, after)
            )
            self.allow_less |= bool(old_groups) and old_groups != new_groups
        self._users.update(after.sets)
        self._users.subtract(before.sets)
        self._old_sets |= {each for each in before.sets if each and not self._users[each]}

    def _unused(self) -> tuple[set[int], set[int]]:
        keys = [state.keys_of(entry) for _, entry in self._table]
        return (
            set(self._policies.policies) - {each.policy for each in keys},
            set(self._policies.sets) - {number for each in keys for number in each.sets},
        )

    def _unkept(self, present: frozenset[int]) -> Iterator[tuple[str, int]]:
        for name in _KEYED_BY_IFINDEX:
            for key, _ in self._maps[name].contents():
                ifindex = int.from_bytes(key, "little")
                if ifindex not in present and ifindex not in self:
                    yield name, ifindex


@contextmanager
def isolated(ifindex: int, failed: list[PortError]) -> Iterator[None]:
    """Note one port's failure, so that the next port's turn comes."""
    try:
        yield
    except OSError as error:
        failed.append(PortError(Interface(ifindex), error.strerror or str(error)))
