"""A host namespace with a bridge and guests behind veth pairs, for the tests of this room."""

from __future__ import annotations

import ctypes
import itertools
import os
import select
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vifguard.enforce.driver import Attachment
from vifguard.enforce.ebpf import EbpfDriver
from vifguard.kernel import bpffs
from vifguard.model.address import Mac, parse_prefix
from vifguard.model.guard import GUARDS_OF, Guard, LinkLocal, Profile
from vifguard.model.policy import PortPolicy, Storm
from vifguard.packet.build import ethernet, ipv4, udp

_LIBC = ctypes.CDLL(None, use_errno=True)
_ETH_P_ALL = 3
_RCVBUFFORCE = 33
_numbers = itertools.count(1)


def uuid_of(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012x}"


def policy_of(number: int, *prefixes: str, guards: frozenset[Guard] | None = None, **more):
    """The policy of guest 1: its MAC, 10.9.0.1 and fd00:9::1; and so on."""
    own = prefixes or (f"10.9.{number >> 8}.{number & 255}", f"fd00:9::{number:x}")
    values = {
        "guards": GUARDS_OF[Profile.STRICT] if guards is None else guards,
        "macs": frozenset({mac_of(number)}),
        "prefixes": frozenset(map(parse_prefix, own)),
        "link_local": LinkLocal.EUI64,
        "storm": Storm(10**6, 10**6),
    } | more
    return PortPolicy(uuid_of(number), **values)


def mac_of(number: int) -> Mac:
    return Mac(b"\x02\x00\x00\x00" + number.to_bytes(2, "big"))


def run(*command: str, check: bool = True) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert not check or not done.returncode, f"{command}: {done.stderr}"
    return done.stdout


def enter(netns: int) -> None:
    if _LIBC.setns(netns, 0x40000000):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


class Guest:
    """A namespace with `eth0`, whose other end is `tap` in the host namespace."""

    def __init__(self, host: World, number: int) -> None:
        self.number, self.mac = number, mac_of(number)
        self.name, self.tap = f"{host.name}-{number}", f"tap{number}"

    def plug(self, host: World) -> None:
        run("ip", "netns", "add", self.name)
        quiet = "net.ipv6.conf.all.disable_ipv6=1"
        run("ip", "netns", "exec", self.name, "sysctl", "-qw", quiet)
        run("ip", "link", "add", self.tap, "type", "veth", "peer", "name", "eth0")
        run("ip", "link", "set", "eth0", "netns", self.name)
        run("ip", "-n", self.name, "link", "set", "eth0", "address", str(self.mac), "up")
        run("ip", "link", "set", self.tap, "master", "br0", "up")
        self.ifindex = socket.if_nametoindex(self.tap)
        self.socket = host.packet_socket(Path("/run/netns") / self.name, "eth0")

    def send(self, frame: bytes) -> None:
        self.socket.send(frame)

    def received(self, until: bytes, timeout: float = 5) -> list[bytes]:
        """What arrives before `until`; TimeoutError when that does not."""
        frames: list[bytes] = []
        while True:
            if not select.select([self.socket], [], [], timeout)[0]:
                raise TimeoutError(f"{until.hex()} did not arrive after {len(frames)} frames")
            frame, address = self.socket.recvfrom(1 << 16)
            if address[2] == socket.PACKET_OUTGOING:
                continue
            if frame == until:
                return frames
            frames.append(frame)

    def close(self) -> None:
        if hasattr(self, "socket"):
            self.socket.close()
        run("ip", "netns", "del", self.name, check=False)


class World:
    """The host namespace is this thread's for as long as the world stands."""

    def __init__(self, bpf_dir: Path) -> None:
        self.name = f"vgenf{os.getpid()}-{next(_numbers)}"
        self.bpf_dir = bpf_dir
        self._home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        run("ip", "netns", "add", self.name)
        self._here = os.open(f"/run/netns/{self.name}", os.O_RDONLY)
        enter(self._here)
        for name in ("iptables", "ip6tables", "arptables"):
            switch = Path(f"/proc/sys/net/bridge/bridge-nf-call-{name}")
            if switch.exists():
                switch.write_text("0")
        Path("/proc/sys/net/ipv6/conf/default/disable_ipv6").write_text("1")
        run("ip", "link", "set", "lo", "up")
        run("ip", "link", "add", "br0", "type", "bridge", "mcast_snooping", "0")
        run("ip", "link", "set", "br0", "up")
        self.guests: dict[int, Guest] = {}
        self._marks = itertools.count(1)

    def guest(self, number: int) -> Guest:
        guest = self.guests[number] = Guest(self, number)
        guest.plug(self)
        return guest

    def packet_socket(self, netns: Path, interface: str) -> socket.socket:
        there = os.open(netns, os.O_RDONLY)
        try:
            enter(there)
            it = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL))
            it.setsockopt(socket.SOL_SOCKET, _RCVBUFFORCE, 1 << 24)
            it.bind((interface, 0))
        finally:
            enter(self._here)
            os.close(there)
        return it

    def mark(self, sender: Guest, receiver: Guest) -> bytes:
        """A legal frame that has not been seen before."""
        payload = next(self._marks).to_bytes(8, "big")
        source, target = f"10.9.0.{sender.number}", f"10.9.0.{receiver.number}"
        return ethernet(sender.mac, receiver.mac, ipv4(source, target, udp(9, 9, payload)))

    def delivered(self, sender: Guest, receiver: Guest, *frames: bytes) -> list[bytes]:
        """Those of `frames` that arrive, by what stands before a later legal frame."""
        for frame in frames:
            sender.send(frame)
        mark = self.mark(sender, receiver)
        sender.send(mark)
        return receiver.received(mark)

    def close(self) -> None:
        for guest in self.guests.values():
            guest.close()
        enter(self._home)
        os.close(self._here)
        os.close(self._home)
        run("ip", "netns", "del", self.name)


def hold(driver: EbpfDriver, *attachments: Attachment) -> None:
    """Bring exactly these ports into force, and see that they are."""
    wanted = driver.render(attachments)
    change = driver.diff(wanted, driver.observe(None))
    if change is not None:
        driver.apply(change)
    seen = driver.observe(None)
    assert driver.diff(wanted, seen) is None
    assert set(driver.held(wanted, seen)) == {a.ifindex for a in attachments}


def attach(guest: Guest, revision: int = 1, **more) -> Attachment:
    return Attachment(
        policy_of(guest.number, **more), guest.ifindex, swapped=False, revision=revision
    )


@contextmanager
def mounted(path: Path) -> Iterator[Path]:
    bpffs.mount(path)
    try:
        yield path / "vifguard"
    finally:
        bpffs.unmount(path)
