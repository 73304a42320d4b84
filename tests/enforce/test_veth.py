"""Frames between guests on a bridge, through the programs at their interfaces."""

import select
import socket
import threading

import pytest
from tests.enforce.guarded_port import attach, hold, mac_of, policy_of, run

from vifguard.enforce.driver.protocol import Attachment
from vifguard.model.address import parse_address
from vifguard.model.guard import Guard
from vifguard.model.policy import Storm
from vifguard.model.verdict import Direction, Reason
from vifguard.packet.build import arp, ethernet, ipv4, ipv6, na, pad, tlla, udp, vlan

pytestmark = pytest.mark.kernel

ALL = "ff:ff:ff:ff:ff:ff"
HELLO = udp(1, 1, b"hello")


def packet(source=1, target=2, **more):
    return ipv4(f"10.9.0.{source}", f"10.9.0.{target}", HELLO, **more)


@pytest.fixture
def world(shared_world):
    return shared_world


@pytest.fixture
def driver(shared_driver):
    return shared_driver


@pytest.fixture
def pair(world):
    return world.guest(1), world.guest(2)


def test_a_forged_mac_dies_and_the_own_one_passes(world, driver, pair):
    alice, bob = pair
    hold(driver, attach(alice), attach(bob))
    own = ethernet(alice.mac, bob.mac, packet())
    forged = ethernet(mac_of(7), bob.mac, packet())
    assert world.delivered(alice, bob, forged, own, forged) == [own]
    assert str(mac_of(7)) not in run("bridge", "fdb", "show", "dev", alice.tap)


def test_nothing_passes_without_a_policy(driver, pair):
    """The slot is emptied under the programs, as if the agent had lost it."""
    alice, bob = pair
    hold(driver, attach(alice), attach(bob))
    driver._ports._table.clear(alice.ifindex)
    for sender, receiver in ((alice, bob), (bob, alice)):
        packet = ipv4(f"10.9.0.{sender.number}", f"10.9.0.{receiver.number}", HELLO)
        sender.send(ethernet(sender.mac, receiver.mac, packet))
    drops = {(d.device, d.direction, d.guard, d.reason) for d in driver.events.drops()}
    assert drops == {
        (alice.ifindex, Direction.FROM_GUEST, None, Reason.NO_POLICY),
        (alice.ifindex, Direction.TO_GUEST, None, Reason.NO_POLICY),
    }


def test_what_is_for_another_is_not_seen(world, driver, pair):
    alice, bob = pair
    hold(driver, attach(alice), attach(bob))
    flooded = ethernet(alice.mac, mac_of(99), packet())
    assert world.delivered(alice, bob, flooded) == []


@pytest.mark.parametrize("tpid", [0x8100, 0x88A8])
@pytest.mark.parametrize("vid", [0, 100])
def test_a_tag_that_the_kernel_strips_is_a_tag(world, driver, pair, tpid, vid):
    alice, bob = pair
    hold(driver, attach(alice), attach(bob))
    frame = ethernet(alice.mac, bob.mac, vlan(packet(), vid, tpid=tpid))
    assert world.delivered(alice, bob, frame) == []
    (drop,) = driver.events.drops()
    assert (drop.guard, drop.reason) == (Guard.ETHERTYPE, Reason.TAGGED)
    assert drop.head == frame[: len(drop.head)]
    assert drop.length == len(frame)


def test_a_listed_tag_passes(world, driver, pair):
    alice, bob = pair
    listed = frozenset({0x8100})
    hold(driver, attach(alice, ethertypes=listed), attach(bob, ethertypes=listed))
    frame = ethernet(alice.mac, bob.mac, vlan(packet(), 100))
    world.delivered(alice, bob, frame)
    assert not driver.events.drops()


@pytest.mark.parametrize("ethertype", [0x0800, 0x86DD])
def test_headers_cut_short(world, driver, pair, ethertype):
    """Packets too short for BPF_PROG_TEST_RUN, on a wire."""
    alice, bob = pair
    hold(driver, attach(alice), attach(bob))
    frames = [ethernet(alice.mac, bob.mac, bytes(n), ethertype=ethertype) for n in range(40)]
    assert world.delivered(alice, bob, *frames) == []
    reasons = {drop.reason for drop in driver.events.drops()}
    wanted = {0x0800: Reason.IPV4_MALFORMED, 0x86DD: Reason.IPV6_MALFORMED}
    assert reasons == {wanted[ethertype]}


def test_a_frame_in_pages(world, driver, pair):
    """AF_PACKET leaves all but the header of a large frame outside the linear data."""
    alice, bob = pair
    run("ip", "-n", alice.name, "link", "set", "eth0", "mtu", "9000")
    for guest in pair:
        run("ip", "link", "set", guest.tap, "mtu", "9000")
    run("ip", "-n", bob.name, "link", "set", "eth0", "mtu", "9000")
    hold(driver, attach(alice), attach(bob))
    large = udp(1, 1, bytes(8000))
    own = ethernet(alice.mac, bob.mac, ipv4("10.9.0.1", "10.9.0.2", large))
    forged = ethernet(alice.mac, bob.mac, ipv4("10.9.0.3", "10.9.0.2", large))
    assert world.delivered(alice, bob, forged, own) == [own]


def test_super_packets_of_tcp(world, driver, pair):
    """GSO: what the guest's stack sends as one frame of 64 kB."""
    alice, bob = pair
    hold(driver, attach(alice), attach(bob))
    for guest in pair:
        run("ip", "-n", guest.name, "addr", "add", f"10.9.0.{guest.number}/24", "dev", "eth0")
    data = bytes(range(256)) * 8192
    there = ("10.9.0.2", 5001)
    with (
        world.inside(bob, lambda: socket.create_server(there)) as server,
        world.inside(alice, lambda: socket.create_connection(there, 5)) as client,
    ):
        peer, _ = server.accept()
        sender = threading.Thread(target=lambda: (client.sendall(data), client.close()))
        sender.start()
        with peer:
            received = b"".join(iter(lambda: peer.recv(1 << 20), b""))
        sender.join()
    assert received == data
    assert not driver.events.drops()


def test_a_drop_tells_what_was_dropped(world, driver, pair):
    alice, bob = pair
    hold(driver, attach(alice), attach(bob))
    forged = ethernet(alice.mac, bob.mac, ipv4("10.9.0.3", "10.9.0.2", udp(1, 1, bytes(300))))
    world.delivered(alice, bob, forged)
    ready, _, _ = select.select(driver.events.descriptors(), (), (), 5)
    assert ready
    (drop,) = driver.events.drops()
    assert (drop.device, drop.port_id) == (alice.ifindex, attach(alice).policy.port_id)
    assert (drop.direction, drop.guard) == (Direction.FROM_GUEST, Guard.IP)
    assert (drop.reason, drop.length, drop.head) == (Reason.IPV4_SOURCE, 342, forged[:128])
    assert not driver.events.drops()


def test_a_flood_of_drops_is_counted_and_hardly_recorded(world, driver, pair):
    alice, bob = pair
    hold(driver, attach(alice), attach(bob))
    forged = ethernet(mac_of(7), bob.mac, packet())
    world.delivered(alice, bob, *[forged] * 3000)
    (count,) = driver.events.counts()
    assert (count.device, count.guard, count.frames) == (alice.ifindex, Guard.MAC, 3000)
    assert 100 <= len(driver.events.drops()) < 1000


def test_a_storm_ends_at_the_port(world, driver, pair):
    alice, bob = pair
    hold(driver, attach(alice, storm=Storm(1, 10)), attach(bob))
    shout = pad(ethernet(alice.mac, ALL, arp(alice.mac, "10.9.0.1", target_ip="10.9.0.2")))
    assert world.delivered(alice, bob, *[shout] * 50) == [shout] * 10


class TestWatchedAddresses:
    VIP, VIP6 = "10.9.0.100", "fd00:9::100"

    def hold(self, driver, *guests):
        watched = frozenset(map(parse_address, (self.VIP, self.VIP6)))
        hold(
            driver,
            *(attach(g, f"10.9.0.{g.number}", *map(str, watched), watched=watched) for g in guests),
        )

    def claims(self, driver):
        return [(c.device, str(c.address), str(c.mac)) for c in driver.events.claims()]

    def test_a_gratuitous_arp_is_a_claim(self, world, driver, pair):
        alice, bob = pair
        self.hold(driver, alice, bob)
        ask = pad(ethernet(alice.mac, ALL, arp(alice.mac, "10.9.0.1", target_ip=self.VIP)))
        world.delivered(alice, bob, ask)
        assert self.claims(driver) == []
        for frame in (
            arp(bob.mac, self.VIP, target_ip=self.VIP),
            arp(bob.mac, self.VIP, target_ip="10.9.0.1", op=2),
        ):
            world.delivered(bob, alice, pad(ethernet(bob.mac, ALL, frame)))
            assert self.claims(driver) == [(bob.ifindex, self.VIP, str(bob.mac))]

    def test_an_advertisement_is_a_claim(self, world, driver, pair):
        alice, bob = pair
        self.hold(driver, alice, bob)
        packet = ipv6(self.VIP6, "ff02::1", na(self.VIP6, tlla(alice.mac)), hop_limit=255)
        world.delivered(alice, bob, ethernet(alice.mac, "33:33:00:00:00:01", packet))
        assert self.claims(driver) == [(alice.ifindex, self.VIP6, str(alice.mac))]

    def test_a_refused_claim_is_none(self, world, driver, pair):
        alice, bob = pair
        self.hold(driver, alice, bob)
        forged = pad(ethernet(mac_of(9), ALL, arp(mac_of(9), self.VIP, target_ip=self.VIP)))
        world.delivered(alice, bob, forged)
        assert self.claims(driver) == []

    def test_use_is_noted_and_survives_a_new_policy(self, world, driver, pair):
        alice, bob = pair
        self.hold(driver, alice, bob)
        assert set(driver.events.sightings(alice.ifindex).values()) == {0}
        for source in (self.VIP, "10.9.0.1"):
            frame = ethernet(alice.mac, bob.mac, ipv4(source, "10.9.0.2", HELLO))
            assert world.delivered(alice, bob, frame) == [frame]
        first = driver.events.sightings(alice.ifindex)
        assert first[parse_address(self.VIP)] > 0
        assert first[parse_address(self.VIP6)] == 0
        hold(driver, attach(bob))
        assert driver.events.sightings(alice.ifindex) == {}

    def test_a_claim_says_when_the_port_was_heard_before(self, world, driver, pair):
        alice, bob = pair
        self.hold(driver, alice, bob)
        frame = pad(ethernet(alice.mac, ALL, arp(alice.mac, self.VIP, target_ip=self.VIP)))
        world.delivered(alice, bob, frame, frame)
        first, second = driver.events.claims()
        assert first.seen_before == 0
        assert second.seen_before == first.at < second.at

    def test_a_flood_of_claims_is_hardly_recorded(self, world, driver, pair):
        alice, bob = pair
        self.hold(driver, alice, bob)
        frame = pad(ethernet(alice.mac, bob.mac, arp(alice.mac, self.VIP, target_ip=self.VIP)))
        world.delivered(alice, bob, *[frame] * 500)
        assert 20 <= len(driver.events.claims()) < 200


def test_the_hooks_of_a_macvtap_are_swapped(world, driver, tmp_path):
    """What the guest writes into the device leaves it, what the guest reads enters it."""
    far, guest = world.wire(2), world.macvtap(1, tmp_path)
    hold(driver, Attachment(policy_of(1), guest.ifindex, reversed_hooks=True, revision=1))
    own, forged = ethernet(guest.mac, far.mac, packet()), ethernet(mac_of(7), far.mac, packet())
    assert world.delivered(guest, far, forged, own, forged) == [own]
    answer = ethernet(far.mac, guest.mac, packet(2, 1))
    tagged = ethernet(far.mac, guest.mac, vlan(packet(2, 1)))
    assert world.delivered(far, guest, tagged, answer) == [answer]
    drops = [(drop.direction, drop.reason) for drop in driver.events.drops()]
    assert drops == [
        (Direction.FROM_GUEST, Reason.SOURCE_MAC),
        (Direction.FROM_GUEST, Reason.SOURCE_MAC),
        (Direction.TO_GUEST, Reason.TAGGED),
    ]
