"""LXD: three containers on a bridge, each with all filters that its NIC offers."""

from __future__ import annotations

import io
import json
import os
import shutil
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from peers.host import Host, await_, standing
from peers.peer import Peer, package
from peers.segment import UPLINK, Guest, Permits, Segment, segment
from vifguard.lab.audit.site import Site
from vifguard.lab.world.lab_run import BASE, PREFIX, Run
from vifguard.lab.world.netns import LabError
from vifguard.model.guard import Guard

_GROUPS = Path("/sys/fs/cgroup")
_LOCKS = Path("/run/lxc/lock")
_BUSYBOX = Path("/bin/busybox")
_INITTAB = b"::sysinit:/bin/true\n::respawn:/bin/sleep 3600\n"
_METADATA = b"""\
architecture: x86_64
creation_date: 1700000000
properties: {description: busybox, os: busybox, release: '1'}
"""
_BRIDGE = "br0"


@contextmanager
def up(run: Run) -> Iterator[Site]:
    """A bridge, an LXD server, and three containers that do nothing."""
    members = segment(run, "lxd")
    with standing(run, "lxd", iptables=True) as host:
        members.plug(host.netns, members.outside)
        host.bridge(_BRIDGE, (UPLINK,))
        _sweep()
        lxd = _Lxd(host)
        try:
            lxd.make(members)
            yield members.site("LXD", Permits())
        finally:
            lxd.end(members)


class _Lxd:
    """A server with a directory of its own, and the client's commands for it."""

    def __init__(self, host: Host) -> None:
        self._host = host
        environment = {
            "LXD_DIR": str(host.folder("lxd")),
            "LXD_CONF": str(host.folder("client")),
        }
        self._client = ("env", *(f"{name}={value}" for name, value in environment.items()))
        self._daemon = host.start("lxd", "--group=root", environment=environment)
        await_("LXD", self._answers, self._daemon)

    def run(self, *command: str, stdin: str = "") -> str:
        """The output of a client's command."""
        return self._host.run(*self._client, *command, stdin=stdin)

    def make(self, members: Segment) -> None:
        """An image, a pool, and a running container for each guest, in its namespace."""
        image = self._host.directory / "image.tar.gz"
        _write_image(image)
        self.run("lxc", "storage", "create", "pool", "dir")
        self.run("lxc", "image", "import", str(image), "--alias=busybox")
        for guest in members.guests:
            members.adopt(guest, self._start(guest))

    def end(self, members: Segment) -> None:
        """Stop the containers, so that no control group of theirs is left, then the server."""
        with suppress(LabError):
            self.run("lxc", "delete", "--force", *(guest.netns for guest in members.guests))
        with suppress(LabError):
            self.run("lxd", "shutdown", "--timeout=20")
        _sweep()

    def _start(self, guest: Guest) -> int:
        """The process id of the started container; it bears the name of the guest's namespace."""
        # Privileged: nothing here depends on the ids that the machine has to spare.
        self.run(
            "lxc", "init", "busybox", guest.netns, "--storage=pool",
            "--config=security.privileged=true",
        )  # fmt: skip
        self.run(
            "lxc", "config", "device", "add", guest.netns, "eth0", "nic", "nictype=bridged",
            f"parent={_BRIDGE}", "name=eth0", f"host_name={guest.tap}", f"hwaddr={guest.mac}",
            f"ipv4.address={guest.ip4}", f"ipv6.address={guest.ip6}",
            "security.mac_filtering=true", "security.ipv4_filtering=true",
            "security.ipv6_filtering=true",
        )  # fmt: skip
        self.run("lxc", "start", guest.netns)
        state = json.loads(self.run("lxc", "query", f"/1.0/instances/{guest.netns}/state"))
        return int(state["pid"])

    def _answers(self) -> bool:
        try:
            self.run("lxc", "query", "/1.0")
        except LabError:
            return False
        return True


def _sweep() -> None:
    """Remove the files of LXC outside its server's directory, a killed run's as well.

    The kernel refuses to remove a control group that has any process in it.
    """
    for name in ("lxc.pivot", f"lxc.*.{PREFIX}*"):
        for group in _GROUPS.glob(f"*/{name}"):
            for folder, _, _ in os.walk(group, topdown=False):
                with suppress(OSError):
                    Path(folder).rmdir()
    ours = _LOCKS / BASE.relative_to("/")
    shutil.rmtree(ours, ignore_errors=True)
    for empty in (ours.parent, _LOCKS, _LOCKS.parent):
        with suppress(OSError):
            empty.rmdir()


def _write_image(path: Path) -> None:
    """A container image that holds one static program."""
    with tarfile.open(path, "w:gz", compresslevel=1) as image:
        _add(image, "metadata.yaml", _METADATA)
        for folder in ("", "bin", "sbin", "dev", "proc", "sys", "etc", "root", "tmp", "run", "var"):
            entry = tarfile.TarInfo(f"rootfs/{folder}".rstrip("/"))
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            image.addfile(entry)
        _add(image, "rootfs/bin/busybox", _BUSYBOX.read_bytes(), mode=0o755)
        _add(image, "rootfs/etc/inittab", _INITTAB)
        for name in ("bin/sh", "bin/true", "bin/sleep", "sbin/init"):
            link = tarfile.TarInfo(f"rootfs/{name}")
            link.type, link.linkname = tarfile.SYMTYPE, "/bin/busybox"
            image.addfile(link)


def _add(image: tarfile.TarFile, name: str, content: bytes, mode: int = 0o644) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), mode
    image.addfile(entry, io.BytesIO(content))


PEER = Peer(
    key="lxd",
    name="LXD",
    versions=lambda: f"{package('lxd')}, {package('nftables')}",
    configuration=(
        "bridged NICs with `security.mac_filtering`, `security.ipv4_filtering` and"
        " `security.ipv6_filtering`, `ipv4.address` and `ipv6.address` given;"
        " `bridge-nf-call-ip6tables` is 1, as the IPv6 filter demands"
    ),
    sources=(
        (
            "https://documentation.ubuntu.com/lxd/stable-5.0/explanation/security/"
            "#bridged-nic-security"
        ),
        "https://documentation.ubuntu.com/lxd/stable-5.0/reference/devices_nic/#nic-bridged",
    ),
    up=up,
    promises={
        Guard.MAC: "`mac_filtering`: no other instance's MAC address",
        Guard.ARP: "`ipv4_filtering`: ARP with a spoofed address is blocked",
        Guard.ND: "`ipv6_filtering`: NDP advertisements with a spoofed address are blocked",
        Guard.IP: "no packet with a spoofed source address",
        Guard.RA: "`ipv6_filtering`: router advertisements of the instance are blocked",
        Guard.ETHERTYPE: "nothing but ARP, IPv4 and IPv6 while an IP filter is on",
    },
    programs=("lxd", "lxc", "nft", "busybox"),
    notes=(
        (
            "DHCP, DHCPv6 and router solicitations of an instance go to the host alone, whose own"
            " server answers them; they count as not delivered to the other guests."
        ),
    ),
)
