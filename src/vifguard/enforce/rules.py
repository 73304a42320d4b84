"""What groups and sets mean, as the elements of the kernel's maps. rules.h says how they are read.

Everything is named by digests of ids, so that the same groups give the same bytes, whoever
writes them; an id of the owner's choosing never stands in the kernel.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from ipaddress import IPv4Network, IPv6Network
from types import MappingProxyType

from vifguard.model.address import IPNetwork
from vifguard.model.security_group import ICMP_OF, Rule
from vifguard.model.verdict import Direction

GROUPS_A_PORT = 16
SETS_A_SCOPE = 32
QUESTIONS = 64

OF_RULES = ("allowed", "remotes", "remote_sets")
OF_SETS = ("members", "member_prefixes")
"""The maps that hold what groups say, and those that hold who is in a set."""

Element = tuple[str, bytes]
"""A map, and a key in it."""
Elements = dict[Element, bytes]

_PRESENT = b"\x01"
_ANYWHERE: Mapping[int, IPNetwork] = MappingProxyType(
    {4: IPv4Network("0.0.0.0/0"), 6: IPv6Network("::/0")}
)
_SCOPE_BITS, _PROTOCOL_BITS = 64, 8
_REMOTE = struct.Struct("=QI4x")
_ALLOWED = struct.Struct("=IQB2sx")
_PORT_GROUPS = struct.Struct(f"=II{GROUPS_A_PORT}Q")
_SCOPE_SETS = struct.Struct(f"=II{2 * SETS_A_SCOPE}Q")
_PORT_BITS = 16


def port_groups(groups: Iterable[str], *, stateful: bool) -> bytes:
    """`struct port_groups`; ValueError where there are more than it takes."""
    digests = sorted(_group(group) for group in groups)
    if len(digests) > GROUPS_A_PORT:
        raise ValueError(f"{len(digests)} security groups at a port; {GROUPS_A_PORT} can be held")
    room = [0] * (GROUPS_A_PORT - len(digests))
    return _PORT_GROUPS.pack(len(digests), stateful, *digests, *room)


@dataclass(frozen=True, slots=True)
class Parts:
    """What one rule of a group needs in the maps; other rules may need some of it too.

    `elements` with their values; `named`: the scope, and the set with its class, of a rule
    whose remote is a set; `length`: the scope, and the bits of the prefix, of any other.
    """

    elements: tuple[tuple[Element, bytes], ...]
    named: tuple[int, tuple[int, int]] | None
    length: tuple[int, int] | None


def parts_of(group: str, rule: Rule) -> Parts:
    """What a rule needs."""
    scope = _scope(group, rule)
    class_ = _class(scope, rule.remote)
    allowed = tuple((("allowed", key), _PRESENT) for key in _allowed(class_, rule))
    if isinstance(rule.remote, str):
        return Parts(allowed, (scope, (_set(rule.remote, rule.version), class_)), None)
    prefix = rule.remote or _ANYWHERE[rule.version]
    remote = ("remotes", _lpm(scope, prefix)), _REMOTE.pack(class_, prefix.prefixlen)
    return Parts((*allowed, remote), None, (scope, prefix.prefixlen))


def sets_of_scope(scope: int, named: Iterable[tuple[int, int]]) -> tuple[Element, bytes]:
    """The element that holds the sets of a scope with their classes; at most SETS_A_SCOPE."""
    flat = [number for pair in sorted(named) for number in pair]
    value = _SCOPE_SETS.pack(len(flat) // 2, 0, *flat, *[0] * (2 * SETS_A_SCOPE - len(flat)))
    return ("remote_sets", struct.pack("=Q", scope)), value


def members_of(set_id: str, prefixes: Iterable[IPNetwork]) -> Iterator[Element]:
    """The elements that hold the prefixes of a set; a single address is found without a walk."""
    digests = {version: _set(set_id, version) for version in (4, 6)}
    for prefix in prefixes:
        digest = digests[prefix.version]
        if prefix.prefixlen == prefix.max_prefixlen:
            yield "members", struct.pack("=Q", digest) + _padded(prefix)
        else:
            yield "member_prefixes", _lpm(digest, prefix)


def is_of_set(element: Element, set_id: str) -> bool:
    """Whether an element of `members_of` is this set's."""
    name, key = element
    digest: int
    (digest,) = struct.unpack_from("=Q", key, 4 if name == "member_prefixes" else 0)
    return digest & ~1 == _set(set_id, 4)


def _digest(*parts: bytes) -> int:
    hashed = blake2b(digest_size=8, person=b"vifguard")
    for part in parts:
        hashed.update(len(part).to_bytes(4, "little") + part)
    return int.from_bytes(hashed.digest(), "little")


def _group(group: str) -> int:
    return _digest(b"group", group.encode()) & ~3


def _set(set_id: str, version: int) -> int:
    return _digest(b"set", set_id.encode()) & ~1 | (version == 6)


def _scope(group: str, rule: Rule) -> int:
    is_to_guest, is_ipv6 = rule.direction is Direction.TO_GUEST, rule.version == 6
    return _group(group) | is_to_guest << 1 | is_ipv6


def _class(scope: int, remote: IPNetwork | str | None) -> int:
    named = str(remote).encode() if isinstance(remote, str) else b""
    if remote is not None and not isinstance(remote, str) and remote.prefixlen:
        return _digest(
            b"prefix",
            scope.to_bytes(8, "little"),
            bytes((remote.prefixlen,)) + remote.network_address.packed,
        )
    return _digest(b"set" if named else b"any", scope.to_bytes(8, "little"), named)


def _allowed(class_: int, rule: Rule) -> Iterator[bytes]:
    protocol, length = rule.protocol or 0, _SCOPE_BITS
    if rule.protocol is not None:
        length += _PROTOCOL_BITS
    if rule.ports is not None:
        for bits, port in _cut(rule.ports.low, rule.ports.high):
            yield _ALLOWED.pack(length + bits, class_, protocol, port.to_bytes(2, "big"))
    elif rule.icmp is not None:
        code = rule.icmp.code
        bits = 8 if code is None else 16
        field = bytes((rule.icmp.kind, code or 0))
        yield _ALLOWED.pack(length + bits, class_, ICMP_OF[rule.version], field)
    else:
        yield _ALLOWED.pack(length, class_, protocol, b"")


def _cut(low: int, high: int) -> Iterator[tuple[int, int]]:
    """A range of ports as prefixes: the number of bits, and the first port of each."""
    while low <= high:
        size = min(low & -low or 1 << _PORT_BITS, 1 << (high - low + 1).bit_length() - 1)
        yield _PORT_BITS - size.bit_length() + 1, low
        low += size


def _lpm(digest: int, prefix: IPNetwork) -> bytes:
    return struct.pack("=IQ", _SCOPE_BITS + prefix.prefixlen, digest) + _padded(prefix)


def _padded(prefix: IPNetwork) -> bytes:
    return prefix.network_address.packed.ljust(16, b"\0")
