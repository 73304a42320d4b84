"""An interface that root moves to another network namespace with its guard."""

import socket

import pytest
from tests.enforce.guarded_port import attach, hold, mac_of, packet_socket, policy_of, run

from vifguard.enforce.driver.protocol import Attachment
from vifguard.enforce.ebpf.driver import EbpfDriver
from vifguard.kernel.bpf import tcx
from vifguard.kernel.bpf.bpf_syscall import Program
from vifguard.kernel.bpf.tcx import AttachType
from vifguard.packet.build import ethernet, ipv4, ipv6, udp

pytestmark = pytest.mark.kernel

HELLO = udp(1, 1, b"hello")
AWAY = ethernet(mac_of(9), mac_of(8), ipv4("10.9.0.9", "10.9.0.8", udp(1, 1, b"the last")))


def frames(sender, receiver):
    """A frame of each family from one guest's addresses to another's."""
    macs = mac_of(sender), mac_of(receiver)
    return (
        ethernet(*macs, ipv4(f"10.9.0.{sender}", f"10.9.0.{receiver}", HELLO)),
        ethernet(*macs, ipv6(f"fd00:9::{sender}", f"fd00:9::{receiver}", HELLO)),
    )


class Elsewhere:
    """A namespace with a bridge, of which `far` is at the other end of a member."""

    def __init__(self, world, taken):
        """`taken` is an index that another interface has there."""
        self._world, self.name = world, f"{world.name}-elsewhere"
        run("ip", "netns", "add", self.name)
        quiet = ("net.ipv6.conf.all.disable_ipv6=1", "net.ipv6.conf.default.disable_ipv6=1")
        run("ip", "netns", "exec", self.name, "sysctl", "-qw", *quiet)
        self._ip("link", "add", "taken", "index", str(taken), "type", "bridge")
        self._ip("link", "add", "br0", "type", "bridge", "mcast_snooping", "0")
        self._ip("link", "add", "near", "type", "veth", "peer", "name", "far")
        for name in ("br0", "far"):
            self._ip("link", "set", name, "up")
        self._ip("link", "set", "near", "master", "br0", "up")
        self.far = self.inside(lambda: packet_socket("far"))

    def _ip(self, *command):
        run("ip", "-n", self.name, *command)

    def take(self, guest):
        """Move a guest's interface here; return its index here."""
        run("ip", "link", "set", guest.tap, "netns", self.name)
        self._ip("link", "set", guest.tap, "master", "br0", "up")
        while "state forwarding" not in run(
            *("ip", "netns", "exec", self.name, "bridge", "link", "show", "dev", guest.tap)
        ):
            pass
        return self.inside(lambda: socket.if_nametoindex(guest.tap))

    def inside(self, work):
        return self._world.inside(self, work)

    def free(self, ifindex):
        """Take off the guard of an interface."""
        self.inside(lambda: detach(ifindex))

    def close(self):
        self.far.close()
        run("ip", "netns", "del", self.name)


def detach(ifindex):
    for where in AttachType:
        for number, _ in tcx.attached(ifindex, where):
            with Program.by_id(number) as program:
                tcx.detach(program, ifindex, where)


@pytest.fixture
def alice(world):
    return world.guest(1)


@pytest.fixture
def elsewhere(world, alice):
    it = Elsewhere(world, alice.ifindex)
    yield it
    it.close()


def before_the_last(receiver):
    """What arrives before the last frame."""
    arrived = []
    while (frame := receiver.recvfrom(1 << 16))[0] != AWAY:
        arrived += [frame[0]] if frame[1][2] != socket.PACKET_OUTGOING else []
    return arrived


def test_a_guard_in_another_namespace_passes_nothing(driver, alice, elsewhere) -> None:
    """Its interface has the index there that bob's has here: bob's policy is not for it."""
    hold(driver, attach(alice))
    ifindex = elsewhere.take(alice)
    assert ifindex != alice.ifindex
    run("ip", "link", "add", "bob", "index", str(ifindex), "type", "bridge")
    hold(driver, Attachment(policy_of(2), ifindex, reversed_hooks=False, revision=1))
    for frame in (*frames(2, 3), *frames(1, 3)):
        alice.send(frame)
    for frame in (*frames(3, 2), *frames(3, 1)):
        elsewhere.far.send(frame)
    elsewhere.free(ifindex)
    elsewhere.far.send(AWAY)
    assert before_the_last(alice.socket) == []
    alice.send(AWAY)
    assert before_the_last(elsewhere.far) == []
    assert not list(driver.events.counts())
    assert not driver.events.drops()


def test_filters_of_clsact_stay_behind(bpf_dir, alice, elsewhere) -> None:
    """Kernels whose guards do not know their namespace attach them so."""
    driver = EbpfDriver(bpf_dir, tcx=False)
    try:
        hold(driver, attach(alice))
        elsewhere.take(alice)
        shown = ("tc", "-n", elsewhere.name, "filter", "show", "dev", alice.tap)
        assert [run(*shown, way) for way in ("ingress", "egress")] == ["", ""]
    finally:
        driver.remove_all()
