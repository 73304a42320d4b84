"""Removal of an agent's guards, whatever became of their pins: none of their maps is opened."""

from __future__ import annotations

from pathlib import Path

from vifguard.enforce.ebpf.guarded_interfaces import load_nothing
from vifguard.enforce.ebpf.guarded_namespace import require_namespace
from vifguard.enforce.ebpf.hooks import AttachMethod, ClsactFilters
from vifguard.enforce.ebpf.legacy_links import LegacyLinks
from vifguard.enforce.ebpf.pin_directory import PinDirectory
from vifguard.enforce.ebpf.pins import Pins
from vifguard.enforce.ebpf.tcx_hooks import Tcx
from vifguard.kernel import rcu


class Removal:
    """The guards of the agent that pins in a directory, of any build, held to be removed."""

    def __init__(self, root: Path) -> None:
        """Raises HeldError where another process or namespace holds them; OSError."""
        self._pins = Pins(root)
        try:
            require_namespace(self._pins)
        except BaseException:
            self._pins.close()
            raise

    def remove_all(self) -> None:
        """Remove every guard of this network namespace, however it is attached, and all pins."""
        directory = PinDirectory(self._pins.root)
        former = LegacyLinks(self._pins.root, directory)
        former.tidy()
        ways: tuple[AttachMethod, ...] = (
            Tcx({}, directory, former, load_nothing),
            ClsactFilters({}, directory),
        )
        with rcu.expedited():
            for way in ways:
                for ifindex in way.seen_all():
                    way.remove(ifindex)
                way.close()
        self._pins.remove()

    def close(self) -> None:
        """Release the directory; the guards that were not removed stay in force."""
        self._pins.close()
