"""How many file descriptors this process may have."""

from __future__ import annotations

import resource
from contextlib import suppress
from pathlib import Path

_MOST = Path("/proc/sys/fs/nr_open")
_OPEN = Path("/proc/self/fd")


def allow_many() -> int:
    """Raise the limit of this process as far as it may be; how many more it can open then.

    The hard limit can be raised with CAP_SYS_RESOURCE alone.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for most in (int(_MOST.read_text(encoding="ascii")), hard):
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, max(most, hard)))
            break
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0] - len(list(_OPEN.iterdir()))
