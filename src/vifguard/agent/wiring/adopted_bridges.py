"""The operator's bridges that networks are mapped to, and the members that may forward there.

A member that is no uplink, not trusted and not guarded forwards nothing, also while no agent
lives. A member that was there before the filter goes on while the ports have their turn to be
guarded, and is logged and cut off once all have had it; with `keep_unguarded` it goes on until
it has a port or leaves.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from vifguard.agent.settings import Settings
from vifguard.agent.state import AgentState
from vifguard.agent.wiring.adoption import Adoption
from vifguard.agent.wiring.applied_wiring import WiringLoss
from vifguard.agent.wiring.unguarded_members import is_unguarded
from vifguard.bridging.bridge import is_ours, port_of_mark
from vifguard.bridging.member_filters import MemberFilter
from vifguard.bridging.uplinks import leads_out
from vifguard.kernel.net.bridge import Bridges
from vifguard.kernel.net.link import BRIDGE, Link, LinkChange, Links
from vifguard.kernel.net.netlink import raise_first
from vifguard.model.guard import Guard
from vifguard.model.policy import PortPolicy

log = logging.getLogger("vifguard")

MOST_ENTRIES = 65536
"""Forwarding entries that a bridge learns at most: 8 MB, in a flood of a member without guards."""

_FORWARDS = "still forwards: give it a port"


@dataclass(frozen=True, slots=True)
class HostLinks:
    """The handles of the kernel: links, bridges, and the member filter."""

    links: Links
    bridges: Bridges
    filter: MemberFilter | None


class AdoptedBridges:
    """The members of adopted bridges. One thread's."""

    def __init__(
        self,
        state: AgentState,
        settings: Settings,
        adoption: Adoption,
        host: HostLinks,
        lost: Callable[[Iterable[str]], None] = lambda _: None,
    ) -> None:
        """`lost` is called where somebody removed a filter."""
        self._lost = lost
        self._state = state
        self._settings = settings
        self._adoption = adoption
        self._former = adoption.saved
        self._record = adoption.write
        self._host = host
        self._prepared: set[tuple[int, bool | None]] = set()
        self._named: frozenset[tuple[str, str, bool]] = frozenset()
        self._all_settled = False
        self.filtered: Mapping[str, int] = {}
        """The index of each bridge whose members were last seen to be filtered, by its name."""

    @property
    def physical(self) -> Mapping[str, str]:
        """The device of each physical network, as the operator mapped it."""
        return self._settings.physical

    @property
    def filters(self) -> bool:
        """Whether each adopted bridge is to be filtered by now, where this kernel can."""
        return self._all_settled and self._host.filter is not None

    def bridge_of(self, link: Link) -> Link | None:
        """The operator's bridge that an interface is a member of, if a network is mapped to it."""
        return next((b for b in self.bridges() if b.index == link.master), None)

    def was_there(self, link: Link | None) -> bool:
        """Whether an interface was a member of an adopted bridge before that was first filtered."""
        bridge = self.bridge_of(link) if link else None
        if link is None or bridge is None:
            return False
        found = self._former.bridges.get(bridge.index)
        return found is None or link.index in found.members

    def holds(self, master: Link | None) -> bool:
        """Whether a bridge forwards nothing for a member that is not allowed to."""
        return master is not None and self.filtered.get(master.name) == master.index

    def forget(self, indexes: Collection[int]) -> None:
        """Forget members that were given back: a port to come prepares them anew."""
        self._prepared = {each for each in self._prepared if each[0] not in indexes}

    def note_left(self, guarded: Collection[int]) -> None:
        """Strike members that left a bridge from those that were there first.

        Without a guard such a member forwards nothing when it is back.
        """
        left = self._state.take_left()
        for bridge in self.bridges() if left else ():
            found = self._former.bridges.get(bridge.index)
            removed = left.intersection(found.members) if found else frozenset()
            if removed:
                self._record(partial(self._former.note_left, bridge.index, removed))
                self._deny_leftovers(bridge, removed.difference(guarded))

    def _deny_leftovers(self, bridge: Link, removed: Iterable[int]) -> None:
        here = {link.index for link in self._members(bridge)}
        links = ((index, self._state.links.get(index)) for index in removed)
        unknown = [index for index, link in links if link is None or not self._is_known(link)]
        if self._host.filter is not None and unknown:
            failed = self._host.filter.deny_forwarding(unknown)
            _log_refusals({index: why for index, why in failed.items() if index in here})

    def allow_forwarding(
        self, ports: Mapping[int, PortPolicy], others: Callable[[], Collection[int]]
    ) -> dict[int, str]:
        """Allow guarded members to forward; return those for which that failed, with the reason.

        `others` gives the interfaces that are guarded already: they go on forwarding where the
        filter has to be put.
        """
        if self._host.filter is None:
            return {}
        here = {i: policy for i, policy in ports.items() if self._is_member(i)}
        if not here:
            return {}
        failed: dict[int, str] = {}
        for bridge in self.bridges():
            if self.filtered.get(bridge.name) != bridge.index:
                failed |= self._begin(bridge, {*here, *others()})
        for index, policy in here.items():
            self._prepare(index, policy)
        failed = {i: why for i, why in failed.items() if i in here}
        return failed | _reasons_text(self._host.filter.allow_forwarding(here))

    def deny_forwarding(self, indexes: Iterable[int]) -> Mapping[int, str]:
        """Make interfaces forward nothing, before they lose their guards; return the failures."""
        here = [index for index in indexes if self._is_member(index)]
        if self._host.filter is None or not here:
            return {}
        failed = self._host.filter.deny_forwarding(here)
        return {
            index: (f"the interface still forwards on its bridge: {why}")
            for index, why in failed.items()
        }

    def compare(self, ports: Collection[int], guarded: Collection[int]) -> None:
        """Allow exactly the permitted members to forward; put the filter where there is none.

        Called once all ports have had their turn. `ports` are the interfaces that ports are at,
        and `guarded` those of them whose guards are in.
        """
        self._all_settled = True
        self._tell(ports)
        for bridge in self.bridges() if self._host.filter else ():
            self._begin(bridge, guarded)
            try:
                self._compare(bridge, guarded)
            except OSError as error:
                why = "the members that forward on bridge %s cannot be read: %s"
                log.error(why, bridge.name, error)  # noqa: TRY400
        self._adoption.keep_links()
        self._prepared = {each for each in self._prepared if each[0] in self._state.links}

    def unguarded(self, guarded: Iterable[int]) -> Iterator[tuple[Link, Link]]:
        """The members of each bridge that are neither guarded nor known to lead out."""
        guarded, trusted = frozenset(guarded), self._settings.trusted
        links = dict(self._state.links)
        for bridge in self.bridges():
            for link in self._members(bridge):
                if is_unguarded(link, links, trusted, has_guard=link.index in guarded):
                    yield bridge, link

    def _begin(self, bridge: Link, guarded: Collection[int]) -> dict[int, str]:
        """Filter a bridge that is not; return the reason by guarded member where that fails."""
        filter_, there = self._host.filter, [link.index for link in self._members(bridge)]
        if filter_ is None:
            return {}
        try:
            inside = filter_.members(bridge, there)
            found = there if inside is None else inside
            vlans = filter_.original_vlans(bridge)
            self._record(partial(self._former.note_bridge, bridge, vlans, found))
            self._tell_loss(bridge, is_missing=inside is None)
            self._settle_bridge(bridge)
            if inside is None:
                filter_.put(bridge, self._wanted(bridge, guarded))
        except OSError as error:
            log.error("the members of bridge %s are not filtered: %s", bridge.name, error)  # noqa: TRY400
            self.filtered = {n: i for n, i in self.filtered.items() if n != bridge.name}
            return dict.fromkeys(guarded, f"the members of bridge {bridge.name} are not filtered")
        self.filtered = {**self.filtered, bridge.name: bridge.index}
        return {}

    def _tell_loss(self, bridge: Link, *, is_missing: bool) -> None:
        """Log and count that the filter of a bridge was removed, or the bridge with it."""
        before = self.filtered.get(bridge.name, bridge.index)
        if before != bridge.index:
            log.error("bridge %s was made anew: its members will be filtered again", bridge.name)
        elif is_missing and bridge.name in self.filtered:
            log.error("the filter of bridge %s's members was taken away", bridge.name)
        else:
            return
        self._lost([WiringLoss.FILTER])

    def _compare(self, bridge: Link, guarded: Collection[int]) -> None:
        filter_ = self._host.filter
        if filter_ is None:
            return
        inside = filter_.members(bridge, [link.index for link in self._members(bridge)])
        if inside is None:
            return
        wanted = self._wanted(bridge, guarded)
        if wanted - inside:
            _log_refusals(filter_.allow_forwarding(wanted - inside))
        if inside - wanted:
            _log_refusals(filter_.deny_forwarding(inside - wanted))

    def _wanted(self, bridge: Link, guarded: Collection[int]) -> frozenset[int]:
        """The members that may forward: guarded ones, uplinks, trusted and kept ones."""
        return frozenset(
            link.index
            for link in self._members(bridge)
            if link.index in guarded or self._is_known(link) or self._keeps_forwarding(link)
        )

    def _keeps_forwarding(self, link: Link) -> bool:
        """Whether a member that was there first forwards without a guard.

        Until all ports have had their turn it may be the interface of a port to come. After that
        as the operator set, and not once a port was for it.
        """
        is_kept = self._settings.keep_unguarded and not port_of_mark(link)
        return (is_kept or not self._all_settled) and self.was_there(link)

    def _settle_bridge(self, bridge: Link) -> None:
        """Give the bridge a MAC of its own, and bound its memory."""
        # Else it is the lowest of its members', and changes when one joins or leaves.
        raise_first(self._host.links.change([LinkChange(bridge.index, mac=bridge.mac)]))
        found = self._former.bridges.get(bridge.index)
        if found is not None and found.max_learned == 0:
            self._host.bridges.set_max_learned(bridge.index, MOST_ENTRIES)

    def _prepare(self, index: int, policy: PortPolicy) -> None:
        """Keep a bridge from learning of a guest a query, or more MACs than there is room for.

        A guest that sends an IGMP query would get all multicast. One without a `mac` guard could
        fill the table of forwarding entries, where the kernel does not limit it (before Linux 6.7).
        """
        bridges, limited = self._host.bridges, self._is_limited(index)
        learning = None if limited or Guard.MAC in policy.guards else False
        if (index, learning) in self._prepared:
            return
        error = bridges.set_member(index, multicast_router=0, learning=learning)
        if learning is False and error is None:
            error = bridges.add_entries(index, policy.macs)
        if error is not None:
            log.warning(
                "the number of MACs that its bridge learns from interface %d cannot be limited: %s",
                index,
                error.reason,
            )
        self._prepared.add((index, learning))

    def _is_limited(self, index: int) -> bool:
        bridge = self._former.bridges.get(self._state.links[index].master)
        return bridge is not None and bridge.max_learned is not None

    def _is_member(self, index: int) -> bool:
        link = self._state.links.get(index)
        return link is not None and self.bridge_of(link) is not None

    def bridges(self) -> Iterator[Link]:
        """The adopted bridges that exist; for another thread, those of a moment ago."""
        for device in sorted(set(self._state.physical.values())):
            link = self._state.named(device)
            if link is not None and link.kind == BRIDGE and not is_ours(link):
                yield link

    def _members(self, bridge: Link) -> list[Link]:
        return [x for x in list(self._state.links.values()) if x.master == bridge.index]

    def _is_known(self, link: Link) -> bool:
        return link.name in self._settings.trusted or leads_out(link, self._state.links)

    def _tell(self, ports: Collection[int]) -> None:
        """Log the members that no port is for, when they change; before one is cut off."""
        found = {
            (
                bridge.name,
                link.name,
                self._host.filter is None or self._keeps_forwarding(link),
            ): link
            for bridge, link in self.unguarded(ports)
        }
        for key in sorted(found.keys() - self._named):
            bridge, name, forwards = key
            log.warning(
                "interface %s (%s) on bridge %s has no guard and %s",
                *(name, found[key].mac, bridge),
                _FORWARDS if forwards else self._remedy(found[key]),
            )
        self._named = frozenset(found)

    def _remedy(self, link: Link) -> str:
        kept = " or --keep-unguarded" if self.was_there(link) and not port_of_mark(link) else ""
        remedy = f"give it a port, or start the agent with --trust {link.name}{kept}"
        return f"will forward nothing: {remedy}"


def _reasons_text(failed: Mapping[int, str]) -> dict[int, str]:
    return {
        index: (f"its bridge cannot be made to forward for it: {why}")
        for index, why in failed.items()
    }


def _log_refusals(failed: Mapping[int, str]) -> None:
    for index, why in failed.items():
        log.error("the bridge's filter cannot be changed for interface %d: %s", index, why)
