"""Teardown of a host: guards, bridges, the quarantine."""

from __future__ import annotations

from pathlib import Path

from vifguard.agent.host.only_agent import only_agent
from vifguard.agent.host.restore import restore_bridges
from vifguard.agent.host.saved_state import SavedState
from vifguard.agent.reporting import run_file
from vifguard.agent.settings import Settings
from vifguard.bridging.bridge import is_ours, port_of_mark
from vifguard.bridging.quarantine import Quarantine
from vifguard.enforce.drivers import guarded_interfaces, hold_all
from vifguard.kernel.net.bridge import Bridges
from vifguard.kernel.net.link import Link, LinkChange, Links


def teardown(settings: Settings) -> None:
    """Remove everything that an agent put on this host; no agent may be running.

    Each interface is cut off (out of its bridge, and down) before it loses its guard, and so is
    one whose port was deleted: without the member filter it would forward unguarded. Where one
    cannot be cut off, nothing loses its guard. Raises HeldError where another process holds this
    network namespace or the guards, before anything is touched; DriverError and OSError.
    """
    with (
        only_agent(),
        hold_all(settings.drivers.state_dir) as removals,
        Links() as links,
        Bridges() as bridges,
        Quarantine() as quarantine,
    ):
        former = SavedState(settings.record, bridges)
        leaving = guarded_interfaces(settings.drivers.state_dir) | ended(former)
        for link in links.all():
            if link.index in leaving or port_of_mark(link):
                _cut_off(links, link)
        for each in removals:
            each.remove_all()
        for link in links.all():
            if is_ours(link):
                links.remove(link.index)
        restore_bridges(links, bridges, former)
        former.forget()
        quarantine.remove()
    run_file.forget(settings.drivers.state_dir)


def _cut_off(links: Links, link: Link) -> None:
    """Take an interface out of its bridge, and down; OSError where the kernel refuses."""
    alias = "" if port_of_mark(link) else None
    refused = links.change([LinkChange(link.index, master=0, up=False, alias=alias)])[0]
    if refused is not None and links.at(link.index) is not None:
        raise OSError(refused.errno, f"interface {link.name} keeps its guard: {refused.reason}")


def ended(former: SavedState) -> frozenset[int]:
    """The members of the operator's bridges whose port was deleted: a filter holds them back."""
    with Links() as links:
        members = {link.index for link in links.all() if link.master in former.bridges}
    return frozenset(former.ended.keys() & members)


def cut_off_by_removal(bpf_dir: Path, record: Path | None) -> list[str]:
    """The names of the interfaces that a removal would cut off; an agent may be running."""
    with Links() as links, Bridges() as bridges:
        indexes = guarded_interfaces(bpf_dir) | ended(SavedState(record, bridges))
        return sorted(
            link.name for link in links.all() if link.index in indexes or port_of_mark(link)
        )
