"""The file system in which maps, programs and links get names."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

_LIBC = ctypes.CDLL(None, use_errno=True)
_BPF_FS_MAGIC = 0xCAFE4A11


def is_bpffs(path: Path) -> bool:
    """Whether `path` exists and lies in a bpffs."""
    answer = ctypes.create_string_buffer(256)
    if _LIBC.statfs(os.fsencode(path), answer) != 0:
        return False
    return ctypes.c_long.from_buffer(answer).value & 0xFFFFFFFF == _BPF_FS_MAGIC


def mount(path: Path) -> None:
    """Mount a bpffs at `path`, readable by root alone; the directory is made if need be."""
    path.mkdir(parents=True, exist_ok=True)
    if _LIBC.mount(b"bpffs", os.fsencode(path), b"bpf", 0, b"mode=0700") != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"cannot mount bpffs at {path}: {os.strerror(code)}")


def unmount(path: Path) -> None:
    """Unmount what is mounted at `path`; what is pinned in it and held nowhere else ends."""
    if _LIBC.umount2(os.fsencode(path), 0) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"cannot unmount {path}: {os.strerror(code)}")


def ensure(path: Path) -> None:
    """Make the directory `path` in a bpffs, mounting one at its mount point if need be.

    `/sys/fs/bpf/x` is made in the bpffs at `/sys/fs/bpf`, the usual place, which is mounted
    where nobody did so; any other path becomes a mount point of its own.
    """
    usual = Path("/sys/fs/bpf")
    if is_bpffs(path):
        return
    if usual in path.parents:
        if not is_bpffs(usual):
            mount(usual)
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    elif is_bpffs(path.parent):
        path.mkdir(mode=0o700, exist_ok=True)
    else:
        mount(path)
