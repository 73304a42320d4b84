"""BPF Type Format: what maps an object declares (Documentation/bpf/btf.rst)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from vifguard.kernel.bpf import MapSpec, MapType


@dataclass(frozen=True, slots=True)
class _Type:
    kind: int
    name: str
    size: int
    """Or the type it refers to, by the kind."""
    extra: tuple[tuple[int, ...], ...]


_INT, _POINTER, _ARRAY, _STRUCT, _UNION, _VARIABLES = 1, 2, 3, 4, 5, 15
_ALIASES = (8, 9, 10, 11, 18)
"""typedef, volatile, const, restrict, type tag: they are what they refer to."""

# What follows a type by its kind: (struct layout, whether it is repeated vlen times).
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


class Btf:
    """The types of an object (Documentation/bpf/btf.rst)."""

    def __init__(self, data: bytes) -> None:
        header, types, length, strings, _ = struct.unpack_from("<IIIII", data, 4)
        self._strings = data[header + strings :]
        self._types: list[_Type] = [_Type(0, "void", 0, ())]
        at, end = header + types, header + types + length
        while at < end:
            name, info, size = struct.unpack_from("<III", data, at)
            kind, count = info >> 24 & 31, info & 0xFFFF
            layout, repeated = _EXTRA.get(kind, ("", False))
            step = struct.calcsize("<" + layout)
            extra = tuple(
                struct.unpack_from("<" + layout, data, at + 12 + step * i)
                for i in range((count if repeated else 1) if layout else 0)
            )
            self._types.append(_Type(kind, text(self._strings, name), size, extra))
            at += 12 + step * len(extra)

    def maps(self) -> Iterator[tuple[MapSpec, str]]:
        """Each map of `.maps` with a description of its key and value, member by member."""
        section = next(t for t in self._types if t.kind == _VARIABLES and t.name == ".maps")
        for variable, _, _ in section.extra:
            name = self._types[variable].name
            body = self._types[self._types[variable].size]
            said = {text(self._strings, m[0]): self._types[m[1]] for m in body.extra}
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
        return self._types[pointer.size].extra[0][2]

    def _size(self, index: int) -> int:
        it = self._types[index]
        if it.kind in _ALIASES:
            return self._size(it.size)
        if it.kind == _ARRAY:
            return it.extra[0][2] * self._size(it.extra[0][0])
        return 8 if it.kind == _POINTER else it.size

    def _describe(self, index: int) -> str:
        it = self._types[index]
        if it.kind in _ALIASES:
            return self._describe(it.size)
        if it.kind == _ARRAY:
            return f"{self._describe(it.extra[0][0])}[{it.extra[0][2]}]"
        if it.kind in (_STRUCT, _UNION):
            members = (
                f"{text(self._strings, name)}@{offset}:{self._describe(kind)}"
                for name, kind, offset in it.extra
            )
            return "{" + " ".join(members) + "}"
        return f"{it.name}/{it.size}"


def text(strings: bytes, offset: int) -> str:
    """The string that begins at `offset` and ends with a zero byte."""
    return strings[offset : strings.index(b"\0", offset)].decode()
