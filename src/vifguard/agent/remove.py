"""Taking everything off a host: guards, bridges, the floor."""

from __future__ import annotations

from vifguard.agent.settings import Settings
from vifguard.enforce.ebpf import EbpfDriver
from vifguard.kernel.link import LinkChange, Links
from vifguard.wire.bridge import is_ours, marked
from vifguard.wire.floor import Floor


def remove(settings: Settings) -> None:
    """Take away all that an agent put on this host; no agent may be running.

    Each interface is cut off (out of its bridge, and down) before it loses its guard.
    Raises DriverError and OSError.
    """
    driver = EbpfDriver(settings.bpf_dir, tcx=settings.tcx)
    with Links() as links, Floor() as floor, driver:
        guarded = driver.observe(None).ports.keys()
        for link in links.all():
            if link.index in guarded:
                alias = "" if marked(link) else None
                links.change([LinkChange(link.index, master=0, up=False, alias=alias)])
        driver.remove_all()
        for link in links.all():
            if is_ours(link):
                links.remove(link.index)
        floor.remove()
