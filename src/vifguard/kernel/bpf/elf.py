"""A compiled eBPF object, read without libbpf: its maps from BTF, its programs from ELF.

Enough for objects that need no relocation against the running kernel's types: maps in
`.maps`, entry points in section `tc`, functions in `.text`. Code that depends on those types is
in functions whose bodies are given when the object is read (kernel/bpf/skbuff.py).
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from vifguard.kernel.bpf.bpf_syscall import Map, MapSpec, Program
from vifguard.kernel.bpf.btf import Btf, text

_PSEUDO_MAP_FD = 1
_PSEUDO_CALL = 1
_LOAD_IMMEDIATE_64 = 0x18
_CALL = 0x85
_RELOCATIONS = 9
_SYMBOLS = 2
_EXECUTABLE = 4
_FUNCTION = 2
_LABEL = "in_line_"
_GO_ON = bytes.fromhex("0500000000000000")
"""`goto +0`."""


class ObjectError(ValueError):
    """The file is not an object that this loader understands; the message gives the reason."""


@dataclass(frozen=True, slots=True)
class _Section:
    name: str
    type: int
    flags: int
    data: bytes
    link: int
    info: int


@dataclass(frozen=True, slots=True)
class _Symbol:
    name: str
    type: int
    section: int
    value: int
    size: int


class Elf:
    """The sections and symbols of a little-endian ELF64 file for the BPF machine."""

    def __init__(self, data: bytes) -> None:
        if data[:6] != b"\x7fELF\x02\x01" or struct.unpack_from("<H", data, 18)[0] != 247:
            raise ObjectError("not a little-endian ELF64 file for BPF")
        (table,) = struct.unpack_from("<Q", data, 40)
        count, names = struct.unpack_from("<HH", data, 60)
        headers = [struct.unpack_from("<IIQQQQIIQQ", data, table + 64 * i) for i in range(count)]
        strings = data[headers[names][4] :]
        self.sections = [
            _Section(text(strings, h[0]), h[1], h[2], data[h[4] : h[4] + h[5]], h[6], h[7])
            for h in headers
        ]
        self.symbols = list(self._symbols())

    def _symbols(self) -> Iterator[_Symbol]:
        table = next(section for section in self.sections if section.type == _SYMBOLS)
        strings = self.sections[table.link].data
        for name, info, _, section, value, size in struct.iter_unpack("<IBBHQQ", table.data):
            yield _Symbol(text(strings, name), info & 15, section, value, size)

    def section(self, name: str) -> bytes:
        """The bytes of one section."""
        for section in self.sections:
            if section.name == name:
                return section.data
        raise ObjectError(f"the object has no section {name}")

    def relocations(self, index: int) -> dict[int, _Symbol]:
        """The symbols that section `index` refers to, by offset."""
        found: dict[int, _Symbol] = {}
        for section in self.sections:
            if section.type == _RELOCATIONS and section.info == index:
                for offset, info in struct.iter_unpack("<QQ", section.data):
                    found[offset] = self.symbols[info >> 32]
        return found


@dataclass(frozen=True, slots=True)
class _Function:
    name: str
    section: int
    start: int
    size: int


@dataclass(frozen=True)
class ObjectFile:
    """A compiled object: the maps that it needs and its programs.

    `bodies`: instructions that replace functions' own, by name. `in_line`: instructions that
    replace the calls of a function, where the call is at a label `in_line_<function>_<number>`
    and is followed by as many `goto +0` as they need room.
    `sizes`: numbers of entries by map, which replace the compiled ones.
    """

    data: bytes
    bodies: Mapping[str, bytes] = field(default_factory=dict)
    in_line: Mapping[str, bytes] = field(default_factory=dict)
    sizes: Mapping[str, int] = field(default_factory=dict)
    elf: Elf = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "elf", Elf(self.data))
        unknown = set(self.bodies).difference(self._functions)
        if unknown:
            raise ObjectError(f"the object has no function {', '.join(sorted(unknown))}")

    @cached_property
    def _described(self) -> tuple[tuple[MapSpec, str], ...]:
        return tuple(Btf(self.elf.section(".BTF")).maps())

    @property
    def maps(self) -> Mapping[str, MapSpec]:
        """The maps by name."""
        return {
            spec.name: replace(spec, max_entries=self.sizes.get(spec.name, spec.max_entries))
            for spec, _ in self._described
        }

    def layout_digest(self, names: Collection[str]) -> str:
        """A digest of these maps' definitions: their sizes, and the layout of keys and values."""
        said = sorted(said for spec, said in self._described if spec.name in names)
        sizes = sorted((name, size) for name, size in self.sizes.items() if name in names)
        return hashlib.sha256(("\n".join(said) + repr(sizes)).encode()).hexdigest()[:12]

    @cached_property
    def code_digest(self) -> str:
        """A digest of all instructions, the given ones included, and of all maps."""
        given = repr([sorted(each.items()) for each in (self.bodies, self.in_line)])
        parts = [self.layout_digest(self.maps).encode(), given.encode()]
        for index, section in enumerate(self.elf.sections):
            if section.flags & _EXECUTABLE:
                names = ((at, symbol.name) for at, symbol in self.elf.relocations(index).items())
                parts += [section.data, repr(sorted(names)).encode()]
        return hashlib.sha256(b"\0".join(parts)).hexdigest()[:12]

    @property
    def functions(self) -> Mapping[str, bytes]:
        """The instructions of each function, as compiled."""
        return {name: self._body(function) for name, function in self._functions.items()}

    @property
    def licence(self) -> str:
        """The licence the programs declare."""
        return self.elf.section("license").rstrip(b"\0").decode()

    @property
    def programs(self) -> tuple[str, ...]:
        """The names of the entry points."""
        return tuple(name for name, f in self._functions.items() if self._name_of(f) == "tc")

    def load(self, name: str, maps: Mapping[str, Map]) -> Program:
        """Put one program into the kernel, bound to these maps."""
        return Program.load(name, self.linked(name, maps), self.licence)

    def _name_of(self, function: _Function) -> str:
        return self.elf.sections[function.section].name

    @cached_property
    def _functions(self) -> dict[str, _Function]:
        return {
            s.name: _Function(s.name, s.section, s.value, s.size)
            for s in self.elf.symbols
            if s.type == _FUNCTION
        }

    def linked(self, entry: str, maps: Mapping[str, Map]) -> bytes:
        """The entry point and every function it reaches, calls and maps filled in."""
        order, code = [self._functions[entry]], bytearray()
        places = {(order[0].section, order[0].start): 0}
        calls: list[tuple[int, tuple[int, int]]] = []
        for function in order:  # grows while it is walked
            base = len(code)
            places[function.section, function.start] = base
            code += self._body(function)
            for at, target in self._resolve(function, base, code, maps):
                calls.append((at, target))
                if target not in places:
                    places[target] = -1
                    order.append(self._at(target))
        for at, target in calls:
            struct.pack_into("<i", code, at + 4, (places[target] - at) // 8 - 1)
        return bytes(code)

    def _body(self, function: _Function) -> bytes:
        if function.name in self.bodies:
            return self.bodies[function.name]
        data = self.elf.sections[function.section].data
        body = bytearray(data[function.start : function.start + function.size])
        for at, code in self._rooms(function):
            end = at + len(code)
            if body[at + 8 : end] != _GO_ON * (len(code) // 8 - 1):
                raise ObjectError(f"{function.name} has no room for {len(code)} octets at {at}")
            body[at:end] = code
        return bytes(body)

    def _rooms(self, function: _Function) -> Iterator[tuple[int, bytes]]:
        """The offsets in a function at which a call makes room, with the instructions to put in."""
        for symbol in self.elf.symbols:
            called = symbol.name.removeprefix(_LABEL).rpartition("_")[0]
            at = symbol.value - function.start
            inside = symbol.section == function.section and 0 <= at < function.size
            if symbol.name.startswith(_LABEL) and inside and called in self.in_line:
                yield at, self.in_line[called]

    def _at(self, place: tuple[int, int]) -> _Function:
        for function in self._functions.values():
            if (function.section, function.start) == place:
                return function
        raise ObjectError(f"a call goes to {place}, where no function begins")

    def _resolve(
        self, function: _Function, base: int, code: bytearray, maps: Mapping[str, Map]
    ) -> Iterator[tuple[int, tuple[int, int]]]:
        """Fill in map descriptors; yield each call's place in `code` and its target."""
        symbols = self.elf.relocations(function.section)
        if function.name in self.bodies:
            return
        for offset in range(0, function.size, 8):
            at, symbol = base + offset, symbols.get(function.start + offset)
            (immediate,) = struct.unpack_from("<i", code, at + 4)
            if code[at] == _LOAD_IMMEDIATE_64 and symbol:
                if symbol.name not in maps:
                    raise ObjectError(f"an instruction refers to {symbol.name}, which is no map")
                code[at + 1] = code[at + 1] & 15 | _PSEUDO_MAP_FD << 4
                struct.pack_into("<i", code, at + 4, maps[symbol.name].fd)
            elif code[at] == _CALL and code[at + 1] >> 4 == _PSEUDO_CALL:
                if symbol:
                    yield at, (symbol.section, symbol.value + (immediate + 1) * 8)
                else:
                    here = function.start + offset
                    yield at, (function.section, here + (immediate + 1) * 8)
