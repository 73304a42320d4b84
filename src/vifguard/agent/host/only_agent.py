"""One agent a network namespace.

Bridges, the quarantine and the member filter are known by their names, whichever directory an
agent pins in: two agents would take away each other's.
"""

from __future__ import annotations

import logging
import os
from contextlib import AbstractContextManager, closing, nullcontext

from vifguard.enforce.driver.protocol import HeldError
from vifguard.kernel.net.netns_lock import NetnsLock, NetnsLockedError

log = logging.getLogger("vifguard")

_NAME = "vifguard-agent"


def only_agent() -> AbstractContextManager[object]:
    """The lock of the process that changes this network namespace; freed at its end at the latest.

    Nothing keeps a user without rights from taking the name: such a one locks nobody out. Raises
    HeldError where another process with the rights of this one has it, and OSError.
    """
    try:
        return closing(NetnsLock(_NAME))
    except NetnsLockedError as error:
        if error.user != os.geteuid():
            log.warning(
                "process %d of user %d has the abstract socket @%s, which locks this network "
                "namespace for one agent: it is not locked",
                *(error.pid, error.user, _NAME),
            )
            return nullcontext()
        who = f"process {error.pid}" if error.pid else "another process"
        raise HeldError(
            f"{who} holds this network namespace's bridges and guards (it has the abstract socket "
            f"@{_NAME}); stop it first, or start this one in a network namespace of its own"
        ) from None
