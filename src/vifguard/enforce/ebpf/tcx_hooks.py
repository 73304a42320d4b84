"""Guards at TCX hooks, attached without links: they stay as long as the interface."""

from __future__ import annotations

import errno
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from vifguard.enforce.ebpf.hooks import guest_hooks
from vifguard.enforce.ebpf.legacy_links import LegacyLinks
from vifguard.enforce.ebpf.pin_directory import PinDirectory
from vifguard.enforce.ebpf.state import BEHIND, NO_HOOKS, STALE, Hooks
from vifguard.kernel.bpf import tcx
from vifguard.kernel.bpf.bpf_syscall import Program
from vifguard.kernel.bpf.tcx import Attached, AttachType
from vifguard.kernel.net.link import described, interfaces

log = logging.getLogger("vifguard")

Load = Callable[[str], Program]
"""Loads a program by its name."""


class Tcx:
    """Programs at TCX hooks, which outlive the agent and its pins.

    Ours must be the first of all programs at a hook, as one before it may pass a frame that ours
    would drop, and the only one of ours, as an older one would go on judging by its old policies.
    """

    name = "tcx"

    def __init__(
        self,
        programs: Mapping[str, Program],
        directory: PinDirectory,
        former: LegacyLinks,
        load: Load,
    ) -> None:
        """`load` makes another instance of a program."""
        self._programs = programs
        self._ids = {name: program.id for name, program in programs.items()}
        self._names = {number: name for name, number in self._ids.items()}
        self._directory = directory
        self._former = former
        self._load = load

    def desired(self, *, swapped: bool) -> Hooks:
        """Both programs, by the kind of interface."""
        return guest_hooks(swapped=swapped)

    def observed(self, ifindex: int) -> Hooks:
        """The programs of ours; STALE besides another of ours, BEHIND others' programs."""
        ingress, egress = (self._seen(_attached(ifindex, where)) for where in AttachType)
        return ingress, egress

    def seen_all(self) -> Mapping[int, Hooks]:
        """Read every interface."""
        observed = {ifindex: self.observed(ifindex) for ifindex in interfaces()}
        return {ifindex: hooks for ifindex, hooks in observed.items() if hooks != NO_HOOKS}

    def put(self, ifindex: int, hooks: Hooks, observed: Hooks) -> None:
        """Attach before all others, or replace a program of ours that is first."""
        for where, desired, stands in zip(AttachType, hooks, observed, strict=True):
            if stands != desired:
                self._put(ifindex, where, desired)

    def remove(self, ifindex: int) -> None:
        """Detach our programs."""
        for where in AttachType:
            self._detach(self._own(_attached(ifindex, where)), ifindex, where)

    def close(self) -> None:
        """Do nothing: there are no handles."""

    def _seen(self, attached: Sequence[Attached]) -> str:
        own = self._own(attached)
        if not own:
            return ""
        if own[0] != attached[0]:
            return BEHIND
        return self._names.get(own[0].program, STALE) if len(own) == 1 else STALE

    def _own(self, attached: Sequence[Attached], *, is_port: bool = False) -> list[Attached]:
        """The programs of this directory, of any build, in their order."""
        if len(attached) == 1 and not attached[0].link and attached[0].program in self._names:
            return [*attached]
        former = self._former.own(attached, is_port=is_port)
        linkless = (x for x in attached if not x.link)
        own = {x for x in linkless if self._directory.has(x.program)}.union(former)
        return [x for x in attached if x in own]

    def _put(self, ifindex: int, where: AttachType, desired: str) -> None:
        number, attached = self._ids[desired], _attached(ifindex, where)
        own = self._own(attached, is_port=True)
        if number in [each.program for each in own] and attached[0].program != number:
            self._put_first(ifindex, where, desired, own)
            return
        if own and own[0] == attached[0] and not own[0].link:
            self._replace(own.pop(0).program, desired, ifindex, where)
        else:
            tcx.attach_first(self._programs[desired], ifindex, where)
            self._warn_of_others(attached, ifindex)
        self._detach(own, ifindex, where)

    def _put_first(
        self, ifindex: int, where: AttachType, desired: str, own: Iterable[Attached]
    ) -> None:
        """Put another instance of the program before all others, then detach those of ours.

        No hook takes one program twice, and detaching it first would open the port meanwhile.
        """
        with self._load(desired) as twin:
            tcx.attach_first(twin, ifindex, where)
            self._detach(own, ifindex, where)
            tcx.replace(twin, self._programs[desired], ifindex, where)

    def _replace(self, old: int, desired: str, ifindex: int, where: AttachType) -> None:
        if old != self._ids[desired]:
            with Program.by_id(old) as replaced:
                tcx.replace(replaced, self._programs[desired], ifindex, where)

    def _detach(self, own: Iterable[Attached], ifindex: int, where: AttachType) -> None:
        """Detach from the last to the first: a second check needs the guard before it."""
        for program, link in reversed([*own]):
            with _none_if_missing():
                if link:
                    self._former.detach(link)
                else:
                    with Program.by_id(program) as ended:
                        tcx.detach(ended, ifindex, where)

    def _warn_of_others(self, attached: Iterable[Attached], ifindex: int) -> None:
        for each in attached:
            if self._directory.is_anothers(each.program):
                path = self._directory.others_path(each.program)
                log.warning(
                    "interface %s has a guard besides of another agent, which %s; it goes on "
                    "dropping by the last policy that it has: `vifguard down --release --bpf-dir "
                    "%s` takes it off",
                    described(ifindex),
                    f"pins in {path}" if path else "does not pin beside this one",
                    path or "DIR",
                )


def _attached(ifindex: int, where: AttachType) -> Sequence[Attached]:
    """The programs at a hook; none where the interface is gone, or the kernel has no TCX."""
    with _none_if_missing():
        return tcx.attached(ifindex, where)
    return ()


@contextmanager
def _none_if_missing() -> Iterator[None]:
    """Ignore the error of an interface or program that is gone, or of a kernel without TCX."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENODEV, errno.ENOENT, errno.EINVAL):
            raise
