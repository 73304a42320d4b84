"""What an earlier start left on interfaces that attached guards in the other way."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Protocol

from vifguard.enforce.hooks import ClsactFilters
from vifguard.enforce.second_check import NAME, SecondCheck
from vifguard.kernel.bpf import Program
from vifguard.kernel.tcx import AttachType, Link


class Leftovers(Protocol):
    """What is ours of one way to attach, found by name whatever way is used now."""

    name: str

    def ifindexes(self) -> Iterator[int]:
        """The interfaces where something is left."""

    def remove(self, ifindex: int) -> None:
        """Take it away."""

    def close(self) -> None:
        """Close what this holds."""


class PinnedLinks:
    """TCX links, where clsact filters are used."""

    name = "tcx"

    def __init__(self, links: Path, check: SecondCheck) -> None:
        self._links = links
        self._check = check

    def ifindexes(self) -> Iterator[int]:
        """By the names of the pins, and second checks behind no guard."""
        pinned = {int(pin.name.partition("-")[0]) for pin in self._links.iterdir()}
        yield from pinned.union(self._check.alone())

    def remove(self, ifindex: int) -> None:
        """Detach and unpin."""
        for where in AttachType:
            self._check.remove(ifindex, where)
        for path in self._links.glob(f"{ifindex}-*"):
            with Link.open(path) as link:
                link.detach()
            path.unlink()

    def close(self) -> None:
        """Nothing is held."""


class NoLeftovers:
    """Of a driver that attaches nowhere."""

    name = "none"

    def ifindexes(self) -> Iterator[int]:
        """None."""
        return iter(())

    def remove(self, ifindex: int) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


def leftovers(links: Path, programs: Mapping[str, Program], *, tcx: bool) -> Leftovers:
    """What to look for where guards are attached by `tcx`, or by clsact filters."""
    if tcx:
        return ClsactFilters(programs)
    return PinnedLinks(links, SecondCheck(programs[NAME]))
