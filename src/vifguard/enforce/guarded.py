"""Where an agent's guards stand, for whoever does not hold its directory of pins."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import NoReturn

from vifguard.enforce.directory import Directory
from vifguard.enforce.former_links import FormerLinks
from vifguard.enforce.hooks import ClsactFilters
from vifguard.enforce.tcx_hooks import Tcx


def guarded(bpf_dir: Path) -> frozenset[int]:
    """The interfaces with guards of the agent that pins there; each is asked. Raises OSError.

    The agent may be running.
    """
    directory = Directory(bpf_dir)
    tcx = Tcx({}, directory, FormerLinks(bpf_dir, directory), _load_nothing)
    with closing(ClsactFilters({}, directory)) as filters:
        return frozenset(tcx.seen_all()) | frozenset(filters.seen_all())


def _load_nothing(name: str) -> NoReturn:
    """Of one who attaches no program."""
    raise LookupError(name)
