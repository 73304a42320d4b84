"""Offloads left to a frame of the search: mostly none, else near the place where they belong."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from vifguard.packet.frame import Frame, parse
from vifguard.packet.ip4 import IPv4
from vifguard.packet.ip6 import IPv6
from vifguard.packet.offload import NO_OFFLOAD, Offload, PartialChecksum

T = TypeVar("T")
_COMPLETE = 0.75
_BESIDE = (0, 0, 0, 0, 0, 1, -1, 2, -2, 4, 8, -20)
_OFFSETS = (16, 6, 8, 16, 6, 8, 0, 2, 4, 5, 7, 10, 18, 0xFFFF)
_STARTS = (0, 14, 17, 18, 20, 34, 54, 62, 0xFFFF)
_SIZES = (0, 0, 0, 1, 1448, 0xFFFF)


def drawn(draw: Callable[[], float], frame: bytes) -> Frame:
    """The frame, parsed, with something left to be done; `draw` gives numbers from 0 to 1."""
    parsed = parse(frame)
    if draw() < _COMPLETE:
        return parsed
    body = parsed.body
    if isinstance(body, IPv4 | IPv6) and draw() < 0.8:
        start = 14 + body.header_length + _of(draw, _BESIDE)
    else:
        start = _of(draw, _STARTS)
    checksum = PartialChecksum(start, _of(draw, _OFFSETS), crc=draw() < 0.1)
    left = Offload(checksum if draw() < 0.9 else None, _of(draw, _SIZES))
    return parse(frame, offload=left) if left != NO_OFFLOAD else parsed


def _of(draw: Callable[[], float], values: Sequence[T]) -> T:
    return values[int(draw() * len(values))]
