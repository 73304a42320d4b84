"""libvirt on a host in a namespace: its daemon with directories of its own, and its domains."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from host import Host
from real_guests import APPEND, PATIENCE, Image, Machine

CONFIGURATION = """\
security_driver = "none"
user = "root"
group = "root"
dynamic_ownership = 0
remember_owner = 0
cgroup_controllers = [ ]
namespaces = [ ]
seccomp_sandbox = 0
stdio_handler = "file"
"""
DOMAIN = """\
<domain type='qemu'>
  <name>{name}</name><memory unit='MiB'>128</memory><vcpu>1</vcpu>
  <os>
    <type arch='x86_64' machine='q35'>hvm</type>
    <kernel>{image.kernel}</kernel><initrd>{image.initrd}</initrd><cmdline>{append}</cmdline>
  </os>
  <features><acpi/></features>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <serial type='null'><target port='0'/></serial>
    <serial type='unix'><source mode='connect' path='{path}'/><target port='1'/></serial>
    <memballoon model='none'/>
{interface}
  </devices>
</domain>
"""


@dataclass(frozen=True)
class Libvirt:
    """libvirt's daemon on a host, with directories of its own."""

    host: Host
    pid: int
    url: str

    def virsh(self, *arguments: object) -> str:
        done = self.host.run("virsh", "--quiet", "--connect", self.url, *arguments, check=False)
        assert done.returncode == 0, f"{arguments}: {done.stderr}"
        return done.stdout.strip()

    def seen_from(self, *command: object) -> list[str]:
        """A command that sees /run as the daemon does."""
        return ["nsenter", f"--target={self.pid}", "--mount", "--net", *map(str, command)]


class LibvirtGuest(Machine):
    """A domain of libvirt, with the interface that its XML says."""

    def __init__(self, libvirt: Libvirt, image: Image, name: str, xml: str) -> None:
        super().__init__(name, "", libvirt.host.directory)
        self._libvirt = libvirt
        domain = libvirt.host.directory / f"{name}.xml"
        domain.write_text(
            DOMAIN.format(name=name, image=image, append=APPEND, path=self.path, interface=xml)
        )
        libvirt.virsh("define", domain)
        self.start()

    def start(self) -> None:
        self._libvirt.virsh("start", self.name)
        listed = self._libvirt.virsh("domiflist", self.name).splitlines()
        self.interface = listed[0].split()[0]

    def stop(self) -> None:
        self._libvirt.virsh("destroy", self.name)

    def close(self) -> None:
        super().close()
        if self.name in self._libvirt.virsh("list", "--name").split():
            self.stop()


@contextmanager
def libvirt(host: Host) -> Iterator[Libvirt]:
    """The daemon, ended by its process id; domains must be gone by then."""
    places = {
        host.directory / f"libvirt-{name}": f"/var/{name}" for name in ("lib", "log", "cache")
    }
    etc, run = host.directory / "libvirt-etc", host.directory / "libvirt-run"
    places |= {etc: "/etc/libvirt", run: "/run"}
    for place in places:
        place.mkdir()
    places |= _accounts(host.directory)
    (etc / "qemu.conf").write_text(CONFIGURATION)
    (etc / "libvirtd.conf").write_text('auth_unix_rw = "none"\nauth_unix_ro = "none"\n')
    binds = [f"mount --bind {place} {over}" for place, over in places.items()]
    script = " && ".join([*binds, "exec libvirtd --config /etc/libvirt/libvirtd.conf"])
    command = ("unshare", "--mount", "--propagation", "private", "sh", "-c", script)
    with ExitStack() as cleanup, (host.directory / "libvirtd.log").open("w") as log:
        process = subprocess.Popen(host.inside(*command), stdout=log, stderr=log)
        cleanup.callback(process.wait)
        cleanup.callback(process.terminate)
        path = run / "libvirt" / "libvirt-sock"
        made = Libvirt(host, process.pid, f"qemu+unix:///system?socket={path}")
        deadline = time.monotonic() + PATIENCE
        while not _answers(made):
            assert process.poll() is None, (host.directory / "libvirtd.log").read_text()
            assert time.monotonic() < deadline, (host.directory / "libvirtd.log").read_text()
            time.sleep(0.1)
        yield made


def _answers(made: Libvirt) -> bool:
    done = made.host.run("virsh", "--connect", made.url, "version", check=False)
    return done.returncode == 0


def _accounts(directory: Path) -> dict[Path, str]:
    """Files with the account that the daemon asks for, whatever its configuration says.

    Debian makes it with a package that also starts a daemon of the machine's own.
    """
    places = {}
    for name, line in (
        ("passwd", "libvirt-qemu:x:64055:64055::/nonexistent:/usr/sbin/nologin\n"),
        ("group", "libvirt-qemu:x:64055:\n"),
    ):
        file, over = directory / f"libvirt-{name}", Path("/etc", name)
        file.write_text(over.read_text() + line)
        places[file] = str(over)
    return places
