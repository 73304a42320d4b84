"""Where the programs stand on an interface: TCX links, clsact filters, or nowhere."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

from vifguard.enforce.second_check import NAME as SECOND_CHECK
from vifguard.enforce.second_check import SecondCheck
from vifguard.enforce.state import BEHIND, NO_HOOKS, STALE, UNCHECKED, UNPINNED, Hooks
from vifguard.kernel import tcx
from vifguard.kernel.bpf import Program
from vifguard.kernel.tc import PRIORITY, Clsact, Filter, Hook
from vifguard.kernel.tcx import AttachType, Link

FROM_GUEST, TO_GUEST = "from_guest", "to_guest"

_ASIDE = "-new"

Load = Callable[[str], Program]
"""Loads a program by its name."""


class Attaching(Protocol):
    """One way to attach."""

    name: str

    def wanted(self, *, swapped: bool) -> Hooks:
        """Which program should stand at ingress and egress."""

    def seen(self, ifindex: int) -> Hooks:
        """Which of ours stand there; what is wrong with one that is not as it should be."""

    def ifindexes(self) -> Iterator[int]:
        """The interfaces where one of ours stands, or stood until the interface went."""

    def put(self, ifindex: int, hooks: Hooks, seen: Hooks) -> None:
        """Let these programs stand there; what was seen of ours is replaced in place."""

    def remove(self, ifindex: int) -> None:
        """Take ours away."""

    def close(self) -> None:
        """Close what this holds; the attachments stay."""


def guest_hooks(*, swapped: bool) -> Hooks:
    """A guest's frames enter its interface, those of a macvtap leave it."""
    return (TO_GUEST, FROM_GUEST) if swapped else (FROM_GUEST, TO_GUEST)


class Nowhere:
    """No attachment at all: frames come from BPF_PROG_TEST_RUN."""

    name = "none"

    def wanted(self, *, swapped: bool) -> Hooks:  # noqa: ARG002  (the protocol's)
        """Nothing."""
        return NO_HOOKS

    def seen(self, ifindex: int) -> Hooks:  # noqa: ARG002  (the protocol's)
        """Nothing."""
        return NO_HOOKS

    def ifindexes(self) -> Iterator[int]:
        """None."""
        return iter(())

    def put(self, ifindex: int, hooks: Hooks, seen: Hooks) -> None:
        """Do nothing."""

    def remove(self, ifindex: int) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


class Tcx:
    """Links pinned as `<ifindex>-ingress` and `<ifindex>-egress`; they outlive the process.

    The process holds them besides, as many as it may: a pin that somebody removes then neither
    opens nor closes a port. Of all programs at a hook ours must be the first, as one before it
    may pass what it would drop; the second check is right behind it, and closes the port where a
    link goes that nobody holds.
    """

    name = "tcx"
    _hooks = (("ingress", AttachType.TCX_INGRESS), ("egress", AttachType.TCX_EGRESS))

    def __init__(
        self, pins: Path, programs: Mapping[str, Program], load: Load, descriptors: int
    ) -> None:
        """`load` makes another instance of a program; at most `descriptors` links are held."""
        self._pins = pins
        self._programs = programs
        self._names = {programs[name].id: name for name in (FROM_GUEST, TO_GUEST)}
        self._load = load
        self._check = SecondCheck(programs[SECOND_CHECK])
        self._most = descriptors
        self._held: dict[str, Link] = {}
        self._inodes: dict[str, int] = {}
        """Of the pins that this process made or took over."""
        for left in pins.glob(f"*{_ASIDE}"):
            left.unlink()

    def wanted(self, *, swapped: bool) -> Hooks:
        """Both programs, by the kind of interface."""
        return guest_hooks(swapped=swapped)

    def seen(self, ifindex: int) -> Hooks:
        """What stands there, comes first, and is pinned, so that it stays."""
        ingress, egress = (self._seen(ifindex, *hook) for hook in self._hooks)
        return ingress, egress

    def ifindexes(self) -> Iterator[int]:
        """By the names of pins, what is held without one, and second checks behind no guard."""
        names = set(self._held)
        with suppress(FileNotFoundError), os.scandir(self._pins) as pins:
            names.update(pin.name for pin in pins)
        yield from {int(name.partition("-")[0]) for name in names}.union(self._check.alone())

    def put(self, ifindex: int, hooks: Hooks, seen: Hooks) -> None:
        """Update live links, pin new ones."""
        for (hook, where), wanted, stands in zip(self._hooks, hooks, seen, strict=True):
            if stands != wanted:
                self._put(f"{ifindex}-{hook}", ifindex, where, wanted, stands)

    def remove(self, ifindex: int) -> None:
        """Detach and unpin; a kill in between leaves a dead link, as of a lost interface."""
        for hook, where in self._hooks:
            self._check.remove(ifindex, where)
            name = f"{ifindex}-{hook}"
            with suppress(FileNotFoundError):
                with self._link(name) as link:
                    link.detach()
                os.unlink(self._path(name))  # noqa: PTH108 - 20,000 times
            self._let_go(name)

    def close(self) -> None:
        """Let go of the links; those that are pinned stay."""
        for name in list(self._inodes):
            self._let_go(name)

    def _put(self, name: str, ifindex: int, where: AttachType, wanted: str, stands: str) -> None:
        program = self._programs[wanted]
        if not stands:
            self._take(name, Link.attach(program, ifindex, where))
        with self._link(name) as link:
            if stands == UNPINNED:
                self._inodes[name] = self._pin(name, link)
            elif stands and stands != BEHIND:  # what is first there may be another program of ours
                link.update(program)
        if stands == BEHIND:
            self._put_first(name, ifindex, where, wanted)
        with self._link(name) as link:
            self._check.put_behind(link, ifindex, where)

    def _put_first(self, name: str, ifindex: int, where: AttachType, wanted: str) -> None:
        """Put another instance of the program before all, and let it end the present one.

        No hook takes one program twice, and to detach it first would open the port meanwhile.
        """
        with self._load(wanted) as twin, self._link(name) as before:
            link = Link.attach(twin, ifindex, where)
            inode = self._pin(name, link)
            before.detach()
            link.update(self._programs[wanted])
        self._let_go(name)
        self._keep(name, link, inode)

    def _take(self, name: str, link: Link) -> None:
        self._keep(name, link, self._pin(name, link))

    def _keep(self, name: str, link: Link, inode: int) -> None:
        """Know a pinned link, and hold it while there is room."""
        self._inodes[name] = inode
        if len(self._held) < self._most:
            self._held[name] = link
        else:
            link.close()

    @contextmanager
    def _link(self, name: str) -> Iterator[Link]:
        """The link, held or by its pin; FileNotFoundError for neither."""
        if name in self._held:
            yield self._held[name]
        else:
            with Link.open(self._path(name)) as link:
                yield link

    def _pin(self, name: str, link: Link) -> int:
        """Let a link have its name; a kill in between leaves it to who had it before."""
        path = self._path(name)
        aside = path + _ASIDE
        with suppress(FileNotFoundError):
            os.unlink(aside)  # noqa: PTH108 - 20,000 times
        link.pin(aside)
        os.rename(aside, path)  # noqa: PTH104 - 20,000 times
        return self._inode(name)

    def _path(self, name: str) -> str:
        return f"{self._pins}/{name}"

    def _seen(self, ifindex: int, hook: str, where: AttachType) -> str:
        name = f"{ifindex}-{hook}"
        pin = self._inode(name)
        if not self._is_known(name, pin) and not self._take_over(name, ifindex, pin):
            return ""
        try:
            programs = tcx.attached(ifindex, where)
        except OSError as error:
            if error.errno != errno.ENODEV:
                raise
            return self._let_go(name)
        own = [self._names.get(each, "") for each in programs]
        if not any(own):
            return STALE if self._is_at(name, ifindex) else self._let_go(name)
        if not own[0]:
            return BEHIND
        if pin != self._inodes[name]:
            return UNPINNED
        return own[0] if self._check.is_behind_first(programs) else UNCHECKED

    def _inode(self, name: str) -> int:
        """The number of a pin, which one that is made anew does not have; 0 for no pin."""
        try:
            return os.stat(self._path(name)).st_ino  # noqa: PTH116 - 20,000 times
        except FileNotFoundError:
            return 0

    def _is_known(self, name: str, pin: int) -> bool:
        """Whether its link is this process's, held or by the pin that it knows."""
        return name in self._held or (pin != 0 and self._inodes.get(name) == pin)

    def _is_at(self, name: str, ifindex: int) -> bool:
        with suppress(FileNotFoundError), self._link(name) as link:
            return link.about.ifindex == ifindex
        return False

    def _take_over(self, name: str, ifindex: int, pin: int) -> bool:
        """Know what another process pinned, unless its interface is gone."""
        self._let_go(name)
        if not pin:
            return False
        link = Link.open(self._path(name))
        if link.about.ifindex != ifindex:
            link.close()
            return False
        self._keep(name, link, pin)
        return True

    def _let_go(self, name: str) -> str:
        """Know nothing of a link any more."""
        self._inodes.pop(name, None)
        if held := self._held.pop(name, None):
            held.close()
        return ""


class ClsactFilters:
    """Filters of the clsact qdisc; they live as long as the interface.

    Other software's filters stay where they are, behind ours: a program that stands first and
    passes a frame for good (TC_ACT_OK) would keep it from us.
    """

    name = "clsact"
    _hooks = (Hook.INGRESS, Hook.EGRESS)
    _mark = "vifguard:"

    def __init__(self, programs: Mapping[str, Program]) -> None:
        self._programs = programs
        self._names = {program.id: name for name, program in programs.items()}
        self._tc = Clsact()

    def wanted(self, *, swapped: bool) -> Hooks:
        """Both programs, by the kind of interface."""
        return guest_hooks(swapped=swapped)

    def seen(self, ifindex: int) -> Hooks:
        """What our filters run, where they are met first."""
        ingress, egress = (self._seen(ifindex, hook) for hook in self._hooks)
        return ingress, egress

    def ifindexes(self) -> Iterator[int]:
        """By asking every interface that has the qdisc."""
        for ifindex in self._tc.ifindexes():
            if self.seen(ifindex) != NO_HOOKS:
                yield ifindex

    def put(self, ifindex: int, hooks: Hooks, seen: Hooks) -> None:
        """Add the filters, or replace their programs; OSError where another stands first."""
        for hook, wanted, stands in zip(self._hooks, hooks, seen, strict=True):
            if stands != wanted:
                self._put(ifindex, hook, wanted)

    def remove(self, ifindex: int) -> None:
        """Delete the filters, and the qdisc where nobody else has one in it."""
        if self.seen(ifindex) == NO_HOOKS:
            return
        for hook in self._hooks:
            for each in self._own(self._filters(ifindex, hook)):
                self._tc.remove(ifindex, hook, each.handle)
        self._tc.remove_clsact(ifindex)

    def close(self) -> None:
        """Close the netlink socket."""
        self._tc.close()

    def _put(self, ifindex: int, hook: Hook, wanted: str) -> None:
        filters = self._filters(ifindex, hook)
        own = self._own(filters)
        in_place = own[0].handle if own and own[0] == filters[0] else 0
        program = self._programs[wanted]
        try:
            self._tc.put(ifindex, hook, program, self._mark + wanted, in_place)
        except OSError as error:
            if filters and not in_place and error.errno in (errno.EINVAL, errno.ENOENT):
                raise OSError(
                    errno.EBUSY,
                    f"another program's tc filter has priority {PRIORITY} at interface {ifindex}, "
                    f"{hook.name.lower()}, so that ours would not be first; give it a later one",
                ) from error
            raise
        for each in own:
            if each.handle != in_place:
                self._tc.remove(ifindex, hook, each.handle)

    def _seen(self, ifindex: int, hook: Hook) -> str:
        filters = self._filters(ifindex, hook)
        own = self._own(filters)
        if not own:
            return ""
        return self._names.get(own[0].program, STALE) if own[0] == filters[0] else BEHIND

    def _own(self, filters: list[Filter]) -> list[Filter]:
        return [each for each in filters if each.name.startswith(self._mark)]

    def _filters(self, ifindex: int, hook: Hook) -> list[Filter]:
        try:
            return list(self._tc.filters(ifindex, hook))
        except OSError as error:
            if error.errno in (errno.ENODEV, errno.EINVAL, errno.EOPNOTSUPP, errno.ENOENT):
                return []
            raise
