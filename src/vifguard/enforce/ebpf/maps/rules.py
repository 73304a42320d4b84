"""Groups and sets as elements of the kernel's maps, which rules.h reads.

Everything is named by the host's digests, so that the same groups give the same bytes at any
time.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from types import MappingProxyType

from vifguard.enforce.ebpf.maps.digests import Digests
from vifguard.model.address import IPNetwork
from vifguard.model.security_group import ICMP_OF, Rule

GROUPS_A_PORT = 16
SETS_A_SCOPE = 32
MAX_LOOKUPS = 64

OF_RULES = ("allowed", "remotes", "remote_sets")
OF_SETS = ("members", "member_prefixes")
"""The maps of the groups' rules, and those of the sets' members."""

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


def port_groups(digests: Digests, groups: Iterable[str], *, stateful: bool) -> bytes:
    """Encode a `struct port_groups`; ValueError for more groups than it has room for."""
    named = sorted(digests.group(group) for group in groups)
    if len(named) > GROUPS_A_PORT:
        raise ValueError(f"the port has {len(named)} security groups; the most are {GROUPS_A_PORT}")
    room = [0] * (GROUPS_A_PORT - len(named))
    return _PORT_GROUPS.pack(len(named), stateful, *named, *room)


@dataclass(frozen=True, slots=True)
class RuleElements:
    """The elements that one rule of a group needs in the maps; other rules may share some.

    `elements` with their values; `named`: the scope, and the set with its class, of a rule
    whose remote is a set; `length`: the scope, and the bits of the prefix, of any other.
    """

    elements: tuple[tuple[Element, bytes], ...]
    named: tuple[int, tuple[int, int]] | None
    length: tuple[int, int] | None


def elements_of_rule(digests: Digests, group: str, rule: Rule) -> RuleElements:
    """The elements of a rule."""
    scope = digests.scope(group, rule)
    class_ = digests.remote_class(scope, rule.remote)
    allowed = tuple((("allowed", key), _PRESENT) for key in _allowed(class_, rule))
    if isinstance(rule.remote, str):
        addresses = digests.addresses(rule.remote, rule.version)
        return RuleElements(allowed, (scope, (addresses, class_)), None)
    prefix = rule.remote or _ANYWHERE[rule.version]
    remote = ("remotes", _lpm(scope, prefix)), _REMOTE.pack(class_, prefix.prefixlen)
    return RuleElements((*allowed, remote), None, (scope, prefix.prefixlen))


def sets_of_scope(scope: int, named: Iterable[tuple[int, int]]) -> tuple[Element, bytes]:
    """The element that holds the sets of a scope with their classes; at most SETS_A_SCOPE."""
    flat = [number for pair in sorted(named) for number in pair]
    value = _SCOPE_SETS.pack(len(flat) // 2, 0, *flat, *[0] * (2 * SETS_A_SCOPE - len(flat)))
    return ("remote_sets", struct.pack("=Q", scope)), value


def members_of(digests: Digests, set_id: str, prefixes: Iterable[IPNetwork]) -> Iterator[Element]:
    """The elements of a set's prefixes; single addresses are in a map of their own, a hash."""
    named = {version: digests.addresses(set_id, version) for version in (4, 6)}
    for prefix in prefixes:
        digest = named[prefix.version]
        if prefix.prefixlen == prefix.max_prefixlen:
            yield "members", struct.pack("=Q", digest) + _padded(prefix)
        else:
            yield "member_prefixes", _lpm(digest, prefix)


def is_of_set(digests: Digests, element: Element, set_id: str) -> bool:
    """Whether an element of `members_of` is this set's."""
    name, key = element
    digest: int
    (digest,) = struct.unpack_from("=Q", key, 4 if name == "member_prefixes" else 0)
    return digest & ~1 == digests.addresses(set_id, 4)


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
