"""From the guest: a rate for frames to groups, broadcast and multicast alike.

Every neighbour pays for each of them. Only a frame that passes everything else counts.

The port has `rate` tokens a second and holds at most `burst` of them; it starts full, each
frame to a group takes one, and without one the frame is dropped. With rate 0, or burst 0,
nothing to a group passes. Exactly: one time *tat* in nanoseconds (GCRA, ITU-T I.371), interval
= 10^9 / rate rounded down; at time *now*, tat = max(tat, now); the frame is dropped if tat +
interval - now > burst * interval, and else tat advances by one interval.
"""

from __future__ import annotations

from dataclasses import dataclass

from vifguard.model.guard import Guard
from vifguard.model.policy import Storm
from vifguard.model.verdict import PASS, Reason, Verdict
from vifguard.semantics.drops import drop

_SECOND = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Bucket:
    """A port's tokens, as the time (ns) at which it will be full again."""

    tat: int = 0


def draw(storm: Storm, bucket: Bucket, now: int) -> tuple[Verdict, Bucket]:
    """The verdict for one frame to a group at time `now` (ns), and the bucket after it."""
    objection = drop(Guard.STORM, Reason.STORM_RATE, f"{storm.rate} a second")
    if storm.rate <= 0:
        return objection, bucket
    interval = _SECOND // storm.rate
    tat = max(bucket.tat, now) + interval
    if tat - now > storm.burst * interval:
        return objection, bucket
    return PASS, Bucket(tat)
