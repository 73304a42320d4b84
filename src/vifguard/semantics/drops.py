"""The objections of guards."""

from __future__ import annotations

from vifguard.model.guard import Guard
from vifguard.model.verdict import Action, Reason, Verdict
from vifguard.packet.undecoded import Unreadable


def drop(guard: Guard | None, reason: Reason, offender: object = "") -> Verdict:
    """The objection of one guard; `offender` is the value that it objects to."""
    return Verdict(Action.DROP, guard, reason, str(offender))


def why(read: object) -> str:
    """Why something could not be read, as the parser noted it; empty for anything else."""
    return read.why if isinstance(read, Unreadable) else ""
