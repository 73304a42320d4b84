"""Attachment of the programs to an interface: TCX hooks, clsact filters, or none."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from typing import Protocol

from vifguard.enforce.ebpf.pin_directory import FROM_GUEST, TO_GUEST, PinDirectory
from vifguard.enforce.ebpf.state import BEHIND, NO_HOOKS, STALE, Hooks
from vifguard.kernel.bpf.bpf_syscall import Program
from vifguard.kernel.net.link import described
from vifguard.kernel.net.tc import PRIORITY, Clsact, Filter, Hook


class AttachMethod(Protocol):
    """One way to attach programs."""

    name: str

    def desired(self, *, swapped: bool) -> Hooks:
        """The programs that should be at ingress and egress."""

    def observed(self, ifindex: int) -> Hooks:
        """Our programs at ingress and egress; the fault's name for one that is not in order."""

    def seen_all(self) -> Mapping[int, Hooks]:
        """Our programs at each interface that has any; every interface is read."""

    def put(self, ifindex: int, hooks: Hooks, observed: Hooks) -> None:
        """Attach these programs; observed ones of ours are replaced in place."""

    def remove(self, ifindex: int) -> None:
        """Detach our programs."""

    def close(self) -> None:
        """Close the handles; the attachments stay."""


def guest_hooks(*, swapped: bool) -> Hooks:
    """The programs at ingress and egress: a guest's frames enter a tap, and leave a macvtap."""
    return (TO_GUEST, FROM_GUEST) if swapped else (FROM_GUEST, TO_GUEST)


class Detached:
    """No attachment at all: frames come from BPF_PROG_TEST_RUN."""

    name = "none"

    def desired(self, *, swapped: bool) -> Hooks:  # noqa: ARG002  (the protocol's)
        """No programs."""
        return NO_HOOKS

    def observed(self, ifindex: int) -> Hooks:  # noqa: ARG002  (the protocol's)
        """No programs."""
        return NO_HOOKS

    def seen_all(self) -> Mapping[int, Hooks]:
        """No interfaces."""
        return {}

    def put(self, ifindex: int, hooks: Hooks, observed: Hooks) -> None:
        """Do nothing."""

    def remove(self, ifindex: int) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


class ClsactFilters:
    """Filters of the clsact qdisc; they live as long as the interface.

    Other software's filters stay in place, behind ours: a program that runs first and passes a
    frame for good (TC_ACT_OK) would keep it from ours.
    """

    name = "clsact"
    _hooks = (Hook.INGRESS, Hook.EGRESS)
    _mark = "vifguard:"

    def __init__(self, programs: Mapping[str, Program], directory: PinDirectory) -> None:
        self._programs = programs
        self._directory = directory
        self._names = {program.id: name for name, program in programs.items()}
        self._tc = Clsact()

    def desired(self, *, swapped: bool) -> Hooks:
        """Both programs, by the kind of interface."""
        return guest_hooks(swapped=swapped)

    def observed(self, ifindex: int) -> Hooks:
        """The programs of our filters; BEHIND where other filters come first."""
        ingress, egress = (self._seen(ifindex, hook) for hook in self._hooks)
        return ingress, egress

    def seen_all(self) -> Mapping[int, Hooks]:
        """Read every interface that has the qdisc."""
        observed = {ifindex: self.observed(ifindex) for ifindex in self._tc.ifindexes()}
        return {ifindex: hooks for ifindex, hooks in observed.items() if hooks != NO_HOOKS}

    def put(self, ifindex: int, hooks: Hooks, observed: Hooks) -> None:
        """Add the filters, or replace their programs; OSError where another comes first."""
        for hook, desired, stands in zip(self._hooks, hooks, observed, strict=True):
            if stands != desired:
                self._put(ifindex, hook, desired)

    def remove(self, ifindex: int) -> None:
        """Delete the filters, and the qdisc where nobody else has one in it."""
        if self.observed(ifindex) == NO_HOOKS:
            return
        for hook in self._hooks:
            for each in self._own(self._filters(ifindex, hook)):
                self._tc.remove(ifindex, hook, each.handle)
        self._tc.remove_clsact(ifindex)

    def close(self) -> None:
        """Close the netlink socket."""
        self._tc.close()

    def _put(self, ifindex: int, hook: Hook, desired: str) -> None:
        filters = self._filters(ifindex, hook)
        own = self._own(filters)
        in_place = own[0].handle if own and own[0] == filters[0] else 0
        program = self._programs[desired]
        try:
            self._tc.put(ifindex, hook, program, self._mark + desired, in_place)
        except OSError as error:
            if filters and not in_place and error.errno in (errno.EINVAL, errno.ENOENT):
                raise OSError(
                    errno.EBUSY,
                    f"another program's tc filter has priority {PRIORITY} at interface "
                    f"{described(ifindex)}, {hook.name.lower()}, so that ours would not be first; "
                    "give it a later one",
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
        return [
            each
            for each in filters
            if each.name.startswith(self._mark) and not self._directory.is_anothers(each.program)
        ]

    def _filters(self, ifindex: int, hook: Hook) -> list[Filter]:
        try:
            return list(self._tc.filters(ifindex, hook))
        except OSError as error:
            if error.errno in (errno.ENODEV, errno.EINVAL, errno.EOPNOTSUPP, errno.ENOENT):
                return []
            raise
