"""iPXE, the firmware of network cards, boots at guarded ports as on a bare bridge.

It leases an address by DHCP, fetches its script and a large image by HTTP over its own TCP,
and meets a closed port on the way. dnsmasq and the HTTP server stand beyond the uplink.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from tests.agent.netns import run
from tests.agent.ports import mac_of, tap_of
from tests.oracles.stacks.guests import Router
from tests.oracles.stacks.segment import MAKERS, OUTSIDE, Protection, Segment, address4

pytestmark = [pytest.mark.kernel, pytest.mark.full]
SERVER, PORT, CLOSED = address4(OUTSIDE), 1808, 1809
SCRIPT = f"""#!ipxe
imgfetch --name big http://{SERVER}:{PORT}/big || goto failed
imgfetch http://{SERVER}:{CLOSED}/ && goto failed ||
imgfetch --name done http://{SERVER}:{PORT}/done
:failed
"""
FETCHED = ["/boot.ipxe", "/big", "/done"]
_BOOT = 240.0
_GUEST = 1


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """What the server has."""
    (tmp_path / "boot.ipxe").write_text(SCRIPT)
    (tmp_path / "big").write_bytes(bytes(range(256)) * 12000)
    (tmp_path / "done").write_text("done")
    return tmp_path


def test_firmware_boots_from_the_network(files: Path) -> None:
    if not shutil.which("qemu-system-x86_64"):
        pytest.skip("qemu-system-x86_64 (package qemu-system-x86) is missing")

    def boot(protection: Protection) -> tuple[list[str], int]:
        with ExitStack() as stack:
            segment = MAKERS[protection](f"vgip{os.getpid()}{protection.value[0]}")
            stack.callback(segment.close)
            router = Router(segment)
            stack.callback(router.close)
            log = stack.enter_context(served(router.netns, files, files / protection))
            stack.enter_context(booting(segment))
            deadline = time.monotonic() + _BOOT
            while FETCHED[-1] not in requested(log) and time.monotonic() < deadline:
                time.sleep(0.2)
            index = segment.index(_GUEST)
            dropped = sum(n for (at, *_), n in segment.dropped().items() if at == index)
            return requested(log), dropped

    with ThreadPoolExecutor(len(MAKERS)) as pool:
        seen = dict(zip(MAKERS, pool.map(boot, MAKERS), strict=True))
    assert seen == dict.fromkeys(MAKERS, (FETCHED, 0))


def requested(log: Path) -> list[str]:
    """The paths that were fetched, in their order."""
    lines = [line.split('"')[1] for line in log.read_text().splitlines() if '" 200 ' in line]
    return [line.split()[1] for line in lines if line.startswith("GET ")]


@contextmanager
def served(netns: str, files: Path, place: Path) -> Iterator[Path]:
    """DHCP and HTTP in a namespace; the log of the HTTP server."""
    place.mkdir()
    log = place / "log"
    inside = ("nsenter", f"--net=/run/netns/{netns}")
    lease = f"{mac_of(_GUEST)},{address4(_GUEST)}"
    dhcp = (
        *("dnsmasq", "-k", "-C", "/dev/null", "-p", "0", "-i", "eth0", "-z"),
        *("--dhcp-range=10.9.0.200,10.9.0.210", f"--dhcp-host={lease}"),
        *(f"--dhcp-boot=http://{SERVER}:{PORT}/boot.ipxe", f"--dhcp-leasefile={place}/leases"),
        *(f"--pid-file={place}/pid", "--log-facility=/dev/null"),
    )
    http = (sys.executable, "-m", "http.server", str(PORT), "--directory", str(files))
    with log.open("w") as out:
        processes = [
            subprocess.Popen((*inside, *dhcp), stderr=subprocess.DEVNULL),
            subprocess.Popen((*inside, *http), stdout=subprocess.DEVNULL, stderr=out),
        ]
        try:
            yield log
        finally:
            _end(*processes)


@contextmanager
def booting(segment: Segment) -> Iterator[None]:
    """A machine without a disk, whose network card has iPXE."""
    tap = tap_of(_GUEST)
    segment.ip("tuntap", "add", tap, "mode", "tap")
    segment.ip("link", "set", tap, "up")
    segment.admit(_GUEST)
    machine = (
        *("qemu-system-x86_64", "-machine", "pc,accel=tcg", "-m", "128", "-nodefaults"),
        *("-display", "none", "-vga", "std"),
        *("-netdev", f"tap,id=n,ifname={tap},script=no,downscript=no"),
        *("-device", f"virtio-net-pci,netdev=n,mac={mac_of(_GUEST)},bootindex=1"),
    )
    process = subprocess.Popen(("nsenter", f"--net=/run/netns/{segment.netns}", *machine))
    try:
        yield
    finally:
        _end(process)
        run("ip", "-n", segment.netns, "link", "del", tap, check=False)


def _end(*processes: subprocess.Popen[bytes]) -> None:
    for process in processes:
        process.kill()
        process.wait()
