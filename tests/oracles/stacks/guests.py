"""Guests of several TCP/IP stacks: each answers socket operations, one line each.

What a guest is asked is in endpoints/on_system.py. A guest is `direct`, its interface being
the port's device, or `wired`: then a wire that a situation can disturb is in between.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.agent.netns import run, within
from tests.agent.ports import mac_of, tap_of
from tests.oracles.stacks.segment import (
    OUTSIDE,
    Segment,
    address4,
    address6,
    second_address4,
    second_address6,
)
from tests.oracles.stacks.wire import Wire

ROOT = Path(__file__).parents[3]
ENDPOINTS = Path(__file__).with_name("endpoints")
BUILD = ROOT / "build" / "stacks"
LWIP, PYTCP = BUILD / "lwip", BUILD / "pytcp" / "bin" / "python"
PATIENCE = 10.0
"""Seconds after which an operation is over, whatever became of it; the endpoints' own default."""
_START = 300.0
_ON_SYSTEM = ENDPOINTS / "on_system.py"
_SOCKETS = frozenset(
    {"listen", "connect", "accept", "send", "recv", "drain", "close"}
    | {"bind", "sendto", "recvfrom"}
)
_ERRORS = frozenset({"watch-errors", "ttl", "urgent", "recv-urgent"})
_OF_LINUX = frozenset(
    {"run", "start", "until", "ping", "fill", "info", "big-frames", "fast-open", "mptcp"}
)


class GuestError(RuntimeError):
    """A guest that does not answer: nothing is said about any guard."""


class Program:
    """A process that takes requests and gives results, one line each.

    They go by its standard input and output, or by `line`, a socket that it listens at.
    """

    def __init__(
        self, name: str, command: Sequence[str], line: Path | None = None, **environment: str
    ) -> None:
        self._name = name
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE if line is None else subprocess.DEVNULL,
            bufsize=0,
            env=os.environ | environment,
        )
        self._socket = None if line is None else self._connected(line)
        self._read = b""
        if (first := self.result(_START)) != "ready":
            raise GuestError(f"{name} did not start: {first}")

    def begin(self, line: str) -> None:
        """Begin with an operation; `result` is what became of it."""
        os.write(self._ends()[0], line.encode() + b"\n")

    def result(self, patience: float = 3 * PATIENCE) -> str:
        """The next line; GuestError where none comes."""
        source = self._ends()[1]
        while b"\n" not in self._read:
            if not select.select([source], [], [], patience)[0]:
                raise GuestError(f"{self._name} is silent")
            data = os.read(source, 1 << 16)
            if not data:
                raise GuestError(f"{self._name} has ended")
            self._read += data
        line, _, self._read = self._read.partition(b"\n")
        return line.decode().strip()

    def close(self) -> None:
        """End it: a virtual machine by its runner, anything else at once."""
        if self._socket:
            self._socket.close()
            self._process.terminate()
        else:
            self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe:
                pipe.close()

    def _ends(self) -> tuple[int, int]:
        if self._socket:
            return self._socket.fileno(), self._socket.fileno()
        assert self._process.stdin
        assert self._process.stdout
        return self._process.stdin.fileno(), self._process.stdout.fileno()

    def _connected(self, path: Path) -> socket.socket:
        deadline = time.monotonic() + _START
        line = socket.socket(socket.AF_UNIX)
        while line.connect_ex(str(path)):
            if self._process.poll() is not None or time.monotonic() > deadline:
                line.close()
                raise GuestError(f"{self._name} does not listen at {path}")
            time.sleep(0.05)
        return line


@dataclass(frozen=True)
class Place:
    """Where a guest is: its number, the namespace of its device, and whether it has a wire."""

    segment: Segment
    number: int
    wired: bool

    @property
    def device(self) -> str:
        """The device of the guest's own end, where that is a tap."""
        return "wire0" if self.wired else tap_of(self.number)

    @property
    def netns(self) -> str:
        """The namespace that the guest's end starts from."""
        return f"{self.segment.netns}w{self.number}" if self.wired else self.segment.netns

    @property
    def mac(self) -> str:
        """The MAC of the guest."""
        return str(mac_of(self.number))


class Guest(ABC):
    """A stack that is up and answers."""

    operations: frozenset[str] = _SOCKETS | {"finish", "abort", "set"}
    """What can be asked of it."""

    @classmethod
    def missing(cls) -> str:
        """What is not on this machine and the stack needs; empty where nothing is."""
        return ""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.wire: Wire | None = None
        if place.wired:
            run("ip", "netns", "add", place.netns)
            within(place.netns, _quiet)
            place.segment.ip(
                *("link", "add", tap_of(place.number), "type", "veth"),
                *("peer", "name", "wire1", "netns", place.netns),
            )
            _no_offloads(place.segment.netns, tap_of(place.number))
            _up(place.netns, "wire1")
        self.plug()
        place.segment.ip("link", "set", tap_of(place.number), "up")
        place.segment.admit(place.number)
        if place.wired:
            self.wire = Wire(place.netns, "wire0", "wire1")
        self.program = self.start()

    @abstractmethod
    def plug(self) -> None:
        """Make the interface."""

    @abstractmethod
    def start(self) -> Program:
        """Start what answers."""

    def begin(self, line: str) -> None:
        """Let the guest do something."""
        self.program.begin(line)

    def result(self) -> str:
        """What became of it."""
        return self.program.result()

    def crash(self) -> str:
        """Forget all connections and tell nobody."""
        self.program.close()
        self.program = self.start()
        return "ok"

    def close(self) -> None:
        """End it, and remove what was made for it."""
        self.program.close()
        if self.wire:
            self.wire.close()
            run("ip", "netns", "del", self.place.netns, check=False)
        self.place.segment.ip("link", "del", tap_of(self.place.number), check=False)


class Linux(Guest):
    """The kernel that runs here, in a namespace."""

    operations = (
        Guest.operations | _ERRORS | _OF_LINUX | {"crash", "pair", "write", "error", "join"}
    )

    @property
    def netns(self) -> str:
        """The guest's namespace."""
        return f"{self.place.segment.netns}g{self.place.number}"

    def plug(self) -> None:
        run("ip", "netns", "add", self.netns)
        within(self.netns, _settled)
        peer = ("peer", "name", "eth0", "netns", self.netns)
        run("ip", "-n", self.place.netns, "link", "add", self.place.device, "type", "veth", *peer)
        if self.place.wired:
            _no_offloads(self.netns, "eth0")
            _up(self.place.netns, self.place.device)
        configure(self.netns, "eth0", self.place.number)

    def start(self) -> Program:
        return inside(self.netns)

    def crash(self) -> str:
        self.program.begin("crash")
        return self.program.result()

    def close(self) -> None:
        super().close()
        run("ip", "netns", "del", self.netns, check=False)


class Lwip(Guest):
    """lwIP, for small devices, as Debian builds it: a program on a tap."""

    @classmethod
    def missing(cls) -> str:
        return (
            "" if LWIP.exists() else f"{LWIP} (package liblwip-dev; make build/stacks/.installed)"
        )

    def plug(self) -> None:
        _make_tap(self.place)

    def start(self) -> Program:
        number = self.place.number
        command = (
            *("nsenter", f"--net=/run/netns/{self.place.netns}"),
            *(str(LWIP), self.place.device, self.place.mac),
            *(address4(number), address6(number)),
        )
        return Program("lwIP", command)


class PyTcp(Guest):
    """PyTCP, a stack in Python: a program on a tap, in an environment of its own."""

    operations = _SOCKETS

    @classmethod
    def missing(cls) -> str:
        return "" if PYTCP.exists() else f"{PYTCP} (make build/stacks/.installed)"

    def plug(self) -> None:
        _make_tap(self.place)

    def start(self) -> Program:
        number = self.place.number
        command = (
            *("nsenter", f"--net=/run/netns/{self.place.netns}"),
            *(str(PYTCP), str(ENDPOINTS / "on_pytcp.py")),
            *(self.place.device, self.place.mac),
            *(f"{address4(number)}/24", f"{address6(number)}/64"),
        )
        return Program("PyTCP", command)


class Gvisor(Linux):
    """gVisor's netstack: a sandbox that takes its interface over from a namespace."""

    operations = Linux.operations - _ERRORS - _OF_LINUX

    @classmethod
    def missing(cls) -> str:
        return "" if shutil.which("runsc") else "runsc (Debian's package of that name)"

    def start(self) -> Program:
        configure(self.netns, "eth0", self.place.number)
        self._work = Path(tempfile.mkdtemp(prefix="vifguard-gvisor-"))
        bundle = self._work / "bundle"
        bundle.mkdir()
        (bundle / "config.json").write_text(json.dumps(self._specification()))
        # runsc takes any entry there for the root namespace, and newer kernels show them in all.
        sandbox = (
            "mount -t tmpfs none /proc/sys/net/core; exec runsc --platform=ptrace "
            f"--network=sandbox --ignore-cgroups --root {self._work} run -bundle {bundle} guest"
        )
        command = ("nsenter", f"--net=/run/netns/{self.netns}", "unshare", "-m", "bash", "-c")
        return Program("gVisor", (*command, sandbox))

    def crash(self) -> str:
        self._end()
        self.program = self.start()
        return "ok"

    def close(self) -> None:
        self._end()
        super().close()

    def _end(self) -> None:
        state = ("runsc", "--root", str(self._work))
        subprocess.run((*state, "kill", "guest", "KILL"), capture_output=True, check=False)
        self.program.close()
        subprocess.run((*state, "delete", "-force", "guest"), capture_output=True, check=False)
        shutil.rmtree(self._work, ignore_errors=True)

    def _specification(self) -> dict[str, object]:
        capabilities = ["CAP_NET_RAW", "CAP_NET_ADMIN", "CAP_NET_BIND_SERVICE"]
        sets = ("bounding", "effective", "permitted", "inheritable")
        netns = {"type": "network", "path": f"/run/netns/{self.netns}"}
        return {
            "ociVersion": "1.0.0",
            "process": {
                "user": {"uid": 0, "gid": 0},
                "args": [os.path.realpath(sys.executable), str(_ON_SYSTEM)],
                "env": ["PATH=/usr/bin:/bin"],
                "cwd": "/",
                "capabilities": dict.fromkeys(sets, capabilities),
            },
            "root": {"path": "/", "readonly": True},
            "hostname": "guest",
            "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"}],
            "linux": {
                "namespaces": [netns, *({"type": kind} for kind in ("pid", "ipc", "uts", "mount"))]
            },
        }


class Debian(Linux):
    """Debian 12's kernel in QEMU, on a tap with offloads; tests/kernels/run boots it."""

    operations = Linux.operations | frozenset({"sctp"}) - {"big-frames"}

    @classmethod
    def missing(cls) -> str:
        return "" if shutil.which("qemu-system-x86_64") else "qemu-system-x86_64"

    def plug(self) -> None:
        _make_tap(self.place)

    def start(self) -> Program:
        self._work = Path(tempfile.mkdtemp(prefix="vifguard-machine-"))
        number, line = self.place.number, self._work / "line"
        script = str(ENDPOINTS / "in_machine.sh")
        gateways = (address4(OUTSIDE), address6(OUTSIDE))
        addresses = (f"{address4(number)}/24", f"{address6(number)}/64")
        seconds = (f"{second_address4(number)}/24", f"{second_address6(number)}/64")
        nic = f"virtio-net-pci,netdev=n,mac={self.place.mac}"
        # A wire carries octets, and whole checksums among them.
        offloads = "off" if self.place.wired else "on"
        return Program(
            "Debian's kernel",
            (
                *("nsenter", f"--net=/run/netns/{self.place.netns}"),
                *(str(ROOT / "tests" / "kernels" / "run"), script),
                *(*gateways, *addresses, *seconds),
            ),
            line,
            MEMORY="512M",
            LIMIT="3600",
            QEMU_ARGS=f"-netdev tap,id=n,ifname={self.place.device},script=no,downscript=no,"
            f"vnet_hdr={offloads} -device {nic} "
            f"-chardev socket,id=line,path={line},server=on,wait=off -serial chardev:line",
        )

    def close(self) -> None:
        Guest.close(self)
        shutil.rmtree(self._work, ignore_errors=True)


class Router:
    """A router beyond the uplink, and a host behind it: `far`, on a path of 1400 octets.

    Its own interface to the network is a bridge, which can ask who is a member of what.
    """

    MTU = 1400
    FAR = ("10.8.0.2", "fd08::2")

    def __init__(self, segment: Segment) -> None:
        self.netns, self._far = f"{segment.netns}r", f"{segment.netns}f"
        for name in (self.netns, self._far):
            run("ip", "netns", "add", name)
            within(name, _settled)
        segment.ip("link", "set", "up1", "netns", self.netns)
        for command in (
            "link add eth0 type bridge mcast_snooping 0",
            "link set up1 master eth0 up",
            "link set eth0 up",
        ):
            run("ip", "-n", self.netns, *command.split())
        configure(self.netns, "eth0", OUTSIDE)
        within(self.netns, _forwarding)
        peer = ("peer", "name", "eth0", "netns", self._far)
        narrow = ("mtu", str(self.MTU), "type", "veth")
        run("ip", "-n", self.netns, "link", "add", "eth1", *narrow, *peer)
        for netns, device, last in ((self.netns, "eth1", 1), (self._far, "eth0", 2)):
            _address(netns, device, f"10.8.0.{last}/24", f"fd08::{last}/64")
            _up(netns, device)
        for version, via, mss in (("-4", "10.8.0.1", 1460), ("-6", "fd08::1", 1440)):
            # It knows what fits and offers to take more, so that its peers have to find out.
            limits = ("mtu", str(self.MTU), "advmss", str(mss))
            run("ip", "-n", self._far, version, "route", "add", "default", "via", via, *limits)
        self.router, self.far = inside(self.netns), inside(self._far)

    def close(self) -> None:
        """End the programs and remove the namespaces."""
        for program, name in ((self.router, self.netns), (self.far, self._far)):
            program.close()
            run("ip", "netns", "del", name, check=False)


def inside(netns: str) -> Program:
    """The endpoint program on the system's stack, in a namespace."""
    command = (sys.executable, str(_ON_SYSTEM))
    return Program(netns, ("nsenter", f"--net=/run/netns/{netns}", *command))


def configure(netns: str, device: str, number: int) -> None:
    """Give a guest's interface its addresses and routes; again is as good as once."""
    if number != OUTSIDE:
        run("ip", "-n", netns, "link", "set", device, "address", str(mac_of(number)))
    _up(netns, device)
    _address(netns, device, f"{address4(number)}/24", f"{address6(number)}/64")
    if number != OUTSIDE:
        for version, via in (("-4", address4(OUTSIDE)), ("-6", address6(OUTSIDE))):
            run("ip", "-n", netns, version, "route", "replace", "default", "via", via)


def _address(netns: str, device: str, *addresses: str) -> None:
    for each in addresses:
        family = ("nodad",) if ":" in each else ()
        run("ip", "-n", netns, "addr", "replace", each, "dev", device, *family)


def _up(netns: str, device: str) -> None:
    run("ip", "-n", netns, "link", "set", device, "up")


def _make_tap(place: Place) -> None:
    run("ip", "-n", place.netns, "tuntap", "add", place.device, "mode", "tap")
    _up(place.netns, place.device)


def _no_offloads(netns: str, device: str) -> None:
    options = ("tx", "off", "sg", "off", "tso", "off", "gso", "off", "gro", "off")
    run("nsenter", f"--net=/run/netns/{netns}", "ethtool", "-K", device, *options, check=False)


def _sysctl(values: dict[str, str]) -> None:
    for name, value in values.items():
        path = Path("/proc/sys/net", name)
        if path.exists():
            path.write_text(value)


def _settled() -> None:
    """As a server is set up: no second of waiting, no address that nobody gave."""
    _up_loopback()
    _sysctl(
        {
            f"ipv6/conf/{scope}/{name}": "0"
            for scope in ("all", "default")
            for name in (
                "accept_dad",
                "accept_ra",
                "addr_gen_mode",
                "use_tempaddr",
                "router_solicitations",
            )
        }
        | {"ipv4/tcp_fastopen": "3", "ipv4/icmp_ratemask": "0", "ipv6/icmp/ratelimit": "0"}
        # A report of membership comes at once, not within a second, when others are at work.
        | {"ipv4/conf/default/igmpv3_unsolicited_report_interval": "1"}
        | {"ipv4/tcp_challenge_ack_limit": "2147483647", "ipv4/ping_group_range": "0 0"}
    )


def _quiet() -> None:
    _sysctl({f"ipv6/conf/{scope}/disable_ipv6": "1" for scope in ("all", "default")})


def _forwarding() -> None:
    _sysctl({"ipv4/ip_forward": "1", "ipv6/conf/all/forwarding": "1"})


def _up_loopback() -> None:
    subprocess.run(("ip", "link", "set", "lo", "up"), check=True)
