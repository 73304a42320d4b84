"""What an operator says to the agent of a host."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Settings:
    """`bpf_dir`: where guards are pinned. `physical`: physical network -> uplink or bridge.

    `compare_every`: seconds after which everything is compared with the kernel, though
    nobody told of a change. `tcx` chooses how guards are attached; None is what the kernel has.
    """

    bpf_dir: Path
    physical: Mapping[str, str] = field(default_factory=dict)
    compare_every: float = 300.0
    tcx: bool | None = None
