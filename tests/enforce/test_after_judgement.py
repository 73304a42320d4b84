"""What the kernel does to a frame behind the guards changes nothing that they judged.

docs/threat-model.md names each such step. The receiver is a tap without offloads: for it the
kernel does in software what was left to be done.
"""

import mmap
import os
import select
import socket
import struct
import time
from contextlib import contextmanager, suppress

import pytest
from tests.enforce.guarded_port import attach, hold, mac_of, run
from tests.enforce.test_offload import header

from vifguard.packet import build

pytestmark = pytest.mark.kernel

MAC_A, MAC_B = mac_of(1), mac_of(2)
A, B = {4: "10.9.0.1", 6: "fd00:9::1"}, {4: "10.9.0.2", 6: "fd00:9::2"}
STOLEN = bytes((10, 9, 0, 77))
PART, PARTS = 100, 7
PAYLOAD = bytes(range(PART)) * PARTS
IP_END = {4: 34, 6: 54}
GSO_UDP, GSO_UDP_L4 = 3, 5
GSO_TCP = {4: 1, 6: 4}
SOL_PACKET, PACKET_VERSION, PACKET_TX_RING, TPACKET_V2 = 263, 10, 13, 1
RING_FRAME, RING_HEADER, SEND_REQUEST = 2048, 32, 1


def packet(version, inner):
    """From A to B."""
    if version == 4:
        return build.ethernet(MAC_A, MAC_B, build.ipv4(A[4], B[4], inner))
    return build.ethernet(MAC_A, MAC_B, build.ipv6(A[6], B[6], inner))


def identity(frame, version):
    """MACs, type and both addresses."""
    return frame[:14] + (frame[26:34] if version == 4 else frame[22:54])


@pytest.fixture
def pair(world, driver):
    alice, bob = world.guest(1), world.tap(2)
    hold(driver, attach(alice), attach(bob))
    return alice, bob


def received(world, pair, left, frame):
    alice, bob = pair
    alice.leave(left, frame)
    mark = world.mark(alice, bob)
    alice.send(mark)
    return bob.received(mark)


@pytest.mark.parametrize("version", [4, 6])
def test_each_segment_of_a_stream_has_the_judged_headers(world, pair, version):
    upper, whole = IP_END[version], packet(version, build.tcp(1000, 80, PAYLOAD))
    left = header(upper, 16, gso=GSO_TCP[version], size=PART, headers=upper + 20)
    parts = received(world, pair, left, whole)
    assert len(parts) == PARTS
    assert {identity(part, version) for part in parts} == {identity(whole, version)}
    assert {part[upper : upper + 4] for part in parts} == {whole[upper : upper + 4]}
    assert b"".join(part[upper + 20 :] for part in parts) == PAYLOAD


@pytest.mark.parametrize("version", [4, 6])
def test_each_datagram_of_a_cut_one_has_the_judged_headers(world, pair, version):
    upper, whole = IP_END[version], packet(version, build.udp(1000, 2000, PAYLOAD))
    left = header(upper, 6, gso=GSO_UDP_L4, size=PART, headers=upper + 8)
    parts = received(world, pair, left, whole)
    assert len(parts) == PARTS
    assert {identity(part, version) for part in parts} == {identity(whole, version)}
    assert {part[upper : upper + 4] for part in parts} == {whole[upper : upper + 4]}
    assert b"".join(part[upper + 8 :] for part in parts) == PAYLOAD


def test_fragments_of_a_datagram_have_the_judged_addresses(world, pair):
    whole = packet(4, build.udp(1000, 2000, bytes(2000)))
    left = header(34, 6, gso=GSO_UDP, size=800, headers=42)
    parts = received(world, pair, left, whole)
    assert len(parts) > 1
    assert {identity(part, 4) for part in parts} == {identity(whole, 4)}
    assert parts[0][34:38] == whole[34:38]


@pytest.mark.parametrize("version", [4, 6])
def test_what_is_merged_on_the_way_in_comes_out_as_it_was_sent(world, pair, version):
    alice, bob = pair
    run("ethtool", "-K", alice.tap, "gro", "on")
    sent = [
        packet(version, build.tcp(1000, 80, PAYLOAD, flags=0x10, sequence=n * len(PAYLOAD)))
        for n in range(8)
    ]
    forged = bytearray(sent[3])
    forged[29 if version == 4 else 37] = 77
    for frame in [*sent[:4], bytes(forged), *sent[4:]]:
        alice.send(frame)
    mark = world.mark(alice, bob)
    alice.send(mark)
    seen = bob.received(mark)
    assert {identity(frame, version) for frame in seen} == {identity(sent[0], version)}
    upper = IP_END[version]
    assert b"".join(frame[upper + 20 :] for frame in seen) == PAYLOAD * 8


@contextmanager
def ring(world, guest):
    """A ring of two frames from which a guest's packet socket sends; it stays writable."""

    def opened():
        it = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        it.setsockopt(SOL_PACKET, PACKET_VERSION, TPACKET_V2)
        request = struct.pack("IIII", 2 * RING_FRAME, 1, RING_FRAME, 2)
        it.setsockopt(SOL_PACKET, PACKET_TX_RING, request)
        it.bind(("eth0", 0x0800))
        return it

    with world.inside(guest, opened) as it, mmap.mmap(it.fileno(), 2 * RING_FRAME) as memory:
        yield it, memory


def rewrite_until_killed(memory, at):
    """Alternate between the own source and another's in both frames of the ring."""
    while True:
        for source in (STOLEN, bytes((10, 9, 0, 1))):
            for frame in (0, RING_FRAME):
                memory[frame + at : frame + at + 4] = source


def test_a_frame_that_its_sender_rewrites_meanwhile_arrives_as_judged(world, driver):
    """A sender that owns the memory of its frame after it was sent."""
    alice, bob = world.guest(1), world.guest(2)
    hold(driver, attach(alice), attach(bob))
    frame = packet(4, build.udp(5000, 6000, bytes(64)))
    bob.socket.setblocking(False)  # noqa: FBT003
    sources = []
    with ring(world, alice) as (it, memory):
        for start in (RING_HEADER, RING_FRAME + RING_HEADER):
            memory[start : start + len(frame)] = frame
        rewriter = os.fork()
        if not rewriter:
            rewrite_until_killed(memory, RING_HEADER + 26)
        try:
            number, deadline = 0, time.monotonic() + 60
            while len(sources) < 2000 and time.monotonic() < deadline:
                at = number % 2 * RING_FRAME
                if struct.unpack_from("I", memory, at)[0] == 0:
                    struct.pack_into("II", memory, at, SEND_REQUEST, len(frame))
                    number += 1
                with suppress(BlockingIOError):
                    it.send(b"", socket.MSG_DONTWAIT)
                sources += arrived(bob, frame)
        finally:
            os.kill(rewriter, 9)
            os.waitpid(rewriter, 0)
    assert len(sources) >= 2000, "too few frames passed to tell anything"
    assert any(drop.reason.name == "IPV4_SOURCE" for drop in driver.events.drops())
    assert set(sources) == {bytes((10, 9, 0, 1))}


def arrived(guest, like):
    """The sources of the frames of a conversation that have come by now."""
    found = []
    while select.select([guest], [], [], 0)[0]:
        frame = guest.receive()
        if frame and frame[:14] == like[:14] and frame[34:38] == like[34:38]:
            found.append(frame[26:30])
    return found
