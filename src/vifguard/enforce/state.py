"""A port's state as bytes, the same whether wanted or read back. maps.h says what they mean."""

from __future__ import annotations

import struct
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import IntFlag

from vifguard.enforce.driver import Attachment
from vifguard.enforce.rules import port_groups
from vifguard.model.address import IPAddress, IPNetwork
from vifguard.model.guard import Guard, LinkLocal, Role
from vifguard.model.policy import PortPolicy, Storm

ENTRY = struct.Struct("=IHH8s8s8s32sIIQQ16sQ16x")
_KEYS = struct.Struct("=II")
_KEYS_AT = 64
_ID_AT = 88
_REVISION_AT = 104
_INLINE = 2
_FOREVER = 1 << 62
_SECOND = 1_000_000_000
_VRRP = b"\x00\x00\x5e\x00"
CODES = {guard: code for code, guard in enumerate(Guard, 1)}
"""`enum guard` of codes.h."""


class Flag(IntFlag):
    """`enum port_flag` of maps.h."""

    FAST = 1 << 0
    IS_CLOSED = 1 << 1
    HAS_MAC = 1 << 2
    MORE_MACS = 1 << 3
    MORE_ADDRESSES = 1 << 4
    HAS_PREFIXES = 1 << 5
    MORE_ETHERTYPES = 1 << 6
    ANY_SOURCE = 1 << 7
    NOT_PUBLIC = 1 << 8
    LINK_LOCAL_EUI64 = 1 << 9
    LINK_LOCAL_ANY = 1 << 10
    DHCP_SERVER = 1 << 11
    ROUTER = 1 << 12
    WATCHED = 1 << 13
    WATCHED_INLINE = 1 << 14
    REPORT_ALL = 1 << 15


@dataclass(frozen=True, slots=True)
class Extras:
    """What of a policy does not fit into an entry.

    `addresses` -> whether watched; addresses are `struct address`, prefixes the number of
    bits and a `struct address`, groups a `struct port_groups` where the guard is on.
    """

    macs: frozenset[bytes] = frozenset()
    addresses: frozenset[tuple[bytes, bool]] = frozenset()
    prefixes: frozenset[tuple[int, bytes]] = frozenset()
    ethertypes: frozenset[int] = frozenset()
    groups: bytes = b""

    def __bool__(self) -> bool:
        return any((self.macs, self.addresses, self.prefixes, self.ethertypes, self.groups))


NO_EXTRAS = Extras()
Prefixes = frozenset[tuple[int, bytes]]
Hooks = tuple[str, str]
"""The programs at an interface's ingress and egress; empty where none of ours stands."""
NO_HOOKS: Hooks = ("", "")


@dataclass(frozen=True, slots=True)
class PortState:
    """All of one port: its entry with the keys into other maps blank, and what they lead to."""

    entry: bytes
    extras: Extras
    public: Prefixes
    hooks: Hooks

    @property
    def revision(self) -> int:
        """The server's revision that this state is of."""
        return int.from_bytes(self.entry[_REVISION_AT : _REVISION_AT + 8], "little")


def keys_of(entry: bytes) -> tuple[int, int]:
    """The policy id and the public set's id in an entry; 0 where it has none."""
    policy, public = _KEYS.unpack_from(entry, _KEYS_AT)
    return policy, public


def with_keys(entry: bytes, policy: int, public: int) -> bytes:
    """The entry with these keys in it."""
    return entry[:_KEYS_AT] + _KEYS.pack(policy, public) + entry[_KEYS_AT + _KEYS.size :]


def word(value: int) -> bytes:
    """A number as the key of a map."""
    return struct.pack("=I", value)


def pack_address(address: IPAddress) -> bytes:
    """`struct address`."""
    return struct.pack("=I", address.version) + address.packed.ljust(16, b"\0")


def render(attachment: Attachment, hooks: Hooks, *, report_all: bool = False) -> PortState:
    """The state that holds a policy; ValueError says what of it cannot be held."""
    policy = attachment.policy
    addresses = _Addresses.of(policy)
    macs = _Macs.of(policy)
    public = _prefixes(policy.public) if Guard.PUBLIC_IP in policy.guards else frozenset()
    flags = macs.flags | addresses.flags | _flags(policy, has_public=bool(public))
    if policy.closed:
        flags = Flag.IS_CLOSED
    elif flags & Flag.HAS_MAC:
        flags |= Flag.FAST
    if report_all:
        flags |= Flag.REPORT_ALL
    interval, limit = _storm(policy.storm)
    entry = ENTRY.pack(
        attachment.ifindex,
        flags,
        sum(1 << CODES[guard] for guard in policy.guards),
        macs.primary + b"\x08\x00",
        macs.primary + b"\x86\xdd",
        addresses.inline4,
        addresses.inline6,
        0,
        0,
        interval,
        limit,
        _port_id(policy.port_id),
        attachment.revision,
    )
    groups = b""
    if Guard.GROUPS in policy.guards:
        groups = port_groups(policy.security_groups, stateful=policy.stateful)
    extras = Extras(macs.others, addresses.others, addresses.prefixes, policy.ethertypes, groups)
    if policy.closed or not extras:
        extras = NO_EXTRAS
    return PortState(entry, extras, public, hooks)


def closed(attachment: Attachment, hooks: Hooks) -> PortState:
    """The state of a port that passes nothing, for a policy that cannot be held."""
    try:
        identity = _port_id(attachment.policy.port_id)
    except ValueError:
        identity = bytes(16)
    numbers = (attachment.ifindex, Flag.IS_CLOSED, 0)
    entry = ENTRY.pack(*numbers, b"", b"", b"", b"", 0, 0, 0, 0, identity, attachment.revision)
    return PortState(entry, NO_EXTRAS, frozenset(), hooks)


def _port_id(text: str) -> bytes:
    try:
        return uuid.UUID(text).bytes
    except ValueError:
        raise ValueError(f"port id {text!r} is not a UUID") from None


def _flags(policy: PortPolicy, *, has_public: bool) -> Flag:
    flags = Flag(0)
    if policy.ethertypes:
        flags |= Flag.MORE_ETHERTYPES
    if Role.DHCP_SERVER in policy.roles:
        flags |= Flag.DHCP_SERVER
    if Role.ROUTER_ADVERTISER in policy.roles:
        flags |= Flag.ROUTER
    if policy.link_local is LinkLocal.EUI64:
        flags |= Flag.LINK_LOCAL_EUI64
    if policy.link_local is LinkLocal.ANY:
        flags |= Flag.LINK_LOCAL_ANY
    if Guard.IP not in policy.guards:
        flags |= Flag.NOT_PUBLIC if has_public else Flag.ANY_SOURCE
    return flags


def _storm(storm: Storm) -> tuple[int, int]:
    """The ns of a frame, and the ns that the burst is worth; rate 0 passes nothing."""
    if storm.rate <= 0:
        return 1, 0
    interval = _SECOND // storm.rate
    return interval, min(storm.burst * interval, _FOREVER)


def _prefixes(networks: Iterable[IPNetwork]) -> Prefixes:
    return frozenset((n.prefixlen, pack_address(n.network_address)) for n in networks)


@dataclass(frozen=True, slots=True)
class _Macs:
    primary: bytes
    others: frozenset[bytes]
    flags: Flag

    @classmethod
    def of(cls, policy: PortPolicy) -> _Macs:
        """One ordinary MAC into the entry, a VRRP one last; the rest into the map."""
        ordinary = sorted(
            (mac.octets for mac in policy.macs if not (mac.is_group or mac.is_zero)),
            key=lambda octets: (octets.startswith(_VRRP), octets),
        )
        primary = ordinary[0] if ordinary else bytes(6)
        others = frozenset(m.octets for m in policy.macs if not ordinary or m.octets != primary)
        flags = Flag.HAS_MAC if ordinary else Flag(0)
        return cls(primary, others, flags | Flag.MORE_MACS if others else flags)


@dataclass(frozen=True, slots=True)
class _Addresses:
    inline4: bytes
    inline6: bytes
    others: frozenset[tuple[bytes, bool]]
    prefixes: Prefixes
    flags: Flag

    @classmethod
    def of(cls, policy: PortPolicy) -> _Addresses:
        """Two single addresses a family into the entry, the rest and the watched elsewhere."""
        watched = {address for address in policy.watched if policy.owns(address)}
        single = {n.network_address for n in policy.prefixes if n.prefixlen == n.max_prefixlen}
        wide = [n for n in policy.prefixes if n.prefixlen != n.max_prefixlen]
        order = sorted(single, key=lambda a: (a in watched, a.packed))
        inline = {v: [a for a in order if a.version == v and int(a)][:_INLINE] for v in (4, 6)}
        outside = single.difference(*inline.values())
        flags = Flag(0)
        if outside:
            flags |= Flag.MORE_ADDRESSES
        if wide:
            flags |= Flag.HAS_PREFIXES
        if watched:
            flags |= Flag.WATCHED
        if watched.intersection(*[set(inline[4]) | set(inline[6])]):
            flags |= Flag.WATCHED_INLINE
        return cls(
            b"".join(a.packed for a in inline[4]),
            b"".join(a.packed for a in inline[6]),
            frozenset((pack_address(a), a in watched) for a in outside | watched),
            _prefixes(wide),
            flags,
        )


@dataclass(frozen=True, slots=True)
class Wanted:
    """The states of the ports; `refused` says which policy cannot be held, and why."""

    ports: Mapping[int, PortState]
    refused: Mapping[int, str]


@dataclass(frozen=True, slots=True)
class Seen:
    """The states read back; `litter` names what belongs to no port (complete look only)."""

    ports: Mapping[int, PortState]
    litter: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Change:
    """The ports to set, the interfaces to let go, and whether to sweep up.

    `hooks` are the programs that were seen at the ports to set.
    """

    ports: Mapping[int, PortState]
    hooks: Mapping[int, Hooks]
    removed: frozenset[int] = frozenset()
    sweep: bool = False


def difference(wanted: Wanted, seen: Seen) -> Change | None:
    """What turns `seen` into `wanted`; None for nothing."""
    ports = {i: state for i, state in wanted.ports.items() if seen.ports.get(i) != state}
    removed = frozenset(seen.ports) - frozenset(wanted.ports)
    if not (ports or removed or seen.litter):
        return None
    hooks = {i: seen.ports[i].hooks for i in ports if i in seen.ports}
    return Change(ports, hooks, removed, bool(seen.litter))
