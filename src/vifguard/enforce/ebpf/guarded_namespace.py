"""The network namespace that an agent guards: one for each directory of pins.

The maps know a port by its interface's index, and another namespace has other interfaces by the
same indexes. Guards that are left in the first one would be judged by the ports of the next.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from contextlib import suppress

from vifguard.enforce.driver.protocol import HeldError
from vifguard.enforce.ebpf.pin_directory import GUARDS
from vifguard.enforce.ebpf.pins import Pins
from vifguard.kernel import rcu
from vifguard.kernel.bpf.bpf_syscall import Program
from vifguard.kernel.net import netns

_PATIENCE = 5.0
"""Seconds in which the kernel frees a program that nothing refers to any more."""


def require_namespace(pins: Pins) -> None:
    """Note the calling thread's namespace beside the pins.

    Raises HeldError where another one is noted and guards are left that read the pinned maps. No
    program is pinned then: it is not to be told from an attached one. Linux before 5.14 has no
    cookie, and nothing is noted.
    """
    try:
        here = str(netns.cookie())
    except OSError:
        return
    if pins.namespace not in ("", here):
        pins.unpin_programs()
        if not _end(pins.map_ids()):
            raise HeldError(
                f"{pins.root} belongs to guards in another network namespace (its cookie is "
                f"{pins.namespace}, and this one's {here}), which read the same maps; choose "
                "another --bpf-dir here, or run `vifguard down --release` there first"
            )
    pins.set_namespace(here)


def _end(maps: Collection[int]) -> bool:
    """Whether no guard reads these maps, by their ids, once the kernel freed what was unpinned."""
    deadline = time.monotonic() + _PATIENCE
    while _is_read(maps):
        if time.monotonic() > deadline:
            return False
        rcu.grace_period()
    return True


def _is_read(maps: Collection[int]) -> bool:
    """Whether a guard anywhere on this machine reads one of these maps."""
    for number in Program.ids():
        with suppress(FileNotFoundError), Program.by_id(number) as program:
            if program.name in GUARDS and not set(program.map_ids).isdisjoint(maps):
                return True
    return False
