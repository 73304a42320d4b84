"""Sysctls that keep the host itself off its wiring, set again when somebody sets them otherwise.

The kernel sends no notice of that. `sysctl net.ipv6.conf.all.disable_ipv6=0` or
`net.ipv4.ip_forward=1`, as other software sets them, reaches every interface of a host.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from typing import Protocol

from vifguard.agent.reporting.health import Health
from vifguard.agent.wiring.applied_wiring import WiringLoss
from vifguard.kernel.net import sysctl
from vifguard.kernel.net.link import Link, Links

log = logging.getLogger("vifguard")

EVERY = 5.0
"""Seconds between two reads of all interfaces."""

AT_ONCE, PAUSE = 500, 0.1
"""Interfaces that are read in one go, some 20 ms, and seconds until the next ones are."""


class SilencedInterfaces(Protocol):
    """The interfaces at which the host itself is silenced."""

    def silenced(self) -> Mapping[int, tuple[str, Mapping[str, str]]]:
        """The settings that must hold, by interface, with its name."""


class SysctlWatcher:
    """Compares the settings of interfaces every few seconds."""

    def __init__(self, settled: SilencedInterfaces, health: Health, stop: threading.Event) -> None:
        self._settled = settled
        self._health = health
        self._stop = stop

    def work(self) -> None:
        """Compare until stopped."""
        with Links() as links:
            while not self._stop.wait(EVERY):
                self._look(links)

    def _look(self, links: Links) -> None:
        """Compare all interfaces, some at a time: other threads wait meanwhile."""
        wanted = list(self._settled.silenced().items())
        for start in range(0, len(wanted), AT_ONCE):
            if start and self._stop.wait(PAUSE):
                return
            for index, (name, settings) in wanted[start : start + AT_ONCE]:
                found = sysctl.read(name, settings)
                changed = {each: settings[each] for each in found if found[each] != settings[each]}
                if changed:
                    self._set_back(links.at(index), name, changed)

    def _set_back(self, link: Link | None, name: str, settings: Mapping[str, str]) -> None:
        # Another interface may have the name by now: it is set when it gets its guard.
        if link is None or link.name != name or link.index not in self._settled.silenced():
            return
        try:
            sysctl.write(name, settings)
        except OSError as error:
            log.warning("settings of %s cannot be set back: %s", name, error)
            return
        for each in sorted(settings):
            log.error("somebody changed the sysctl %s; it was set back", each.format(name))
        self._health.lost([WiringLoss.SYSCTL])
