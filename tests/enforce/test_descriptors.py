"""A host with more interfaces than an agent may have descriptors (TCX)."""

from collections.abc import Iterator
from functools import partial

import pytest
from tests.agent.netns import eventually
from tests.enforce.world import Guest, World, attach, hold, mac_of

from vifguard.enforce import state
from vifguard.enforce.ebpf import EbpfDriver
from vifguard.kernel import descriptors, probe, tcx
from vifguard.kernel.bpf import Program
from vifguard.kernel.elf import ObjectFile
from vifguard.kernel.tcx import AttachType, Link
from vifguard.packet.build import ethernet, ipv4, udp

pytestmark = pytest.mark.kernel

PASS = bytes.fromhex("b7000000000000009500000000000000")
"""`r0 = 0; exit`: passes all that it sees, for good."""


@pytest.fixture(params=[0, 4], ids=["no-link-held", "three-links-held"])
def opened(
    world: World, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> partial[EbpfDriver]:
    """Open the driver in a process that may have so many descriptors."""
    if not probe.has_tcx():
        pytest.skip("this kernel has no TCX, and filters need no descriptors")
    monkeypatch.setattr(descriptors, "allow_many", lambda: request.param)
    return partial(EbpfDriver, world.bpf_dir)


@pytest.fixture
def driver(opened: partial[EbpfDriver]) -> Iterator[EbpfDriver]:
    it = opened()
    yield it
    it.remove_all()


def forged_and_own(sender: Guest, receiver: Guest) -> tuple[bytes, bytes]:
    packet = ipv4(f"10.9.0.{sender.number}", f"10.9.0.{receiver.number}", udp(1, 1, b""))
    forged, own = (ethernet(mac, receiver.mac, packet) for mac in (mac_of(7), sender.mac))
    return forged, own


def is_guarded(world: World, sender: Guest, receiver: Guest) -> bool:
    forged, own = forged_and_own(sender, receiver)
    return world.delivered(sender, receiver, forged, own) == [own]


def programs_at(guest: Guest) -> int:
    return sum(len(tcx.attached(guest.ifindex, where)) for where in AttachType)


def test_every_port_is_guarded_and_found_again(
    world: World, opened: partial[EbpfDriver], monkeypatch: pytest.MonkeyPatch
) -> None:
    alice, bob = world.guest(1), world.guest(2)
    ports = attach(alice), attach(bob)
    with opened() as driver:
        hold(driver, *ports)
    assert is_guarded(world, alice, bob)
    with opened() as driver:
        assert driver.diff(driver.render(ports), driver.observe(None)) is None
    monkeypatch.setattr(ObjectFile, "code_digest", "another0code")
    with opened() as driver:
        change = driver.diff(driver.render(ports), driver.observe(None))
        assert set(change.ports) == {alice.ifindex, bob.ifindex}
        driver.apply(change)
        hold(driver, *ports)
        assert is_guarded(world, alice, bob)
        driver.remove_all()
    forged, own = forged_and_own(alice, bob)
    assert world.delivered(alice, bob, forged, own) == [forged, own]


def test_pins_that_go_are_a_loss_and_put_back(world: World, driver: EbpfDriver) -> None:
    """What is held is unpinned; what is not is off its interface, where the second check stays."""
    alice, bob = world.guest(1), world.guest(2)
    ports = attach(alice), attach(bob)
    hold(driver, *ports)
    for pin in (world.bpf_dir / "links").iterdir():
        pin.unlink()
    # The kernel ends links in a queue of work; second checks have none.
    remaining = 4 + len(driver._attaching._held)
    eventually(lambda: sum(map(programs_at, (alice, bob))) == remaining)
    forged, _ = forged_and_own(alice, bob)
    alice.send(forged)
    wanted, seen = driver.render(ports), driver.observe(None)
    for port in (alice, bob):
        lost = driver.loss(wanted.ports[port.ifindex], seen.ports.get(port.ifindex))
        assert lost[0] in (state.Loss.PROGRAM, state.Loss.PIN)
    hold(driver, *ports)
    assert is_guarded(world, alice, bob)
    assert is_guarded(world, bob, alice)


def test_another_program_that_came_first_is_behind_again(world: World, driver: EbpfDriver) -> None:
    alice, bob = world.guest(1), world.guest(2)
    ports = attach(alice), attach(bob)
    hold(driver, *ports)
    with (
        Program.load("theirs", PASS, "GPL") as theirs,
        Link.attach(theirs, alice.ifindex, AttachType.TCX_INGRESS),
    ):
        assert not is_guarded(world, alice, bob)
        hold(driver, *ports)
        assert is_guarded(world, alice, bob)
