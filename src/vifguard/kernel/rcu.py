"""Grace periods, after which no program can be reading an object that went out of use."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import platform
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from vifguard.kernel.bpf.bpf_syscall import Map, MapSpec, MapType

_LIBC = ctypes.CDLL(None, use_errno=True)
_MEMBARRIER = {"x86_64": 324, "aarch64": 283}.get(platform.machine(), -1)
_GLOBAL = 1
_GLOBAL_EXPEDITED = 2
_EXPEDITED = Path("/sys/kernel/rcu_expedited")
_LATENCY = "/dev/cpu_dma_latency"
_BEFORE = "/run/vifguard-rcu-expedited"


@contextmanager
def expedited() -> Iterator[None]:
    """Make the kernel's grace periods short for the moment, where that may be set.

    Attaching a TCX program waits for one under the RTNL lock: 8 ms, 80 us expedited, and 17 us
    while no processor sleeps, as each of them must report. The former setting is in a file until
    it is restored, so that the next process restores one that a killed one left at 1; the file's
    lock keeps two from doing so at once. Not to be nested.
    """
    with _awake(), _short():
        yield


@contextmanager
def _awake() -> Iterator[None]:
    """Keep processors from deep sleep, by an open file (Documentation/power/pm_qos)."""
    try:
        request = os.open(_LATENCY, os.O_WRONLY | os.O_CLOEXEC)
    except OSError:
        yield
        return
    try:
        with suppress(OSError):
            os.write(request, bytes(4))
        yield
    finally:
        os.close(request)


@contextmanager
def _short() -> Iterator[None]:
    try:
        note = os.open(_BEFORE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError:
        yield
        return
    try:
        fcntl.flock(note, fcntl.LOCK_EX)
        with _set_to_1(note):
            yield
    finally:
        os.close(note)


@contextmanager
def _set_to_1(note: int) -> Iterator[None]:
    before = os.read(note, 16)
    try:
        if not before:
            before = _EXPEDITED.read_bytes()
            os.write(note, before)
        _EXPEDITED.write_bytes(b"1")
    except OSError:
        yield
        return
    try:
        yield
    finally:
        _EXPEDITED.write_bytes(before.strip())
        os.ftruncate(note, 0)


def grace_period() -> None:
    """Return when every program that began before the call has ended."""
    if _LIBC.syscall(_MEMBARRIER, _GLOBAL, 0, 0) == 0:
        return
    code = ctypes.get_errno()
    if code not in (errno.EINVAL, errno.ENOSYS):
        raise OSError(code, f"membarrier: {os.strerror(code)}")
    wait_by_map()


def wait_by_map() -> None:
    """Wait for a grace period where membarrier has none (nohz_full).

    Replacing an inner map returns to user space only after one (maybe_wait_bpf_programs in
    kernel/bpf/syscall.c).
    """
    one = MapSpec("inner", MapType.ARRAY, 4, 4, 1)
    with (
        Map.create(one) as inner,
        Map.create(MapSpec("outer", MapType.ARRAY_OF_MAPS, 4, 4, 1), inner) as outer,
    ):
        outer.update(bytes(4), struct.pack("=I", inner.fd))


def publish() -> None:
    """Order this process's earlier stores before its later ones, as other CPUs see them.

    x86 keeps that order by itself; membarrier begins with a full barrier elsewhere.
    """
    if platform.machine() != "x86_64":
        _LIBC.syscall(_MEMBARRIER, _GLOBAL_EXPEDITED, 0, 0)
