"""The overflow of a port's entry, in maps keyed by a policy id that never changes."""

from __future__ import annotations

import struct
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from vifguard.enforce.ebpf.state import NO_OVERFLOW, Kind, PolicyOverflow, Prefixes
from vifguard.kernel.bpf.bpf_syscall import Map

_ADDRESS_STATE = struct.Struct("=QQI4x")
_PRESENT = b"\x01"
_LPM_BITS = 64


@dataclass(slots=True)
class _Scanned:
    """The overflow of a policy, while it is gathered from the maps."""

    macs: set[bytes] = field(default_factory=set)
    addresses: set[tuple[bytes, Kind]] = field(default_factory=set)
    prefixes: set[tuple[int, bytes]] = field(default_factory=set)
    ethertypes: set[int] = field(default_factory=set)
    groups: bytes = b""
    vrids: bytes = b""

    def overflow(self) -> PolicyOverflow:
        return PolicyOverflow(
            frozenset(self.macs),
            frozenset(self.addresses),
            frozenset(self.prefixes),
            frozenset(self.ethertypes),
            self.groups,
            self.vrids,
        )


class PolicyMaps:
    """The overflow of policies and the sets of prefixes, by their ids."""

    def __init__(self, maps: Mapping[str, Map], last: int) -> None:
        """`last`: new ids are higher than this, and than any that is found."""
        self._macs, self._addresses = maps["macs"], maps["addresses"]
        self._prefixes, self._ethertypes = maps["prefixes"], maps["ethertypes"]
        self._sets, self._groups = maps["prefix_sets"], maps["port_groups"]
        self._vrids = maps["vrids"]
        self.policies: dict[int, PolicyOverflow] = {}
        self.sets: dict[int, Prefixes] = {}
        self.scan()
        self._last = max((last, *self.policies, *self.sets))

    def scan(self) -> None:
        """Read everything back."""
        found: dict[int, _Scanned] = defaultdict(_Scanned)
        for key, _ in self._macs.contents():
            found[_number(key[:4])].macs.add(key[4:10])
        for key, value in self._addresses.contents():
            found[_number(key[:4])].addresses.add((key[4:], _kind(value)))
        for key, _ in self._prefixes.contents():
            found[_number(key[4:8])].prefixes.add((_number(key[:4]) - _LPM_BITS, key[8:]))
        for key, _ in self._ethertypes.contents():
            found[_number(key[:4])].ethertypes.add(_number(key[4:]))
        for key, value in self._groups.contents():
            found[_number(key)].groups = value
        for key, value in self._vrids.contents():
            found[_number(key)].vrids = value
        self.policies = {policy: each.overflow() for policy, each in found.items()}
        sets: dict[int, set[tuple[int, bytes]]] = {}
        for key, _ in self._sets.contents():
            sets.setdefault(_number(key[4:8]), set()).add((_number(key[:4]) - _LPM_BITS, key[8:]))
        self.sets = {number: frozenset(content) for number, content in sets.items()}

    def read(self, policy: int) -> PolicyOverflow:
        """The overflow of one policy as the kernel has it now."""
        known = self.policies.get(policy, NO_OVERFLOW)
        if not known:
            return NO_OVERFLOW
        addresses = ((a, self._addresses.lookup(_key(policy, a))) for a, _ in known.addresses)
        return PolicyOverflow(
            frozenset(m for m in known.macs if self._macs.lookup(_mac_key(policy, m))),
            frozenset((a, _kind(v)) for a, v in addresses if v),
            frozenset(p for p in known.prefixes if self._prefixes.lookup(_prefix_key(policy, p))),
            frozenset(
                t for t in known.ethertypes if self._ethertypes.lookup(_ethertype_key(policy, t))
            ),
            (known.groups and self._groups.lookup(_key(policy))) or b"",
            (known.vrids and self._vrids.lookup(_key(policy))) or b"",
        )

    def groups(self, policy: int) -> bytes:
        """The groups of a policy, as they were written."""
        return self.policies.get(policy, NO_OVERFLOW).groups

    def of_kind(self, policy: int, kind: Kind) -> frozenset[bytes]:
        """The addresses of one kind that a policy has."""
        known = self.policies.get(policy, NO_OVERFLOW)
        return frozenset(address for address, each in known.addresses if each is kind)

    def seen(self, policy: int, address: bytes) -> int:
        """The port's last use of an address; CLOCK_MONOTONIC in ns, 0 for never or not noted."""
        value = self._addresses.lookup(_key(policy, address))
        return int(_ADDRESS_STATE.unpack(value)[0]) if value else 0

    def write(self, extras: PolicyOverflow, before: int) -> int:
        """Write an overflow under a new id; the last uses of policy `before` are carried over.

        Raises OSError and leaves nothing where a map is full.
        """
        if not extras:
            return 0
        self._last += 1
        policy = self._last
        self.policies[policy] = extras
        try:
            self._macs.update_many([(_mac_key(policy, m), _PRESENT) for m in extras.macs])
            self._addresses.update_many(
                [
                    (
                        _key(policy, a),
                        _ADDRESS_STATE.pack(self._used_before(before, a, kind), 0, kind),
                    )
                    for a, kind in extras.addresses
                ]
            )
            self._prefixes.update_many(
                [(_prefix_key(policy, p), _PRESENT) for p in extras.prefixes]
            )
            self._ethertypes.update_many(
                [(_ethertype_key(policy, t), _PRESENT) for t in extras.ethertypes]
            )
            if extras.groups:
                self._groups.update(_key(policy), extras.groups)
            if extras.vrids:
                self._vrids.update(_key(policy), extras.vrids)
        except OSError:
            self.delete(policy)
            raise
        return policy

    def _used_before(self, before: int, address: bytes, kind: Kind) -> int:
        """The last use of an address; a learned one counts as used when it is added."""
        used = self.seen(before, address) if before else 0
        return used or (time.monotonic_ns() if kind is Kind.LEARNED else 0)

    def delete(self, policy: int) -> None:
        """Remove the overflow of a policy that no entry names any more."""
        extras = self.policies.pop(policy, NO_OVERFLOW)
        self._macs.delete_many(_mac_key(policy, m) for m in extras.macs)
        self._addresses.delete_many(_key(policy, a) for a, _ in extras.addresses)
        self._prefixes.delete_many(_prefix_key(policy, p) for p in extras.prefixes)
        self._ethertypes.delete_many(_ethertype_key(policy, t) for t in extras.ethertypes)
        if extras.groups:
            self._groups.delete(_key(policy))
        if extras.vrids:
            self._vrids.delete(_key(policy))

    def set_of(self, prefixes: Prefixes) -> int:
        """The id of a set of prefixes, which is written if it does not exist yet."""
        if not prefixes:
            return 0
        for number, content in self.sets.items():
            if content == prefixes:
                return number
        self._last += 1
        number = self._last
        self.sets[number] = prefixes
        try:
            self._sets.update_many([(_prefix_key(number, p), _PRESENT) for p in prefixes])
        except OSError:
            self.delete_set(number)
            raise
        return number

    def read_set(self, number: int) -> Prefixes:
        """A set of prefixes as the kernel has it now."""
        if number not in self.sets:
            return frozenset()
        known = self.sets[number]
        there = frozenset(p for p in known if self._sets.lookup(_prefix_key(number, p)))
        if there != known:  # no new entry may share a set that somebody else has changed
            self.sets[number] = there
        return there

    def delete_set(self, number: int) -> None:
        """Remove a set that no entry names any more."""
        prefixes = self.sets.pop(number, frozenset())
        self._sets.delete_many(_prefix_key(number, p) for p in prefixes)


def _kind(value: bytes) -> Kind:
    return Kind(_ADDRESS_STATE.unpack(value)[2])


def _number(data: bytes) -> int:
    return int.from_bytes(data, "little")


def _key(policy: int, rest: bytes = b"") -> bytes:
    return struct.pack("=I", policy) + rest


def _mac_key(policy: int, mac: bytes) -> bytes:
    return _key(policy, mac + bytes(2))


def _prefix_key(policy: int, prefix: tuple[int, bytes]) -> bytes:
    length, address = prefix
    return struct.pack("=II", _LPM_BITS + length, policy) + address


def _ethertype_key(policy: int, ethertype: int) -> bytes:
    return struct.pack("=II", policy, ethertype)
