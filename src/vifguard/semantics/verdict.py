"""The verdict on one frame: the guards in their order, the first objection.

A frame meets the guards in the order below; the first that objects is the verdict, and
within a guard the first rule that is broken is the reason. A guard that is not enabled says
nothing, except `host`, which always speaks. No guard depends on what another one said: a
port with more guards never passes what it would drop with fewer.

A port that is held closed passes nothing either way, before anything is looked at.

Any bytes have a verdict. Everything here is said of the frame as the guest's interface
carries it: without preamble and FCS, offloaded frames whole.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from vifguard.model.guard import ALWAYS, Guard
from vifguard.model.policy import PortPolicy
from vifguard.model.verdict import PASS, Direction, Reason, Verdict
from vifguard.packet.frame import Frame, parse
from vifguard.semantics import arp, dhcp, ethertype, host, ip, mac, nd, public_ip, ra, storm
from vifguard.semantics.objection import drop
from vifguard.semantics.storm import Bucket

Check = Callable[[PortPolicy, Frame], Verdict | None]
"""One guard's say on one frame; None is no objection."""

CHECKS: Mapping[Direction, tuple[tuple[Guard, Check], ...]] = MappingProxyType(
    {
        Direction.FROM_GUEST: (
            (Guard.HOST, host.from_guest),
            (Guard.ETHERTYPE, ethertype.check),
            (Guard.MAC, mac.from_guest),
            (Guard.ARP, arp.check),
            (Guard.ND, nd.check),
            (Guard.IP, ip.check),
            (Guard.PUBLIC_IP, public_ip.check),
            (Guard.DHCP, dhcp.check),
            (Guard.RA, ra.check),
        ),
        Direction.TO_GUEST: (
            (Guard.HOST, host.to_guest),
            (Guard.ETHERTYPE, ethertype.check),
            (Guard.MAC, mac.to_guest),
        ),
    }
)
"""Every check but storm's, which has a memory and comes last."""


def verdict(
    policy: PortPolicy,
    direction: Direction,
    frame: bytes | Frame,
    *,
    tag: int | None = None,
    now: int = 0,
    bucket: Bucket | None = None,
) -> Verdict:
    """What becomes of the frame. Without a bucket, `storm` does not object."""
    return judge(policy, direction, frame, tag=tag, now=now, bucket=bucket)[0]


def judge(
    policy: PortPolicy,
    direction: Direction,
    frame: bytes | Frame,
    *,
    tag: int | None = None,
    now: int = 0,
    bucket: Bucket | None = None,
) -> tuple[Verdict, Bucket | None]:
    """The verdict, and the storm bucket after it.

    `tag` is the TPID of a tag that the kernel took off the bytes (a Frame knows its own);
    `now` is in nanoseconds, of any steady clock.
    """
    if policy.closed:
        return drop(None, Reason.HELD_CLOSED, policy.closed), bucket
    seen = frame if isinstance(frame, Frame) else parse(frame, tag=tag)
    for guard, check in CHECKS[direction]:
        if guard in policy.guards or guard in ALWAYS:
            objection = check(policy, seen)
            if objection is not None:
                return objection, bucket
    counts = direction is Direction.FROM_GUEST and Guard.STORM in policy.guards
    if bucket is None or not counts or not seen.is_to_group:
        return PASS, bucket
    return storm.draw(policy.storm, bucket, now)
