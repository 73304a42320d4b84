"""Instructions that read fields of the kernel's `struct sk_buff` which programs are not given.

`struct __sk_buff` has no field for a partial checksum. A program may read the structure behind
it; its offsets differ from kernel to kernel, and are in the kernel's BTF. So the instructions
are written here, with this kernel's offsets: for Linux 6.2 and later with
`bpf_cast_to_kern_ctx`, whose loads cost nothing, before with `bpf_probe_read_kernel` (Linux 5.8),
some 30 ns a packet.

They take the context in r1 and leave 64 bits in r0, 0 where there is no partial checksum:

    0-15   csum_start, from the Ethernet header on
    16-31  csum_offset
    32     set: ip_summed is CHECKSUM_PARTIAL
    33     csum_not_inet: it is SCTP's CRC
"""

from __future__ import annotations

import errno
import struct
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from vifguard.kernel.bpf.bpf_syscall import Program
from vifguard.kernel.bpf.btf import FUNCTION, Btf, Member

BTF = Path("/sys/kernel/btf/vmlinux")
PARTIAL, NOT_INET = 1 << 32, 1 << 33
_CHECKSUM_PARTIAL = 3
_CAST = "bpf_cast_to_kern_ctx"
_PROBE_READ_KERNEL = 113
_KFUNC = 2
_EXIT = 0x95
_R0, _R1, _R2, _R3, _R4, _R6, _R10 = 0, 1, 2, 3, 4, 6, 10
_WINDOW = 128
"""Octets in which all the fields must lie to be read at once."""


class UnreadableError(OSError):
    """The kernel does not let a program read a partial checksum's fields."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The offsets of the fields; `csum_not_inet` is None in a kernel without SCTP."""

    ip_summed: Member
    csum_start: Member
    csum_offset: Member
    mac_header: Member
    csum_not_inet: Member | None = None

    @property
    def span(self) -> tuple[int, int]:
        """The first byte of all fields, and their length from there, a multiple of 8 bytes."""
        fields = (self.ip_summed, self.csum_start, self.csum_offset, self.mac_header)
        places = [each.byte for each in fields]
        if self.csum_not_inet:
            places.append(self.csum_not_inet.byte)
        first = min(places)
        return first, -(-(max(places) + 2 - first) // 8) * 8


@dataclass(frozen=True, slots=True)
class Reader:
    """The instructions that read the fields; `stack`: they need one, so a function of their own."""

    code: bytes
    stack: bool

    @property
    def function(self) -> bytes:
        """A function of these instructions."""
        return self.code + _instruction(_EXIT, 0)


TEST_WORDS = 4
"""`cb` of a test run: [1] ip_summed, csum_not_inet; [2] csum_start, csum_offset; [3] zero."""


def packed(*, start: int, offset: int, not_inet: bool) -> bytes:
    """The values of `cb[1]` to `cb[3]` in a test run, for a partial checksum."""
    return struct.pack("=BBHHHI", _CHECKSUM_PARTIAL, not_inet, 0, start, offset, 0)


@lru_cache(maxsize=1)
def _kernel() -> Btf:
    try:
        return Btf(BTF.read_bytes())
    except OSError as error:
        raise UnreadableError(
            error.errno, f"{BTF}: {error.strerror}; the kernel needs CONFIG_DEBUG_INFO_BTF"
        ) from error


@lru_cache(maxsize=1)
def reader() -> Reader:
    """The instructions for this kernel, by the first method that it accepts.

    UnreadableError where it accepts none: a kernel without BTF, or in lockdown's confidentiality
    mode, which forbids programs to read kernel memory.
    """
    layout = layout_of(_kernel())
    try:
        return _loaded(by_cast(layout, _kernel().index(FUNCTION, _CAST)))
    except (KeyError, OSError):
        pass  # Linux before 6.2
    try:
        return _loaded(by_copy(layout))
    except OSError as error:
        raise UnreadableError(error.errno, str(error)) from error


def layout_of(kernel: Btf) -> Layout:
    """The offsets of the fields in this kernel; UnreadableError where it lacks one."""
    found = kernel.members("sk_buff")
    try:
        layout = Layout(
            ip_summed=found["ip_summed"],
            csum_start=found["csum_start"],
            csum_offset=found["csum_offset"],
            mac_header=found["mac_header"],
            csum_not_inet=found.get("csum_not_inet"),
        )
    except KeyError as error:
        raise UnreadableError(errno.ENOENT, f"this kernel's sk_buff has no {error}") from error
    size = layout.span[1]
    if size > _WINDOW:
        raise UnreadableError(
            errno.ERANGE, f"the fields of sk_buff lie {size} octets apart, {_WINDOW} are read"
        )
    return layout


def _loaded(reader: Reader) -> Reader:
    """Return the instructions, once the kernel has accepted them."""
    Program.load("probe", reader.function, "GPL").close()
    return reader


@lru_cache(maxsize=1)
def test_reader() -> Reader:
    """The instructions for test runs, which cannot set the fields: they read `cb` instead."""
    cb = _kernel().members("sk_buff")["cb"].bit + _kernel().members("qdisc_skb_cb")["data"].bit
    word = [Member(cb + 32 * each) for each in range(TEST_WORDS)]
    return by_copy(
        Layout(
            ip_summed=Member(word[1].bit, 2),
            csum_not_inet=Member(word[1].bit + 8, 1),
            csum_start=word[2],
            csum_offset=Member(word[2].bit + 16),
            mac_header=word[3],
        )
    )


def by_cast(layout: Layout, function: int) -> Reader:
    """Instructions with `bpf_cast_to_kern_ctx`, whose BTF number is `function`."""
    cast = _instruction(0x85, 0, _KFUNC, 0, function)
    return Reader(cast + _body(layout, _R0, 0), stack=False)


def by_copy(layout: Layout) -> Reader:
    """Instructions with one `bpf_probe_read_kernel` of all fields."""
    first, size = layout.span
    copy = (
        _instruction(0xBF, _R3, _R1),  # the address: the context and the first field's place
        _instruction(0x07, _R3, 0, 0, first),
        _instruction(0xB7, _R2, 0, 0, size),
        _instruction(0xBF, _R1, _R10),  # to the stack
        _instruction(0x07, _R1, 0, 0, -size),
        _instruction(0x85, 0, 0, 0, _PROBE_READ_KERNEL),
    )
    return Reader(b"".join(copy) + _body(layout, _R10, -size - first), stack=True)


def _body(layout: Layout, base: int, shift: int) -> bytes:
    """Collect the word from the fields, at `base` plus `shift` and their offsets."""
    is_other = _load_bits(_R1, base, shift, layout.ip_summed)
    collect = _word(layout, base, shift)
    leave = _instruction(0xB7, _R0) + _instruction(0x05, 0, 0, len(collect) // 8)
    skip = _instruction(0x15, _R1, 0, len(leave) // 8, _CHECKSUM_PARTIAL)
    return is_other + skip + leave + collect


def _word(layout: Layout, base: int, shift: int) -> bytes:
    code = [
        _load(_R2, base, shift, layout.csum_start),
        _load(_R3, base, shift, layout.mac_header),
        _instruction(0x1F, _R2, _R3),
        _instruction(0x57, _R2, 0, 0, 0xFFFF),
        _load(_R3, base, shift, layout.csum_offset),
        _instruction(0x67, _R3, 0, 0, 16),
        _instruction(0x4F, _R2, _R3),
    ]
    code += [_instruction(0xB7, _R4, 0, 0, 1)]
    if layout.csum_not_inet:
        code += [
            _load_bits(_R3, base, shift, layout.csum_not_inet),
            _instruction(0x67, _R3, 0, 0, 1),
            _instruction(0x4F, _R4, _R3),
        ]
    code += [
        _instruction(0x67, _R4, 0, 0, 32),
        _instruction(0x4F, _R2, _R4),
        _instruction(0xBF, _R0, _R2),
    ]
    return b"".join(code)


def _load(register: int, base: int, shift: int, member: Member) -> bytes:
    """Load two bytes."""
    return _instruction(0x69, register, base, member.byte + shift)


def _load_bits(register: int, base: int, shift: int, member: Member) -> bytes:
    """Load a bit field within one byte, on a little-endian machine."""
    return (
        _instruction(0x71, register, base, member.byte + shift)
        + _instruction(0x77, register, 0, 0, member.bit % 8)
        + _instruction(0x57, register, 0, 0, (1 << member.bits) - 1)
    )


def _instruction(code: int, to: int, source: int = 0, offset: int = 0, immediate: int = 0) -> bytes:
    """One instruction (Documentation/bpf/standardization/instruction-set.rst)."""
    return struct.pack("<BBhi", code, to | source << 4, offset, immediate)
