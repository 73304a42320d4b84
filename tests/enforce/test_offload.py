"""What a sender leaves to be done to its frame, on real interfaces: what arrives was judged.

The receiver that matters is one that takes no offload: the kernel completes the frame for it.
"""

import socket
import struct

import pytest
from tests.enforce.guarded_port import attach, hold, mac_of, policy_of, run

from vifguard.enforce.driver.protocol import Attachment
from vifguard.model.guard import GUARDS_OF, Guard, Profile
from vifguard.model.verdict import Direction, Reason
from vifguard.packet import build

pytestmark = pytest.mark.kernel

ALL = "ff:ff:ff:ff:ff:ff"
A, B, STOLEN = "10.9.0.1", "10.9.0.2", "10.9.0.77"
A6, B6 = "fd00:9::1", "fd00:9::2"
MAC_A, MAC_B = mac_of(1), mac_of(2)
PAYLOAD = b"payload-padding!" * 4
OFF = GUARDS_OF[Profile.OFF]


def header(start: int, offset: int, gso: int = 0, size: int = 0, headers: int = 0) -> bytes:
    return struct.pack("=BBHHHH", 1, gso, headers, size, start, offset)


def forged(frame: bytes, at: int, wanted: int, start: int, knob: int) -> tuple[bytes, bytes]:
    """The header and the frame by which the two octets at `at` will be `wanted`.

    The two at `knob`, behind `start`, are chosen so that the sum comes out.
    """
    cleared = frame[:knob] + bytes(2) + frame[knob + 2 :]
    rest = ~wanted & 0xFFFF
    # The frame's own octets at `at` are summed too, where they lie behind `start`.
    balance = (rest - (~build.internet_checksum(cleared[start:]) & 0xFFFF)) % 0xFFFF
    if (knob - start) % 2:
        balance = balance >> 8 | (balance & 0xFF) << 8
    frame = cleared[:knob] + balance.to_bytes(2, "big") + cleared[knob + 2 :]
    return header(start, at - start), frame


def datagram(inner: build.Layer, to: str = B, dst=MAC_B) -> bytes:
    return build.ethernet(MAC_A, dst, build.ipv4(A, to, inner))


ANNOUNCEMENT = build.ethernet(MAC_A, ALL, build.arp(MAC_A, A, target_ip=A))
ECHO6 = build.ethernet(
    MAC_A, "33:33:00:00:00:01",
    build.ipv6(MAC_A.link_local, "ff02::1", build.icmpv6(128, 0, bytes(12)), hop_limit=255),
)  # fmt: skip
WRITTEN = {
    "arp sender": b"\0\x4d",
    "ipv4 source": b"\0\x4d",
    "ipv6 source": b"\0\x4d",
    "router advertisement": b"\x86\0",
    "dhcp answer": b"\0\x44",
    "tcp flags": b"\x50\x04",
    "tcp port": b"\0\x16",
    "sctp checksum": b"\xff\xff",
}
FORGED = {
    "arp sender": forged(ANNOUNCEMENT, 30, 77, 20, 32),
    "ipv4 source": forged(datagram(build.udp(9, 9, PAYLOAD)), 28, 77, 20, 46),
    "ipv6 source": forged(
        build.ethernet(MAC_A, MAC_B, build.ipv6(A6, B6, build.udp(9, 9, PAYLOAD))), 36, 77, 34, 64
    ),
    "router advertisement": forged(ECHO6, 54, 0x8600, 40, 60),
    "dhcp answer": forged(
        datagram(build.udp(5000, 5000, bytes(300)), "255.255.255.255", ALL), 36, 68, 34, 60
    ),
    "tcp flags": forged(
        datagram(build.tcp(1, 2, PAYLOAD, flags=0x10)), 46, 0x5004, 34, 60
    ),
    "tcp port": forged(datagram(build.tcp(1, 2, PAYLOAD)), 36, 22, 34, 60),
    "sctp checksum": (header(34, 8), datagram(build.Layer(bytes(40), 132))),
}  # fmt: skip


# USO (Linux 6.2): each part of it is a datagram, and the second names another's MAC.
TWO_MESSAGES = (
    header(34, 6, gso=5, size=len(build.dhcpv4(MAC_A)), headers=42),
    datagram(
        build.udp(68, 67, build.dhcpv4(MAC_A) + build.dhcpv4(mac_of(7))), "255.255.255.255", ALL
    ),
)


def test_where_nobody_judges_them_the_frames_are_forged(world) -> None:
    """The control: else it would say nothing that none arrives below."""
    alice, bob = world.guest(1), world.tap(2)
    for name, (left, frame) in FORGED.items():
        alice.leave(left, frame)
        mark = world.mark(alice, bob)
        alice.send(mark)
        (seen,) = bob.received(mark)
        start, offset = struct.unpack("=6xHH", left)
        assert seen[start + offset :][:2] == WRITTEN[name], name
    alice.leave(*TWO_MESSAGES)
    mark = world.mark(alice, bob)
    alice.send(mark)
    first, second = bob.received(mark)
    assert (first[42:], second[42:]) == (build.dhcpv4(MAC_A), build.dhcpv4(mac_of(7)))


def inner_vxlan() -> bytes:
    inside = build.ethernet(mac_of(8), mac_of(9), build.ipv4("192.0.2.1", "192.0.2.2", TCP))
    return build.udp(40000, 4789, bytes(8) + inside, checksum=0)


TCP, UDP = build.tcp(1, 2, PAYLOAD), build.udp(1, 2, PAYLOAD)
HONEST = {
    "tcp4": (header(34, 16), datagram(TCP)),
    "udp4": (header(34, 6), datagram(UDP)),
    "tcp6": (header(54, 16), build.ethernet(MAC_A, MAC_B, build.ipv6(A6, B6, TCP))),
    "udp6": (header(54, 6), build.ethernet(MAC_A, MAC_B, build.ipv6(A6, B6, UDP))),
    "vxlan": (header(34 + 8 + 8 + 14 + 20, 16), datagram(inner_vxlan())),
}


@pytest.fixture
def world(shared_world):
    return shared_world


@pytest.fixture
def driver(shared_driver):
    return shared_driver


def sender_of(world, kind):
    return world.guest(1) if kind == "veth" else world.tap(1, headers=True)


@pytest.mark.parametrize("kind", ["veth", "tap"])
@pytest.mark.parametrize("guards", [GUARDS_OF[Profile.STRICT], OFF], ids=["strict", "off"])
def test_no_completed_checksum_forges_a_frame(world, driver, kind, guards) -> None:
    alice, bob = sender_of(world, kind), world.tap(2)
    hold(driver, attach(alice, guards=guards), attach(bob))
    for name, (left, frame) in FORGED.items():
        alice.leave(left, frame)
        mark = world.mark(alice, bob)
        alice.send(mark)
        assert bob.received(mark) == [], name
        (drop,) = driver.events.drops()
        assert (drop.guard, drop.reason) == (Guard.HOST, Reason.CHECKSUM_OFFLOAD), name
        assert (drop.device, drop.direction) == (alice.ifindex, Direction.FROM_GUEST)


@pytest.mark.parametrize("kind", ["veth", "tap"])
def test_an_honest_checksum_is_completed_and_arrives(world, driver, kind) -> None:
    alice, bob = sender_of(world, kind), world.tap(2)
    hold(driver, attach(alice), attach(bob))
    for name, (left, frame) in HONEST.items():
        alice.leave(left, frame)
        mark = world.mark(alice, bob)
        alice.send(mark)
        (seen,) = bob.received(mark)
        start, offset = struct.unpack("=6xHH", left)
        place = slice(start + offset, start + offset + 2)
        assert seen[: place.start] == frame[: place.start], name
        assert seen[place.stop :] == frame[place.stop :], name
        assert seen[place] == build.internet_checksum(frame[start:]).to_bytes(2, "big"), name
    assert not driver.events.drops()


def test_nothing_forged_comes_through_an_uplink_to_a_guest(world, driver) -> None:
    """The sender is behind an uplink: no guard of ours stands there."""
    uplink, bob = world.guest(1), world.tap(2)
    hold(driver, attach(bob))
    for name, (left, frame) in FORGED.items():
        uplink.leave(left, frame)
        mark = world.mark(uplink, bob)
        uplink.send(mark)
        assert bob.received(mark) == [], name
        (drop,) = driver.events.drops()
        assert (drop.reason, drop.direction) == (Reason.CHECKSUM_OFFLOAD, Direction.TO_GUEST)


def test_a_macvtap_leaves_no_forged_frame(world, driver, tmp_path) -> None:
    far, guest = world.wire(2), world.macvtap(1, tmp_path, headers=True)
    run("ethtool", "-K", "near", "tx", "off")
    hold(driver, Attachment(policy_of(1), guest.ifindex, reversed_hooks=True, revision=1))
    for name, (left, frame) in FORGED.items():
        guest.leave(left, frame)
        mark = world.mark(guest, far)
        guest.send(mark)
        assert far.received(mark) == [], name
        (drop,) = driver.events.drops()
        assert (drop.reason, drop.direction) == (Reason.CHECKSUM_OFFLOAD, Direction.FROM_GUEST)
    for name, (left, frame) in HONEST.items():
        guest.leave(left, frame)
        mark = world.mark(guest, far)
        guest.send(mark)
        assert len(far.received(mark)) == 1, name


def test_a_dhcp_message_is_not_cut_into_several(world, driver) -> None:
    alice, bob = world.guest(1), world.tap(2)
    hold(driver, attach(alice), attach(bob))
    alice.leave(*TWO_MESSAGES)
    mark = world.mark(alice, bob)
    alice.send(mark)
    assert bob.received(mark) == []
    assert [drop.reason for drop in driver.events.drops()] == [Reason.SEGMENTATION_OFFLOAD]


@pytest.mark.parametrize("tag", ["8100 0000", "8100 e000", "88a8 0000", "88a8 0001", "88a8 2001"])
def test_a_listed_tag_without_a_vlan_is_no_way_around(world, driver, tag) -> None:
    tag = bytes.fromhex(tag)
    alice, bob = world.guest(1), world.guest(2)
    listed = frozenset({0x8100, 0x88A8})
    hold(driver, attach(alice, ethertypes=listed))
    inside = build.ethernet(MAC_A, ALL, build.arp(MAC_A, STOLEN, target_ip=B))
    assert world.delivered(alice, bob, inside[:12] + tag + inside[12:]) == []
    assert [drop.reason for drop in driver.events.drops()] == [Reason.TAG_WITHOUT_VLAN]
    trunk = inside[:12] + tag[:2] + b"\x00\x64" + inside[12:]
    assert len(world.delivered(alice, bob, trunk)) == 1


def test_tx_offload_turned_off_at_the_interface_hinders_nobody(world) -> None:
    """Why a host whose programs cannot read the fields is held closed, and not helped so."""
    bob = world.tap(2)
    for number, kind in ((1, "veth"), (3, "tap")):
        sender = world.guest(number) if kind == "veth" else world.tap(number, headers=True)
        run("ethtool", "-K", sender.tap, "tx", "off")
        left, frame = FORGED["arp sender"]
        sender.leave(left, frame)
        mark = world.mark(sender, bob)
        sender.send(mark)
        (seen,) = bob.received(mark)
        assert seen[28:32] == bytes((10, 9, 0, 77)), kind


def test_sctp_passes_with_the_sum_that_it_wants(world, driver) -> None:
    """Its stack leaves a CRC32c to the interface, and marks the frame so (csum_not_inet)."""
    try:
        socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_SCTP).close()
    except OSError as error:
        pytest.skip(f"this kernel has no SCTP: {error}")
    alice, bob = world.guest(1), world.guest(2)
    hold(driver, attach(alice), attach(bob))
    for guest in (alice, bob):
        run("ip", "-n", guest.name, "addr", "add", f"10.9.0.{guest.number}/24", "dev", "eth0")
    kind = (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_SCTP)
    with (
        world.inside(bob, lambda: socket.socket(*kind)) as server,
        world.inside(alice, lambda: socket.socket(*kind)) as client,
    ):
        server.bind((B, 5001))
        server.listen()
        client.settimeout(60)
        client.connect((B, 5001))
        peer, _ = server.accept()
        with peer:
            client.sendall(PAYLOAD)
            assert peer.recv(1 << 16) == PAYLOAD
    assert not driver.events.drops()


def test_no_tag_is_hidden_in_what_a_bridge_strips(world, driver) -> None:
    """A bridge that filters VLANs of 802.1ad sends VID 0 and 1 on untagged: the control first."""
    alice, bob = world.guest(1), world.guest(2)
    filtering = ("vlan_filtering", "1", "vlan_protocol", "802.1ad", "vlan_default_pvid", "0")
    try:
        run("ip", "link", "set", "br0", "type", "bridge", *filtering)
    except AssertionError as error:
        pytest.skip(f"this kernel's bridges filter no VLANs: {error}")
    for guest in (alice, bob):
        run("bridge", "vlan", "add", "dev", guest.tap, "vid", "1", "pvid", "untagged")
    inside = build.ethernet(MAC_A, ALL, build.arp(MAC_A, STOLEN, target_ip=B))
    tagged = [inside[:12] + bytes.fromhex(f"88a8{tci}") + inside[12:] for tci in ("0000", "0001")]
    assert world.delivered(alice, bob, *tagged) == [inside, inside]
    hold(driver, attach(alice, ethertypes=frozenset({0x88A8})), attach(bob))
    assert world.delivered(alice, bob, *tagged) == []
    assert {drop.reason for drop in driver.events.drops()} == {Reason.TAG_WITHOUT_VLAN}
