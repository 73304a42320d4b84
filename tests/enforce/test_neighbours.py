"""Other software on the same hooks and in the same bpffs: it stays, and does not come before us."""

import json
import logging
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.enforce.driver_ports import from_
from tests.enforce.guarded_port import attach, hold, mounted, run

from vifguard.enforce.driver.protocol import ApplyError
from vifguard.enforce.ebpf.driver import EbpfDriver
from vifguard.kernel import probe
from vifguard.kernel.bpf import tcx
from vifguard.kernel.bpf.bpf_syscall import Program
from vifguard.kernel.bpf.tcx import AttachType
from vifguard.kernel.net import sysctl

pytestmark = pytest.mark.kernel

ACCEPT_ALL = ("bpf", "bytecode", "1,6 0 0 4294967295,")
"""Every frame matches, and no action is TC_ACT_OK: what stands behind sees none."""


@pytest.fixture
def driver(world):
    it = EbpfDriver(world.bpf_dir, tcx=False)
    yield it
    it.remove_all()


needs_tcx = pytest.mark.skipif(not probe.has_tcx(), reason="this kernel has no TCX")


@pytest.fixture
def by_tcx(world):
    it = EbpfDriver(world.bpf_dir)
    yield it
    it.remove_all()


@pytest.fixture
def pair(world):
    return world.guest(1), world.guest(2)


def add_foreign(guest, *kind, handle="0x1"):
    where = ("dev", guest.tap, "ingress", "protocol", "all", "pref", "1", "handle", handle)
    run("tc", "filter", "add", *where, *kind)


def foreign(guest):
    """Handles of filters at ingress that are not ours, as tc shows them."""
    shown = json.loads(run("tc", "-j", "filter", "show", "dev", guest.tap, "ingress"))
    options = [each["options"] for each in shown if "options" in each]
    return [
        each["handle"] for each in options if not each.get("bpf_name", "").startswith("vifguard:")
    ]


def is_guarded(world, pair):
    alice, bob = pair
    forged = from_(alice, bob, "10.9.0.77")
    return forged not in world.delivered(alice, bob, forged)


def test_a_filter_of_others_stays_and_ours_comes_before_it(world, driver, pair):
    alice, bob = pair
    run("tc", "qdisc", "add", "dev", alice.tap, "clsact")
    add_foreign(alice, *ACCEPT_ALL)
    hold(driver, attach(alice), attach(bob))
    assert foreign(alice) == ["0x1"]
    assert is_guarded(world, pair)
    hold(driver, attach(alice, revision=2), attach(bob))
    assert foreign(alice) == ["0x1"]
    hold(driver)
    assert foreign(alice) == ["0x1"]


def test_a_filter_put_before_ours_is_noticed_and_overtaken(world, driver, pair):
    alice, bob = pair
    hold(driver, attach(alice), attach(bob))
    add_foreign(alice, *ACCEPT_ALL, handle="0x9")
    assert not is_guarded(world, pair)
    wanted = driver.render([attach(alice), attach(bob)])
    assert alice.ifindex not in driver.enforced(wanted, driver.observe(None))
    hold(driver, attach(alice), attach(bob))
    assert is_guarded(world, pair)
    assert foreign(alice) == ["0x9"]


def test_a_port_whose_first_place_is_taken_is_refused_with_the_cause(driver, pair):
    alice, bob = pair
    run("tc", "qdisc", "add", "dev", alice.tap, "clsact")
    add_foreign(alice, "u32", "match", "u32", "0", "0", handle="800::1")
    wanted = driver.render([attach(alice), attach(bob)])
    with pytest.raises(ApplyError) as caught:
        driver.apply(driver.diff(wanted, driver.observe(None)))
    (failed,) = caught.value.exceptions
    assert failed.device == alice.ifindex
    assert f"has priority 1 at interface {alice.tap}, ingress" in failed.reason


PASSING = bytes.fromhex("b7000000000000009500000000000000")
"""`r0 = 0; exit`: passes all that it sees, for good."""


@needs_tcx
def test_a_program_that_came_before_ours_is_behind_it_again(world, by_tcx, pair):
    alice, bob = pair
    hold(by_tcx, attach(alice), attach(bob))
    with Program.load("theirs", PASSING, "GPL") as theirs:
        tcx.attach_first(theirs, alice.ifindex, AttachType.TCX_INGRESS)
        assert not is_guarded(world, pair)
        hold(by_tcx, attach(alice), attach(bob))
        assert is_guarded(world, pair)
        first, second = tcx.attached(alice.ifindex, AttachType.TCX_INGRESS)
        assert second.program == theirs.id
        assert first.program != theirs.id


@needs_tcx
def test_two_of_ours_at_a_hook_become_one_without_a_frame_lost_or_leaked(world, by_tcx, pair):
    """As one leaves them that is killed while it puts another instance before all."""
    alice, bob = pair
    hold(by_tcx, attach(alice), attach(bob))
    (there,) = tcx.attached(alice.ifindex, AttachType.TCX_INGRESS)
    with by_tcx._attaching._load("from_guest") as twin:
        tcx.attach_first(twin, alice.ifindex, AttachType.TCX_INGRESS)
    own, forged = from_(alice, bob), from_(alice, bob, "10.9.0.77")
    leaked, rounds = [], 0
    with ThreadPoolExecutor(1) as pool:
        holding = pool.submit(world.here, lambda: hold(by_tcx, attach(alice), attach(bob)))
        while not holding.done() or rounds < 10:
            alice.send(forged)
            alice.send(own)
            leaked += bob.received(own)  # TimeoutError: a legal frame was lost
            rounds += 1
        holding.result()
    assert not leaked
    assert tcx.attached(alice.ifindex, AttachType.TCX_INGRESS) == (there,)


@needs_tcx
@pytest.mark.parametrize("beside", [True, False])
def test_another_agents_guard_is_named_with_its_interface(world, pair, tmp_path, caplog, beside):
    """It drops by its own policy what the new one lets pass."""
    alice, bob = pair
    with mounted(tmp_path / "far") as far:
        other = world.bpf_dir.with_name("other") if beside else far
        with EbpfDriver(other) as former:
            hold(former, attach(alice))
        with EbpfDriver(world.bpf_dir) as driver, caplog.at_level(logging.WARNING):
            hold(driver, attach(alice), attach(bob))
        assert len(caplog.messages) == 2
        place = f"pins in {other}" if beside else "does not pin beside this one"
        for said in caplog.messages:
            assert f"interface {alice.tap} has a guard besides of another agent" in said
            assert place in said
            assert f"--bpf-dir {other if beside else 'DIR'}`" in said


def test_names_of_another_form_in_the_directory_are_left_alone(tmp_path):
    # A directory that is a mount of its own holds the kernel's maps.debug and progs.debug.
    with mounted(tmp_path / "whole") as path:
        driver = EbpfDriver(path.parent)
        others = path.parent / "cilium"
        others.mkdir()
        assert driver.observe(None).leftovers == frozenset()
        driver.remove_all()
        assert others.is_dir()


ENSURE = """
import sys
from pathlib import Path
from vifguard.kernel.bpf import bpffs
bpffs.ensure(Path(sys.argv[1]))
"""


def test_a_mount_that_would_end_with_the_agent_is_refused(tmp_path):
    directory = tmp_path / "bpf"
    command = [sys.executable, "-c", ENSURE, str(directory)]
    private = ["unshare", "-m", "--propagation", "slave", *command]
    run = subprocess.run(private, capture_output=True, text=True, check=False)
    assert run.returncode
    assert f"mount -t bpf bpf {directory}" in run.stderr
    assert not os.path.ismount(directory)


def test_a_mount_of_the_machine_serves_a_private_namespace_too(tmp_path):
    with mounted(tmp_path / "bpf") as path:
        command = [sys.executable, "-c", ENSURE, str(path)]
        private = ["unshare", "-m", "--propagation", "slave", *command]
        assert subprocess.run(private, check=False).returncode == 0
        assert path.is_dir()


@pytest.mark.usefixtures("world")
def test_tables_that_see_bridged_packets_are_named():
    assert sysctl.bridge_netfilter() == ()
    run("sysctl", "-qw", "net.bridge.bridge-nf-call-ip6tables=1")
    assert sysctl.bridge_netfilter() == ("ip6tables",)
