"""The verdict on one frame: the guards in their order, the first objection.

A frame meets the guards in the order below; the first that objects is the verdict, and
within a guard the first rule that is broken is the reason. A guard that is not enabled judges
nothing, except `host`, which is always enabled. No guard depends on the verdict of another: a
port with more guards never passes a frame that it would drop with fewer.

A port that is held closed passes nothing either way, before anything is looked at.

Any bytes have a verdict. Everything here is about the frame as the guest's interface
carries it: without preamble and FCS, offloaded frames whole, with their offloads still to be
done (Offloads).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from vifguard.model.guard import ALWAYS, Guard
from vifguard.model.policy import PortPolicy
from vifguard.model.verdict import PASS, Direction, Reason, Verdict
from vifguard.packet.frame import Frame, parse
from vifguard.packet.link import Tag
from vifguard.semantics import (
    arp,
    dhcp,
    ethertype,
    groups,
    host,
    ip,
    mac,
    nd,
    public_ip,
    ra,
    storm,
    vrrp,
)
from vifguard.semantics.drops import drop
from vifguard.semantics.groups import GroupState
from vifguard.semantics.storm import Bucket

Check = Callable[[PortPolicy, Frame], Verdict | None]
"""The check of one frame by one guard; None is no objection."""

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
            (Guard.VRRP, vrrp.check),
        ),
        Direction.TO_GUEST: (
            (Guard.HOST, host.to_guest),
            (Guard.ETHERTYPE, ethertype.check),
            (Guard.MAC, mac.to_guest),
        ),
    }
)
"""Every check that has no memory; then come those that have one: storm, and groups."""


def verdict(  # noqa: PLR0913 - all that a verdict depends on
    policy: PortPolicy,
    direction: Direction,
    frame: bytes | Frame,
    *,
    tag: Tag | None = None,
    now: int = 0,
    bucket: Bucket | None = None,
    memory: GroupState | None = None,
) -> Verdict:
    """The verdict on the frame. Without a bucket, `storm` does not object."""
    return judge(policy, direction, frame, tag=tag, now=now, bucket=bucket, memory=memory)[0]


def judge(  # noqa: PLR0913 - all that a verdict depends on
    policy: PortPolicy,
    direction: Direction,
    frame: bytes | Frame,
    *,
    tag: Tag | None = None,
    now: int = 0,
    bucket: Bucket | None = None,
    memory: GroupState | None = None,
) -> tuple[Verdict, Bucket | None]:
    """The verdict, and the storm bucket after it.

    `tag` is one that the kernel took off the bytes (a Frame knows its own, and its offload);
    `now` is in nanoseconds, of any steady clock. `groups` judges by `memory` and updates it with
    frames that pass; without one, no group is known and nothing is remembered.
    """
    if policy.closed:
        return drop(None, Reason.HELD_CLOSED, policy.closed), bucket
    seen = frame if isinstance(frame, Frame) else parse(frame, tag=tag)
    for guard, check in CHECKS[direction]:
        if guard in policy.guards or guard in ALWAYS:
            objection = check(policy, seen)
            if objection is not None:
                return objection, bucket
    if bucket is not None and _counts(policy, direction, seen):
        said, bucket = storm.draw(policy.storm, bucket, now)
        if said is not PASS:
            return said, bucket
    if Guard.SECURITY_GROUPS in policy.guards:
        said = groups.check(policy, direction, seen, memory or GroupState(), now) or PASS
        return said, bucket
    return PASS, bucket


def _counts(policy: PortPolicy, direction: Direction, frame: Frame) -> bool:
    """Whether `storm` counts a frame that nothing else objects to."""
    guarded = Guard.STORM in policy.guards and frame.is_to_group
    return guarded and direction is Direction.FROM_GUEST
