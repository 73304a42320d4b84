"""The file system in which maps, programs and links get names."""

from __future__ import annotations

import ctypes
import errno
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


def outlives_us() -> bool:
    """Whether a mount of this process stays when it ends.

    A mount in the mount namespace of a container, or of a unit with PrivateMounts, ends with the
    last process in it, and with the mount all pins whose objects nothing else holds. The
    machine's namespace is that of process 1, or of our oldest ancestor that we may read.
    """
    if os.getpid() == 1:
        return False
    ours, pid = _mount_namespace(os.getpid()), os.getpid()
    if (machine := _mount_namespace(1)) is not None:
        return ours == machine
    while (pid := _parent(pid)) and (theirs := _mount_namespace(pid)) is not None:
        if theirs != ours:
            return False
    return True


def _mount_namespace(pid: int) -> tuple[int, int] | None:
    """The device and inode number of a process's mount namespace; None where we may not read it."""
    try:
        found = os.stat(f"/proc/{pid}/ns/mnt")  # noqa: PTH116
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _parent(pid: int) -> int:
    """The parent's process id; 0 where there is none in this PID namespace."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return 0
    return int(status.rpartition(")")[2].split()[1])


def mount(path: Path) -> None:
    """Mount a bpffs at `path`, readable by root alone; the directory is made if need be."""
    path.mkdir(parents=True, exist_ok=True)
    if _LIBC.mount(b"bpffs", os.fsencode(path), b"bpf", 0, b"mode=0700") != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"cannot mount bpffs at {path}: {os.strerror(code)}")


def unmount(path: Path) -> None:
    """Unmount the bpffs at `path`; objects pinned in it and held nowhere else end."""
    if _LIBC.umount2(os.fsencode(path), 0) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"cannot unmount {path}: {os.strerror(code)}")


def ensure(path: Path) -> None:
    """Make the directory `path` in a bpffs, mounting one at its mount point if need be.

    `/sys/fs/bpf/x` is made in the bpffs at `/sys/fs/bpf`, the usual place, which is mounted
    where nobody did so; any other path becomes a mount point of its own. Raises OSError
    (EPERM) where such a mount would end with this process.
    """
    usual = Path("/sys/fs/bpf")
    if is_bpffs(path):
        return
    if usual in path.parents:
        if not is_bpffs(usual):
            _mount_to_stay(usual)
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    elif is_bpffs(path.parent):
        path.mkdir(mode=0o700, exist_ok=True)
    else:
        _mount_to_stay(path)


def _mount_to_stay(path: Path) -> None:
    if not outlives_us():
        raise OSError(
            errno.EPERM,
            f"no bpffs is mounted at {path}, and one mounted here ends with this process's own "
            "mount namespace, and all guards with it; in the machine's namespace run "
            f"`mount -t bpf bpf {path}`, and pass that directory in",
        )
    mount(path)
