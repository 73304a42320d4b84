"""bpf(2) without a library: maps, programs and their pins.

All integers that cross the boundary are in host byte order. Every call raises OSError with
the kernel's errno; a program that the verifier refuses raises VerifierError with its log.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import platform
import struct
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from pathlib import Path
from typing import Self

_NUMBER = {"x86_64": 321, "aarch64": 280}.get(platform.machine(), -1)
"""The number of bpf(2); on any other machine the kernel returns ENOSYS."""
_syscall = ctypes.CDLL(None, use_errno=True).syscall
_syscall.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_ulong)
_syscall.restype = ctypes.c_long
_LOG_BYTES = 1 << 22
_BATCH = 4096
_SK_BUFF_BYTES = 192
_TEST_BYTES = 1 << 16
_CONTEXT = struct.Struct("=40xI4x20s108xI")
_TEST_RUN = struct.Struct("=IIIIQQIIIIQQIII4x")
_TESTED = struct.Struct("=4xi28xI")
_Bytes = ctypes.Array[ctypes.c_char]
_MAPS_OF_A_PROGRAM = 64
"""`MAX_USED_MAPS`: no program has more."""


class Command(IntEnum):
    """`enum bpf_cmd` (include/uapi/linux/bpf.h), as far as it is used."""

    MAP_CREATE = 0
    MAP_LOOKUP = 1
    MAP_UPDATE = 2
    MAP_DELETE = 3
    MAP_GET_NEXT_KEY = 4
    PROG_LOAD = 5
    OBJ_PIN = 6
    OBJ_GET = 7
    PROG_ATTACH = 8
    PROG_DETACH = 9
    PROG_TEST_RUN = 10
    PROG_GET_NEXT_ID = 11
    PROG_GET_FD_BY_ID = 13
    MAP_GET_FD_BY_ID = 14
    OBJ_GET_INFO_BY_FD = 15
    PROG_QUERY = 16
    MAP_LOOKUP_BATCH = 24
    MAP_UPDATE_BATCH = 26
    MAP_DELETE_BATCH = 27
    LINK_DETACH = 34
    PROG_BIND_MAP = 35


class MapType(IntEnum):
    """`enum bpf_map_type`, as far as it is used."""

    HASH = 1
    ARRAY = 2
    PROG_ARRAY = 3
    PERCPU_ARRAY = 6
    LPM_TRIE = 11
    ARRAY_OF_MAPS = 12
    RINGBUF = 27


SCHED_CLS = 3
"""`BPF_PROG_TYPE_SCHED_CLS`: the only program type here."""


class VerifierError(OSError):
    """The kernel refused a program; `log` is its verifier's log."""

    def __init__(self, code: int, program: str, log: str) -> None:
        said = log.strip().splitlines()
        super().__init__(
            code, f"the kernel refuses program {program}: {said[-2] if said[1:] else code}"
        )
        self.log = log


def call(command: Command, attributes: ctypes.Array[ctypes.c_char]) -> int:
    """Call bpf(2) once; the kernel may write answers into `attributes`."""
    while True:
        result: int = _syscall(_NUMBER, command, attributes, len(attributes))
        if result >= 0:
            return result
        code = ctypes.get_errno()
        if code != errno.EINTR and not (code == errno.EAGAIN and command is Command.PROG_LOAD):
            raise OSError(code, f"bpf {command.name.lower()}: {os.strerror(code)}")


def pack(layout: str, *values: int | bytes) -> ctypes.Array[ctypes.c_char]:
    """A call's attributes, in host byte order and without padding."""
    packed = struct.pack("=" + layout, *values)
    return ctypes.create_string_buffer(packed, len(packed))


def _buffer(data: bytes) -> ctypes.Array[ctypes.c_char]:
    return ctypes.create_string_buffer(data, len(data))


def _text(name: bytes) -> str:
    return name.partition(b"\0")[0].decode(errors="replace")


class Handle:
    """A file descriptor of a kernel object; a pinned object outlives its closing."""

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def fileno(self) -> int:
        """The descriptor, for poll()."""
        return self.fd

    def close(self) -> None:
        """Close the descriptor; calling it twice is harmless."""
        if self.fd >= 0:
            os.close(self.fd)
        self.fd = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def pin(self, path: Path | str) -> None:
        """Give the object a name in bpffs, so that it outlives this process."""
        name = _buffer(os.fsencode(path) + b"\0")
        call(Command.OBJ_PIN, pack("QII", ctypes.addressof(name), self.fd, 0))

    @property
    def id(self) -> int:
        """The kernel's number of the map or program."""
        return int(struct.unpack("=II", self.info(8))[1])

    def info(self, size: int) -> bytes:
        """The first `size` bytes of the kernel's `struct bpf_*_info`."""
        answer = ctypes.create_string_buffer(size)
        call(
            Command.OBJ_GET_INFO_BY_FD,
            pack("IIQ", self.fd, size, ctypes.addressof(answer)),
        )
        return answer.raw


def open_pin(path: Path | str) -> int:
    """A descriptor of the object pinned at `path`; FileNotFoundError where there is none."""
    name = _buffer(os.fsencode(path) + b"\0")
    return call(Command.OBJ_GET, pack("QII", ctypes.addressof(name), 0, 0))


@dataclass(frozen=True, slots=True)
class MapSpec:
    """The specification of a map; sizes in bytes."""

    name: str
    type: MapType
    key_size: int
    value_size: int
    max_entries: int
    flags: int = 0


class Map(Handle):
    """A map: keys and values are bytes of exactly the sizes in `spec`. Safe for threads."""

    def __init__(self, fd: int, spec: MapSpec) -> None:
        super().__init__(fd)
        self.spec = spec
        # Made once: thousands of look-ups would spend most of their time on making them. While
        # the kernel reads and writes them another thread may run, so one has them at a time.
        self._buffers = threading.Lock()
        self._key = ctypes.create_string_buffer(spec.key_size)
        self._value = ctypes.create_string_buffer(spec.value_size)
        key, value = ctypes.addressof(self._key), ctypes.addressof(self._value)
        self._element = pack("IIQQQ", fd, 0, key, value, 0)
        self._keyed = pack("IIQQQ", fd, 0, key, 0, 0)

    @classmethod
    def create(cls, spec: MapSpec, inner: Map | None = None) -> Self:
        """A new map; `inner` is the pattern of a map of maps."""
        attributes = pack(
            "IIIIIII16s",
            spec.type,
            spec.key_size,
            spec.value_size,
            spec.max_entries,
            spec.flags,
            inner.fd if inner else 0,
            0,
            spec.name.encode()[:15],
        )
        return cls(call(Command.MAP_CREATE, attributes), spec)

    @classmethod
    def open(cls, path: Path, spec: MapSpec) -> Self:
        """The map pinned at `path`; ValueError where it does not match `spec`."""
        found = cls(open_pin(path), spec)
        if not found._is_as_specified():
            found.close()
            raise ValueError(f"{path} is another map than {spec}")
        return found

    @classmethod
    def by_id(cls, number: int, spec: MapSpec) -> Self | None:
        """The map of an id; None where it does not match `spec`, its name included."""
        found = cls(call(Command.MAP_GET_FD_BY_ID, pack("III", number, 0, 0)), spec)
        if found._is_as_specified():
            return found
        found.close()
        return None

    def _is_as_specified(self) -> bool:
        spec, values = self.spec, struct.unpack("=IIIIII16s", self.info(40))
        sizes = (spec.type, spec.key_size, spec.value_size, spec.max_entries, spec.flags)
        return (values[0], *values[2:6]) == sizes and _text(values[6]) == spec.name[:15]

    def lookup(self, key: bytes) -> bytes | None:
        """The value of `key`, or None."""
        with self._buffers:
            self._key.raw = key
            try:
                call(Command.MAP_LOOKUP, self._element)
            except FileNotFoundError:
                return None
            return self._value.raw

    def update(self, key: bytes, value: bytes) -> None:
        """Set `key`."""
        with self._buffers:
            self._key.raw, self._value.raw = key, value
            call(Command.MAP_UPDATE, self._element)

    def delete(self, key: bytes) -> None:
        """Remove `key`, if it is there."""
        with self._buffers:
            self._key.raw = key
            try:
                call(Command.MAP_DELETE, self._keyed)
            except FileNotFoundError:
                return

    def update_many(self, items: Sequence[tuple[bytes, bytes]]) -> None:
        """Set all keys in few calls. Not atomic: an error leaves some of them set."""
        for at in range(0, len(items), _BATCH):
            part = items[at : at + _BATCH]
            if len(part) == 1:
                self.update(*part[0])
                continue
            keys, values = (
                _buffer(b"".join(k for k, _ in part)),
                _buffer(b"".join(v for _, v in part)),
            )
            self._batch(Command.MAP_UPDATE_BATCH, keys, values, len(part))

    def delete_many(self, keys: Iterable[bytes]) -> None:
        """Remove all keys, those that are not there included."""
        for key in keys:
            self.delete(key)

    def is_empty(self) -> bool:
        """Whether a map with keys, not an array, is empty."""
        following = ctypes.create_string_buffer(self.spec.key_size)
        attributes = pack("IIQQQ", self.fd, 0, 0, ctypes.addressof(following), 0)
        try:
            call(Command.MAP_GET_NEXT_KEY, attributes)
        except FileNotFoundError:
            return True
        return False

    def contents(self) -> Iterator[tuple[bytes, bytes]]:
        """All keys and values. Elements that change meanwhile may be missed or found twice."""
        for count, keys, values in self._batches():
            yield from self._elements(count, keys, values)

    def counts(self) -> Iterator[int]:
        """The number of elements, in parts to be added up."""
        return (count for count, _, _ in self._batches())

    def _elements(self, count: int, keys: _Bytes, values: _Bytes) -> Iterator[tuple[bytes, bytes]]:
        key_size, value_size = self.spec.key_size, self.spec.value_size
        # One copy of the found elements: `raw` would copy the whole buffer for each.
        found_keys = memoryview(keys)[: count * key_size].tobytes()
        found_values = memoryview(values)[: count * value_size].tobytes()
        for i in range(count):
            yield (
                found_keys[i * key_size : (i + 1) * key_size],
                found_values[i * value_size : (i + 1) * value_size],
            )

    def _batches(self) -> Iterator[tuple[int, _Bytes, _Bytes]]:
        """Some thousand elements at a time: their number, their keys and their values."""
        key_size, value_size = self.spec.key_size, self.spec.value_size
        room = min(_BATCH * 4, self.spec.max_entries)
        keys = ctypes.create_string_buffer(room * key_size)
        values = ctypes.create_string_buffer(room * value_size)
        position = ctypes.create_string_buffer(max(key_size, 8))
        first, more = True, True
        while more:
            attributes = pack(
                "QQQQIIQQ",
                0 if first else ctypes.addressof(position),
                ctypes.addressof(position),
                ctypes.addressof(keys),
                ctypes.addressof(values),
                room,
                self.fd,
                0,
                0,
            )
            try:
                call(Command.MAP_LOOKUP_BATCH, attributes)
            except FileNotFoundError:
                more = False
            (count,), first = struct.unpack_from("=I", attributes, 32), False
            yield count, keys, values

    def memory(
        self, length: int | None = None, offset: int = 0, *, write: bool = True
    ) -> mmap.mmap:
        """The map's own memory: an array made with BPF_F_MMAPABLE, or a ring buffer."""
        size = length or -(-self.spec.value_size // 8) * 8 * self.spec.max_entries
        protection = mmap.PROT_READ | (mmap.PROT_WRITE if write else 0)
        return mmap.mmap(self.fd, size, mmap.MAP_SHARED, protection, offset=offset)

    def _batch(
        self,
        command: Command,
        keys: ctypes.Array[ctypes.c_char],
        values: ctypes.Array[ctypes.c_char],
        count: int,
    ) -> None:
        call(
            command,
            pack(
                "QQQQIIQQ",
                0,
                0,
                ctypes.addressof(keys),
                ctypes.addressof(values),
                count,
                self.fd,
                0,
                0,
            ),
        )


class Program(Handle):
    """A program in the kernel."""

    @classmethod
    def load(cls, name: str, code: bytes, licence: str) -> Self:
        """Verify and translate `code`; VerifierError where the kernel refuses it."""
        try:
            return cls(_load(name, code, licence, None))
        except OSError as error:
            log = ctypes.create_string_buffer(_LOG_BYTES)
            try:  # once more, now with a log: it costs time that a good program need not spend
                return cls(_load(name, code, licence, log))
            except OSError:
                text = log.value.decode(errors="replace")
                raise VerifierError(error.errno or 0, name, text) from error

    @classmethod
    def open(cls, path: Path) -> Self:
        """The program pinned at `path`."""
        return cls(open_pin(path))

    @classmethod
    def by_id(cls, number: int) -> Self:
        """The program of an id; OSError(ENOENT) where there is none any more."""
        return cls(call(Command.PROG_GET_FD_BY_ID, pack("III", number, 0, 0)))

    @staticmethod
    def ids() -> Iterator[int]:
        """The kernel's numbers of all programs, those in other namespaces included."""
        number = 0
        while True:
            attributes = pack("III", number, 0, 0)
            try:
                call(Command.PROG_GET_NEXT_ID, attributes)
            except FileNotFoundError:
                return
            (number,) = struct.unpack_from("=I", attributes, 4)
            yield number

    @property
    def name(self) -> str:
        """The name by which it was loaded, cut at 15 octets."""
        return _text(self.info(80)[64:])

    def bind(self, bound: Map) -> None:
        """Give it a map that its code does not name (Linux 5.10); `find` finds it by that."""
        call(Command.PROG_BIND_MAP, pack("III", self.fd, bound.fd, 0))

    @property
    def tag(self) -> bytes:
        """The kernel's digest of its code, of 8 octets (program_tag.py)."""
        return self.info(16)[8:]

    def find(self, spec: MapSpec) -> Map | None:
        """The one of its maps with the name and sizes of `spec`; None for none."""
        return next(filter(None, (Map.by_id(number, spec) for number in self.map_ids)), None)

    @property
    def map_ids(self) -> tuple[int, ...]:
        """The kernel's numbers of its maps, those that are bound to it included."""
        ids = (ctypes.c_uint32 * _MAPS_OF_A_PROGRAM)()
        said = pack("52xIQ", len(ids), ctypes.addressof(ids))
        call(Command.OBJ_GET_INFO_BY_FD, pack("IIQ", self.fd, len(said), ctypes.addressof(said)))
        (count,) = struct.unpack_from("=I", said, 52)
        return tuple(ids[:count])

    def test_run(
        self,
        frame: bytes,
        *,
        ifindex: int = 1,
        control: bytes = b"",
        gso_size: int = 0,
        repeat: int = 1,
    ) -> tuple[int, int]:
        """Run the program on `frame`, as at interface `ifindex`; return its action and ns a run.

        `control` is the value of `cb`, at most 20 bytes; `gso_size` as in `struct __sk_buff`.

        The frame begins with the Ethernet header; the kernel wants at least 14 bytes, and no
        more than about a page. Not for several threads.
        """
        data, context, attributes = _bench()
        memoryview(data).cast("B")[: len(frame)] = frame
        _CONTEXT.pack_into(context, 0, ifindex, control, gso_size)
        _TEST_RUN.pack_into(
            attributes,
            0,
            *(self.fd, 0, len(frame), 0, ctypes.addressof(data), 0, repeat, 0),
            *(_SK_BUFF_BYTES, 0, ctypes.addressof(context), 0, 0, 0, 0),
        )
        call(Command.PROG_TEST_RUN, attributes)
        action, duration = _TESTED.unpack_from(attributes)
        return action, duration


@lru_cache(maxsize=1)
def _bench() -> tuple[_Bytes, _Bytes, _Bytes]:
    """A frame, its `struct __sk_buff` and a call's attributes.

    Allocated once: a million runs would spend a third of their time on allocating them.
    """
    sizes = (_TEST_BYTES, _SK_BUFF_BYTES, _TEST_RUN.size)
    data, context, attributes = (ctypes.create_string_buffer(size) for size in sizes)
    return data, context, attributes


def _load(name: str, code: bytes, licence: str, log: ctypes.Array[ctypes.c_char] | None) -> int:
    instructions, text = _buffer(code), _buffer(licence.encode() + b"\0")
    return call(
        Command.PROG_LOAD,
        pack(
            "IIQQIIQII16s",
            SCHED_CLS,
            len(code) // 8,
            ctypes.addressof(instructions),
            ctypes.addressof(text),
            1 if log else 0,
            len(log) if log else 0,
            ctypes.addressof(log) if log else 0,
            0,
            0,
            name.encode()[:15],
        ),
    )
