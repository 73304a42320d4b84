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


def why_no_programs() -> str:
    """The reason why no tc program loads; empty where they do."""
    return error_of(lambda: Program.load("probe", _PASS, "GPL").close())


def why_no_ring_buffer() -> str:
    """The reason why the kernel has no ring buffers (Linux 5.8); empty where it has."""
    spec = MapSpec("probe", MapType.RINGBUF, 0, 0, 4096)
    return error_of(lambda: Map.create(spec).close())


def why_no_mapped_array() -> str:
    """The reason why no array can be mapped here (Linux 5.5); empty where it can."""
    spec = MapSpec("probe", MapType.ARRAY, 4, 8, 1, 1 << 10)
    return error_of(lambda: Map.create(spec).close())


def why_no_clsact() -> str:
    """The reason why clsact's hooks cannot be read by netlink; empty where they can."""

    def look() -> None:
        with tc.Clsact() as hooks:
            list(hooks.filters(_LOOPBACK, tc.Hook.INGRESS))

    return error_of(look)


def why_no_offload_fields() -> str:
    """The reason why programs cannot read how a checksum is completed; empty where they can."""
    return error_of(skbuff.reader)
