"""A fragment that is left to be cut once more: whoever cuts it makes other packets of it.

The attacks are those of the catalogue that only a process that has a tap open can send. Behind
a veth the guest's own kernel cuts for UFO, so that the parts are judged as what they are.
"""

import struct
from dataclasses import replace

import pytest
from tests.enforce.guarded_port import hold, run, uuid_of

from vifguard.enforce.driver.protocol import Attachment
from vifguard.lab.attacks import VARIANTS
from vifguard.lab.attacks import frames as f
from vifguard.lab.attacks.attack import Actor, Kind
from vifguard.lab.attacks.sample_actors import ACTORS_ON_PAPER, actors_of, policy_of
from vifguard.model.guard import Guard
from vifguard.model.verdict import Direction, Reason

pytestmark = pytest.mark.kernel

ROW = "x-offload-cut-fragment"
ANSWER, ANY_PORT = f"{ROW}/ufo-dhcp-answer", f"{ROW}/ufo-udp-port"
PORTS = {ANSWER: (67, 68), ANY_PORT: (4000, 53)}
SEGMENT = f"{ROW}/tcp4-without-checksum"
IPV6 = [f"{ROW}/{name}" for name in ("tcp6-first", "tcp6-later", "tcp6-atomic", "ufo6-udp-port")]
CUT = [*PORTS, SEGMENT, *IPV6]
MARK = f.udp4(actors_of(Actor.TAP), data=b"what was sent before this has arrived or been dropped")
FIRST = 0x2000
"""Flags and offset of a first fragment: more follow."""


@pytest.fixture
def world(shared_world):
    return shared_world


@pytest.fixture
def driver(shared_driver):
    return shared_driver


def port(station, policy, *, swapped: bool = False) -> Attachment:
    return Attachment(replace(policy, port_id=uuid_of(station.number)), station.ifindex, swapped, 1)


def played(sender, receiver, name: str) -> list[bytes]:
    """What arrives of a frame of the catalogue whose sender is its TAP."""
    variant, cast = VARIANTS[name], actors_of(Actor.TAP)
    sender.leave(variant.offload(cast).header, variant.frame(cast))
    sender.send(MARK)
    return receiver.received(MARK)


@pytest.mark.parametrize("name", PORTS)
def test_where_nobody_judges_it_a_later_fragment_arrives_as_a_first(world, name: str) -> None:
    """The control: its ports are the sender's choice, whatever the fragment was judged as."""
    first, *_ = played(world.tap(1, headers=True), world.tap(2), name)
    assert struct.unpack_from("!H", first, 20) == (FIRST,)
    assert struct.unpack_from("!HH", first, 34) == PORTS[name]


def test_where_nobody_judges_it_one_first_fragment_arrives_as_five(world) -> None:
    """The control: each says it is the packet's beginning, and has another sequence number."""
    parts = played(world.tap(1, headers=True), world.tap(2), SEGMENT)
    heads = [struct.unpack_from("!H12xHHI", part, 20) for part in parts]
    assert heads == [(FIRST, 4000, 9, at) for at in range(0, 801, 200)]


@pytest.mark.parametrize("name", IPV6)
def test_where_nobody_judges_it_nothing_arrives_that_has_an_ipv6_fragment_header(
    world, name: str
) -> None:
    """No control is to be had: Linux 6.18 cannot cut it, and drops it at the bridge's far side."""
    assert played(world.tap(1, headers=True), world.tap(2), name) == []


@pytest.mark.parametrize("kind", Kind)
def test_no_fragment_is_cut_behind_its_guard(world, driver, kind: Kind) -> None:
    alice, bob = world.tap(1, headers=True), world.tap(2)
    hold(driver, port(alice, policy_of(kind, Actor.TAP)))
    for name in CUT:
        assert played(alice, bob, name) == [], name
        (drop,) = driver.events.drops()
        assert (drop.guard, drop.reason) == (Guard.HOST, Reason.SEGMENTATION_OFFLOAD), name
        assert (drop.device, drop.direction) == (alice.ifindex, Direction.FROM_GUEST)


def test_none_that_comes_through_an_uplink_is_cut_for_a_guest(world, driver) -> None:
    """The sender is behind an uplink: no guard of ours stands there."""
    uplink, bob = world.tap(1, headers=True), world.tap(2)
    policy = replace(policy_of(Kind.STRICT, Actor.GUEST), macs=frozenset({ACTORS_ON_PAPER.p.mac}))
    hold(driver, port(bob, policy))
    for name in CUT:
        assert played(uplink, bob, name) == [], name
        (drop,) = driver.events.drops()
        assert (drop.reason, drop.direction) == (Reason.SEGMENTATION_OFFLOAD, Direction.TO_GUEST)


def test_none_is_cut_behind_a_macvtap(world, driver, tmp_path) -> None:
    far, guest = world.wire(2), world.macvtap(1, tmp_path, headers=True)
    run("ip", "link", "set", "mvt0", "address", str(actors_of(Actor.TAP).a.mac))
    hold(driver, port(guest, policy_of(Kind.STRICT, Actor.TAP), swapped=True))
    for name in CUT:
        assert played(guest, far, name) == [], name
        (drop,) = driver.events.drops()
        assert (drop.reason, drop.direction) == (Reason.SEGMENTATION_OFFLOAD, Direction.FROM_GUEST)


def test_what_a_guests_own_kernel_cuts_is_judged_by_its_ports(world, driver) -> None:
    alice, bob = world.guest(1), world.tap(2)
    hold(driver, port(alice, policy_of(Kind.STRICT, Actor.TAP)))
    (rest,) = played(alice, bob, ANSWER)
    assert struct.unpack_from("!H", rest, 20) == (25,), "the second part alone, from octet 200 on"
    assert [drop.guard for drop in driver.events.drops()] == [Guard.DHCP]
