"""The chains of nftables that filter the members of a set, as they are written and read back.

Numbers on the wire are big-endian, values in registers in host order
(linux/netfilter/nf_tables.h).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

from vifguard.kernel.net import netlink
from vifguard.kernel.net.netlink import attribute, nest, text

SET = "members"
"""The name of the set."""

POLICY = 1
"""The policy of a chain, for a frame that none of its rules decides: accept."""

_DROP, _ACCEPT = 0, 1
_LOCAL_IN, _FORWARD, _INGRESS = 1, 2, 0
_FIRST = -(1 << 31)
_REGISTER = 1
_VERDICT = 0
_STRANGER = 0x76667374
"""The priority of a frame whose sender is none of the set; the kernel's own are below 16."""

Expression = tuple[str, Mapping[int, bytes]]
"""An expression of a rule: its name and its attributes."""


class _Key(IntEnum):
    """The metadata that nftables reads of a packet."""

    PRIORITY = 2
    ENTERED_BY = 4
    LEAVES_BY = 5


@dataclass(frozen=True, slots=True)
class Chain:
    """A base chain as it is written: its name, its hook, and the expressions of each rule."""

    name: str
    rules: Sequence[Sequence[bytes]]
    number: int
    device: str = ""

    @property
    def hook(self) -> Mapping[int, bytes]:
        """The attributes of its hook."""
        where = {1: struct.pack("!I", self.number), 2: struct.pack("!i", _FIRST)}
        return where | ({3: self.device.encode() + b"\0"} if self.device else {})


class FoundChain(NamedTuple):
    """A chain as the kernel returns it: its attributes, and the expressions of each rule."""

    attributes: Mapping[int, bytes]
    rules: Sequence[bytes]


def u32(kind: int, value: int) -> bytes:
    """An attribute of four octets, big-endian."""
    return attribute(kind, struct.pack("!I", value))


def _expression(name: str, *data: bytes) -> bytes:
    return nest(1, text(1, name), nest(2, *data))


def _meta(key: _Key) -> bytes:
    return _expression("meta", u32(1, _REGISTER), u32(2, key))


def _in_set(*, inverted: bool) -> bytes:
    return _expression("lookup", text(1, SET), u32(2, _REGISTER), u32(5, inverted))


def _entered_by_member(*, inverted: bool = False) -> bytes:
    return _meta(_Key.ENTERED_BY) + _in_set(inverted=inverted)


def _leaves_by_member() -> bytes:
    return _meta(_Key.LEAVES_BY) + _in_set(inverted=False)


def _compare(value: int) -> bytes:
    data = nest(3, attribute(1, struct.pack("=I", value)))
    return _expression("cmp", u32(1, _REGISTER), u32(2, 0), data)


def _mark() -> tuple[bytes, bytes]:
    data = nest(2, attribute(1, struct.pack("=I", _STRANGER)))
    return (
        _expression("immediate", u32(1, _REGISTER), data),
        _expression("meta", u32(2, _Key.PRIORITY), u32(3, _REGISTER)),
    )


def _verdict(code: int) -> bytes:
    # The inner ones bear no flag of a nest, as the kernel returns them.
    return _expression("immediate", u32(1, _VERDICT), nest(2, attribute(2, u32(1, code))))


_COUNTER = _expression("counter")


FORWARDING = (
    Chain(
        "forward",
        (
            (_entered_by_member(), _leaves_by_member(), _verdict(_ACCEPT)),
            (_entered_by_member(), _COUNTER, _verdict(_DROP)),
            (_leaves_by_member(), _COUNTER, _verdict(_DROP)),
        ),
        _FORWARD,
    ),
    Chain("input", ((_entered_by_member(inverted=True), *_mark()),), _LOCAL_IN),
)
"""The chains that judge frames between members, and mark those that the host is to receive."""


def receiving(bridge: str) -> Chain:
    """The chain that drops the marked frames that a bridge receives."""
    is_stranger = _meta(_Key.PRIORITY) + _compare(_STRANGER)
    return Chain(bridge, ((is_stranger, _COUNTER, _verdict(_DROP)),), _INGRESS, bridge)


def are_as_written(found: Mapping[str, FoundChain], written: Sequence[Chain]) -> bool:
    """Whether these chains are there and no others, each with its hook, policy and rules."""
    return found.keys() == {chain.name for chain in written} and all(
        _is_as_written(found[chain.name], chain) for chain in written
    )


def _is_as_written(found: FoundChain, written: Chain) -> bool:
    hook = netlink.attributes(found.attributes.get(4, b""))
    policy = int.from_bytes(found.attributes.get(5, b""), "big")
    if not (written.hook.items() <= hook.items() and policy == POLICY):
        return False
    # The kernel may return more than was written: the counts of a counter.
    return len(found.rules) == len(written.rules) and all(
        _holds(_meaning(there), _meaning(b"".join(rule)))
        for there, rule in zip(found.rules, written.rules, strict=True)
    )


def _holds(there: Sequence[Expression], rule: Sequence[Expression]) -> bool:
    pairs = zip(there, rule, strict=False)
    return len(there) == len(rule) and all(
        name == wanted and data.items() <= found.items() for (name, found), (wanted, data) in pairs
    )


def _meaning(expressions: bytes) -> list[Expression]:
    """The name of each expression of a rule, and its attributes."""
    found = (netlink.attributes(each) for each in listed(expressions))
    return [
        (netlink.read_text(each.get(1, b"")), netlink.attributes(each.get(2, b"")))
        for each in found
    ]


def counted(expressions: bytes) -> int:
    """The packets that the counters of a rule have seen."""
    counters = (data for name, data in _meaning(expressions) if name == "counter")
    return sum(int.from_bytes(data.get(2, b""), "big") for data in counters)


def listed(data: bytes) -> Iterator[bytes]:
    """The members of a nested list, all of which are of one kind."""
    at = 0
    while at + 4 <= len(data):
        length, _ = struct.unpack_from("=HH", data, at)
        if length < 4:
            return
        yield data[at + 4 : at + length]
        at += (length + 3) & ~3
