"""Features of this kernel: each is tried, none is guessed from a version number."""

from __future__ import annotations

from collections.abc import Callable

from vifguard.kernel.bpf import skbuff, tcx
from vifguard.kernel.bpf.bpf_syscall import Map, MapSpec, MapType, Program
from vifguard.kernel.bpf.tcx import AttachType
from vifguard.kernel.net import tc

_PASS = bytes.fromhex("b4000000ffffffff9500000000000000")
"""`w0 = -1; exit`: TC_ACT_UNSPEC."""
_LOOPBACK = 1


def error_of(try_it: Callable[[], object]) -> str:
    """Call `try_it`; return the error's text, empty where it works."""
    try:
        try_it()
    except (OSError, ValueError) as error:
        return str(error)
    return ""


def has_tcx() -> bool:
    """Whether interfaces have TCX hooks (Linux 6.6)."""
    return not error_of(lambda: tcx.attached(_LOOPBACK, AttachType.TCX_INGRESS))


def programs() -> str:
    """Whether tc programs load at all; empty, or why not."""
    return error_of(lambda: Program.load("probe", _PASS, "GPL").close())


def ring_buffer() -> str:
    """Whether the kernel has ring buffers (Linux 5.8); empty, or why not."""
    spec = MapSpec("probe", MapType.RINGBUF, 0, 0, 4096)
    return error_of(lambda: Map.create(spec).close())


def mapped_array() -> str:
    """Whether arrays can be mapped into this process (Linux 5.5); empty, or why not."""
    spec = MapSpec("probe", MapType.ARRAY, 4, 8, 1, 1 << 10)
    return error_of(lambda: Map.create(spec).close())


def clsact() -> str:
    """Whether clsact's hooks can be read by netlink; empty, or why not."""

    def look() -> None:
        with tc.Clsact() as hooks:
            list(hooks.filters(_LOOPBACK, tc.Hook.INGRESS))

    return error_of(look)


def offload_fields() -> str:
    """Whether a program can read how a checksum is to be completed; empty, or why not."""
    return error_of(skbuff.reader)
