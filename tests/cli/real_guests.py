"""Guests that are real: virtual machines, and a container of systemd-nspawn.

Each answers a shell's commands (tests/kernels/answer), one at a time.
"""

from __future__ import annotations

import os
import re
import select
import shutil
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path

from host import Host

ROOT = Path(__file__).parents[2]
START, PATIENCE = 240.0, 60.0
APPEND = "console=ttyS0 quiet panic=-1 no_timer_check mitigations=off"
PROGRAMS = {
    "libvirtd": "libvirt-daemon",
    "virsh": "libvirt-clients",
    "qemu-system-x86_64": "qemu-system-x86",
    "systemd-nspawn": "systemd-container",
    "busybox": "busybox-static",
}
QEMU_DRIVER = "*/libvirt/connection-driver/libvirt_driver_qemu.so"


def missing() -> str:
    """The packages that are not on this machine; empty where none is missing."""
    names = [package for program, package in PROGRAMS.items() if not shutil.which(program)]
    if not list(Path("/usr/lib").glob(QEMU_DRIVER)):
        names.append("libvirt-daemon-driver-qemu")
    return ", ".join(names)


@dataclass(frozen=True)
class Image:
    """What the guests start from: a kernel, its first root, and a container's root."""

    directory: Path

    @property
    def kernel(self) -> Path:
        return self.directory / "vmlinuz"

    @property
    def initrd(self) -> Path:
        return self.directory / "initrd.gz"

    @property
    def root(self) -> Path:
        return self.directory / "root"


class Guest(ABC):
    """A guest, by the name of its interface on the host and by its shell."""

    device = "eth0"
    """What the guest itself calls its interface."""

    def __init__(self, name: str, interface: str) -> None:
        self.name = name
        self.interface = interface
        self._read = b""

    def run(self, command: str) -> str:
        """What a command prints in the guest; AssertionError where it fails."""
        self._write(command.encode() + b"\n")
        lines = []
        while not (found := re.fullmatch(r"DONE (\d+)", line := self._line())):
            lines.append(line)
        assert found[1] == "0", f"{self.name}: {command}: {lines}"
        return "\n".join(lines)

    def ready(self, address: str) -> None:
        """Wait until the guest is up, and give it an address; its IPv6 stays silent."""
        self._read = b""
        while self._line(START) != "READY":
            pass
        self.run("echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6 || true")
        self.run(f"ip link set {self.device} up")
        self.run(f"ip address add {address}/24 dev {self.device}")

    def mac(self) -> str:
        return self.run(f"cat /sys/class/net/{self.device}/address")

    def _line(self, patience: float = PATIENCE) -> str:
        deadline = time.monotonic() + patience
        while b"\n" not in self._read:
            left = deadline - time.monotonic()
            assert self._is_readable(left), f"{self.name} is silent: {self._read!r}"
            data = os.read(self._reading(), 4096)
            assert data, f"{self.name} has ended: {self._read!r}"
            self._read += data
        line, _, self._read = self._read.partition(b"\n")
        return line.decode(errors="replace").strip("\r")

    def _is_readable(self, seconds: float) -> bool:
        return bool(select.select([self._reading()], [], [], max(0.0, seconds))[0])

    @abstractmethod
    def _reading(self) -> int: ...

    @abstractmethod
    def _write(self, data: bytes) -> None: ...

    @abstractmethod
    def close(self) -> None:
        """End the guest."""


class Machine(Guest):
    """A virtual machine: its second serial line comes to a socket of ours."""

    def __init__(self, name: str, interface: str, directory: Path) -> None:
        super().__init__(name, interface)
        self.path = directory / f"{name}.line"
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(self.path))
        self._listening.listen()
        self._listening.settimeout(PATIENCE)
        self._line_to: socket.socket | None = None

    def ready(self, address: str) -> None:
        if self._line_to:
            self._line_to.close()
        self._line_to, _ = self._listening.accept()
        super().ready(address)

    def close(self) -> None:
        if self._line_to:
            self._line_to.close()
        self._listening.close()
        self.path.unlink(missing_ok=True)

    def _reading(self) -> int:
        assert self._line_to
        return self._line_to.fileno()

    def _write(self, data: bytes) -> None:
        assert self._line_to
        self._line_to.sendall(data)


class QemuGuest(Machine):
    """A machine of QEMU's own, whose script puts its tap into the bridge."""

    def __init__(self, host: Host, image: Image, name: str, mac: str) -> None:
        super().__init__(name, f"tap{name}", host.directory)
        script = host.directory / "qemu-ifup"
        script.write_text("#!/bin/sh\nip link set $1 up master br0\n")
        script.chmod(0o755)
        self._process = subprocess.Popen(
            host.inside(
                *("qemu-system-x86_64", "-machine", "q35", "-accel", "tcg", "-m", 128),
                *("-nodefaults", "-display", "none", "-no-reboot"),
                *("-kernel", image.kernel, "-initrd", image.initrd, "-append", APPEND),
                *("-serial", "null", "-serial", f"unix:{self.path}"),
                *("-netdev", f"tap,id=n,ifname={self.interface},script={script},downscript=no"),
                *("-device", f"virtio-net-pci,netdev=n,mac={mac},romfile="),
            )
        )

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        super().close()


class Container(Guest):
    """A container that systemd-nspawn connects to the bridge."""

    device = "host0"

    def __init__(self, host: Host, image: Image, name: str) -> None:
        super().__init__(name, f"vb-{name}")
        self._process = subprocess.Popen(
            [
                # Not by `ip netns exec`, whose /sys has no control groups.
                *("nsenter", f"--net=/run/netns/{host.name}", "unshare", "--mount"),
                *("systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--volatile=no"),
                *("--directory", str(image.root), "--machine", name, "--console=pipe"),
                *("--network-bridge=br0", "--as-pid2", "/answer"),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
        )

    def close(self) -> None:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        try:
            self._process.wait(PATIENCE)
        finally:
            self._process.kill()
            self._process.wait()
            self._process.stdout.close()

    def _reading(self) -> int:
        assert self._process.stdout
        return self._process.stdout.fileno()

    def _write(self, data: bytes) -> None:
        assert self._process.stdin
        self._process.stdin.write(data)
