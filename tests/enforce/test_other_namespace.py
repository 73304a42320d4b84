"""The next start of an agent in another network namespace, with the same directory of pins."""

import pytest
from tests.enforce.driver_ports import from_
from tests.enforce.guarded_port import attach, hold, mac_of, policy_of, run

from vifguard.enforce.driver.protocol import Attachment, HeldError
from vifguard.enforce.ebpf.driver import EbpfDriver
from vifguard.kernel.net.netns import in_throwaway

pytestmark = pytest.mark.kernel


def open_elsewhere(world, ifindex):
    """Let everything by at the interface of this index in a namespace that is new."""

    def work():
        run("ip", "link", "add", "taken", "index", str(ifindex), "type", "bridge")
        policy = policy_of(9, guards=frozenset())
        with EbpfDriver(world.bpf_dir) as driver:
            hold(driver, Attachment(policy, ifindex, reversed_hooks=False, revision=1))

    in_throwaway(work)


@pytest.fixture
def guarded(world, pair):
    with EbpfDriver(world.bpf_dir) as driver:
        hold(driver, *map(attach, pair))
    return pair


def test_a_start_in_another_namespace_is_refused_while_guards_are_left(world, guarded) -> None:
    """They would be judged by the policies of whichever ports have their indexes there."""
    alice, bob = guarded
    with pytest.raises(HeldError, match="choose another --bpf-dir here, or run `vifguard down"):
        open_elsewhere(world, alice.ifindex)
    own, forged = from_(alice, bob), from_(alice, bob, mac=mac_of(7))
    assert world.delivered(alice, bob, forged, own) == [own]
    with EbpfDriver(world.bpf_dir) as driver:
        hold(driver, *map(attach, guarded))
        assert driver.diff(driver.render(map(attach, guarded)), driver.observe(None)) is None
    assert world.delivered(alice, bob, forged, own) == [own]


def test_once_no_guard_is_left_another_namespace_may_have_the_pins(world, guarded) -> None:
    """A container that is made anew has a new one each time."""
    alice, _ = guarded
    world.clear()
    open_elsewhere(world, alice.ifindex)
    alice, bob = world.guest(1), world.guest(2)
    own, forged = from_(alice, bob), from_(alice, bob, mac=mac_of(7))
    with EbpfDriver(world.bpf_dir) as driver:
        hold(driver, attach(alice), attach(bob))
        assert world.delivered(alice, bob, forged, own) == [own]


def test_guards_that_are_removed_leave_the_pins_free(world, guarded) -> None:
    alice, bob = guarded
    forged = from_(alice, bob, mac=mac_of(7))
    with EbpfDriver(world.bpf_dir) as driver:
        driver.remove_all()
    assert world.delivered(alice, bob, forged) == [forged]
    open_elsewhere(world, alice.ifindex)
