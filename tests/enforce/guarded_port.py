"""A host namespace with a bridge and guests behind veth pairs, for the tests of this room."""

from __future__ import annotations

import ctypes
import fcntl
import itertools
import os
import select
import socket
import stat
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from vifguard.enforce.driver.protocol import Attachment
from vifguard.enforce.ebpf.driver import EbpfDriver
from vifguard.kernel.bpf import bpffs
from vifguard.model.address import Mac, parse_prefix
from vifguard.model.guard import GUARDS_OF, Guard, LinkLocal, Profile
from vifguard.model.policy import PortPolicy, Storm
from vifguard.packet.build import ethernet, ipv4, udp

_LIBC = ctypes.CDLL(None, use_errno=True)
_ETH_P_ALL = 3
_NEW_NET = 0x40000000
_RCVBUFFORCE = 33
_SOL_PACKET = 263
_TUNSETIFF, _TAP_WITHOUT_INFO, _WITH_VNET_HEADER = 0x400454CA, 0x1002, 0x4000
_PACKET_VNET_HDR = 15
_NOTHING_LEFT = bytes(10)
"""A virtio-net header (VIRTIO 1.3, 5.1.6) that leaves nothing to be done."""
T = TypeVar("T")
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
    if _LIBC.setns(netns, _NEW_NET):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


class Station:
    """Something that sends and receives frames; the base reads a packet socket."""

    socket: socket.socket
    offloading: socket.socket

    def __init__(self, number: int) -> None:
        self.number, self.mac = number, mac_of(number)

    def send(self, frame: bytes) -> None:
        self.socket.send(frame)

    def leave(self, header: bytes, frame: bytes) -> None:
        """Send a frame with a virtio-net header of 10 octets: what is left to be done to it."""
        self.offloading.send(header + frame)

    def fileno(self) -> int:
        return self.socket.fileno()

    def receive(self) -> bytes | None:
        frame, address = self.socket.recvfrom(1 << 16)
        return None if address[2] == socket.PACKET_OUTGOING else frame

    def received(self, until: bytes, timeout: float = 30) -> list[bytes]:
        """What arrives before `until`; TimeoutError when that does not."""
        frames: list[bytes] = []
        while True:
            if not select.select([self], [], [], timeout)[0]:
                raise TimeoutError(f"{until.hex()} did not arrive after {len(frames)} frames")
            frame = self.receive()
            if frame == until:
                return frames
            if frame is not None:
                frames.append(frame)

    def close(self) -> None:
        if hasattr(self, "socket"):
            self.socket.close()


class Guest(Station):
    """A namespace with `eth0`, whose other end is `tap` in the host namespace."""

    def __init__(self, host: World, number: int) -> None:
        super().__init__(number)
        self.name, self.tap = f"{host.name}-{number}", f"tap{number}"

    def plug(self, host: World) -> None:
        run("ip", "netns", "add", self.name)
        quiet = "net.ipv6.conf.all.disable_ipv6=1"
        run("ip", "netns", "exec", self.name, "sysctl", "-qw", quiet)
        run("ip", "link", "add", self.tap, "type", "veth", "peer", "name", "eth0")
        run("ip", "link", "set", "eth0", "netns", self.name)
        run("ip", "-n", self.name, "link", "set", "eth0", "address", str(self.mac), "up")
        run("ip", "link", "set", self.tap, "master", "br0", "up")
        until_forwarding(self.tap)
        self.ifindex = socket.if_nametoindex(self.tap)
        self.socket = host.inside(self, lambda: packet_socket("eth0"))
        self.offloading = host.inside(self, lambda: packet_socket("eth0", headers=True))

    def close(self) -> None:
        super().close()
        if hasattr(self, "offloading"):
            self.offloading.close()
        # A namespace takes its devices along, but later.
        run("ip", "link", "del", self.tap, check=False)
        run("ip", "netns", "del", self.name, check=False)


class Wire(Station):
    """The far end of a veth pair whose near end, `near`, carries macvtaps."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        run("ip", "link", "add", "near", "type", "veth", "peer", "name", "far")
        for name in ("near", "far"):
            run("ip", "link", "set", name, "up")
        self.socket = packet_socket("far")

    def close(self) -> None:
        super().close()
        run("ip", "link", "del", "near")


class Tap(Station):
    """A tap on the bridge. With virtio headers it is a hypervisor's; without, it takes no
    offload, as an e1000, firmware or DPDK, and the kernel completes what it is given."""

    def __init__(self, number: int, *, headers: bool) -> None:
        super().__init__(number)
        self._headers, name = headers, f"vtap{number}"
        self.device = os.open("/dev/net/tun", os.O_RDWR)
        flags = _TAP_WITHOUT_INFO | (_WITH_VNET_HEADER if headers else 0)
        fcntl.ioctl(self.device, _TUNSETIFF, struct.pack("16sH22x", name.encode(), flags))
        run("ip", "link", "set", name, "master", "br0", "up")
        until_forwarding(name)
        self.tap, self.ifindex = name, socket.if_nametoindex(name)

    def send(self, frame: bytes) -> None:
        os.write(self.device, (_NOTHING_LEFT if self._headers else b"") + frame)

    def leave(self, header: bytes, frame: bytes) -> None:
        os.write(self.device, header + frame)

    def fileno(self) -> int:
        return self.device

    def receive(self) -> bytes:
        return os.read(self.device, 1 << 17)[10 if self._headers else 0 :]

    def close(self) -> None:
        os.close(self.device)


class Macvtap(Station):
    """A macvtap device over `near`, and the character device that a hypervisor opens."""

    def __init__(self, host: World, number: int, directory: Path, *, headers: bool) -> None:
        super().__init__(number)
        self._headers = headers
        kind = ("link", "near", "name", "mvt0", "type", "macvtap", "mode", "bridge")
        run("ip", "link", "add", *kind)
        run("ip", "link", "set", "mvt0", "address", str(self.mac), "up")
        self.ifindex = socket.if_nametoindex("mvt0")
        device = f"/sys/class/net/mvt0/tap{self.ifindex}/dev"
        numbers = run("ip", "netns", "exec", host.name, "cat", device)
        node = directory / "macvtap"
        os.mknod(node, 0o600 | stat.S_IFCHR, os.makedev(*map(int, numbers.split(":"))))
        self.device = os.open(node, os.O_RDWR)
        flags = _TAP_WITHOUT_INFO | (_WITH_VNET_HEADER if headers else 0)
        fcntl.ioctl(self.device, _TUNSETIFF, struct.pack("16sH22x", b"mvt0", flags))

    def send(self, frame: bytes) -> None:
        os.write(self.device, (_NOTHING_LEFT if self._headers else b"") + frame)

    def leave(self, header: bytes, frame: bytes) -> None:
        os.write(self.device, header + frame)

    def fileno(self) -> int:
        return self.device

    def receive(self) -> bytes:
        return os.read(self.device, 1 << 16)[10 if self._headers else 0 :]

    def close(self) -> None:
        os.close(self.device)


def until_forwarding(member: str) -> None:
    """Wait until a member forwards: the bridge hears of its carrier later (linkwatch)."""
    deadline = time.monotonic() + 30
    while "state forwarding" not in run("bridge", "link", "show", "dev", member):
        assert time.monotonic() < deadline, f"{member} does not forward"


def packet_socket(interface: str, *, headers: bool = False) -> socket.socket:
    """All frames of an interface; with `headers`, only to send, each behind a virtio header."""
    if headers:
        it = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        it.setsockopt(_SOL_PACKET, _PACKET_VNET_HDR, 1)
        it.bind((interface, 0))
        return it
    it = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL))
    it.setsockopt(socket.SOL_SOCKET, _RCVBUFFORCE, 1 << 24)
    it.bind((interface, 0))
    return it


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
        self._stations: list[Station] = []
        self._marks = itertools.count(1)
        self._add_bridge()

    def _add_bridge(self) -> None:
        run("ip", "link", "add", "br0", "type", "bridge", "mcast_snooping", "0")
        run("ip", "link", "set", "br0", "up")

    def clear(self) -> None:
        """Let nobody be there, as in the beginning; the indexes of interfaces go on."""
        self._dismiss()
        run("ip", "link", "del", "br0")
        self._add_bridge()

    def _dismiss(self) -> None:
        while self._stations:
            self._stations.pop().close()

    def guest(self, number: int) -> Guest:
        guest = Guest(self, number)
        self._stations.append(guest)
        guest.plug(self)
        return guest

    def wire(self, number: int) -> Wire:
        wire = Wire(number)
        self._stations.append(wire)
        return wire

    def tap(self, number: int, *, headers: bool = False) -> Tap:
        tap = Tap(number, headers=headers)
        self._stations.append(tap)
        return tap

    def macvtap(self, number: int, directory: Path, *, headers: bool = False) -> Macvtap:
        macvtap = Macvtap(self, number, directory, headers=headers)
        self._stations.append(macvtap)
        return macvtap

    def here(self, work: Callable[[], T]) -> T:
        """What `work` returns in the host's namespace, called from another thread."""
        enter(self._here)
        return work()

    def inside(self, guest: Guest, work: Callable[[], T]) -> T:
        """What `work` returns in the guest's namespace; a socket stays where it was made."""
        there = os.open(f"/run/netns/{guest.name}", os.O_RDONLY)
        try:
            enter(there)
            return work()
        finally:
            enter(self._here)
            os.close(there)

    def mark(self, sender: Station, receiver: Station) -> bytes:
        """A legal frame that has not been seen before."""
        payload = next(self._marks).to_bytes(8, "big")
        source, target = f"10.9.0.{sender.number}", f"10.9.0.{receiver.number}"
        return ethernet(sender.mac, receiver.mac, ipv4(source, target, udp(9, 9, payload)))

    def delivered(self, sender: Station, receiver: Station, *frames: bytes) -> list[bytes]:
        """Those of `frames` that arrive, by what stands before a later legal frame."""
        for frame in frames:
            sender.send(frame)
        mark = self.mark(sender, receiver)
        sender.send(mark)
        return receiver.received(mark)

    def close(self) -> None:
        self._dismiss()
        enter(self._home)
        os.close(self._here)
        os.close(self._home)
        run("ip", "netns", "del", self.name)


def hold(driver: EbpfDriver, *attachments: Attachment) -> None:
    """Bring exactly these ports into force, and see that they are."""
    wanted = driver.render(attachments)
    assert not wanted.refused, wanted.refused
    change = driver.diff(wanted, driver.observe(None))
    if change is not None:
        driver.apply(change)
    seen = driver.observe(None)
    assert driver.diff(wanted, seen) is None
    assert set(driver.enforced(wanted, seen)) == {a.device for a in attachments}


def let_go(driver: EbpfDriver) -> None:
    """Take all guards off, and forget what was told of them: no port of the next test's is here."""
    hold(driver)
    driver.events.drops()
    driver.events.claims()
    assert not list(driver.events.counts())


def attach(guest: Guest, *prefixes: str, revision: int = 1, **more) -> Attachment:
    policy = policy_of(guest.number, *prefixes, **more)
    return Attachment(policy, guest.ifindex, reversed_hooks=False, revision=revision)


@contextmanager
def nowhere(*indexes: int) -> Iterator[None]:
    """This thread in a namespace without a name, where interfaces with these indexes exist.

    BPF_PROG_TEST_RUN wants the interface it is told of.
    """
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        assert _LIBC.unshare(_NEW_NET) == 0, os.strerror(ctypes.get_errno())
        there = {index for index, _ in socket.if_nameindex()}
        for index in set(indexes) - there:
            number, peer = str(index), str(index + max(indexes))
            veth = ("type", "veth", "peer", "name", f"p{number}", "index", peer)
            run("ip", "link", "add", f"v{number}", "index", number, *veth)
        yield
    finally:
        enter(home)
        os.close(home)


@contextmanager
def mounted(path: Path) -> Iterator[Path]:
    bpffs.mount(path)
    try:
        yield path / "vifguard"
    finally:
        bpffs.unmount(path)
