"""Leftovers of a release that attached guards by links: pins of them, and second checks.

It pinned each link as `<bpf dir>/links/<ifindex>-<hook>`, and put a program behind each guard,
without a link, that passed only frames that the guard had passed. All of this can go once no
host runs such a release any more.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from vifguard.enforce.ebpf.pin_directory import GUARDS, PinDirectory
from vifguard.kernel.bpf.tcx import Attached, Link

_SECOND_CHECK = "second_check"


class LegacyLinks:
    """The links that are pinned in one directory; the directory goes with the last of them."""

    def __init__(self, root: Path, directory: PinDirectory) -> None:
        self._pins = root / "links"
        self._directory = directory
        self._was_here = self._pins.is_dir()
        self._paths: dict[int, Path] = {}
        for path in self._pins.glob("*"):
            if path.is_dir():
                continue
            with Link.open(path) as link:
                self._paths[link.about.id] = path

    def own(self, attached: Sequence[Attached], *, is_port: bool) -> list[Attached]:
        """The programs at a hook that are attached by these links, and their second check.

        `is_port`: the hook is to have a guard. A second check behind another directory's guard is
        that one's; one where no guard of this directory is, or is to be, is nobody's
        where that release left no pins.
        """
        own = [each for each in attached if each.link in self._paths]
        names = {each: self._directory.name(each.program) for each in attached}
        if any(names[each] in GUARDS for each in attached if each.link and each not in own):
            return own
        guarded = own or is_port or any(self._directory.has(each.program) for each in attached)
        if not (guarded or self._was_here):
            return []  # anybody's program may be called like that
        return own + [x for x in attached if not x.link and names[x] == _SECOND_CHECK]

    def detach(self, number: int) -> None:
        """End a link; a kill in between leaves the pin of a detached one."""
        path = self._paths.pop(number)
        with Link.open(path) as link:
            link.detach()
        path.unlink()
        self._remove_empty()

    def tidy(self) -> None:
        """Remove the pins of detached links, and the directory where it is empty."""
        for number, path in list(self._paths.items()):
            with Link.open(path) as link:
                stands = bool(link.about.ifindex)
            if not stands:
                path.unlink()
                del self._paths[number]
        self._remove_empty()

    def _remove_empty(self) -> None:
        with suppress(OSError):
            self._pins.rmdir()
