"""Guards in the kernel: put there, read back, and closed where the kernel would not have them."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from vifguard.agent.place import Placement
from vifguard.enforce.driver import ApplyError, Attachment, BookChange, PortError
from vifguard.enforce.ebpf import EbpfDriver
from vifguard.enforce.state import Change, Seen, Wanted

log = logging.getLogger("vifguard")


@dataclass(frozen=True, slots=True)
class Plan:
    """What is wanted of some interfaces, what was seen there, and what to do about it."""

    places: Mapping[int, Placement]
    wanted: Wanted
    seen: Seen
    change: Change | None

    @property
    def leaving(self) -> Collection[int]:
        """The interfaces that lose their guard: whoever plans it first cuts them off."""
        return self.seen.ports.keys() - self.wanted.ports.keys()


@dataclass(frozen=True, slots=True)
class Result:
    """Why interfaces hold less than is wanted; of those, `bare` have no guard at all."""

    failed: Mapping[int, str]
    bare: frozenset[int]


class Guards:
    """The guards of this host."""

    def __init__(self, driver: EbpfDriver) -> None:
        self._driver = driver

    def hold(self, change: BookChange) -> frozenset[str]:
        """Bring what groups and sets say into force; the groups whose ports are to be planned.

        Raises OSError where the kernel does not let us.
        """
        return self._driver.hold(change)

    def plan(self, places: Mapping[int, Placement], scope: frozenset[int]) -> Plan:
        """What to do so that of the interfaces in `scope` exactly these places are guarded."""
        wanted = self._driver.render(_attachment(i, place) for i, place in places.items())
        seen = self._driver.observe(scope)
        return Plan(places, wanted, seen, self._driver.diff(wanted, seen))

    def plan_sweep(self, kept: Collection[int]) -> Plan:
        """What to do so that only these interfaces are guarded, as they are now."""
        seen = self._driver.observe(None)
        wanted = Wanted({i: port for i, port in seen.ports.items() if i in kept}, {})
        return Plan({}, wanted, seen, self._driver.diff(wanted, seen))

    def carry_out(self, plan: Plan) -> Result:
        """Do it and read it back."""
        reasons = self._apply(plan.change)
        there = self._there(plan)
        failed = dict(plan.wanted.refused)
        lacking = plan.wanted.ports.keys() - there
        for index in lacking:
            failed[index] = reasons.get(index, "its guard could not be read back from the kernel")
        return Result(failed, self._close(plan, {i: failed[i] for i in lacking}))

    def _apply(self, change: Change | None) -> dict[int, str]:
        if change is None:
            return {}
        try:
            self._driver.apply(change)
        except ApplyError as error:
            return {
                each.ifindex: each.reason
                for each in error.exceptions
                if isinstance(each, PortError)
            }
        return {}

    def _there(self, plan: Plan) -> set[int]:
        """The interfaces whose wanted state the kernel has now."""
        seen = dict(plan.seen.ports)
        if plan.change is not None and plan.change.ports:
            anew = self._driver.observe(frozenset(plan.change.ports)).ports
            seen.update({index: anew[index] for index in plan.change.ports if index in anew})
        return {index for index, port in plan.wanted.ports.items() if seen.get(index) == port}

    def _close(self, plan: Plan, lacking: Mapping[int, str]) -> frozenset[int]:
        """Whose new policy the kernel did not take must not go on with an older, wider one."""
        if not lacking:
            return frozenset()
        places = {i: replace(plan.places[i], closed=why) for i, why in lacking.items()}
        closing = self.plan(places, frozenset(lacking))
        reasons = self._apply(closing.change)
        bare = closing.wanted.ports.keys() - self._there(closing)
        for index in bare:
            log.error("interface %d has no guard: %s", index, reasons.get(index, lacking[index]))
        return frozenset(bare)


def _attachment(index: int, place: Placement) -> Attachment:
    policy = place.port.policy
    if place.closed != policy.closed:
        policy = replace(policy, closed=place.closed)
    return Attachment(policy, index, place.swapped, place.port.revision)


def at(placements: Iterable[Placement]) -> dict[int, Placement]:
    """The places that have an interface, by its index."""
    return {place.link.index: place for place in placements if place.link is not None}
