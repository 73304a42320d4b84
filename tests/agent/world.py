"""A host with an agent and guests, each in a namespace of its own."""

from __future__ import annotations

import ctypes
import itertools
import json
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from vifguard.agent import run_file
from vifguard.agent.remove import remove
from vifguard.agent.settings import Settings
from vifguard.feed.codec import decode, encode
from vifguard.feed.messages import HostPort, PortReport, Report, Segment, SetChange, Update
from vifguard.kernel.link import Link, Links
from vifguard.model.address import Mac, parse_prefix
from vifguard.model.guard import GUARDS_OF, LinkLocal, Profile
from vifguard.model.policy import PortPolicy, Storm
from vifguard.model.port import PortState
from vifguard.model.security_group import Rule
from vifguard.packet.build import ethernet, ipv4, udp

HERE = Path(__file__).parent
BROADCAST = "ff:ff:ff:ff:ff:ff"
PATIENCE = 60.0
_LIBC = ctypes.CDLL(None, use_errno=True)
_CLONE_NEWNET = 0x40000000
_RCVBUFFORCE = 33
_names = itertools.count(1)


def port_id(number: int) -> str:
    return f"{number:08x}-0000-4000-8000-000000000000"


def network_id(number: int) -> str:
    return f"{number:08x}-1111-4000-8000-000000000000"


def mac_of(number: int) -> Mac:
    return Mac(b"\x02\x00\x00\x00" + number.to_bytes(2, "big"))


def address_of(number: int) -> str:
    return f"10.9.0.{number}"


def tap_of(number: int) -> str:
    return f"tap{port_id(number)[:11]}"


def bridge_of(number: int) -> str:
    return f"vg{network_id(number)[:11]}"


def port(
    number: int,
    *,
    network: int = 1,
    profile: Profile = Profile.STRICT,
    interface: str = "",
    segment: Mapping[str, Any] | None = None,
    mac: Mac | None = None,
    **policy: Any,
) -> HostPort:
    """Port `number`, which has the MAC and the address of that number."""
    own = mac or mac_of(number)
    wide = segment or {"shared": True, "physical": "", "mtu": 1500}
    values = {
        "guards": GUARDS_OF[profile],
        "macs": frozenset({own}),
        "prefixes": frozenset({parse_prefix(address_of(number))}),
        "link_local": LinkLocal.EUI64,
        "storm": Storm(10**6, 10**6),
    } | policy
    policy_ = PortPolicy(port_id(number), **values)
    return HostPort(policy_, Segment(network_id(network), **wide), own, interface, 1)


def legal(number: int, text: bytes = b"legal") -> bytes:
    """A broadcast that guest `number` may send."""
    return ethernet(
        str(mac_of(number)), BROADCAST, ipv4(address_of(number), "255.255.255.255", udp(7, 7, text))
    )


def forged(number: int, text: bytes = b"forged") -> bytes:
    """One that it may not: the address is another's."""
    return ethernet(
        str(mac_of(number)), BROADCAST, ipv4("10.9.0.99", "255.255.255.255", udp(7, 7, text))
    )


def stray_unicast(number: int) -> bytes:
    """What guest `number` may send and a bridge floods, though it is for nobody here."""
    return ethernet(
        str(mac_of(number)), "02:00:00:00:ff:ff", ipv4(address_of(number), "10.9.0.200", udp(7, 7))
    )


def run(*command: str, check: bool = True, stdin: str = "") -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, input=stdin)
    assert not check or not done.returncode, f"{command}: {done.stderr}"
    return done.stdout


def within(netns: str, work: Callable[[], Any]) -> Any:
    """What `work` returns when it runs in a namespace; a socket stays where it was made."""

    def enter() -> Any:
        with Path("/run/netns", netns).open() as there:
            if _LIBC.setns(there.fileno(), _CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), netns)
        return work()

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(enter).result()


def eventually(holds: Callable[[], Any], what: str = "") -> Any:
    """What `holds` returns, once that is true."""
    deadline = time.monotonic() + PATIENCE
    while not (found := holds()):
        assert time.monotonic() < deadline, what or "it did not come true"
        time.sleep(0.005)
    return found


def send_marks(send: Callable[[bytes], object], number: int) -> list[bytes]:
    """Frames legal for a guest of which each overtakes nothing: one through each CPU's queue."""
    before = os.sched_getaffinity(0)
    marks = []
    try:
        for cpu in sorted(before):
            os.sched_setaffinity(0, {cpu})
            marks.append(legal(number, b"mark of CPU %d" % cpu))
            send(marks[-1])
    finally:
        os.sched_setaffinity(0, before)
    return marks


class Ear:
    """Everything that arrives at an interface."""

    def __init__(self, netns: str, interface: str) -> None:
        self._socket: socket.socket = within(netns, lambda: self._open(interface))

    @staticmethod
    def _open(interface: str) -> socket.socket:
        ear = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        ear.setsockopt(socket.SOL_SOCKET, _RCVBUFFORCE, 1 << 26)
        ear.bind((interface, 0))
        return ear

    def fileno(self) -> int:
        """For select."""
        return self._socket.fileno()

    def heard(self) -> list[bytes]:
        """What arrived since the last call and is there now."""
        frames = []
        # An interface that was down says so once.
        self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        with suppress(BlockingIOError):
            while True:
                frame, about = self._socket.recvfrom(1 << 16, socket.MSG_DONTWAIT)
                if about[2] != socket.PACKET_OUTGOING:
                    frames.append(frame)
        return frames

    def until(self, *frames: bytes) -> list[bytes]:
        """What arrives until all of `frames` have, which must come."""
        deadline = time.monotonic() + PATIENCE
        found: list[bytes] = []
        while missing := [frame for frame in frames if frame not in found]:
            left = deadline - time.monotonic()
            assert left > 0, f"{missing} did not arrive; {len(found)} others did"
            select.select([self._socket], [], [], left)
            found += self.heard()
        return [frame for frame in found if frame not in frames]

    def send(self, frame: bytes) -> None:
        """Send as soon as the interface can."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                self._socket.send(frame)
            except OSError:
                assert time.monotonic() < deadline
            else:
                return

    def hears(self, frame: bytes) -> bool:
        """Whether `frame` arrives within a moment."""
        select.select([self._socket], [], [], 0.05)
        return frame in self.heard()

    def close(self) -> None:
        self._socket.close()


class Flood:
    """A process that sends one frame from a guest, from before it has an interface."""

    def __init__(self, netns: str, frame: bytes) -> None:
        self._process = _inside(netns, "flood.py", "eth0", frame.hex())

    def end(self) -> int:
        """How many frames were sent."""
        self._process.send_signal(signal.SIGTERM)
        sent = self._process.communicate()[0]
        return int(sent)


class Guest:
    """A namespace that gets its interface, `eth0`, when it is plugged."""

    def __init__(self, host: Host, number: int) -> None:
        self.host, self.number = host, number
        self.name = f"{host.name}-{number}"
        self.tap = tap_of(number)
        run("ip", "netns", "add", self.name)
        within(self.name, _no_ipv6)

    def plug(self, tap: str = "", *, mac: Mac | None = None, bridge: str = "") -> None:
        """Make the interface, up at once; `mac` is the host side's, `bridge` a hasty joining."""
        self.tap = tap or self.tap
        mine = ["address", str(mac)] if mac else []
        self.host.ip(
            "link", "add", self.tap, *mine, "type", "veth", "peer", "eth0", "netns", self.name
        )
        self.ear = Ear(self.name, "eth0")
        if bridge:
            self.host.ip("link", "set", self.tap, "master", bridge)
        self.host.ip("link", "set", self.tap, "up")
        run("ip", "-n", self.name, "link", "set", "eth0", "address", str(mac_of(self.number)), "up")

    def unplug(self) -> None:
        self.ear.close()
        self.host.ip("link", "del", self.tap)

    def send(self, frame: bytes) -> None:
        self.ear.send(frame)

    def heard_by(self, other: Guest, *frames: bytes) -> list[bytes]:
        """Which of `frames`, and what else, `other` hears when they are sent."""
        start = legal(self.number, b"start")
        # A bridge forwards only once it has noticed the carrier; until then all are lost.
        eventually(lambda: self.send(start) or other.ear.hears(start))
        for frame in frames:
            self.send(frame)
        return [frame for frame in other.ear.until(*self.send_marks()) if frame != start]

    def send_marks(self) -> list[bytes]:
        """As `send_marks`, its own frames."""
        return send_marks(self.send, self.number)

    def flood(self, frame: bytes) -> Flood:
        return Flood(self.name, frame)

    def is_flooding(self) -> bool:
        """Whether frames have come in at the interface, whatever became of them."""
        told = self.host.ip("-s", "link", "show", self.tap, check=False)
        found = re.search(r"RX:.*\n\s*(\d+)\s+(\d+)", told)
        return bool(found) and int(found[2]) > 20

    def close(self) -> None:
        if hasattr(self, "ear"):
            self.ear.close()
        run("ip", "netns", "del", self.name, check=False)


class Host:
    """A namespace that is a host, and the agent that runs there."""

    def __init__(
        self,
        physical: Mapping[str, str] | None = None,
        compare: float = 300,
        *,
        tcx: bool | None = None,
        **settings: Any,
    ) -> None:
        self.name = f"vgag{os.getpid()}-{next(_names)}"
        self.bpf_dir = Path("/sys/fs/bpf", self.name)
        self.record = Path("/run", f"{self.name}.jsonl")
        self.settings = Settings(
            self.bpf_dir, physical or {}, compare, tcx, record=self.record, **settings
        )
        self.ports: dict[str, HostPort] = {}
        self.groups: dict[str, frozenset[Rule]] = {}
        self.sets: dict[str, SetChange] = {}
        self.revision = 1
        self.guests: list[Guest] = []
        self.told: dict[str, PortReport] = {}
        self.reports: list[Report] = []
        self._heard = threading.Condition()
        self.agent: subprocess.Popen[str] | None = None
        run("ip", "netns", "add", self.name)
        within(self.name, _no_netfilter)
        self.ip("link", "set", "lo", "up")

    def ip(self, *command: str, check: bool = True) -> str:
        return run("ip", "-n", self.name, *command, check=check)

    def links(self) -> dict[str, Link]:
        def read() -> dict[str, Link]:
            with Links() as links:
                return {link.name: link for link in links.all()}

        found: dict[str, Link] = within(self.name, read)
        return found

    def members(self, bridge: str) -> set[str]:
        links = self.links()
        index = links[bridge].index if bridge in links else -1
        return {link.name for link in links.values() if link.master == index}

    def nft(self, *command: str) -> str:
        return run("nsenter", f"--net=/run/netns/{self.name}", "nft", *command)

    def tc(self, *command: str) -> str:
        return run("nsenter", f"--net=/run/netns/{self.name}", "tc", *command)

    def held(self) -> set[str]:
        """The devices at which the floor drops everything, both ways."""
        chain = r'hook (\w+) device "(\S+)" priority \S+ policy drop;[^}a-z]*\}'
        found = re.findall(chain, self.nft("list", "ruleset"))
        return {d for h, d in found if h == "ingress"} & {d for h, d in found if h == "egress"}

    def pins(self) -> dict[str, int]:
        """The pinned links and their inodes."""
        return {path.name: path.stat().st_ino for path in (self.bpf_dir / "links").iterdir()}

    def pinned(self) -> set[str]:
        """The names of the pinned links."""
        links = self.bpf_dir / "links"
        return {path.name for path in links.glob("*")} if links.exists() else set()

    def use_bpf_dir(self, path: Path) -> None:
        """Let the agent pin elsewhere; before it starts."""
        self.bpf_dir = path
        self.settings = replace(self.settings, bpf_dir=path)

    def guest(self, number: int) -> Guest:
        guest = Guest(self, number)
        self.guests.append(guest)
        return guest

    def start(self, *, complete: bool = True) -> None:
        """Start an agent; it learns all ports at once."""
        arguments = (
            str(self.bpf_dir),
            json.dumps(dict(self.settings.physical)),
            str(self.settings.compare_every),
            json.dumps(self.settings.tcx),
            str(self.record),
            json.dumps([self.settings.keep_unguarded, *self.settings.trusted]),
        )
        self.told.clear()
        self.agent = _inside(self.name, "pipe_agent.py", *arguments)
        self._reader = threading.Thread(target=self._read, args=(self.agent,))
        self._reader.start()
        if complete:
            self.send_all()

    def send_all(self) -> None:
        ports = tuple(self.ports.values())
        said = {"groups": self.groups, "sets": self.sets}
        self._send(Update(self.revision, complete=True, ports=ports, **said))

    def set(self, *ports: HostPort) -> None:
        """Ports come or change."""
        self.revision += 1
        changed = tuple(replace(each, revision=self.revision) for each in ports)
        self.ports.update({each.policy.port_id: each for each in changed})
        self._send(Update(self.revision, complete=False, ports=changed))

    def say(
        self,
        groups: Mapping[str, frozenset[Rule]] | None = None,
        sets: Mapping[str, SetChange] | None = None,
    ) -> None:
        """What groups and sets say from now on; it is in force when this returns."""
        self.revision += 1
        revision = self.revision
        self._send(Update(revision, complete=False, ports=(), groups=groups or {}, sets=sets or {}))
        self.until_reported(lambda report: report.reached >= revision)

    def remove(self, *numbers: int) -> None:
        """Ports end."""
        self.revision += 1
        gone = frozenset(port_id(number) for number in numbers)
        for each in gone:
            del self.ports[each]
        self._send(Update(self.revision, complete=False, ports=(), gone=gone))

    def lose_server(self) -> None:
        self._write("null")

    def kill(self) -> None:
        """As the kernel kills: without a word."""
        assert self.agent
        self.agent.kill()
        self._bury(self.agent)

    def stop(self) -> None:
        """As an operator stops it."""
        assert self.agent
        self.agent.send_signal(signal.SIGTERM)
        assert self._bury(self.agent) == 0

    def report(self, number: int) -> PortReport | None:
        """What was last told of a port, if it is about what was last wanted."""
        wanted, told = self.ports[port_id(number)], self.told.get(port_id(number))
        return told if told and told.revision >= wanted.revision else None

    def until(self, number: int, state: PortState, *, interface: str | None = None) -> PortReport:
        """The report of a port in this state, at the wanted revision."""

        def holds() -> bool:
            told = self.report(number)
            there = bool(told) and told.state is state
            return there and (interface is None or told.interface == interface)

        with self._heard:
            assert self._heard.wait_for(holds, PATIENCE), (
                f"{state}: {self.told.get(port_id(number))}"
            )
            found = self.report(number)
            assert found
            return found

    def enforced(self, *numbers: int) -> None:
        for number in numbers:
            self.until(number, PortState.ENFORCED)

    def until_reported(self, holds: Callable[[Report], Any], since: int = 0) -> Report:
        """The first report of which `holds` is true, behind the first `since` of them."""
        with self._heard:
            assert self._heard.wait_for(lambda: any(map(holds, self.reports[since:])), PATIENCE)
            return next(report for report in self.reports[since:] if holds(report))

    def until_compared(self) -> None:
        """Return once all ports that the agent knows by now had their turn.

        No heartbeat is sent between a port's report and what comes after all of them.
        """
        self.until_reported(lambda report: report.read_back, len(self.reports))

    def close(self) -> None:
        if self.agent:
            self.kill()
        for guest in self.guests:
            guest.close()
        with suppress(Exception):
            within(self.name, lambda: remove(self.settings))
        run("ip", "netns", "del", self.name, check=False)
        shutil.rmtree(self.bpf_dir, ignore_errors=True)
        self.record.unlink(missing_ok=True)
        run_file.forget(self.bpf_dir)

    def _bury(self, agent: subprocess.Popen[str]) -> int:
        code = agent.wait(PATIENCE)
        self._reader.join()
        for pipe in (agent.stdin, agent.stdout):
            assert pipe
            pipe.close()
        self.agent = None
        return code

    def _send(self, update: Update) -> None:
        self._write(json.dumps(encode(update)))

    def _write(self, line: str) -> None:
        assert self.agent
        assert self.agent.stdin
        self.agent.stdin.write(line + "\n")
        self.agent.stdin.flush()

    def _read(self, agent: subprocess.Popen[str]) -> None:
        assert agent.stdout
        for line in agent.stdout:
            if not line.endswith("\n"):
                return  # it was killed while it spoke
            report = decode(Report, json.loads(line))
            with self._heard:
                self.reports.append(report)
                self.told.update({each.port_id: each for each in report.ports})
                self._heard.notify_all()


@contextmanager
def hosts(
    physical: Mapping[str, str] | None = None,
    compare: float = 300,
    *,
    tcx: bool | None = None,
    **settings: Any,
) -> Iterator[Host]:
    host = Host(physical, compare, tcx=tcx, **settings)
    try:
        yield host
    finally:
        host.close()


def _inside(netns: str, script: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        ["nsenter", f"--net=/run/netns/{netns}", sys.executable, str(HERE / script), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def _no_ipv6() -> None:
    for name in ("all", "default"):
        Path(f"/proc/sys/net/ipv6/conf/{name}/disable_ipv6").write_text("1")


def _no_netfilter() -> None:
    for name in ("iptables", "ip6tables", "arptables"):
        switch = Path(f"/proc/sys/net/bridge/bridge-nf-call-{name}")
        if switch.exists():
            switch.write_text("0")
