"""A port's state as bytes, in the layout of maps.h, the same for desired and observed state."""

from __future__ import annotations

import struct
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum, IntFlag, StrEnum

from vifguard.enforce.driver.device import ifindex_of
from vifguard.enforce.driver.protocol import COMMON, Attachment, Loss
from vifguard.enforce.ebpf.maps.digests import Digests
from vifguard.enforce.ebpf.maps.rules import port_groups
from vifguard.model.address import IPAddress, IPNetwork
from vifguard.model.guard import Guard, LinkLocal, Role
from vifguard.model.policy import PortPolicy, Storm

ENTRY = struct.Struct("=IHH8s8s8s32sIIQQ16sQI12x")
_KEYS = struct.Struct("=II")
_KEYS_AT = 64
_CLAIMABLE = struct.Struct("=I")
_CLAIMABLE_AT = 112
_ID_AT = 88
_REVISION_AT = 104
_INLINE = 2
_FOREVER = 1 << 62
_SECOND = 1_000_000_000
_VRRP = b"\x00\x00\x5e\x00"
CODES = {guard: code for code, guard in enumerate(Guard, 1)}
"""`enum guard` of verdict_codes.h."""


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


class Kind(IntEnum):
    """`enum address_kind` of maps.h."""

    OWN = 0
    SHARED = 1
    LEARNED = 2
    TENTATIVE = 3


@dataclass(frozen=True, slots=True)
class PolicyOverflow:
    """The parts of a policy that do not fit into an entry.

    Addresses are `struct address` with their kind, prefixes the number of bits and a
    `struct address`, groups a `struct port_groups` where the guard is on, vrids a
    `struct vrids` where some router id is another's.
    """

    macs: frozenset[bytes] = frozenset()
    addresses: frozenset[tuple[bytes, Kind]] = frozenset()
    prefixes: frozenset[tuple[int, bytes]] = frozenset()
    ethertypes: frozenset[int] = frozenset()
    groups: bytes = b""
    vrids: bytes = b""

    def __bool__(self) -> bool:
        sets = (self.macs, self.addresses, self.prefixes, self.ethertypes)
        return any((*sets, self.groups, self.vrids))


NO_OVERFLOW = PolicyOverflow()
Prefixes = frozenset[tuple[int, bytes]]
Hooks = tuple[str, str]
"""The programs at an interface's ingress and egress; empty where there is none of ours.

STALE or BEHIND stands for one that is there and not in order.
"""
NO_HOOKS: Hooks = ("", "")
STALE, BEHIND = "stale", "behind"
"""A program of another build, or besides another of ours; one behind somebody else's."""


@dataclass(frozen=True, slots=True)
class PortImage:
    """All state of one port: its entry, with blank keys into other maps, and their elements."""

    entry: bytes
    overflow: PolicyOverflow
    public: Prefixes
    hooks: Hooks
    claimable: Prefixes = frozenset()
    tracked: bool = True
    """Whether the port has an element in the map `tracking` of its connections."""

    @property
    def revision(self) -> int:
        """The server's revision of this state."""
        return int.from_bytes(self.entry[_REVISION_AT : _REVISION_AT + 8], "little")

    @property
    def port_id(self) -> str:
        """The id of the port; empty where there is no entry."""
        if not self.entry:
            return ""
        return str(uuid.UUID(bytes=self.entry[_ID_AT : _ID_AT + 16]))


@dataclass(frozen=True, slots=True)
class MapKeys:
    """The keys of an entry into other maps: a policy and sets of prefixes; 0 where it has none."""

    policy: int = 0
    public: int = 0
    claimable: int = 0

    @property
    def sets(self) -> tuple[int, int]:
        """The sets of prefixes."""
        return self.public, self.claimable


NO_MAP_KEYS = MapKeys()


def keys_of(entry: bytes | None) -> MapKeys:
    """The keys in an entry; none in no entry."""
    if not entry:
        return NO_MAP_KEYS
    return MapKeys(
        *_KEYS.unpack_from(entry, _KEYS_AT), *_CLAIMABLE.unpack_from(entry, _CLAIMABLE_AT)
    )


def with_keys(entry: bytes, keys: MapKeys) -> bytes:
    """The entry with these keys in it."""
    changed = bytearray(entry)
    _KEYS.pack_into(changed, _KEYS_AT, keys.policy, keys.public)
    _CLAIMABLE.pack_into(changed, _CLAIMABLE_AT, keys.claimable)
    return bytes(changed)


def word(value: int) -> bytes:
    """A number as the key of a map."""
    return struct.pack("=I", value)


def tracking(new_until: int) -> bytes:
    """Encode the `struct tracking` of a port whose guard is new until then (ns)."""
    return struct.pack("=QQ", new_until, 0)


def pack_address(address: IPAddress) -> bytes:
    """`struct address`."""
    return struct.pack("=I", address.version) + address.packed.ljust(16, b"\0")


def render(
    attachment: Attachment, hooks: Hooks, digests: Digests, *, report_all: bool = False
) -> PortImage:
    """The state that enforces a policy; ValueError names a part that cannot be enforced."""
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
        ifindex_of(attachment.device),
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
        0,
    )
    groups = b""
    if Guard.SECURITY_GROUPS in policy.guards:
        groups = port_groups(digests, policy.security_groups, stateful=policy.stateful)
    extras = PolicyOverflow(
        macs.others,
        addresses.others,
        addresses.prefixes,
        policy.ethertypes,
        groups,
        _vrids(policy),
    )
    if policy.closed or not extras:
        extras = NO_OVERFLOW
    return PortImage(entry, extras, public, hooks, _prefixes(policy.claimable))


def closed(attachment: Attachment, hooks: Hooks) -> PortImage:
    """The state of a port that passes nothing, for a policy that cannot be enforced."""
    try:
        identity = _port_id(attachment.policy.port_id)
    except ValueError:
        identity = bytes(16)
    numbers = (ifindex_of(attachment.device), Flag.IS_CLOSED, 0)
    entry = ENTRY.pack(*numbers, b"", b"", b"", b"", 0, 0, 0, 0, identity, attachment.revision, 0)
    return PortImage(entry, NO_OVERFLOW, frozenset(), hooks)


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
    if policy.link_local in (LinkLocal.EUI64, LinkLocal.LEARNED):
        flags |= Flag.LINK_LOCAL_EUI64
    if policy.link_local is LinkLocal.ANY:
        flags |= Flag.LINK_LOCAL_ANY
    if Guard.IP not in policy.guards:
        flags |= Flag.NOT_PUBLIC if has_public else Flag.ANY_SOURCE
    return flags


def _vrids(policy: PortPolicy) -> bytes:
    """`struct vrids`; empty where no id is another's."""
    both = policy.foreign_vrids4, policy.foreign_vrids6
    if Guard.VRRP not in policy.guards or not any(both):
        return b""
    return b"".join(sum(1 << vrid for vrid in ids).to_bytes(32, "little") for ids in both)


def _storm(storm: Storm) -> tuple[int, int]:
    """The nanoseconds of one frame, and of the burst; rate 0 passes nothing."""
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
        """Put one ordinary MAC, a VRRP one last, into the entry; the rest into the map."""
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
    others: frozenset[tuple[bytes, Kind]]
    prefixes: Prefixes
    flags: Flag

    @classmethod
    def of(cls, policy: PortPolicy) -> _Addresses:
        """Put two single addresses a family into the entry; the rest and watched ones into maps."""
        watched = {address for address in policy.watched if policy.owns(address)}
        single = {n.network_address for n in policy.prefixes if n.prefixlen == n.max_prefixlen}
        wide = [n for n in policy.prefixes if n.prefixlen != n.max_prefixlen]
        order = sorted(single, key=lambda a: (a in watched, a.packed))
        inline = {v: [a for a in order if a.version == v and int(a)][:_INLINE] for v in (4, 6)}
        kinds = dict.fromkeys(single.difference(*inline.values()), Kind.OWN)
        kinds |= dict.fromkeys(watched, Kind.SHARED)
        # An address of the policy's prefixes is the port's anyway; uses of learned ones are noted.
        claimed = dict.fromkeys(policy.tentative, Kind.TENTATIVE)
        claimed |= dict.fromkeys(policy.learned, Kind.LEARNED)
        kinds |= {a: kind for a, kind in claimed.items() if a not in single}
        flags = Flag(0)
        if kinds.keys() - {*inline[4], *inline[6]}:
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
            frozenset((pack_address(a), kind) for a, kind in kinds.items()),
            _prefixes(wide),
            flags,
        )


class LossKind(StrEnum):
    """The kinds of losses of a guard, as they are counted."""

    PROGRAM = "program"
    PLACE = "place"
    ENTRY = "entry"
    EXTRAS = "extras"
    COMMON = COMMON


_LOST_HOOKS = {
    "": (LossKind.PROGRAM, "its program is not at the interface's {}"),
    STALE: (LossKind.PROGRAM, "another build's program stands at the interface's {}"),
    BEHIND: (LossKind.PLACE, "somebody else's program stands before its own at the interface's {}"),
}
_OTHER_HOOK = (LossKind.PROGRAM, "another program stands at the interface's {}")


def loss(enforced: PortImage, observed: PortImage | None) -> Loss | None:
    """The first difference between an enforced guard and the observed one; None for none."""
    observed = observed or PortImage(b"", NO_OVERFLOW, frozenset(), NO_HOOKS)
    for where, desired, stands in zip(
        ("ingress", "egress"), enforced.hooks, observed.hooks, strict=True
    ):
        if stands != desired:
            kind, text = _LOST_HOOKS.get(stands, _OTHER_HOOK)
            return Loss(kind, text.format(where))
    if observed.entry != enforced.entry:
        return Loss(LossKind.ENTRY, "its entry in the table of ports is not what was written")
    if observed != enforced:
        what = "its addresses, prefixes or groups in the maps are not what was written"
        return Loss(LossKind.EXTRAS, what)
    return None
