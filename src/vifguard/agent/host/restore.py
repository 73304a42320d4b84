"""Restoring a host: every interface and bridge as it was found, and then no guard."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from vifguard.agent.host.only_agent import only_agent
from vifguard.agent.host.saved_state import SavedBridge, SavedState
from vifguard.agent.reporting import run_file
from vifguard.agent.settings import Settings
from vifguard.agent.wiring.giving_back import give_back, master_after, on_release
from vifguard.bridging.bridge import is_ours, port_of_mark
from vifguard.bridging.member_filters import TABLE, MemberFilter, NftFilter, VlanFilter
from vifguard.bridging.quarantine import Quarantine
from vifguard.enforce.drivers import guarded_interfaces, hold_all
from vifguard.kernel.net.bridge import Bridges
from vifguard.kernel.net.link import Link, LinkChange, Links
from vifguard.kernel.nftables.nft_members import MembersTable


@dataclass(frozen=True, slots=True)
class RestoreResult:
    """Restored interfaces by name, with their bridge (or empty); `failed` ones with the reason."""

    interfaces: Mapping[str, str] = field(default_factory=dict)
    failed: tuple[str, ...] = ()


class Restore:
    """One restoration of a host; no agent may be running."""

    def __init__(
        self, links: Links, bridges: Bridges, quarantine: Quarantine, former: SavedState
    ) -> None:
        self._links = links
        self._bridges = bridges
        self._quarantine = quarantine
        self._former = former
        self._here = {link.index: link for link in links.all()}
        self._back: dict[str, str] = {}
        self._failed: list[str] = []

    def run(self, guarded: Iterable[int]) -> RestoreResult:
        """Restore everything but the guards, which the caller takes away."""
        for index in sorted({*guarded, *self._former.interfaces}):
            if index in self._here:
                self._restore_interface(self._here[index])
        for link in self._here.values():
            if is_ours(link):
                self._links.remove(link.index)
        restore_bridges(self._links, self._bridges, self._former)
        self._quarantine.remove()
        return RestoreResult(self._back, tuple(self._failed))

    def _restore_interface(self, link: Link) -> None:
        found = self._former.interfaces.get(link.index)
        master = master_after(link, found, self._here)
        if found is None:
            error = self._links.change([_unmark(link)])[0] if port_of_mark(link) else None
            why = error.reason if error else ""
        else:
            change = on_release(link, found, self._here)
            why = give_back(self._links, self._bridges, link, found, change)
        if why:
            self._failed.append(f"{link.name}: {why}")
            return
        self._back[link.name] = "" if master is None or is_ours(master) else master.name


def restore(settings: Settings) -> RestoreResult:
    """Restore everything; the guards go last.

    Raises HeldError where another process holds this network namespace or the guards, before
    anything is touched; DriverError and OSError.
    """
    with (
        only_agent(),
        hold_all(settings.drivers.state_dir) as removals,
        Links() as links,
        Bridges() as bridges,
        Quarantine() as quarantine,
    ):
        former = SavedState(settings.record, bridges)
        guarded = guarded_interfaces(settings.drivers.state_dir)
        released = Restore(links, bridges, quarantine, former).run(guarded)
        for each in removals:
            each.remove_all()
        if not released.failed:
            former.forget()
    run_file.forget(settings.drivers.state_dir)
    return released


def cut_off_by_release(bpf_dir: Path, record: Path | None) -> list[str]:
    """The names of the interfaces whose bridge a release removes; an agent may be running.

    Those are on a bridge that vifguard made, and were on none of the operator's before. Raises
    OSError.
    """
    indexes = guarded_interfaces(bpf_dir)
    with Links() as links, Bridges() as bridges:
        former = SavedState(record, bridges).interfaces
        here = {link.index: link for link in links.all()}
    return sorted(
        link.name
        for link in here.values()
        if (link.index in indexes or link.index in former)
        and (master := master_after(link, former.get(link.index), here)) is not None
        and is_ours(master)
    )


def restore_bridges(links: Links, bridges: Bridges, former: SavedState) -> None:
    """Make the operator's bridges forward for all of their members, as before."""
    with MembersTable(TABLE) as table:
        for found in former.bridges.values():
            bridge = links.at(found.index)
            if bridge is not None:
                for each in _filters(bridges, table, bridge, found):
                    each.remove(bridge, found.vlans)
                if found.max_learned is not None:
                    bridges.set_max_learned(bridge.index, found.max_learned)
        # Leftovers of it, when the record is lost.
        table.remove()


def _filters(
    bridges: Bridges, table: MembersTable, bridge: Link, found: SavedBridge
) -> Iterator[MemberFilter]:
    settings = bridges.settings(bridge.index)
    now = settings and (settings.vlan_filtering, settings.default_vlan)
    if now != (found.vlans.vlan_filtering, found.vlans.default_vlan):
        yield VlanFilter(bridges)
    yield NftFilter(table)


def _unmark(link: Link) -> LinkChange:
    return LinkChange(link.index, alias="")
