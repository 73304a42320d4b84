"""The program behind a guard at a TCX hook: what the guard did not pass, it drops.

A link ends with its last pin and holder, and can be detached. This program is attached without
one, so it stays as long as the interface: a port whose guard goes is closed, not open, though
no agent lives. It is known by its name, whichever build loaded it, and replaced where its
instructions are not this build's.
"""

from __future__ import annotations

import errno
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from vifguard.kernel import tcx
from vifguard.kernel.bpf import Program
from vifguard.kernel.link import interfaces
from vifguard.kernel.tcx import AttachType, Link

log = logging.getLogger("vifguard")

NAME = "second_check"
_GUARDS = frozenset({"from_guest", "to_guest"})


class SecondCheck:
    """Attaches the second check behind guards, finds it and removes it."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._tag = program.tag
        self._known: dict[int, tuple[str, bytes]] = {}
        """Names and tags of programs by their ids, of which the kernel gives none twice."""

    def is_behind_first(self, programs: Sequence[int]) -> bool:
        """Whether this build's stands right behind the first of a hook's programs.

        And no other is there, of it or of guards: an older one whose pins nobody reaches any
        more would go on judging by what it last knew.
        """
        names = [self._about(number)[0] for number in programs]
        alone = [place for place, name in enumerate(names) if name == NAME or name in _GUARDS]
        return alone == [0, 1] and self._about(programs[1]) == (NAME, self._tag)

    def put_behind(self, link: Link, ifindex: int, where: AttachType) -> None:
        """Move it right behind a link's program, which is first there, and end other guards."""
        programs = tcx.attached(ifindex, where)
        if self.is_behind_first(programs):
            return
        self._remove(ifindex, where, programs)
        tcx.attach_behind(self._program, link, ifindex, where)
        for number, other in tcx.attached_by(ifindex, where)[2:]:
            if other and self._about(number)[0] in _GUARDS:
                log.warning(
                    "interface %d had another guard, which is not in these pins: it is detached",
                    ifindex,
                )
                with _gone_is_nothing(), Link.by_id(other) as ended:
                    ended.detach()

    def remove(self, ifindex: int, where: AttachType) -> None:
        """Take it away; nothing where it is not, or where the interface is gone."""
        with _gone_is_nothing():
            self._remove(ifindex, where, tcx.attached(ifindex, where))

    def alone(self) -> Iterator[int]:
        """The interfaces where it stands at a hook without a guard, by asking each.

        Where there is a guard it is its agent's, which finds it by that.
        """
        for ifindex in interfaces():
            if any(self._is_alone(ifindex, each) for each in AttachType):
                yield ifindex

    def _is_alone(self, ifindex: int, where: AttachType) -> bool:
        names: set[str] = set()
        with _gone_is_nothing():
            names = {self._about(number)[0] for number in tcx.attached(ifindex, where)}
        return NAME in names and names.isdisjoint(_GUARDS)

    def _remove(self, ifindex: int, where: AttachType, programs: Sequence[int]) -> None:
        for number in programs:
            if self._about(number)[0] == NAME:
                with Program.by_id(number) as program:
                    tcx.detach(program, ifindex, where)

    def _about(self, number: int) -> tuple[str, bytes]:
        """The name and tag of a program; neither of one that is gone."""
        if number not in self._known:
            try:
                with Program.by_id(number) as program:
                    self._known[number] = program.name, program.tag
            except FileNotFoundError:
                return "", b""
        return self._known[number]


@contextmanager
def _gone_is_nothing() -> Iterator[None]:
    """Let an interface or program that is gone by now be none; so is a kernel without TCX."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENODEV, errno.ENOENT, errno.EINVAL):
            raise
