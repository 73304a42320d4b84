"""Giving interfaces back: everything that the agent may change of one, as it was found."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from vifguard.agent.host.saved_state import SavedInterface
from vifguard.bridging.bridge import is_ours, port_of_mark
from vifguard.kernel.net import sysctl
from vifguard.kernel.net.bridge import Bridges
from vifguard.kernel.net.link import Link, LinkChange, Links
from vifguard.model.address import Mac

MayPass = Callable[[Link | None], bool]
"""Whether an interface without a guard may be given back into a bridge; None: into none."""


def give_back(
    links: Links, bridges: Bridges, link: Link, found: SavedInterface, change: LinkChange
) -> str:
    """Apply a change that gives an interface back, and restore its settings.

    Returns why that failed; empty where it did not. Its guard is still there, and goes last.
    """
    error = links.change([change])[0] if change != LinkChange(link.index) else None
    if error is not None:
        return error.reason
    if found.hands_off:
        return ""
    is_back = found.master and found.master == (
        link.master if change.master is None else change.master
    )
    if found.member is not None and is_back:
        refused = bridges.set_member(
            link.index,
            hairpin=found.member.hairpin,
            learning=found.member.learning,
            multicast_router=found.member.multicast_router,
        )
        if refused is not None:
            return refused.reason
    try:
        sysctl.write(link.name, found.sysctls)
    except OSError as error:
        return str(error)
    return ""


def on_deletion(
    link: Link, found: SavedInterface, here: Mapping[int, Link], may_pass: MayPass
) -> LinkChange:
    """The change that gives back the interface of a deleted port.

    It goes where it was if it `may_pass` there without a guard, or passes nothing; else into no
    bridge, and down: whoever may delete a port must not free its guest of the guard by that.
    `here` are all links of the host, by index.
    """
    if found.hands_off:
        return LinkChange(link.index, alias=found.alias if port_of_mark(link) else None)
    master = here.get(found.master)
    if not may_pass(master):
        return _as_found(link, found, None, up=False)
    return _as_found(link, found, master, up=found.up)


def on_release(link: Link, found: SavedInterface, here: Mapping[int, Link]) -> LinkChange:
    """The change that gives an interface back because the operator asked for it.

    Nothing is taken out of a bridge that is not ours, or down there: an interface that was found
    before its hypervisor had done with it was in no bridge, and down, only for a moment.
    """
    if found.hands_off:
        return LinkChange(link.index, alias=found.alias if port_of_mark(link) else None)
    master = master_after(link, found, here)
    if master is None or is_ours(master):
        return _as_found(link, found, None, up=found.up)
    return _as_found(link, found, master, up=found.up or link.up)


def master_after(link: Link, found: SavedInterface | None, here: Mapping[int, Link]) -> Link | None:
    """The bridge of an interface after a release; one of ours is removed then."""
    if found is not None and found.hands_off:
        return here.get(link.master)
    return here.get(found.master if found and found.master in here else link.master)


def _as_found(link: Link, found: SavedInterface, master: Link | None, *, up: bool) -> LinkChange:
    index = master.index if master else 0
    mac = Mac.parse(found.mac) if found.mac else None
    return LinkChange(
        link.index,
        master=index if index != link.master else None,
        up=up if up != link.up else None,
        mtu=found.mtu if found.mtu != link.mtu else None,
        mac=mac if mac != link.mac else None,
        alias=found.alias if found.alias != link.alias else None,
    )
