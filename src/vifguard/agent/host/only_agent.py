"""One agent a network namespace.

Bridges, the quarantine and the member filter are known by their names, whichever directory an
agent pins in: two agents would take away each other's.
"""

from __future__ import annotations

from contextlib import closing

from vifguard.enforce.pins import HeldError
from vifguard.kernel.net.netns_lock import NetnsLock, NetnsLockedError

_NAME = "vifguard-agent"


def only_agent() -> closing[NetnsLock]:
    """The lock of the process that changes this network namespace; freed at its end at the latest.

    Raises HeldError where another process has it, and OSError.
    """
    try:
        return closing(NetnsLock(_NAME))
    except NetnsLockedError as error:
        who = f"process {error.pid}" if error.pid else "another process"
        raise HeldError(
            f"{who} holds this network namespace's bridges and guards (it has the abstract socket "
            f"@{_NAME}); stop it first, or start this one in a network namespace of its own"
        ) from None
