"""The interfaces with an agent's guards, for a process without a lock on its directory."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import NoReturn

from vifguard.enforce.ebpf.hooks import ClsactFilters
from vifguard.enforce.ebpf.legacy_links import LegacyLinks
from vifguard.enforce.ebpf.pin_directory import PinDirectory
from vifguard.enforce.ebpf.tcx_hooks import Tcx


def guarded(bpf_dir: Path) -> frozenset[int]:
    """The interfaces with guards of the agent that pins there, read one by one. Raises OSError.

    The agent may be running.
    """
    directory = PinDirectory(bpf_dir)
    tcx = Tcx({}, directory, LegacyLinks(bpf_dir, directory), load_nothing)
    with closing(ClsactFilters({}, directory)) as filters:
        return frozenset(tcx.seen_all()) | frozenset(filters.seen_all())


def load_nothing(name: str) -> NoReturn:
    """Load no program: nothing is attached here."""
    raise LookupError(name)
