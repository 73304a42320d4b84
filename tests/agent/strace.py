"""strace(1) at an agent: which system calls it makes, and its end at one of them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_CHANGING = (
    "bpf,sendto,sendmsg,write,pwrite64,ftruncate,/^rename,/^unlink,/^mkdir,/^rmdir,/^symlink"
)
"""What changes something outside of the process. A kill between two of these is one at the next."""


@contextmanager
def traced(pid: int, log: Path, *, kill_at: int = 0) -> Iterator[None]:
    """Trace the first thread of a process, in which an agent does all its deeds.

    `kill_at`: before that call, counted from 1, is made, the process is killed; 0 for not.
    The log has a line for each call. strace ends with the process, or with this.
    """
    kill = [f"--inject={_CHANGING}:signal=SIGKILL:when={kill_at}"] if kill_at else []
    command = ["strace", "-o", os.fspath(log), f"--trace={_CHANGING}", *kill, "-p", str(pid)]
    tracer = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        assert tracer.stderr
        said = tracer.stderr.readline()
        assert "attached" in said, f"strace of {pid}: {said}"
        yield
    finally:
        tracer.terminate()
        tracer.communicate()


def calls(log: Path) -> int:
    """How many calls were made."""
    return sum("(" in line for line in log.read_text().splitlines())
