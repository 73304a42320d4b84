"""The periodic look at what the host can do, which settings of it change while its agent runs.

Docker, Kubernetes or an operator let br_netfilter show bridged packets to the host's own rules at
any moment, and nobody notifies of that.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from vifguard.agent.host.capabilities import isolation_unsupported
from vifguard.agent.reporting.report import Outbox
from vifguard.agent.state import Isolation
from vifguard.feed.messages import HostReport

log = logging.getLogger("vifguard")

EVERY = 5.0
"""Seconds between two looks."""


class CapabilityWatcher:
    """Looks every few seconds; reports and notifies where the host can do more or less."""

    def __init__(
        self,
        look: Callable[[], HostReport],
        reported: HostReport,
        outbox: Outbox,
        put: Callable[[Isolation], None],
        stop: threading.Event,
    ) -> None:
        """`look` makes the host's report; `reported` is the one that was put last."""
        self._look = look
        self._reported = reported
        self._outbox = outbox
        self._put = put
        self._stop = stop

    def work(self) -> None:
        """Look until stopped."""
        while not self._stop.wait(EVERY):
            found = self._look()
            if found == self._reported:
                continue
            why = isolation_unsupported(found)
            if why:
                log.error("this host cannot keep networks apart: %s", why)
            else:
                log.warning("this host can keep networks apart again")
            # Its ports close first: that a host lives which can is what networks are offered by.
            self._put(Isolation(why))
            self._outbox.put_host_report(found)
            self._reported = found
