"""A reader of fields of the kernel's `struct sk_buff` which programs are not given.

`struct __sk_buff` has no field for a partial checksum. A program may read the structure behind
it; its offsets differ from kernel to kernel, and are in the kernel's BTF. So the instructions
are written (offload_reader.py) with this kernel's offsets: for Linux 6.2 and later with
`bpf_cast_to_kern_ctx`, whose loads cost nothing, before with `bpf_probe_read_kernel` (Linux 5.8),
some 30 ns a packet.
"""

from __future__ import annotations

import errno
import struct
from functools import lru_cache
from pathlib import Path

from vifguard.kernel.bpf.bpf_syscall import Program
from vifguard.kernel.bpf.btf import FUNCTION, Btf, BtfMember
from vifguard.kernel.bpf.offload_reader import (
    CHECKSUM_PARTIAL,
    Layout,
    NamespacePath,
    Reader,
    by_cast,
    by_copy,
)
from vifguard.kernel.net import netns

BTF = Path("/sys/kernel/btf/vmlinux")
_CAST = "bpf_cast_to_kern_ctx"
_WINDOW = 128
"""Octets in which all the fields must lie to be read at once."""


class UnreadableError(OSError):
    """The kernel does not let a program read a partial checksum's fields."""


TEST_WORDS = 4
"""`cb` of a test run: [1] ip_summed, csum_not_inet; [2] csum_start, csum_offset; [3] zero."""


def packed(*, start: int, offset: int, not_inet: bool) -> bytes:
    """The values of `cb[1]` to `cb[3]` in a test run, for a partial checksum."""
    return struct.pack("=BBHHHI", CHECKSUM_PARTIAL, not_inet, 0, start, offset, 0)


@lru_cache(maxsize=1)
def _kernel() -> Btf:
    try:
        return Btf(BTF.read_bytes())
    except OSError as error:
        raise UnreadableError(
            error.errno, f"{BTF}: {error.strerror}; the kernel needs CONFIG_DEBUG_INFO_BTF"
        ) from error


def reader() -> Reader:
    """The instructions for this kernel and the calling thread's network namespace.

    They are written by the first method that the kernel accepts. UnreadableError where it
    accepts none: a kernel without BTF, or in lockdown's confidentiality mode, which forbids
    programs to read kernel memory.
    """
    try:
        return _cast_reader(netns.cookie())
    except (KeyError, OSError):
        return _copy_reader()  # Linux before 6.2


@lru_cache(maxsize=1)
def _cast_reader(namespace: int) -> Reader:
    return _loaded(by_cast(_layout(), _cast(), _path(), namespace))


@lru_cache(maxsize=1)
def _copy_reader() -> Reader:
    try:
        return _loaded(by_copy(_layout()))
    except OSError as error:
        raise UnreadableError(error.errno, str(error)) from error


@lru_cache(maxsize=1)
def _layout() -> Layout:
    return layout_of(_kernel())


@lru_cache(maxsize=1)
def _cast() -> int:
    return _kernel().index(FUNCTION, _CAST)


@lru_cache(maxsize=1)
def _path() -> NamespacePath:
    return path_of(_kernel())


def path_of(kernel: Btf) -> NamespacePath:
    """The way to a namespace's number in this kernel; KeyError where it lacks a part."""
    return NamespacePath(
        device=kernel.members("sk_buff")["dev"],
        net=kernel.members("net_device")["nd_net"],
        cookie=kernel.members("net")["net_cookie"],
    )


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
    word = [BtfMember(cb + 32 * each) for each in range(TEST_WORDS)]
    return by_copy(
        Layout(
            ip_summed=BtfMember(word[1].bit, 2),
            csum_not_inet=BtfMember(word[1].bit + 8, 1),
            csum_start=word[2],
            csum_offset=BtfMember(word[2].bit + 16),
            mac_header=word[3],
        )
    )
