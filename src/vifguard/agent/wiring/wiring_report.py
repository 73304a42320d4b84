"""The periodic report of the host's wiring that is no port's.

The host's own addresses on the operator's bridges, the members there without a guard and
whether they forward, the frames that the quarantine drops where there is no port yet, and the
use of the table of connections.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import nullcontext
from typing import Protocol

from vifguard.agent.reporting.report import Outbox
from vifguard.agent.watch import QuarantineLost
from vifguard.agent.wiring.adopted_bridges import AdoptedBridges
from vifguard.bridging.member_filters import TABLE as MEMBERS
from vifguard.bridging.member_filters import MemberFilter, NftFilter, VlanFilter, forwarding_members
from vifguard.bridging.quarantine import TABLE as QUARANTINE
from vifguard.enforce.driver.protocol import ConnectionUse
from vifguard.feed.messages import AdoptedBridge, ConnectionTable, HeldDevice, WiringReport
from vifguard.kernel.net.bridge import Bridges
from vifguard.kernel.net.link import Link, Links
from vifguard.kernel.net.netlink import NetlinkError
from vifguard.kernel.nftables.nft import NO_TABLE, DropTable
from vifguard.kernel.nftables.nft_members import MembersTable

EVERY = 5.0
"""Seconds between two reads."""

AGAIN = 60.0
"""Seconds after which the report is sent again: the server may have another store by now."""


class GuardedInterfaces(Protocol):
    """The interfaces that have a guard."""

    def guarded(self) -> Collection[int]:
        """The interfaces of ports whose guards were read back; any thread may call this."""


class WiringWatcher:
    """Reads the wiring every few seconds, and reports changes."""

    def __init__(
        self,
        adopted: AdoptedBridges,
        guarded: GuardedInterfaces,
        outbox: Outbox,
        connections: Callable[[], ConnectionUse | None],
        put: Callable[[QuarantineLost], None],
        stop: threading.Event,
    ) -> None:
        self._connections = connections
        self._put = put
        self._adopted = adopted
        self._guarded = guarded
        self._names = {device: name for name, device in sorted(adopted.physical.items())}
        self._outbox = outbox
        self._stop = stop

    def work(self) -> None:
        """Read and report until stopped."""
        reported, again = None, 0.0
        with (
            Links() as links,
            Bridges() as bridges,
            DropTable(QUARANTINE) as quarantine,
            MembersTable(MEMBERS) as members,
            self._connections() or nullcontext() as table,
        ):
            while not self._stop.wait(0.0 if reported is None else EVERY):
                if any(self._lost(bridges, members)):
                    self._put(QuarantineLost())
                found = WiringReport(
                    tuple(self._bridges(links, bridges, members)),
                    _held(quarantine),
                    _use(table) if table else None,
                )
                if found != reported or time.monotonic() >= again:
                    self._outbox.put_wiring(found)
                    again = time.monotonic() + AGAIN
                reported = found

    def _lost(self, bridges: Bridges, members: MembersTable) -> Iterator[bool]:
        """Whether each bridge that is to be filtered is not, or was made anew since."""
        filters = _filters(bridges, members)
        for bridge in self._adopted.bridges() if self._adopted.filters else ():
            is_known = self._adopted.filtered.get(bridge.name) == bridge.index
            yield not is_known or forwarding_members(filters, bridge, ()) is None

    def _bridges(
        self, links: Links, bridges: Bridges, members: MembersTable
    ) -> Iterator[AdoptedBridge]:
        unguarded: dict[str, list[Link]] = {}
        for bridge, link in self._adopted.unguarded(self._guarded.guarded()):
            unguarded.setdefault(bridge.name, []).append(link)
        for bridge in self._adopted.bridges():
            bare = sorted(unguarded.get(bridge.name, ()), key=lambda link: link.name)
            inside = forwarding_members(_filters(bridges, members), bridge, [x.index for x in bare])
            yield AdoptedBridge(
                bridge.name,
                self._names[bridge.name],
                tuple(each.ip for each in links.addresses(bridge.index)),
                tuple(link.name for link in bare),
                _or_none(members),
                tuple(x.name for x in bare if inside is None or x.index in inside),
            )


def _filters(bridges: Bridges, members: MembersTable) -> tuple[MemberFilter, ...]:
    return VlanFilter(bridges), NftFilter(members)


def _or_none(members: MembersTable) -> int | None:
    return None if members.members() is None else members.dropped()


def _use(table: ConnectionUse) -> ConnectionTable:
    return ConnectionTable(table.capacity, round(100 * table.used()))


def _held(quarantine: DropTable) -> tuple[HeldDevice, ...]:
    frames: Counter[str] = Counter()
    try:
        for chain, dropped in quarantine.counts().items():
            frames[chain.device] += dropped
    except NetlinkError as error:
        # A kernel without nftables has no chains.
        if error.errno not in NO_TABLE:
            raise
    return tuple(HeldDevice(device, dropped) for device, dropped in sorted(frames.items()))
