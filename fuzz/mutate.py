"""Changing a frame where it matters: its fields, its headers, its lengths, its end."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from fuzz.layout import EXTENSIONS, Layout, layout
from fuzz.ports import LONGEST

_OPTIONS = (
    "010102000000000a 010102000000000b 020102000000000b 0e01000000000000 0000000000000000 "
    "0e00 0101 ff 00 5200 3501 830304"
)
_PIECES = tuple(map(bytes.fromhex, _OPTIONS.split()))


class Seed:
    """A frame to change; where its fields are is found out once, when it is first used."""

    __slots__ = ("_layout", "frame")

    def __init__(self, frame: bytes) -> None:
        self.frame = frame
        self._layout: Layout | None = None

    @property
    def layout(self) -> Layout:
        """The layout of its fields."""
        if self._layout is None:
            self._layout = layout(self.frame)
        return self._layout


class Mutator:
    """Makes frames from seeds; the same `random` makes the same frames."""

    def __init__(self, random: Random) -> None:
        self._draw = random.random
        self._random = random
        self._ways: tuple[Callable[[bytes, Layout, Seed], bytes], ...] = (
            self._cut,
            self._pad,
            self._flip,
            self._overwrite,
            self._with_extension,
            self._with_options,
            self._with_piece,
            self._without_piece,
            self._tagged,
            self._spliced,
        )

    def mutate(self, seed: Seed, other: Seed) -> bytes:
        """The seed's frame with some fields changed, or its structure; `other` lends parts."""
        draw, found = self._draw, seed.layout
        frame = bytearray(seed.frame)
        fields = found.fields
        if fields:
            for _ in range(int(draw() * 3.5)):
                at, end, values = fields[int(draw() * len(fields))]
                frame[at:end] = values[int(draw() * len(values))]
        if draw() < 0.45 or not fields:
            way = self._ways[int(draw() * len(self._ways))]
            return way(bytes(frame), found, other)[:LONGEST]
        return bytes(frame)

    def _below(self, end: int) -> int:
        return int(self._draw() * end)

    def _edge(self, found: Layout) -> int:
        return found.edges[self._below(len(found.edges))]

    def _cut(self, frame: bytes, found: Layout, _other: Seed) -> bytes:
        """Cut at a border between headers, or near it; half of them with right lengths."""
        cut = frame[: max(14, self._edge(found) + (0, 0, -1, 1, 2)[self._below(5)])]
        return fitted(cut, found) if self._draw() < 0.5 else cut

    def _pad(self, frame: bytes, _found: Layout, _other: Seed) -> bytes:
        size = (60, 61, 64, len(frame) + 1, len(frame) + 8, LONGEST)[self._below(6)]
        return frame.ljust(size, (b"\x00", b"\xff", b"\x01")[self._below(3)])

    def _flip(self, frame: bytes, _found: Layout, _other: Seed) -> bytes:
        changed = bytearray(frame)
        for _ in range(1 + self._below(3)):
            changed[self._below(min(len(frame), 120))] ^= 1 << self._below(8)
        return bytes(changed)

    def _overwrite(self, frame: bytes, _found: Layout, _other: Seed) -> bytes:
        changed = bytearray(frame)
        changed[self._below(len(frame))] = self._below(256)
        return bytes(changed)

    def _with_extension(self, frame: bytes, found: Layout, _other: Seed) -> bytes:
        """One more extension header in front of the first, or of the upper layer."""
        at = found.network
        if not at or frame[at - 2 : at] != b"\x86\xdd" or len(frame) < at + 40:
            return self._flip(frame, found, _other)
        kind = EXTENSIONS[self._below(len(EXTENSIONS))]
        size = 8 * (1, 1, 1, 1, 2, 3, 4, 1 + self._below(256))[self._below(8)]
        length = (size // 4 - 2 if kind == 51 else size // 8 - 1) & 255
        body = bytes((frame[at + 6], 0 if kind == 44 else length)).ljust(size, b"\x00")
        if kind == 0 and self._draw() < 0.5:
            body = body[:2] + b"\x05\x02\x00\x00" + body[6:]
        whole = frame[: at + 6] + bytes((kind,)) + frame[at + 7 : at + 40] + body + frame[at + 40 :]
        return fitted(whole, found)

    def _with_options(self, frame: bytes, found: Layout, _other: Seed) -> bytes:
        """IPv4 options, or more of them."""
        at = found.network
        if not at or frame[at - 2 : at] != b"\x08\x00" or not b"\x45" <= frame[at:] < b"\x4f":
            return self._overwrite(frame, found, _other)
        words = 1 + self._below(0x4F - frame[at])
        kinds = (
            b"\x01",
            b"\x83\x03\x04",
            b"\x94\x04\x00\x00",
            b"\x07\x04\x04\x00",
            b"\x00",
            b"\x89",
        )
        some = b"".join(kinds[self._below(6)] for _ in range(words * 2))[: words * 4]
        options = some.ljust(words * 4, b"\x00")
        head = bytes((frame[at] + words,)) + frame[at + 1 : at + 20]
        return fitted(frame[:at] + head + options + frame[at + 20 :], found)

    def _with_piece(self, frame: bytes, found: Layout, _other: Seed) -> bytes:
        """An option, or a part of the frame, once more at a border."""
        at, start = self._edge(found), self._edge(found)
        piece = _PIECES[self._below(len(_PIECES))]
        if self._draw() < 0.5:
            piece = frame[start : start + (1, 2, 4, 8, 16)[self._below(5)]]
        piece *= (1, 1, 1, 2, 14, 17, 61, 64)[self._below(8)]
        return self._perhaps_fitted(frame[:at] + piece + frame[at:], found)

    def _without_piece(self, frame: bytes, found: Layout, _other: Seed) -> bytes:
        start, end = sorted((self._edge(found), self._edge(found)))
        whole = frame[: max(14, start)] + frame[max(14, end) :]
        return self._perhaps_fitted(whole, found)

    def _tagged(self, frame: bytes, _found: Layout, _other: Seed) -> bytes:
        tag = ("81000000", "81000064", "88a80064", "91000fff", "92000001")[self._below(5)]
        return frame[:12] + bytes.fromhex(tag) + frame[12:]

    def _spliced(self, frame: bytes, found: Layout, other: Seed) -> bytes:
        """The headers of one frame around the other's upper layer."""
        theirs = other.layout
        if not found.upper or not theirs.upper:
            return frame[: self._edge(found)] + other.frame[self._edge(theirs) :]
        changed = bytearray(frame[: found.upper] + other.frame[theirs.upper :])
        here, there = found.network, theirs.network
        family = frame[here - 2 : here]
        # The protocol goes with the upper layer, where one octet names it.
        if family == b"\x08\x00" == other.frame[there - 2 : there]:
            changed[here + 9] = other.frame[there + 9]
        elif family == b"\x86\xdd" and found.upper == here + 40 and theirs.upper == there + 40:
            changed[here + 6] = other.frame[there + 6]
        return self._perhaps_fitted(bytes(changed), found)

    def _perhaps_fitted(self, frame: bytes, found: Layout) -> bytes:
        return fitted(frame, found) if self._draw() < 0.8 else frame


def fitted(frame: bytes, found: Layout) -> bytes:
    """The frame with the length in its IP header that it has now."""
    at = found.network
    if frame[at - 2 : at] == b"\x08\x00" and len(frame) >= at + 20:
        return frame[: at + 2] + (len(frame) - at & 0xFFFF).to_bytes(2, "big") + frame[at + 4 :]
    if frame[at - 2 : at] == b"\x86\xdd" and len(frame) >= at + 40:
        size = len(frame) - at - 40 & 0xFFFF
        return frame[: at + 4] + size.to_bytes(2, "big") + frame[at + 6 :]
    return frame
