"""The records that the programs write into the ring buffers, as maps.h lays them out."""

from __future__ import annotations

import struct
import uuid
from collections.abc import Iterator
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address

from vifguard.enforce.driver.device import Interface
from vifguard.enforce.driver.events import Claimed, ClaimKind, Dropped, DropTotal
from vifguard.enforce.ebpf.state import CODES
from vifguard.model.address import IPAddress, Mac
from vifguard.model.guard import Guard
from vifguard.model.verdict import Direction, Reason

_DROP = struct.Struct("=QII16sBBBBHH128s")
_CLAIM = struct.Struct("=QQI16s20s6sH")
_FRAMES = struct.Struct("=32Q")
_CLAIMS = (ClaimKind.HOLDS, ClaimKind.WANTS, ClaimKind.DEFENDED)
_DIRECTIONS = (Direction.FROM_GUEST, Direction.TO_GUEST)
_REASONS = {int(reason): reason for reason in Reason}
_GUARDS: dict[int, Guard] = {code: guard for guard, code in CODES.items()}


def dropped(record: bytes) -> Dropped:
    """Decode a `struct drop_record`."""
    (at, ifindex, length, identity, direction, guard, reason, captured, kind, tag, head) = (
        _DROP.unpack_from(record)
    )
    head = head[:captured]
    if kind:  # the kernel keeps an outer tag beside the frame: put it back where it was
        head = head[:12] + struct.pack("!HH", kind, tag) + head[12:]
        length += 4
    return Dropped(
        Interface(ifindex),
        _port_id(identity),
        at,
        _DIRECTIONS[direction],
        _GUARDS.get(guard),
        _REASONS[reason],
        length,
        head,
    )


def claimed(record: bytes) -> Claimed:
    """Decode a `struct claim_record`."""
    at, before, ifindex, identity, address, mac, kind = _CLAIM.unpack_from(record)
    return Claimed(
        Interface(ifindex),
        _port_id(identity),
        at,
        unpack_address(address),
        Mac(mac),
        before,
        _CLAIMS[kind],
    )


def counted(ifindex: int, value: bytes) -> Iterator[DropTotal]:
    """The totals of a `struct counts` that are not zero."""
    frames = _FRAMES.unpack_from(value)
    for place, direction in enumerate(_DIRECTIONS):
        for code, number in enumerate(frames[place * 16 : place * 16 + 16]):
            if number:
                yield DropTotal(Interface(ifindex), direction, _GUARDS.get(code), number)


def unpack_address(data: bytes) -> IPAddress:
    """Decode a `struct address`."""
    if data[0] == 4:
        return IPv4Address(data[4:8])
    return IPv6Address(data[4:20])


@lru_cache(maxsize=1024)
def _port_id(identity: bytes) -> str:
    return str(uuid.UUID(bytes=identity)) if any(identity) else ""
