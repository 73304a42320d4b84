"""The type of a peer: a host that we did not write, its best configuration and its promises."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from vifguard.lab.audit.site import Site
from vifguard.lab.world.lab_run import Run
from vifguard.model.guard import Guard


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A host to audit.

    `configuration` is the best one that its makers document, `sources` are the places.
    `promises` has, in our words, their claims about a guard; a guard that is not in it was
    never promised, and the page notes so. `notes` are facts that a reader must know to be fair.
    `programs` must be in PATH. `up` stands the host up under the names of a run; leaving it
    ends all that was started.
    """

    key: str
    name: str
    versions: Callable[[], str]
    configuration: str
    sources: tuple[str, ...]
    up: Callable[[Run], AbstractContextManager[Site]]
    promises: Mapping[Guard, str] = field(default_factory=dict)
    programs: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def package(name: str) -> str:
    """`name version` of an installed Debian package; the name alone where it is not one."""
    shown = subprocess.run(
        ["dpkg-query", "-W", "-f=${Package} ${Version}", name],
        capture_output=True,
        text=True,
        check=False,
    )
    return shown.stdout if shown.returncode == 0 else name
