"""A host with a guest of each kind on its bridge, as docs/existing-host.md has them."""

import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from existing import Existing
from host import LIMIT, Host, eventually
from libvirt_host import Libvirt, LibvirtGuest
from real_guests import ROOT, Container, Guest, Image, QemuGuest

ADDRESSES = {
    "vm1": "192.168.50.12",
    "seven": "192.168.50.17",
    "box": "192.168.50.31",
    "new": "192.168.50.40",
}
LIBVIRT_MAC, QEMU_MAC, NEW_MAC = "52:54:00:61:22:01", "52:54:00:5f:00:07", "52:54:00:61:22:02"
BRIDGED = f"""\
<interface type='bridge'>
  <source bridge='br0'/>
  <mac address='{LIBVIRT_MAC}'/>
  <model type='virtio'/>
</interface>"""
PAGE = (ROOT / "docs" / "existing-host.md").read_text()
ETHERNET = PAGE[PAGE.index("<interface type='ethernet'>\n") :].partition("```")[0]
"""As the page says it, for another port."""


class Real:
    """The host, its libvirt, and one guest of each kind, all of them on its bridge."""

    def __init__(self, existing: Existing, libvirt: Libvirt, image: Image, ends: ExitStack) -> None:
        self.existing, self.libvirt, self.image, self._ends = existing, libvirt, image, ends
        machine = existing.machine
        self.machine: Host = machine
        self.vm = LibvirtGuest(libvirt, image, "vm1", BRIDGED)
        ends.callback(self.vm.close)
        self.seven, self.box = self._seven(), self._box()
        for guest in self.guests:
            guest.ready(ADDRESSES[guest.name])

    @property
    def guests(self) -> list[Guest]:
        """Those on the bridge from the beginning."""
        return [self.box, self.seven, self.vm]

    def restart(self) -> None:
        """Restart the guests that libvirt does not know."""
        self.box.close()
        self.seven.close()
        self.seven, self.box = self._seven(), self._box()
        for guest in (self.box, self.seven):
            guest.ready(ADDRESSES[guest.name])

    def _seven(self) -> QemuGuest:
        guest = QemuGuest(self.machine, self.image, "seven", QEMU_MAC)
        self._ends.callback(guest.close)
        return guest

    def _box(self) -> Container:
        guest = Container(self.machine, self.image, "box")
        self._ends.callback(guest.close)
        return guest

    def plug(self, tap: str) -> LibvirtGuest:
        """A further guest, whose tap libvirt makes and puts nowhere."""
        xml = ETHERNET.replace("tap0a1b2c3d-4e", tap)
        guest = LibvirtGuest(self.libvirt, self.image, "new", xml)
        self._ends.callback(guest.close)
        guest.ready(ADDRESSES["new"])
        return guest

    def port_of(self, guest: Guest) -> dict[str, Any]:
        """The port of a guest, once its policy is in force at the interface that it has now."""
        mac = guest.mac()
        ports = self.machine.shell.json("port", "list")
        (port,) = [port["id"] for port in ports if port["mac_address"] == mac]
        # For ten seconds a port is ACTIVE by what an agent said that is gone.
        eventually(lambda: port in self.machine.ip("link", "show", guest.interface))
        found: dict[str, Any] = self.machine.shell.json("port", "wait", port, "--timeout", 50)
        assert found["status"] == "ACTIVE"
        return found

    @contextmanager
    def unbroken(self, *guests: Guest) -> Iterator[None]:
        """The router's pings to these guests are answered all the while, each 0.2 s."""
        with ExitStack() as pings:
            lost = [
                pings.enter_context(answering(self.existing, ADDRESSES[guest.name]))
                for guest in guests
            ]
            yield
            assert not [numbers for each in lost if (numbers := each())]


@contextmanager
def answering(existing: Existing, address: str) -> Iterator[Callable[[], list[int]]]:
    """Pings from the router all the while; then the numbers of those without an answer.

    Those under way at the end have none either: what comes after the last answer does not count,
    so another ping must be answered then.
    """
    inside = ("ip", "netns", "exec", existing.space("router"))
    process = subprocess.Popen(
        [*inside, "ping", "-i0.2", address], stdout=subprocess.PIPE, text=True
    )

    def lost() -> list[int]:
        assert existing.pings("router", address)
        process.send_signal(2)
        text = process.communicate(timeout=LIMIT)[0]
        answered = {int(number) for number in re.findall(r"icmp_seq=(\d+) ttl", text)}
        assert answered, text
        return sorted(set(range(1, max(answered))) - answered)

    try:
        yield lost
    finally:
        process.kill()
        process.communicate()
