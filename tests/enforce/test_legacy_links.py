"""The upgrade from a release that attached guards by links, with a second check behind each."""

import shutil
import struct
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from typing import cast

import pytest
from tests.enforce.driver_ports import from_
from tests.enforce.guarded_port import attach, hold, mac_of

from vifguard.enforce.ebpf.driver import OBJECT, EbpfDriver
from vifguard.enforce.ebpf.guarded_interfaces import guarded
from vifguard.enforce.ebpf.pin_directory import FROM_GUEST, TO_GUEST
from vifguard.enforce.ebpf.state import NO_HOOKS
from vifguard.kernel import probe
from vifguard.kernel.bpf import bpffs, skbuff, tcx
from vifguard.kernel.bpf.bpf_syscall import Command, Program, call, pack
from vifguard.kernel.bpf.elf import ObjectFile
from vifguard.kernel.bpf.tcx import AttachType, Link

pytestmark = [
    pytest.mark.kernel,
    pytest.mark.skipif(not probe.has_tcx(), reason="this kernel has no TCX, and so no links"),
]

LINK_CREATE = cast("Command", 28)
BEFORE, AFTER, LINK = 1 << 3, 1 << 4, 1 << 13
MARK = 0x76696667
CB_4 = 64
"""Where `struct __sk_buff` has the word by which a second check knows what its guard passed."""
NAMES = (FROM_GUEST, TO_GUEST)


def code(*instructions):
    return b"".join(struct.pack("<BBhi", *each) for each in instructions)


MARKING = code((0xB7, 2, 0, MARK), (0x63, 1 | 2 << 4, CB_4, 0))
"""`r2 = MARK; *(u32 *)(r1 + CB_4) = r2`: what stands before a guard's own instructions."""
CHECKING = code(
    (0x61, 2 | 1 << 4, CB_4, 0),  # r2 = *(u32 *)(r1 + CB_4)
    (0xB4, 0, 0, -1),
    (0x15, 2, 1, MARK),
    (0xB4, 0, 0, 2),
    (0x95, 0, 0, 0),
)


def links_of(root, guest):
    return [root / "links" / f"{guest.ifindex}-{hook}" for hook in ("ingress", "egress")]


class Former:
    """Guards as that release put them: linked, pinned, each with a second check behind it."""

    def __init__(self, root, *guests):
        self.root = root
        with EbpfDriver(root) as driver:
            hold(driver, *map(attach, guests))
            compiled = ObjectFile(OBJECT.read_bytes(), {"read_offload": skbuff.reader().function})
            (root / "links").mkdir()
            for guest in guests:
                now = [tcx.attached(guest.ifindex, where)[0].program for where in AttachType]
                for name, where, pin in zip(NAMES, AttachType, links_of(root, guest), strict=True):
                    linked = MARKING + compiled.linked(name, driver._maps)
                    self._put(name, linked, guest.ifindex, where, pin)
                for where, number in zip(AttachType, now, strict=True):
                    with Program.by_id(number) as program:
                        tcx.detach(program, guest.ifindex, where)

    def _put(self, name, linked, ifindex, where, pin):
        with (
            Program.load(name, linked, "GPL") as guard,
            Program.load("second_check", CHECKING, "GPL") as check,
        ):
            words = (guard.fd, ifindex, where, BEFORE, 0, 0, 0)
            with Link(call(LINK_CREATE, pack("IIIIIIQ", *words))) as link:
                link.pin(pin)
                words = (ifindex, check.fd, where, AFTER | LINK, 0, link.fd, 0)
                call(Command.PROG_ATTACH, pack("IIIIIIQ", *words))

    def detach_checks(self, guest):
        for where in AttachType:
            for number, link in tcx.attached(guest.ifindex, where):
                if not link:
                    with Program.by_id(number) as program:
                        tcx.detach(program, guest.ifindex, where)

    def detach_links(self, guest):
        for pin in links_of(self.root, guest):
            with Link.open(pin) as link:
                link.detach()


@pytest.fixture
def pair(world):
    return world.guest(1), world.guest(2)


@pytest.fixture
def upgraded(monkeypatch):
    """From now on the build is another, with other maps."""

    def upgrade():
        monkeypatch.setattr(ObjectFile, "code_digest", "c0de00000000")
        monkeypatch.setattr(ObjectFile, "layout_digest", lambda *_: "1a7001a70000")

    return upgrade


def stands(guest):
    return [len(tcx.attached(guest.ifindex, where)) for where in AttachType]


def test_nothing_forged_passes_and_nothing_legal_is_lost(world, pair, upgraded):
    alice, bob = pair
    Former(world.bpf_dir, alice, bob)
    assert stands(alice) == stands(bob) == [2, 2]
    upgraded()
    own, forged = from_(alice, bob), from_(alice, bob, mac=mac_of(7))
    leaked, rounds = [], 0
    with EbpfDriver(world.bpf_dir) as driver, ThreadPoolExecutor(1) as pool:
        assert guarded(world.bpf_dir) == {alice.ifindex, bob.ifindex}
        holding = pool.submit(world.here, lambda: hold(driver, attach(alice), attach(bob)))
        while not holding.done() or rounds < 10:
            alice.send(forged)
            alice.send(own)
            leaked += bob.received(own)  # TimeoutError: a legal frame was lost
            rounds += 1
        holding.result()
        assert not leaked
        assert stands(alice) == stands(bob) == [1, 1]
        assert not (world.bpf_dir / "links").exists()
        driver.remove_all()
    assert not world.bpf_dir.exists()


@pytest.mark.parametrize(("unchecked", "unlinked"), [*product((False, True), repeat=2)])
@pytest.mark.parametrize("way", [True, False], ids=["tcx", "clsact"])
def test_one_that_was_killed_in_between_is_gone_on_with(
    world, pair, upgraded, way, unchecked, unlinked
):
    """Without its second checks, with links that stand nowhere, with both, with neither."""
    alice, bob = pair
    former = Former(world.bpf_dir, alice, bob)
    if unchecked:
        former.detach_checks(alice)
    if unlinked:
        former.detach_links(alice)
    upgraded()
    own, forged = from_(alice, bob), from_(alice, bob, mac=mac_of(7))
    with EbpfDriver(world.bpf_dir, tcx=way) as driver:
        hold(driver, attach(alice), attach(bob))
        assert stands(alice) == stands(bob) == ([1, 1] if way else [0, 0])
        assert world.delivered(alice, bob, forged, own) == [own]
        driver.remove_all()
    assert not world.bpf_dir.exists()


def test_a_second_check_alone_is_replaced(world, pair, upgraded):
    """Its guard went with the pins while no agent lived, and it closed the port."""
    alice, bob = pair
    former = Former(world.bpf_dir, alice, bob)
    former.detach_links(alice)
    shutil.rmtree(world.bpf_dir)
    upgraded()
    own, forged = from_(alice, bob), from_(alice, bob, mac=mac_of(7))
    with EbpfDriver(world.bpf_dir) as driver:
        hold(driver, attach(alice), attach(bob))
        assert stands(alice) == [1, 1]
        assert world.delivered(alice, bob, forged, own) == [own]
        driver.remove_all()


def test_a_port_that_is_gone_by_then_is_known_as_guarded(world, pair, upgraded):
    """So that it is cut off before it loses its guard."""
    alice, bob = pair
    Former(world.bpf_dir, alice, bob)
    upgraded()
    with EbpfDriver(world.bpf_dir) as driver:
        assert driver.observe(None).ports[alice.ifindex].hooks != NO_HOOKS
        hold(driver, attach(bob))
        assert stands(alice) == [0, 0]
        driver.remove_all()


def test_another_agents_are_not_touched(world, pair, tmp_path):
    alice, bob = pair
    elsewhere = tmp_path / "elsewhere"
    bpffs.mount(elsewhere)
    try:
        Former(elsewhere / "pins", bob)
        with EbpfDriver(world.bpf_dir) as driver:
            hold(driver, attach(alice))
            driver.remove_all()
        assert stands(bob) == [2, 2]
    finally:
        bpffs.unmount(elsewhere)


def test_a_program_that_is_called_like_a_second_check_is_left_alone(world, pair):
    """It stands at an interface that has no guard of ours, and is to have none."""
    alice, bob = pair
    with Program.load("second_check", CHECKING, "GPL") as stranger:
        for where in AttachType:
            tcx.attach_first(stranger, bob.ifindex, where)
    with EbpfDriver(world.bpf_dir) as driver:
        assert bob.ifindex not in driver.observe(None).ports
        hold(driver, attach(alice))
        assert stands(bob) == [1, 1]
        driver.remove_all()
    assert stands(bob) == [1, 1]


def test_what_is_no_link_among_the_pins_is_left_alone(world, pair):
    (world.bpf_dir / "links" / "somebodys").mkdir(parents=True)
    with EbpfDriver(world.bpf_dir) as driver:
        hold(driver, attach(pair[0]))
        assert stands(pair[0]) == [1, 1]
        driver.remove_all()
