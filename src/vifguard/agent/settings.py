"""An operator's settings of the agent of a host."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from vifguard.enforce.drivers import DriverSettings


@dataclass(frozen=True, slots=True)
class Settings:
    """`drivers`: those of the drivers. `physical`: physical network -> uplink or bridge.

    `hands_off`: physical networks whose interfaces are guarded and otherwise left alone.
    `trusted`: interfaces that forward without a guard on a bridge of the operator's, and
    `keep_unguarded`: so do those that were there first, until they have a port or leave.
    `record`: the file of the former state of interfaces and bridges; None: no file.
    `compare_every`: seconds after which everything is compared with the kernel, even without
    a notice of a change. `take_over`: the guards here become the server's, of whichever store
    they were.
    """

    drivers: DriverSettings
    physical: Mapping[str, str] = field(default_factory=dict)
    compare_every: float = 300.0
    take_over: bool = False
    trusted: frozenset[str] = frozenset()
    keep_unguarded: bool = False
    record: Path | None = None
    hands_off: frozenset[str] = frozenset()
