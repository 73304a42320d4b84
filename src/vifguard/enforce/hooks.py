"""Where the programs stand on an interface: TCX links, clsact filters, or nowhere."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Protocol

from vifguard.enforce.state import NO_HOOKS, Hooks
from vifguard.kernel import bpf
from vifguard.kernel.bpf import AttachType, Link, Program
from vifguard.kernel.tc import Clsact, Hook

FROM_GUEST, TO_GUEST = "from_guest", "to_guest"
_STALE = "stale"


class Attaching(Protocol):
    """One way to attach."""

    name: str

    def wanted(self, *, swapped: bool) -> Hooks:
        """Which program should stand at ingress and egress."""

    def seen(self, ifindex: int) -> Hooks:
        """Which of ours stand there; `stale` for a program of another build."""

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
    """Links pinned as `<ifindex>-ingress` and `<ifindex>-egress`; they outlive the process."""

    name = "tcx"
    _hooks = (("ingress", AttachType.TCX_INGRESS), ("egress", AttachType.TCX_EGRESS))

    def __init__(self, links: Path, programs: Mapping[str, Program]) -> None:
        self._links = links
        self._programs = programs
        self._names = {program.id: name for name, program in programs.items()}

    def wanted(self, *, swapped: bool) -> Hooks:
        """Both programs, by the kind of interface."""
        return guest_hooks(swapped=swapped)

    def seen(self, ifindex: int) -> Hooks:
        """What stands there and is pinned, so that it stays."""
        ingress, egress = (self._seen(ifindex, *hook) for hook in self._hooks)
        return ingress, egress

    def ifindexes(self) -> Iterator[int]:
        """By the names of the pins."""
        with os.scandir(self._links) as pins:
            yield from {int(pin.name.partition("-")[0]) for pin in pins}

    def put(self, ifindex: int, hooks: Hooks, seen: Hooks) -> None:
        """Update live links, pin new ones."""
        for (name, where), wanted, stands in zip(self._hooks, hooks, seen, strict=True):
            program, path = self._programs[wanted], self._path(ifindex, name)
            if stands == wanted:
                continue
            if stands:
                with Link.open(path) as link:
                    link.update(program)
                continue
            with Link.attach(program, ifindex, where) as link:
                try:
                    link.pin(path)
                except FileExistsError:  # a link whose interface is gone
                    Path(path).unlink()
                    link.pin(path)

    def remove(self, ifindex: int) -> None:
        """Detach and unpin; a kill in between leaves a dead link, as of a lost interface."""
        for name, _ in self._hooks:
            path = Path(self._path(ifindex, name))
            if path.exists():
                with Link.open(path) as link:
                    link.detach()
                path.unlink()

    def close(self) -> None:
        """Nothing is held."""

    def _path(self, ifindex: int, name: str) -> str:
        return f"{self._links}/{ifindex}-{name}"

    def _seen(self, ifindex: int, name: str, where: AttachType) -> str:
        path = self._path(ifindex, name)
        if not os.path.exists(path):  # noqa: PTH110 - 20,000 times
            return ""
        try:
            programs = bpf.attached(ifindex, where)
        except OSError as error:
            if error.errno != errno.ENODEV:
                raise
            return ""
        own = (self._names[each] for each in programs if each in self._names)
        return next(own, "") or self._stale(ifindex, path)

    def _stale(self, ifindex: int, path: str) -> str:
        """Whether the pinned link is alive, on another build's program."""
        with Link.open(path) as link:
            return _STALE if link.about.ifindex == ifindex else ""


class ClsactFilters:
    """Filters of the clsact qdisc; they live as long as the interface."""

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
        """What our filters run."""
        ingress, egress = (self._seen(ifindex, hook) for hook in self._hooks)
        return ingress, egress

    def ifindexes(self) -> Iterator[int]:
        """By asking every interface."""
        for ifindex, _ in socket.if_nameindex():
            if self.seen(ifindex) != NO_HOOKS:
                yield ifindex

    def put(self, ifindex: int, hooks: Hooks, seen: Hooks) -> None:
        """Add or replace the filters."""
        for hook, wanted, stands in zip(self._hooks, hooks, seen, strict=True):
            if stands != wanted:
                self._tc.put(ifindex, hook, self._programs[wanted], self._mark + wanted)

    def remove(self, ifindex: int) -> None:
        """Delete the filters, and the qdisc where nobody else has one in it."""
        if self.seen(ifindex) == NO_HOOKS:
            return
        for hook in self._hooks:
            if self._seen(ifindex, hook):
                self._tc.remove(ifindex, hook)
        self._tc.remove_clsact(ifindex)

    def close(self) -> None:
        """Close the netlink socket."""
        self._tc.close()

    def _seen(self, ifindex: int, hook: Hook) -> str:
        try:
            filters = list(self._tc.filters(ifindex, hook))
        except OSError as error:
            if error.errno in (errno.ENODEV, errno.EINVAL, errno.EOPNOTSUPP, errno.ENOENT):
                return ""
            raise
        for it in filters:
            if it.name.startswith(self._mark):
                return self._names.get(it.program, _STALE)
        return ""
