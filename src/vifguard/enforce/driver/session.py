"""The use of a driver: put guards there, read them back, close those that were not taken."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Generic, TypeVar

from vifguard.enforce.driver.device import Device
from vifguard.enforce.driver.protocol import (
    ApplyError,
    Attachment,
    Change,
    Desired,
    Driver,
    HostDriver,
    Loss,
    Observed,
    PortError,
)
from vifguard.model.policy import PortPolicy

ImageT_co = TypeVar("ImageT_co", covariant=True)
"""The image of one device. A session shows none, so one of any driver is a `Session[object]`."""


@dataclass(frozen=True, slots=True)
class Result:
    """Devices without their desired guard, each with the reason.

    Those of them in `unguarded` have no guard at all, not even a closed one.
    """

    failed: Mapping[Device, str]
    unguarded: Mapping[Device, str]


class Session(Generic[ImageT_co]):
    """The guards of one driver, and their images as they were read back. One thread's."""

    def __init__(self, driver: Driver[ImageT_co]) -> None:
        self._driver = driver
        self._enforced: dict[Device, ImageT_co] = {}

    @property
    def driver(self) -> HostDriver:
        """The driver, without its images."""
        return self._driver

    @property
    def enforced(self) -> Collection[Device]:
        """The devices whose guard was read back when it was last put there."""
        return self._enforced.keys()

    def has(self, device: Device) -> bool:
        """Whether a device has a guard, or leftovers of one."""
        return bool(self._driver.observe(frozenset({device})).ports)

    def read_guarded(self) -> dict[Device, str]:
        """Read all guards, put there by any process: the ids of their ports, or empty."""
        images = self._driver.observe(None).ports
        found = {device: self._driver.port_of(each) for device, each in images.items()}
        return {device: port_id for device, port_id in found.items() if port_id is not None}

    def read_present(self) -> Collection[Device]:
        """Read all devices that have a guard, or leftovers of one."""
        return self._driver.observe(None).ports.keys()

    def lost(self, devices: Iterable[Device]) -> dict[Device, Loss]:
        """Read the guards of these devices back; return the losses."""
        scope = frozenset(devices) & self._enforced.keys()
        return self._losses(scope, self._driver.observe(scope))

    def plan(self, attachments: Iterable[Attachment], scope: frozenset[Device]) -> Plan[ImageT_co]:
        """Plan that of the devices in `scope` exactly the attached ones are guarded."""
        given = tuple(attachments)
        desired, observed = self._render(given), self._driver.observe(scope)
        devices = {each.device: each for each in given}
        lost = self._losses(devices.keys() & scope, observed)
        change = self._driver.diff(desired, observed)
        return Plan(self, devices, desired, observed, change, lost)

    def plan_sweep(self, kept: Collection[Device]) -> Plan[ImageT_co]:
        """Plan that only these devices are guarded, as they are now, and that no leftover stays."""
        observed = self._driver.observe(None)
        desired = Desired({d: each for d, each in observed.ports.items() if d in kept}, {})
        return Plan(self, {}, desired, observed, self._driver.diff(desired, observed))

    def keep_closed(
        self, plan: Plan[ImageT_co], attachments: Iterable[Attachment]
    ) -> Plan[ImageT_co]:
        """The plan, except that these devices keep a guard, by their own closed policies."""
        closed = self._driver.render(attachments)
        desired = replace(plan.desired, ports={**plan.desired.ports, **closed.ports})
        return replace(plan, desired=desired, change=self._driver.diff(desired, plan.observed))

    def apply(self, plan: Plan[ImageT_co]) -> Result:
        """Apply a plan and read it back; close what was not taken."""
        reasons = self._apply(plan.change)
        there = self._read_back(plan)
        self._note(plan, there)
        failed = dict(plan.desired.refused)
        lacking = plan.desired.ports.keys() - there
        for device in lacking:
            failed[device] = reasons.get(device, "its guard could not be read back")
        return Result(failed, self._close(plan, {each: failed[each] for each in lacking}))

    def _render(self, attachments: Iterable[Attachment]) -> Desired[ImageT_co]:
        """The desired images; closed where the driver cannot enforce a guard of the policy."""
        if not self._driver.capabilities.refused:
            return self._driver.render(attachments)
        refused: dict[Device, str] = {}
        possible: list[Attachment] = []
        for each in attachments:
            why = self._why_not(each.policy)
            refused |= {each.device: why} if why else {}
            possible.append(_closed(each, why) if why else each)
        desired = self._driver.render(possible)
        return replace(desired, refused={**desired.refused, **refused})

    def _why_not(self, policy: PortPolicy) -> str:
        refused = self._driver.capabilities.refused
        lacking = sorted(each.value for each in refused.keys() & policy.guards)
        if policy.closed or not lacking:
            return ""
        name = self._driver.capabilities.driver
        reasons = {each.value: why for each, why in refused.items()}
        return "; ".join(f"the driver {name} has no {each}: {reasons[each]}" for each in lacking)

    def _losses(self, scope: Iterable[Device], observed: Observed[ImageT_co]) -> dict[Device, Loss]:
        known = ((d, self._enforced[d]) for d in scope if d in self._enforced)
        found = ((d, self._driver.loss(each, observed.ports.get(d))) for d, each in known)
        return {device: loss for device, loss in found if loss is not None}

    def _apply(self, change: Change[ImageT_co] | None) -> dict[Device, str]:
        if change is None:
            return {}
        try:
            self._driver.apply(change)
        except ApplyError as error:
            return {e.device: e.reason for e in error.exceptions if isinstance(e, PortError)}
        return {}

    def _read_back(self, plan: Plan[ImageT_co]) -> frozenset[Device]:
        """Read what a plan has written; return the devices that have their desired image."""
        observed = dict(plan.observed.ports)
        if plan.change is not None and plan.change.ports:
            anew = self._driver.observe(frozenset(plan.change.ports)).ports
            observed.update({d: anew[d] for d in plan.change.ports if d in anew})
        return self._driver.enforced(plan.desired, Observed(observed))

    def _note(self, plan: Plan[ImageT_co], there: Collection[Device]) -> None:
        """Remember the images that were read back, for the comparisons to come."""
        for device in plan.observed.ports.keys() | plan.desired.ports.keys():
            self._enforced.pop(device, None)
        self._enforced.update((device, plan.desired.ports[device]) for device in there)

    def _close(self, plan: Plan[ImageT_co], lacking: Mapping[Device, str]) -> dict[Device, str]:
        """Close ports whose new policy was not taken; return those left without a guard, and why.

        Such a port must not go on with an older, wider policy.
        """
        attached = {d: plan.attachments[d] for d in lacking if d in plan.attachments}
        if not attached:
            return {}
        closed = (_closed(each, lacking[device]) for device, each in attached.items())
        closing = self.plan(closed, frozenset(attached))
        reasons = self._apply(closing.change)
        there = self._read_back(closing)
        self._note(closing, there)
        bare = closing.desired.ports.keys() - there
        return {device: reasons.get(device, lacking[device]) for device in bare}


@dataclass(frozen=True, slots=True)
class Plan(Generic[ImageT_co]):
    """The desired and the observed state of some devices, and the change between them.

    `lost`: the losses of the guards at the devices to attach.
    """

    session: Session[ImageT_co]
    attachments: Mapping[Device, Attachment]
    desired: Desired[ImageT_co]
    observed: Observed[ImageT_co]
    change: Change[ImageT_co] | None
    lost: Mapping[Device, Loss] = field(default_factory=dict)

    @property
    def detached(self) -> Collection[Device]:
        """The devices that lose their guard; the caller cuts them off first."""
        return self.observed.ports.keys() - self.desired.ports.keys()


def _closed(attachment: Attachment, why: str) -> Attachment:
    policy = (
        attachment.policy if attachment.policy.closed else replace(attachment.policy, closed=why)
    )
    return replace(attachment, policy=policy, running=False)
