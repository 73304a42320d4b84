"""A data directory that cannot be written: a full disk, a file system that is read-only."""

from __future__ import annotations

import errno
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vifguard.cli.exit_codes import InputError

log = logging.getLogger("vifguard")

_UNWRITABLE = frozenset({errno.ENOSPC, errno.EROFS, errno.EDQUOT, errno.EIO})


@contextmanager
def required(data_dir: Path) -> Iterator[None]:
    """Turn failures to write into an InputError that names the directory and the cause."""
    try:
        yield
    except OSError as error:
        if error.errno not in _UNWRITABLE:
            raise
        raise InputError(
            f"--data-dir {data_dir} cannot be written: {error.strerror}. The guards of this host "
            "stay in force; free space or mount it anew, and start again"
        ) from None


@contextmanager
def wished(data_dir: Path) -> Iterator[None]:
    """Log failures to write, and go on without the file."""
    try:
        yield
    except OSError as error:
        if error.errno not in _UNWRITABLE:
            raise
        log.warning(
            "--data-dir %s cannot be written: %s. The agent goes on guarding; `vifguard down` "
            "will not find it",
            data_dir,
            error.strerror,
        )
