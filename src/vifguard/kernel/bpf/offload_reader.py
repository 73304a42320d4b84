"""Instructions that read a frame's offload and its network namespace from the kernel's structures.

They take the context in r1 and leave 64 bits in r0, 0 where there is no partial checksum:

    0-15   csum_start, from the Ethernet header on
    16-31  csum_offset
    32     set: ip_summed is CHECKSUM_PARTIAL
    33     csum_not_inet: it is SCTP's CRC
    35     alone: the frame's interface is in another namespace than the loader

Bit 35 is known by the cast alone. No kernel without the cast needs it: clsact filters, by which
guards are attached there, do not go with an interface into another namespace.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from vifguard.kernel.bpf.btf import BtfMember

CHECKSUM_PARTIAL = 3
"""`ip_summed` of a frame whose checksum is to be completed."""
_FOREIGN_BIT = 35
_PROBE_READ_KERNEL = 113
_KFUNC = 2
_EXIT = 0x95
_R0, _R1, _R2, _R3, _R4, _R10 = 0, 1, 2, 3, 4, 10


@dataclass(frozen=True, slots=True)
class Layout:
    """The offsets of the fields; `csum_not_inet` is None in a kernel without SCTP."""

    ip_summed: BtfMember
    csum_start: BtfMember
    csum_offset: BtfMember
    mac_header: BtfMember
    csum_not_inet: BtfMember | None = None

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
class NamespacePath:
    """The way from a frame to the number of its interface's network namespace.

    `device` leads from `sk_buff` to `net_device`, `net` on to `net`, where `cookie` is.
    """

    device: BtfMember
    net: BtfMember
    cookie: BtfMember


@dataclass(frozen=True, slots=True)
class Reader:
    """The instructions that read the fields; `stack`: they need one, so a function of their own."""

    code: bytes
    stack: bool

    @property
    def function(self) -> bytes:
        """A function of these instructions."""
        return self.code + _instruction(_EXIT, 0)


def by_cast(layout: Layout, function: int, path: NamespacePath, namespace: int) -> Reader:
    """Instructions with `bpf_cast_to_kern_ctx`, whose BTF number is `function`.

    `namespace`: the number of the network namespace whose interfaces' frames are read.
    """
    cast = _instruction(0x85, 0, _KFUNC, 0, function)
    body = _body(layout, _R0, 0)
    return Reader(cast + _foreign(path, namespace, len(body)) + body, stack=False)


def _foreign(path: NamespacePath, namespace: int, rest: int) -> bytes:
    """Return bit 35 for an interface of another namespace, past the `rest` octets behind this."""
    leave = (
        _instruction(0xB7, _R0, 0, 0, 1)
        + _instruction(0x67, _R0, 0, 0, _FOREIGN_BIT)
        + _instruction(0x05, 0, 0, rest // 8)
    )
    return (
        _load_pointer(_R1, _R0, path.device)
        + _load_pointer(_R1, _R1, path.net)
        + _load_pointer(_R1, _R1, path.cookie)
        + _constant(_R2, namespace)
        + _instruction(0x1D, _R1, _R2, len(leave) // 8)
        + leave
    )


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
    skip = _instruction(0x15, _R1, 0, len(leave) // 8, CHECKSUM_PARTIAL)
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


def _load(register: int, base: int, shift: int, member: BtfMember) -> bytes:
    """Load two bytes."""
    return _instruction(0x69, register, base, member.byte + shift)


def _load_pointer(register: int, base: int, member: BtfMember) -> bytes:
    """Load eight bytes."""
    return _instruction(0x79, register, base, member.byte)


def _constant(register: int, value: int) -> bytes:
    """Load a constant of 64 bits, which takes two instructions."""
    low, high = struct.unpack("<ii", value.to_bytes(8, "little"))
    return _instruction(0x18, register, 0, 0, low) + _instruction(0, 0, 0, 0, high)


def _load_bits(register: int, base: int, shift: int, member: BtfMember) -> bytes:
    """Load a bit field within one byte, on a little-endian machine."""
    return (
        _instruction(0x71, register, base, member.byte + shift)
        + _instruction(0x77, register, 0, 0, member.bit % 8)
        + _instruction(0x57, register, 0, 0, (1 << member.bits) - 1)
    )


def _instruction(code: int, to: int, source: int = 0, offset: int = 0, immediate: int = 0) -> bytes:
    """One instruction (Documentation/bpf/standardization/instruction-set.rst)."""
    return struct.pack("<BBhi", code, to | source << 4, offset, immediate)
