"""The use of a driver: put guards there, read them back, close those that were not taken."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Iterator, Mapping
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
    RulesetChange,
)
from vifguard.model.address import IPNetwork
from vifguard.model.guard import Guard
from vifguard.model.policy import PortPolicy

log = logging.getLogger("vifguard")

UNREAD = "unread"
"""The kind of a loss where a guard cannot be read back, and may be gone."""

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
    """The guards of one driver, and their images as they were read back. One thread's.

    An OSError of the driver is a failure of the devices that it concerns, and no more: a device
    that cannot be read is not written to, and counts as one without a guard.
    """

    def __init__(self, driver: Driver[ImageT_co]) -> None:
        self._driver = driver
        self._enforced: dict[Device, ImageT_co] = {}
        self.no_rules = ""
        """Why the rules of security groups are not in force; empty where they are."""

    @property
    def driver(self) -> HostDriver:
        """The driver, without its images."""
        return self._driver

    @property
    def enforced(self) -> Collection[Device]:
        """The devices whose guard was read back when it was last put there."""
        return self._enforced.keys()

    def has(self, device: Device) -> bool:
        """Whether a device has a guard, or leftovers of one, or cannot be read."""
        observed, unread = self._observe(frozenset({device}))
        return bool(observed.ports or unread)

    def read_guarded(self) -> dict[Device, str]:
        """Read all guards, put there by any process: the ids of their ports, or empty."""
        images = self._driver.observe(None).ports
        found = {device: self._driver.port_of(each) for device, each in images.items()}
        return {device: port_id for device, port_id in found.items() if port_id is not None}

    def load_ruleset(self, change: RulesetChange) -> frozenset[str]:
        """Load rules and address sets; return the groups whose ports are to be planned again.

        Where the driver cannot, `no_rules` is the reason, and a port with groups is closed.
        """
        try:
            groups = self._driver.load_ruleset(change)
        except OSError as error:
            log.exception("the rules of security groups could not be brought into force")
            self.no_rules = f"its security groups are not in force: {error}"
            return frozenset()
        self.no_rules = ""
        return groups

    def rules_lost(self) -> bool:
        """Whether the rules of security groups are gone as a whole, or cannot be read."""
        try:
            return self._driver.rules_lost()
        except OSError as error:
            self._log_unread_rules(error)
            return True

    def compare_rules(self, sets: Mapping[str, Iterable[IPNetwork]]) -> Iterator[bool]:
        """Whether the driver holds the rules of groups and `sets`, step by step.

        It does not where they cannot be read.
        """
        try:
            yield from self._driver.compare_rules(sets)
        except OSError as error:
            self._log_unread_rules(error)
            yield False

    def _log_unread_rules(self, error: OSError) -> None:
        log.error("the rules of the driver %s cannot be read back: %s", self._name, error)

    def lost(self, devices: Iterable[Device]) -> dict[Device, Loss]:
        """Read the guards of these devices back; return the losses, those not readable too."""
        scope = frozenset(devices) & self._enforced.keys()
        observed, unread = self._observe(scope)
        losses = self._losses(scope - unread.keys(), observed)
        return losses | {device: Loss(UNREAD, why) for device, why in unread.items()}

    def plan(self, attachments: Iterable[Attachment], scope: frozenset[Device]) -> Plan[ImageT_co]:
        """Plan that of the devices in `scope` exactly the attached ones are guarded."""
        given = tuple(attachments)
        desired, (observed, unread) = self._render(given), self._observe(scope)
        devices = {each.device: each for each in given}
        lost = self._losses((devices.keys() & scope) - unread.keys(), observed)
        change = self._diff(desired, observed, unread)
        return Plan(self, devices, desired, observed, change, lost, unread)

    def plan_sweep(self, kept: Collection[Device]) -> Plan[ImageT_co]:
        """Plan that only these devices are guarded, as they are now, and that no leftover stays.

        Where the driver cannot be read, nothing changes.
        """
        try:
            observed = self._driver.observe(None)
        except OSError:
            log.exception("the leftovers of the driver %s cannot be read", self._name)
            return Plan(self, {}, Desired({}, {}), Observed({}), None)
        desired = Desired({d: each for d, each in observed.ports.items() if d in kept}, {})
        return Plan(self, {}, desired, observed, self._driver.diff(desired, observed))

    def keep_closed(
        self, plan: Plan[ImageT_co], attachments: Iterable[Attachment]
    ) -> Plan[ImageT_co]:
        """The plan, except that these devices keep a guard, by their own closed policies."""
        closed = self._driver.render(attachments)
        desired = replace(plan.desired, ports={**plan.desired.ports, **closed.ports})
        change = self._diff(desired, plan.observed, plan.unread)
        return replace(plan, desired=desired, change=change)

    def apply(self, plan: Plan[ImageT_co]) -> Result:
        """Apply a plan and read it back; close what was not taken."""
        reasons = {**plan.unread, **self._apply(plan.change)}
        there, unread = self._read_back(plan)
        self._note(plan, there)
        reasons = {**unread, **reasons}
        failed = dict(plan.desired.refused)
        lacking = plan.desired.ports.keys() - there
        for device in lacking:
            failed[device] = reasons.get(device, "its guard could not be read back")
        return Result(failed, self._close(plan, {each: failed[each] for each in lacking}))

    @property
    def _name(self) -> str:
        return self._driver.capabilities.driver

    def _observe(self, scope: frozenset[Device]) -> tuple[Observed[ImageT_co], dict[Device, str]]:
        """Read devices; those that cannot be read with the reason, found one by one."""
        try:
            return self._driver.observe(scope), {}
        except OSError as error:
            if len(scope) <= 1:
                return Observed({}), dict.fromkeys(scope, f"its guard cannot be read back: {error}")
        each = [self._observe(frozenset({device})) for device in scope]
        ports = {d: image for observed, _ in each for d, image in observed.ports.items()}
        return Observed(ports), {d: why for _, unread in each for d, why in unread.items()}

    def _diff(
        self,
        desired: Desired[ImageT_co],
        observed: Observed[ImageT_co],
        unread: Collection[Device],
    ) -> Change[ImageT_co] | None:
        """The change to the devices that can be read."""
        ports = {d: image for d, image in desired.ports.items() if d not in unread}
        return self._driver.diff(replace(desired, ports=ports), observed)

    def _render(self, attachments: Iterable[Attachment]) -> Desired[ImageT_co]:
        """The desired images; closed where the driver cannot enforce a guard of the policy."""
        refused: dict[Device, str] = {}
        possible: list[Attachment] = []
        for each in attachments:
            why = self._why_not(each.policy)
            refused |= {each.device: why} if why else {}
            possible.append(_closed(each, why) if why else each)
        desired = self._driver.render(possible)
        return replace(desired, refused={**desired.refused, **refused})

    def _why_not(self, policy: PortPolicy) -> str:
        if policy.closed:
            return ""
        refused = self._driver.capabilities.refused
        lacking = sorted(each.value for each in refused.keys() & policy.guards)
        if self.no_rules and not lacking and Guard.SECURITY_GROUPS in policy.guards:
            return self.no_rules
        reasons = {each.value: why for each, why in refused.items()}
        return "; ".join(
            f"the driver {self._name} has no {each}: {reasons[each]}" for each in lacking
        )

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
        except OSError as error:
            log.exception("the driver %s could not change its guards", self._name)
            return dict.fromkeys(change.ports, f"its guard could not be put there: {error}")
        return {}

    def _read_back(self, plan: Plan[ImageT_co]) -> tuple[frozenset[Device], dict[Device, str]]:
        """Read what a plan has written; return the devices that have their desired image.

        Also those that could not be read, with the reason.
        """
        observed, unread = dict(plan.observed.ports), dict[Device, str]()
        if plan.change is not None and plan.change.ports:
            anew, unread = self._observe(frozenset(plan.change.ports))
            observed.update({d: anew.ports[d] for d in plan.change.ports if d in anew.ports})
        return self._driver.enforced(plan.desired, Observed(observed)), unread

    def _note(self, plan: Plan[ImageT_co], there: Collection[Device]) -> None:
        """Remember the images that were read back, for the comparisons to come."""
        for device in plan.observed_devices | plan.desired.ports.keys():
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
        there, _ = self._read_back(closing)
        self._note(closing, there)
        bare = closing.desired.ports.keys() - there
        return {device: reasons.get(device, lacking[device]) for device in bare}


@dataclass(frozen=True, slots=True)
class Plan(Generic[ImageT_co]):
    """The desired and the observed state of some devices, and the change between them.

    `lost`: the losses of the guards at the devices to attach. `unread`: the devices that cannot
    be read, each with the reason; the change leaves them alone.
    """

    session: Session[ImageT_co]
    attachments: Mapping[Device, Attachment]
    desired: Desired[ImageT_co]
    observed: Observed[ImageT_co]
    change: Change[ImageT_co] | None
    lost: Mapping[Device, Loss] = field(default_factory=dict)
    unread: Mapping[Device, str] = field(default_factory=dict)

    @property
    def observed_devices(self) -> frozenset[Device]:
        """The devices that have a guard, or leftovers of one, or that cannot be read."""
        return frozenset(self.observed.ports.keys() | self.unread.keys())

    @property
    def detached(self) -> Collection[Device]:
        """The devices that lose their guard; the caller cuts them off first."""
        return self.observed_devices - self.desired.ports.keys()


def _closed(attachment: Attachment, why: str) -> Attachment:
    policy = (
        attachment.policy if attachment.policy.closed else replace(attachment.policy, closed=why)
    )
    return replace(attachment, policy=policy, running=False)
