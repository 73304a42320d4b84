"""BPF Type Format: an object's maps, the kernel's structures (Documentation/bpf/btf.rst)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from vifguard.kernel.bpf.bpf_syscall import MapSpec, MapType


@dataclass(frozen=True, slots=True)
class _Type:
    kind: int
    name: str
    size: int
    """The size, or the type that it refers to, by the kind."""
    extra: tuple[tuple[int, ...], ...]
    bitfields: bool = False
    """Whether members' offsets contain their number of bits."""


@dataclass(frozen=True, slots=True)
class BtfMember:
    """A member of a structure: its offset in bits, its size in bits if it is a bit field."""

    bit: int
    bits: int = 0

    @property
    def byte(self) -> int:
        """The byte in which it begins."""
        return self.bit // 8


_POINTER, _ARRAY, STRUCT, UNION, FUNCTION, _VARIABLES = 2, 3, 4, 5, 12, 15
_ALIASES = (8, 9, 10, 11, 18)
"""typedef, volatile, const, restrict, type tag: each stands for the type that it refers to."""

# The data behind a type, by its kind: (struct layout, whether it is repeated vlen times).
_EXTRA: dict[int, tuple[str, bool]] = {
    1: ("I", False),
    3: ("III", False),
    4: ("III", True),
    5: ("III", True),
    6: ("Ii", True),
    13: ("II", True),
    14: ("I", False),
    15: ("III", True),
    17: ("i", False),
    19: ("III", True),
}

_VOID = _Type(0, "void", 0, ())


def _step(kind: int) -> tuple[int, int]:
    layout, repeated = _EXTRA.get(kind, ("", False))
    size = struct.calcsize("<" + layout)
    return (0, size) if repeated else (size, 0)


_STEPS = tuple(map(_step, range(32)))
"""Bytes that follow a type of each kind, and for each of its members."""


class Btf:
    """The types of an object, or of the running kernel; each is decoded when it is used."""

    def __init__(self, data: bytes) -> None:
        header, types, length, strings, _ = struct.unpack_from("<IIIII", data, 4)
        self._data = data
        self._strings = header + strings
        self._places = [0]
        at, end = header + types, header + types + length
        word = struct.Struct("<I").unpack_from
        # The kernel has some hundred thousand types: this loop is all that is done for most.
        while at < end:
            self._places.append(at)
            (info,) = word(data, at + 4)
            fixed, each = _STEPS[info >> 24 & 31]
            at += 12 + fixed + each * (info & 0xFFFF)

    def _type(self, index: int) -> _Type:
        if not index:
            return _VOID
        at = self._places[index]
        name, info, size = struct.unpack_from("<III", self._data, at)
        kind, count = info >> 24 & 31, info & 0xFFFF
        layout, repeated = _EXTRA.get(kind, ("", False))
        step = struct.calcsize("<" + layout)
        extra = tuple(
            struct.unpack_from("<" + layout, self._data, at + 12 + step * i)
            for i in range((count if repeated else 1) if layout else 0)
        )
        return _Type(kind, self._text(name), size, extra, bitfields=bool(info >> 31))

    def _text(self, offset: int) -> str:
        return text(self._data, self._strings + offset)

    def index(self, kind: int, name: str) -> int:
        """The number of the type of this kind and name; KeyError where there is none."""
        wanted = b"\0" + name.encode() + b"\0"
        found = self._data.find(wanted, self._strings)
        while found >= 0:
            offset = found + 1 - self._strings
            for index, at in enumerate(self._places[1:], 1):
                if (
                    self._data[at + 7] & 31 == kind
                    and struct.unpack_from("<I", self._data, at)[0] == offset
                ):
                    return index
            found = self._data.find(wanted, found + 1)
        raise KeyError(name)

    def members(self, structure: str) -> dict[str, BtfMember]:
        """The members of a structure by name, those of unnamed structures inside it included.

        KeyError where there is no such structure.
        """
        return dict(self._members(self.index(STRUCT, structure), 0))

    def _members(self, index: int, base: int) -> Iterator[tuple[str, BtfMember]]:
        it = self._type(index)
        for name_at, kind, place in it.extra:
            name = self._text(name_at)
            bits, size = (place & 0xFFFFFF, place >> 24) if it.bitfields else (place, 0)
            inside = self._type(kind)
            if not name and inside.kind in (STRUCT, UNION):
                yield from self._members(kind, base + bits)
            else:
                yield name, BtfMember(base + bits, size)

    def maps(self) -> Iterator[tuple[MapSpec, str]]:
        """Each map of `.maps` with a description of its key and value, member by member."""
        section = self._type(self.index(_VARIABLES, ".maps"))
        for variable, _, _ in section.extra:
            name = self._type(variable).name
            body = self._type(self._type(variable).size)
            said = {self._text(m[0]): self._type(m[1]) for m in body.extra}
            numbers = {n: self._number(t) for n, t in said.items() if n not in ("key", "value")}
            sizes = {n: self._size(said[n].size) if n in said else 0 for n in ("key", "value")}
            spec = MapSpec(
                name,
                MapType(numbers["type"]),
                sizes["key"],
                sizes["value"],
                numbers["max_entries"],
                numbers.get("map_flags", 0),
            )
            shape = [self._describe(said[n].size) if n in said else "" for n in ("key", "value")]
            yield spec, f"{spec} {shape}"

    def _number(self, pointer: _Type) -> int:
        # __uint(name, n) is a pointer to int[n].
        return self._type(pointer.size).extra[0][2]

    def _size(self, index: int) -> int:
        it = self._type(index)
        if it.kind in _ALIASES:
            return self._size(it.size)
        if it.kind == _ARRAY:
            return it.extra[0][2] * self._size(it.extra[0][0])
        return 8 if it.kind == _POINTER else it.size

    def _describe(self, index: int) -> str:
        it = self._type(index)
        if it.kind in _ALIASES:
            return self._describe(it.size)
        if it.kind == _ARRAY:
            return f"{self._describe(it.extra[0][0])}[{it.extra[0][2]}]"
        if it.kind in (STRUCT, UNION):
            members = (
                f"{self._text(name)}@{offset}:{self._describe(kind)}"
                for name, kind, offset in it.extra
            )
            return "{" + " ".join(members) + "}"
        return f"{it.name}/{it.size}"


def text(strings: bytes, offset: int) -> str:
    """The string that begins at `offset` and ends with a zero byte."""
    return strings[offset : strings.index(b"\0", offset)].decode()
