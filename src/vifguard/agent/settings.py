"""What an operator says to the agent of a host."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Settings:
    """`bpf_dir`: where guards are pinned. `physical`: physical network -> uplink or bridge.

    `trusted`: interfaces that forward without a guard on a bridge of the operator's, and
    `keep_unguarded`: so do those that were there first, until they have a port or leave.
    `record`: where it is written what interfaces and bridges were before; None: nowhere.
    `compare_every`: seconds after which everything is compared with the kernel, though
    nobody told of a change. `tcx` chooses how guards are attached; None is what the kernel has.
    `take_over`: what is guarded here becomes the server's, whoever's it was. `connections`: how
    many the host's table has room for; 0 is by the host's memory.
    """

    bpf_dir: Path
    physical: Mapping[str, str] = field(default_factory=dict)
    compare_every: float = 300.0
    tcx: bool | None = None
    take_over: bool = False
    trusted: frozenset[str] = frozenset()
    keep_unguarded: bool = False
    record: Path | None = None
    connections: int = 0
