"""libvirt's `clean-traffic`, on interfaces that no domain of it has: a filter binding each."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address
from pathlib import Path

from peers.host import Host, await_, standing
from peers.peer import Peer, package
from peers.segment import VIP4, Guest, Permits, segment
from vifguard.lab.audit.site import Site
from vifguard.lab.world.lab_run import Run
from vifguard.lab.world.netns import LabError
from vifguard.model.guard import Guard

_FILTERS = Path("/usr/share/libvirt/nwfilter")
_BINDING = """\
<filterbinding>
  <owner><name>{name}</name><uuid>{uuid}</uuid></owner>
  <portdev name='{tap}'/>
  <mac address='{mac}'/>
  <filterref filter='clean-traffic'>{addresses}</filterref>
</filterbinding>
"""
_ADDRESS = "<parameter name='IP' value='{}'/>"
_OWNER = "00000000-0000-4000-8000-{:012x}"
_CONFIGURATION = """\
auth_unix_rw = "none"
auth_unix_ro = "none"
"""
_DRIVERS = Path("/usr/lib")
_DRIVER = "*/libvirt/connection-driver/libvirt_driver_nwfilter.so"


@contextmanager
def up(run: Run) -> Iterator[Site]:
    """A bridge, libvirtd, and a binding for each of three ports."""
    members = segment(run, "libvirt", six=False)
    with standing(run, "libvirt", iptables=True) as host:
        members.plug(host.netns)
        host.bridge("br0", members.taps)
        virsh = libvirtd(host)
        for number, guest in enumerate(members.guests):
            shared = (VIP4,) if guest is members.attacker else ()
            _bind(host, virsh, number, guest, *shared)
        yield members.site("libvirt clean-traffic", Permits(vip4=VIP4))


def libvirtd(host: Host) -> tuple[str, ...]:
    """Start libvirtd; the command that asks it."""
    etc = host.folder("etc")
    (etc / "libvirtd.conf").write_text(_CONFIGURATION)
    shutil.copytree(_FILTERS, etc / "nwfilter")
    # The driver for filters alone: those of hypervisors need users and services of their own.
    drivers = host.folder("drivers")
    for driver in _DRIVERS.glob(_DRIVER):
        (drivers / driver.name).symlink_to(driver)
    run = host.folder("run")
    binds = {host.folder(name): Path("/var", name) for name in ("lib", "log", "cache")}
    # /run comes last: the other sources are beneath it.
    binds |= {etc: Path("/etc/libvirt"), drivers: Path("/mnt"), run: Path("/run")}
    daemon = host.start(
        "libvirtd", "--config=/etc/libvirt/libvirtd.conf",
        binds=binds, environment={"LIBVIRT_DRIVER_DIR": "/mnt"},
    )  # fmt: skip
    socket = run / "libvirt" / "libvirt-sock"
    virsh = ("virsh", "--quiet", f"--connect=nwfilter+unix:///system?socket={socket}")
    await_("libvirtd", lambda: socket.exists() and _answers(host, virsh), daemon)
    return virsh


def _answers(host: Host, virsh: tuple[str, ...]) -> bool:
    try:
        return "clean-traffic" in host.run(*virsh, "nwfilter-list")
    except LabError:
        return False


def _bind(
    host: Host, virsh: tuple[str, ...], number: int, guest: Guest, *shared: IPv4Address
) -> None:
    addresses = "".join(_ADDRESS.format(each) for each in (guest.ip4, *shared))
    binding = host.directory / f"{guest.name}.xml"
    binding.write_text(
        _BINDING.format(
            name=guest.name, uuid=_OWNER.format(number + 1), tap=guest.tap, mac=guest.mac,
            addresses=addresses,
        )
    )  # fmt: skip
    host.run(*virsh, "nwfilter-binding-create", str(binding))


PEER = Peer(
    key="libvirt",
    name="libvirt `clean-traffic`",
    versions=lambda: f"{package('libvirt-daemon')}, {package('iptables')}",
    configuration=(
        "the filter `clean-traffic` with the guest's addresses as parameter `IP`, bound to each"
        " port by `nwfilter-binding-create`; `bridge-nf-call-iptables` is 1"
    ),
    sources=(
        "https://libvirt.org/formatnwfilter.html#pre-existing-network-filters",
        "https://libvirt.org/formatnwfilter.html#usage-of-variables-in-filters",
    ),
    up=up,
    promises={
        Guard.MAC: "`no-mac-spoofing`: only the guest's own source MAC",
        Guard.ARP: "`no-arp-spoofing`: requests and replies hold the guest's own MAC and IP",
        Guard.IP: "`no-ip-spoofing`: only the guest's own source IPv4 address",
        Guard.ETHERTYPE: "`no-other-l2-traffic`: nothing but what the other filters accept",
    },
    programs=("libvirtd", "virsh", "iptables", "ebtables"),
    notes=(
        (
            "It passes no IPv6 at all, in either direction, so its guests have none and only"
            " IPv4 is judged."
        ),
    ),
)
